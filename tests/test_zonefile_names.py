"""Members given by host name in the files: how they are written, and where they must not lead. Bad ones: zones/bad."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns import wire, zonefile
from rrdns.model import Member
from rrdns.zonefile import load, load_again, member_names
from rrdns.zonefile.loading import load_known

ZONE = """
'': {type: NS, value: ns1.lb.example.com.}
ns1: {type: A, value: 192.0.2.53}
static: {type: A, value: 192.0.2.1}
www: {type: POOL, pool: web}
"""
POOLS = "checks: {c: {type: tcp, port: 80}}\npools: {web: {check: c, members: %s}}\n"


def files(members: str, zone: str = ZONE, **others: str) -> dict[str, bytes]:
    found = {"lb.example.com.yaml": zone, "pools.yaml": POOLS % members, **others}
    return {name: text.encode() for name, text in found.items()}


def members(text: str) -> tuple[Member, ...]:
    loaded = load(files(text))
    assert loaded.dataset is not None, loaded.problems
    return loaded.dataset.pools["web"].members


def test_the_ways_to_write_it() -> None:
    assert members("{web1: App1.Example.net., web2: {address: app2.example.net., weight: 20}}") == (
        Member("web1", (), hosts=("app1.example.net.",)),
        Member("web2", (), 20, hosts=("app2.example.net.",)),
    )
    assert members("{web3: [192.0.2.3, app3.example.net., '2001:db8::3', b.example.]}") == (
        Member("web3", ("192.0.2.3", "2001:db8::3"), hosts=("app3.example.net.", "b.example.")),
    )
    assert members("[app1.example.net., {address: app2.example.net., name: two}, 192.0.2.9]") == (
        Member("app1.example.net", (), hosts=("app1.example.net.",)),
        Member("two", (), hosts=("app2.example.net.",)),
        Member("192.0.2.9", ("192.0.2.9",)),
    )


def test_a_pool_in_place_takes_names_too() -> None:
    loaded = load(files("[192.0.2.9]", ZONE + "one: {type: POOL, check: c, members: [app1.example.net.]}\n"))
    assert loaded.dataset is not None
    pool = loaded.dataset.pools["one.lb.example.com"]
    assert [one.hosts for one in pool.members] == [("app1.example.net.",)]


def test_a_name_of_ours_that_is_no_pool_and_names_of_others_are_let_pass() -> None:
    text = "[static.lb.example.com., missing.lb.example.com., ns1.example.org., xn--hst-sna.example., a_b.example.]"
    assert len(members(text)) == 5


def test_editors_are_told() -> None:
    schema = json.dumps(zonefile.schema())
    assert "host name with its final dot" in schema


@pytest.mark.parametrize("text", ["192.0.2.300", "192.0.2", "192.0.2.1.", "1.2.3.4.5", "10", "0x7f.1", "a.1.", "::g."])
def test_what_can_only_be_a_slip_of_an_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IPv4 or IPv6 address"):
        member_names.read(text)


@given(st.text(max_size=300))
def test_whatever_is_written_is_an_address_or_a_name_or_refused_with_a_sentence(text: str) -> None:
    try:
        found = member_names.read(text)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
        return
    if member_names.is_name(found):
        assert wire.name_to_text(wire.name_from_text(found)) == found == found.lower()
        assert member_names.called(found)
    assert member_names.read(found) == found


LABEL = st.from_regex(r"\A[a-z]([a-z0-9-]{0,20}[a-z0-9])?\Z")


@given(st.lists(LABEL, min_size=1, max_size=8))
def test_every_host_name_is_taken(labels: list[str]) -> None:
    name = ".".join(labels) + "."
    assert member_names.read(name) == name
    with pytest.raises(ValueError, match="end in a dot"):
        member_names.read(name[:-1])


# ---------------------------------------------------------------- loops, and loads that build on another

BEFORE = files("[www.shop.example.]")
SHOP = "'': {type: NS, value: ns1.lb.example.com.}\nwww: %s\n"


def again(after: dict[str, bytes], before: dict[str, bytes] = BEFORE) -> list[str]:
    """The problems of a load that builds on another, which are those of a load from nothing."""
    known = load_known(before)[1]
    assert known is not None
    whole, built = load(after), load_again(known, after)
    if built is None:
        assert whole.dataset is None
    else:
        assert whole == built[0]
    return [str(one) for one in whole.problems if not one.warning]


def test_an_edit_elsewhere_makes_a_name_a_loop_and_another_takes_it_away() -> None:
    fine = {**BEFORE, "shop.example.yaml": (SHOP % "{type: A, value: 192.0.2.7}").encode()}
    bad = {**BEFORE, "shop.example.yaml": (SHOP % "{type: CNAME, value: www.lb.example.com.}").encode()}
    assert again(fine) == []
    problems = again(bad)
    assert len(problems) == 1 and problems[0].startswith("pools.yaml:2:35: pools.web.members.0: www.shop.example.")
    assert "is an alias of the POOL at lb.example.com.yaml:5:6" in problems[0]
    assert again(bad, fine) == problems
    other = {**fine, "lb.example.com.yaml": BEFORE["lb.example.com.yaml"] + b"more: {type: A, value: 192.0.2.8}\n"}
    assert again(other, fine) == []


def test_a_circle_of_aliases_ends() -> None:
    zone = ZONE + "a: {type: CNAME, value: b.lb.example.com.}\nb: {type: CNAME, value: a.lb.example.com.}\n"
    problems = [str(one) for one in load(files("[a.lb.example.com.]", zone)).problems if not one.warning]
    assert len(problems) == 1 and "leads in a circle" in problems[0]
