"""`rrdns explain` over a real roster's explanations: the chain is all there, for every kind of answer."""

from __future__ import annotations

import pytest

from rrdns import wire, zonefile
from rrdns.model import Override, Result
from rrdns.roster.roster import Roster
from rrdns.ui.config import ConfigError
from rrdns.ui.explain import page, question

ZONE = b"""
'': {type: NS, value: ns1.lb.example.com.}
ns1: {type: A, value: 192.0.2.53}
www: {type: POOL, pool: web, ttl: 20}
alias: {type: CNAME, value: www.lb.example.com.}
sub: {type: NS, value: ns.elsewhere.example.}
"""
POOLS = b"""
checks: {web: {type: http, port: 80}}
pools:
  web:
    check: web
    members: {web1: 192.0.2.11, web2: {address: 192.0.2.12, weight: 3}, web3: [192.0.2.13, '2001:db8::13']}
"""


@pytest.fixture
def roster() -> Roster:
    """Everyone up since 100 s, but web1, down."""
    loaded = zonefile.load({"zones/lb.example.com.yaml": ZONE, "zones/pools.yaml": POOLS})
    assert loaded.dataset is not None, loaded.problems
    made = Roster()
    made.load(loaded.dataset, 1000.0)
    for key in made.targets():
        made.observe(key, Result(True, "HTTP 200", 0.003), 1001.0)
    down = next(key for key, target in made.targets().items() if target.address == "192.0.2.11")
    for at in (1098.0, 1099.0, 1100.0):
        made.observe(down, Result(False, "HTTP 503", 0.003), at)
    return made


def explained(roster: Roster, name: str, rtype: str = "A", now: float = 1101.0) -> str:
    told = roster.explain(wire.name_from_text(name), wire.type_number(rtype), now)
    return "\n".join(line.plain for line in page(told, 100))


def test_a_pool_name_tells_the_whole_chain(roster: Roster) -> None:
    text = explained(roster, "www.lb.example.com.")
    for words in (
        "www.lb.example.com. A  pool web", "zone  lb.example.com.", "NOERROR (authoritative",
        "www.lb.example.com. 20 IN A 192.0.2.12", "TTL  20: nothing is about to change", "2 of 3",
        "web1  down  does not serve", "192.0.2.11  down for 1s", "check web: down (HTTP 503 in 3ms, 1s ago)",
        "web2  up  serves", "weight 3, 75% of the pool", "2001:db8::13  up for 1m 40s", "ring", "turns  web", "75%",
    ):  # fmt: skip
        assert words in text, f"{words!r} is not in\n{text}"


def test_a_running_counter_explains_the_ttl(roster: Roster) -> None:
    key = next(key for key, target in roster.targets().items() if target.address == "192.0.2.12")
    roster.observe(key, Result(False, "timed out", 2.0), 1101.0)
    text = explained(roster, "www.lb.example.com.", now=1102.0)
    assert "TTL  5 instead of 20: web2 may go down (1 of 3 failures: timed out)" in text
    assert "check web: up (timed out in 2s, 1s ago; 1 failure so far)" in text


def test_an_operators_word_is_named(roster: Roster) -> None:
    roster.override(Override("web", "web2", "drain", "ann", "kernel", 0.0, 2000.0, 1.0), 1101.0)
    text = explained(roster, "www.lb.example.com.", now=1102.0)
    assert "web2  drained  does not serve" in text
    assert "operator  drain by ann: kernel (14m 58s left)" in text


@pytest.mark.parametrize(
    ("name", "rtype", "words"),
    [
        ("alias.lb.example.com.", "A", ("is an alias (CNAME) of www", "which leads to", "web1  down")),
        ("ns1.lb.example.com.", "A", ("in the zone file", "300 IN A 192.0.2.53")),
        ("www.lb.example.com.", "TXT", ("no TXT record", "(authority)")),
        ("none.lb.example.com.", "A", ("NXDOMAIN", "answered at lb.example.com.")),
        ("x.sub.lb.example.com.", "A", ("delegated", "(authority)", "not authoritative")),
        ("example.org.", "A", ("REFUSED", "no zone served here")),
    ],
)
def test_other_answers(roster: Roster, name: str, rtype: str, words: tuple[str, ...]) -> None:
    text = explained(roster, name, rtype)
    for one in words:
        assert one in text, f"{one!r} is not in\n{text}"


def test_what_is_asked() -> None:
    assert question("www.example.com", "aaaa") == ("www.example.com.", "AAAA")
    assert question(".", "type65") == (".", "HTTPS")
    for name, rtype, said in (
        ("a..b", "A", "empty label"),
        ("x" * 64, "A", "64 bytes"),
        ("a", "WHAT", "not a record type"),
    ):
        with pytest.raises(ConfigError, match=said):
            question(name, rtype)


def test_an_explanation_of_another_version_is_shown_as_far_as_it_goes() -> None:
    assert "?" in "\n".join(line.plain for line in page({}, 80))
    bare = {
        "name": "n.",
        "type": "A",
        "pool": {"members": {"m": {"addresses": [{"checks": [{}]}]}}},
        "ring": {"members": {"m": {}}},
    }
    assert "does not serve" in "\n".join(line.plain for line in page(bare, 80))


@pytest.mark.parametrize(("answers", "count", "fit", "told"), [(8, 9, 5, True), (8, 5, 5, False), (0, 9, 9, False)])
def test_fewer_addresses_than_asked_for_are_told(answers: int, count: int, fit: int, told: bool) -> None:
    ring = {"members": {"m": {"addresses": count}}, "fit": fit}
    text = "\n".join(line.plain for line in page({"ring": ring, "service": {"answers": answers}}, 80))
    assert ("by UDP 5 at a time without a cookie" in text) == told
