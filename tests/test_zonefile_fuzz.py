"""Whatever stands in the files, `load` ends in a data set or in messages: it never raises."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rrdns.zonefile import load
from rrdns.zonefile.rdata import WORDS

GOOD = {path.name: path.read_bytes() for path in (Path(__file__).parent / "zones" / "good").glob("*.yaml")}
NAMES = st.sampled_from(["example.com.yaml", "pools.yaml", "x.pools.yaml", "$x.yaml", "a..yaml", "zones/b.yaml"])
RELAXED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(files: dict[str, bytes]) -> None:
    loaded = load(files)
    fatal = [problem for problem in loaded.problems if not problem.warning]
    assert (loaded.dataset is None) == bool(fatal)
    for problem in loaded.problems:
        assert str(problem).isprintable() and problem.message
        assert problem.place.file in files
    if loaded.dataset is not None:
        for zone in loaded.dataset.zones.values():
            assert all(service.pool in loaded.dataset.pools for service in zone.services)
        for pool in loaded.dataset.pools.values():
            assert pool.members and all(name in loaded.dataset.checks for name in pool.checks)


@RELAXED
@given(st.dictionaries(NAMES, st.binary(max_size=200)))
def test_random_bytes(files: dict[str, bytes]) -> None:
    check(files)


MARKS = (
    "a b : ? - , [ ] { } ' \" | > & * ! % @ ` # \\ ~ 0 1 . :: << *a &a !x --- ... www type A value ttl é \x00 \u2028"
)
PIECES = [*MARKS.split(" "), " ", "  ", "\n", "\n  ", "\t", "type: A", "value: 192.0.2.1", "type: POOL", "members:"]
YAMLISH = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@RELAXED
@given(NAMES, YAMLISH)
def test_yaml_like_text(name: str, text: str) -> None:
    check({name: text.encode()})


@RELAXED
@given(st.data())
def test_mutations_of_good_files(data: st.DataObject) -> None:
    """Cut, doubled, replaced, swapped: as an editor, a failed copy or a bad merge leaves them."""
    files = dict(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        name = data.draw(st.sampled_from(sorted(files)))
        content = files[name]
        start = data.draw(st.integers(0, len(content)))
        end = min(len(content), start + data.draw(st.integers(0, 60)))
        pieces = [content[start:end] * 2, *b" |\n|:|'|0|{|*|\xff|[]|null|-1|".split(b"|")]
        files[name] = content[:start] + data.draw(st.sampled_from(pieces)) + content[end:]
    check(files)


VOCABULARY = """
    '' @ * *.a www a.b x-y $zone $defaults checks pools directors type ttl ttl_min value values pool check members
    address weight priority name quorum panic families when_down scheduler answers contact serial mname port interval
    timeout fall rise ok fast path host headers status body verify command send expect octodns healthcheck geo
    preference exchange http https tcp rr wrr all empty web 192.0.2.1 2001:db8::1 ns.example.net. www.example.com.
    svcpriority targetname svcparams alpn algorithm digest"""
WORD = st.sampled_from([*VOCABULARY.split(), *WORDS, "POOL", ""])
SCALAR = st.one_of(WORD, st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=8))
TREE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORD, inner, max_size=5), max_leaves=25
)


@RELAXED
@given(NAMES, st.dictionaries(WORD, TREE, max_size=5))
def test_well_formed_nonsense(name: str, tree: dict[str, object]) -> None:
    check({name: json.dumps(tree).encode()})


RECORD = st.fixed_dictionaries(
    {"type": st.sampled_from([*WORDS, "POOL", "TYPE65400"])},
    optional={"value": TREE, "values": TREE, "ttl": SCALAR, "members": TREE},
)


@RELAXED
@given(st.dictionaries(WORD, RECORD | st.lists(RECORD, max_size=3), max_size=5))
def test_records_of_nonsense(tree: dict[str, object]) -> None:
    check({"example.com.yaml": json.dumps(tree).encode()})


CHECK = st.dictionaries(WORD, TREE, max_size=6)


@RELAXED
@given(st.dictionaries(st.sampled_from(["checks", "pools"]), st.dictionaries(WORD, CHECK, max_size=3)))
def test_pools_of_nonsense(tree: dict[str, object]) -> None:
    check({"pools.yaml": json.dumps(tree).encode()})
