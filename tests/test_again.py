"""A load that builds on the one before gives exactly what a load from nothing gives, whatever was edited."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rrdns.wire import name_from_text
from rrdns.zonefile.again import load_again
from rrdns.zonefile.known import Note
from rrdns.zonefile.loading import load_known

# ---------------------------------------------------------------------- directories by hypothesis

APEXES = ("example.com", "sub.example.com", "a.sub.example.com", "other.net")
LABELS = ("''", "www", "ns", "mail", "sub", "ns.sub", "a.sub", "x.a.sub", "'*'", "'*.sub'", "alias", "odd name")
TARGETS = (
    *("www.example.com.", "ns.example.com.", "ns.sub.example.com.", "x.a.sub.example.com.", "a.sub.example.com."),
    *("alias.example.com.", "alias.other.net.", "alias.sub.example.com.", "sub.example.com.", "deep.www.example.com."),
    *("nothing.example.com.", "ns.other.net.", "www.other.net.", "far.example.org.", "www.a.sub.example.com."),
)
POOLS = ("web", "mail", "spare")
WEIGHTS = "members: {a: {address: 192.0.2.1, weight: 2}, b: 192.0.2.2}"


def record() -> st.SearchStrategy[str]:
    to, pool = st.sampled_from(TARGETS), st.sampled_from(POOLS)
    shapes: list[st.SearchStrategy[str]] = [
        st.sampled_from(["{type: A, value: 192.0.2.1}", "{type: A, values: [192.0.2.1, 192.0.2.2]}"]),
        st.sampled_from(
            ["{type: A, value: 192.0.2.1}", "{type: A, value: 192.0.2.9, ttl: 5}", "{type: TXT, value: t}"]
        ),
        to.map("{{type: CNAME, value: {}}}".format),
        to.map("{{type: CNAME, value: {}}}".format),
        to.map("{{type: MX, values: [{{preference: 1, exchange: {}}}]}}".format),
        to.map("{{type: NS, value: {}}}".format),
        to.map("{{type: DNAME, value: {}}}".format),
        pool.map("{{type: POOL, pool: {}}}".format),
        pool.map("{{type: POOL, pool: {}, answers: 1, scheduler: rr}}".format),
        st.just(f"{{type: POOL, check: web, {WEIGHTS}}}"),
        pool.map(
            ("{{type: POOL, check: web, fallback: {}, " + WEIGHTS.replace("{", "{{").replace("}", "}}") + "}}").format
        ),
        pool.map(
            "{{type: POOL, check: [], members: [192.0.2.3], failover: {{scheme: simple-failover, backup: {}}}}}".format
        ),
        pool.map("{{type: HTTPS, pool: {}, value: {{svcpriority: 1, targetname: .}}}}".format),
        st.sampled_from(["{type: A}", "{type: NOPE, value: 1}", "[", "{type: A, value: 1.2.3}"]),
    ]
    return st.one_of(*shapes[:-1] * 10, shapes[-1])


@st.composite
def zone_file(draw: st.DrawFn) -> str:
    records = draw(st.dictionaries(st.sampled_from(LABELS), record(), max_size=5))
    ns = draw(st.sampled_from(["ns.example.com.", "ns.sub.example.com.", "ns.example.org.", "ns.other.net."]))
    apex = [f"{{type: NS, value: {ns}}}"]
    if not draw(st.integers(0, 3)):
        apex.append("{type: SOA, contact: h.example.com., serial: 7}")
    text = f"'': [{', '.join(apex)}]\n"
    if not draw(st.integers(0, 20)):
        text += f"$zone: {draw(st.sampled_from(APEXES))}\n"
    if draw(st.integers(0, 5)):
        text += "ns: {type: A, value: 192.0.2.53}\n"
        records.pop("ns", None)
    records.pop("''", None)
    return text + "".join(f"{label}: {one}\n" for label, one in records.items())


@st.composite
def pools_file(draw: st.DrawFn) -> str:
    checks = draw(st.lists(st.sampled_from(["web", "tcp"]), unique=True))
    kinds = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4, 4, 5, 6, 6, 7, 7, 8, 9])
    pools = draw(st.dictionaries(st.sampled_from(POOLS), kinds, max_size=3))
    if "mail" not in pools and draw(st.integers(0, 3)):
        checks, pools = ["web", "tcp"], {name: draw(kinds) for name in POOLS}
    text = ""
    if checks:
        text += "checks:\n" + "".join(f"  {one}: {{type: tcp, port: {draw(st.integers(80, 81))}}}\n" for one in checks)
    bodies = [
        "{check: web, members: {a: 192.0.2.1}}",
        "{check: [], members: {a: 192.0.2.1, b: 192.0.2.2}, scheduler: rr}",
        f"{{check: [web, tcp], {WEIGHTS}}}",
        f"{{check: tcp, {WEIGHTS}, scheduler: rr}}",
        "{members: {a: 192.0.2.1}}",
        "{check: webb, members: {a: 192.0.2.1}, nope: 1}",
        "{check: web, members: {a: 192.0.2.1}, fallback: spare}",
        "{check: web, members: {a: 192.0.2.1}, failover: {scheme: mutual-takeover, partner: mail}, capacity: 1}",
        "{check: web, members: [192.0.2.1, 192.0.2.2], failover: {scheme: rotating-standby}, when_down: empty}",
        "{check: web, members: {a: 192.0.2.1}, failover: {scheme: simple-failover, backup: web}}",
    ]
    if pools:
        text += "pools:\n" + "".join(f"  {name}: {bodies[kind]}\n" for name, kind in pools.items())
    return text or "x-nothing: 1\n"


ZONE_FILES = [f"zones/{apex}.yaml" for apex in (*APEXES, "elsewhere.net")]
POOLS_FILES = ["zones/pools.yaml", "zones/more.pools.yaml"]
Edit = tuple[str, str | None]
edits = st.one_of(
    *[st.tuples(st.sampled_from(ZONE_FILES), zone_file())] * 5,
    *[st.tuples(st.sampled_from(["zones/pools.yaml"] * 5 + POOLS_FILES), pools_file())] * 2,
    st.tuples(st.sampled_from(ZONE_FILES + POOLS_FILES), st.none()),
    st.tuples(st.sampled_from(ZONE_FILES), st.sampled_from(["a: [", "", "\0", "pools: {x: {}}"])),
)
SOUND = {
    "zones/example.com.yaml": "'': {type: NS, value: ns.example.com.}\nns: {type: A, value: 192.0.2.53}\n"
    "www: {type: POOL, pool: web}\n"
    "spare: {type: POOL, check: web, members: [192.0.2.8], failover: {scheme: simple-failover, backup: spare}}\n"
    "alias: {type: CNAME, value: www.sub.example.com.}\n"
    "old.sub: {type: A, value: 192.0.2.7}\nown: {type: POOL, check: web, members: [192.0.2.9]}\n",
    "zones/sub.example.com.yaml": "'': {type: NS, value: ns.example.com.}\nwww: {type: A, value: 192.0.2.1}\n",
    "zones/other.net.yaml": "'': {type: NS, value: ns.example.com.}\n"
    "alias: {type: CNAME, value: alias.example.com.}\n"
    "mail: {type: MX, value: {preference: 1, exchange: gone.sub.example.com.}}\n",
    "zones/pools.yaml": "checks: {web: {type: tcp, port: 80}}\npools:\n"
    f"  web: {{check: web, {WEIGHTS}}}\n  spare: {{check: web, members: [192.0.2.5]}}\n"
    "  mail: {check: web, members: [192.0.2.6]}\n",
}


def encoded(files: dict[str, str]) -> dict[str, bytes]:
    return {file: text.encode() for file, text in files.items()}


def said(note: Note) -> tuple[object, ...]:
    """All of a note but its shelf, whose entries know whom to complain to."""
    return (
        note.digest, set(note.problems), note.zone, note.spot, note.dated, note.used, note.refers, note.outward
    )  # fmt: skip


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.lists(edits, min_size=1, max_size=3), st.integers(1, 2**33)), min_size=1, max_size=12))
def test_building_on_the_last_load_gives_what_a_load_from_nothing_gives(steps: list[tuple[list[Edit], int]]) -> None:
    """An edit that breaks something stands for a step or two, then it is undone."""
    files: dict[str, str] = dict(SOUND)
    times = dict.fromkeys(files, 5)
    _, known = load_known(encoded(files), times)
    assert known is not None
    sound = dict(files)
    for made, time in steps:
        for file, text in made:
            if text is None:
                files.pop(file, None)
            else:
                files[file] = text
            times[file] = time
        now = {file: times.get(file, 5) for file in files}
        wanted, whole = load_known(encoded(files), now)
        found = load_again(known, encoded(files), now)
        if found is None:
            assert wanted.dataset is None, "a sound load was refused"
            if time % 3:
                files = dict(sound)
            continue
        sound = dict(files)
        loaded, known, read = found
        assert loaded == wanted
        assert whole is not None
        assert list(known.notes) == sorted(whole.notes)
        assert {file: said(note) for file, note in known.notes.items()} == {
            file: said(note) for file, note in whole.notes.items()
        }
        assert list(loaded.dataset.zones) == list(wanted.dataset.zones)  # type: ignore[union-attr]
        assert list(loaded.dataset.pools) == list(wanted.dataset.pools)  # type: ignore[union-attr]
        assert read <= loaded.dataset.zones.keys()  # type: ignore[union-attr]


# ---------------------------------------------------------------------- what a changed file touches, row by row

APEX = "'': {type: NS, value: ns.example.org.}\n"
PARENT, CHILD, LOOP = "zones/other.net.yaml", "zones/in.other.net.yaml", "zones/loop.net.yaml"


@pytest.mark.parametrize(
    "before,edits,touched",
    [
        ({PARENT: APEX + "a.in: {type: A, value: 192.0.2.1}\n"}, {CHILD: APEX}, True),
        ({PARENT: APEX + "a.in: {type: A, value: 192.0.2.1}\n", CHILD: APEX}, {CHILD: None}, True),
        ({PARENT: APEX + "a.in: {type: A, value: 192.0.2.1}\n", CHILD: APEX}, {CHILD: "# moved\n" + APEX}, True),
        ({PARENT: APEX + "a.in: {type: A, value: 192.0.2.1}\n", LOOP: APEX}, {LOOP: "# moved\n" + APEX}, False),
        ({PARENT: APEX + "a: {type: CNAME, value: b.loop.net.}\n"}, {LOOP: APEX}, True),
        ({PARENT: APEX + "a: {type: CNAME, value: b.loop.net.}\n", LOOP: APEX}, {CHILD: APEX}, True),
        ({PARENT: APEX + "a: {type: CNAME, value: b.loop.net.}\n"}, {"zones/loop.org.yaml": APEX}, False),
        ({PARENT: APEX, "zones/pools.yaml": "pools: {web: {check: [], members: [192.0.2.1]}}\n"}, {LOOP: APEX}, False),
    ],
)
def test_what_must_be_read(before: dict[str, str], edits: dict[str, str | None], touched: bool) -> None:
    _, known = load_known(encoded(before))
    assert known is not None
    files = {**before, **{file: text for file, text in edits.items() if text is not None}}
    for file in (file for file, text in edits.items() if text is None):
        del files[file]
    found = load_again(known, encoded(files))
    assert found is not None and found[0] == load_known(encoded(files))[0]
    apex = PARENT.removeprefix("zones/").removesuffix("yaml")
    other = CHILD in edits and CHILD not in before and LOOP in before  # a zone inside is always looked at from above
    assert (name_from_text(apex) in found[2]) == (touched or other)


def test_a_circle_of_which_one_hop_is_edited_is_wrong() -> None:
    files = {f"zones/{at}.net.yaml": APEX + f"a: {{type: CNAME, value: a.{at + 1}.net.}}\n" for at in range(4)}
    _, known = load_known(encoded(files))
    assert known is not None
    files["zones/3.net.yaml"] = APEX + "a: {type: CNAME, value: a.1.net.}\n"
    assert load_again(known, encoded(files)) is None
    loaded, _ = load_known(encoded(files))
    assert [str(one) for one in loaded.problems if not one.warning] == [
        "zones/1.net.yaml:2:4: a CNAME: leads in a circle: a.1.net. -> a.2.net. -> a.3.net. -> a.1.net."
    ]


def test_no_more_than_there_is_room_for_is_read() -> None:
    files = {f"zones/{at}.net.yaml": APEX + "#" * 1000 for at in range(4)}
    _, known = load_known(encoded(files))
    assert known is not None
    files["zones/2.net.yaml"] += "a: {type: A, value: 192.0.2.1}\n"
    assert load_again(known, encoded(files), room=1000) is None
    found = load_again(known, encoded(files), room=1200)
    assert found is not None and found[2] == {name_from_text("2.net.")}
    assert found[0].dataset is not None
    kept = found[0].dataset.zones[name_from_text("1.net.")]
    assert (
        kept.rrsets[1] is known.dataset.zones[name_from_text("1.net.")].rrsets[1]
    )  # shared, so that comparing is quick
