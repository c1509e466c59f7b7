"""`capacity:`: who could not carry what, as `check` says it of files and `whatif` of an outage; one arithmetic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rrdns import cli, imagined, whatif, zonefile
from rrdns.carrying import loads
from rrdns.failover import Selection, Serving
from rrdns.model import Override, Pool
from rrdns.ui.doubts import doubts
from rrdns.whatif import Outage
from rrdns.zonefile.places import Places

ZONE = """\
'': {type: NS, value: ns.example.net.}
web: {type: POOL, pool: web}
mail: {type: POOL, pool: mail}
"""
CHECKS = """\
checks:
  c: {type: tcp, port: 80}
pools:
"""
WEB = "members: {a: 10.0.0.1, b: {address: 10.1.0.1, weight: 2}}"
MORE = "it needs more hosts or weight"
MAIL = "members: {c: 10.2.0.1, d: 10.3.0.1}"


def said(web: str, mail: str = MAIL) -> list[str]:
    """The warnings; the column as `<` and the key whose value stands there."""
    pools = f"{CHECKS}  web: {{check: c, {web}}}\n  mail: {{check: c, {mail}}}\n"
    places = Places()
    loaded = zonefile.load({"example.com.yaml": ZONE.encode(), "pools.yaml": pools.encode()}, {}, places)
    assert loaded.dataset is not None, loaded.problems
    found = []
    for one in sorted(doubts(loaded.dataset, places)):
        before = pools.splitlines()[one.place.line - 1][: one.place.column - 1]
        found.append(str(one).replace(f":{one.place.column}:", f":<{before.split()[-1]}", 1))
    return found


def test_partners() -> None:
    def both(web: str, mail: str) -> list[str]:
        return said(
            f"{WEB}, {web}failover: {{scheme: mutual-takeover, partner: mail}}",
            f"{MAIL}, {mail}failover: {{scheme: mutual-takeover, partner: web}}",
        )

    assert both("", "") == [] and both("capacity: 2, ", "") == []
    assert both("capacity: 1, ", "capacity: 1, ") == []
    assert both("capacity: 2, ", "capacity: 1, ") == [
        "pools.yaml:4:<partner: warning: pools.web.failover.partner: mail could not carry this: when all of web "
        f"is down its hosts have weight 2, and the load takes 3 (mail 1, web 2): 1 is lacking; {MORE}"
    ]
    assert both("capacity: 2, ", "capacity: 2, ") == [
        "pools.yaml:4:<partner: warning: pools.web.failover.partner: mail could not carry this: when all of web "
        f"is down its hosts have weight 2, and the load takes 4 (mail 2, web 2): 2 is lacking; {MORE}",
        "pools.yaml:5:<partner: warning: pools.mail.failover.partner: web could not carry this: when all of mail "
        f"is down its hosts have weight 3, and the load takes 4 (mail 2, web 2): 1 is lacking; {MORE}",
    ]
    assert both("capacity: 3, ", "") == [
        "pools.yaml:4:<partner: warning: pools.web.failover.partner: mail could not carry this: when all of web "
        f"is down its hosts have weight 2, and the load takes 3: 1 is lacking; {MORE}"
    ]


def test_a_backup_carries_whom_it_stands_in_for_alone() -> None:
    """Its own load is not counted, for its hosts leave its answers."""
    web = f"{WEB}, capacity: %d, failover: {{scheme: simple-failover, backup: mail}}"
    assert said(web % 2, f"{MAIL}, when_down: empty, capacity: 2") == []
    assert said(web % 3, f"{MAIL}, when_down: empty, capacity: 2") == [
        "pools.yaml:4:<backup: warning: pools.web.failover.backup: mail could not carry this: when all of web "
        f"is down its hosts have weight 2, and the load takes 3: 1 is lacking; {MORE}"
    ]


def test_a_fallback_goes_on_with_its_own() -> None:
    web = f"{WEB}, capacity: 2, fallback: mail"
    assert said(web) == []
    assert said(web, f"{MAIL}, capacity: 1") == [
        "pools.yaml:4:<fallback: warning: pools.web.fallback: mail could not carry this: when all of web is down its "
        f"hosts have weight 2, and the load takes 3 (mail 1, web 2): 1 is lacking; {MORE}"
    ]


TIERS = "members: {a: {address: 10.0.0.1, weight: 3}, b: {address: 10.1.0.1, priority: 2, weight: 2}}"
STANDBY = "failover: {scheme: idle-standby}"


def test_tiers() -> None:
    assert said(f"{TIERS}, capacity: 2, {STANDBY}") == []
    assert said(f"{TIERS}, capacity: 3, {STANDBY}") == [
        "pools.yaml:4:<capacity: warning: pools.web.capacity: when tier 2 serves alone its hosts have weight 2, and "
        "the load takes 3: 1 is lacking; it needs more weight, or the pool quorum: {weight: 3}, with which all tiers "
        "that are left serve together"
    ]
    assert said(f"{TIERS}, capacity: 3, quorum: {{weight: 3}}, {STANDBY}") == []
    assert said(f"{TIERS}, capacity: 4, {STANDBY}")[0] == (
        "pools.yaml:4:<capacity: warning: pools.web.capacity: tier 1 has weight 3, and the load takes 4 at its "
        "busiest: even with all well 1 is lacking; it needs more hosts or weight"
    )


def test_those_who_hold_a_place() -> None:
    turns = "members: {a: 10.0.0.1, b: 10.1.0.1, c: 10.2.0.9}, capacity: 2, failover: {scheme: rotating-standby%s}"
    assert said(turns % ", active: 2") == []
    assert said(turns % "") == [
        "pools.yaml:4:<capacity: warning: pools.web.capacity: those who hold a place (active: 1) have weight 1, and "
        f"the load takes 2 at its busiest: even with all well 1 is lacking; {MORE}"
    ]


def test_pools_on_the_same_hosts_are_added_up() -> None:
    same = "members: {a: 10.0.0.1, b: {address: 10.1.0.1, weight: 2}}, capacity: %d"
    assert said(same % 2, same % 1) == []
    web, mail = said(same % 2, same % 2)
    assert web.startswith("pools.yaml:4:<capacity: ") and mail.startswith("pools.yaml:5:<capacity: ")
    assert "its hosts have weight 3, and the load takes 4 (mail 2, web 2) at its busiest" in web


@pytest.mark.parametrize("web", [WEB, f"{WEB}, capacity: 3", f"{WEB}, capacity: 0"])
def test_quiet(web: str) -> None:
    assert said(web) == []


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights that a director tells are not in the files, so of them nothing is said."""
    zones = tmp_path / "zones"
    zones.mkdir()
    (zones / "example.com.yaml").write_text("'': {type: NS, value: ns.example.net.}\nweb: {type: POOL, pool: web}\n")
    director = "directors: {d: {type: file, path: /x}}\npools:\n  web: {check: [], director: d, capacity: 9}\n"
    (zones / "pools.yaml").write_text(director)
    assert cli.main(["check", str(zones)]) == 0
    assert "weight" not in capsys.readouterr().out
    (zones / "pools.yaml").write_text(f"pools:\n  web: {{check: [], {WEB}, capacity: 9}}\n")
    assert cli.main(["check", str(zones), "--strict"]) == 1
    assert (
        "pools.yaml:2:89: warning: pools.web.capacity: its hosts have weight 3, and the load takes 9 at its busiest: "
        "even with all well 6 is lacking; it needs more hosts or weight\n"
    ) in capsys.readouterr().out


# -------------------------------------------------------------------- what if


def test_what_check_warns_of_is_what_whatif_says() -> None:
    pools = (
        f"{CHECKS}  web: {{check: c, {WEB}, capacity: 2, failover: {{scheme: mutual-takeover, partner: mail}}}}\n"
        f"  mail: {{check: c, {MAIL}, capacity: 1, failover: {{scheme: mutual-takeover, partner: web}}}}\n"
    )
    loaded = zonefile.load({"example.com.yaml": ZONE.encode(), "pools.yaml": pools.encode()}, {})
    assert loaded.dataset is not None
    known, _ = imagined.all_up(loaded.dataset)
    fates = whatif.unfold(known, Outage(down=(("web", "a"), ("web", "b")))).fates
    assert {(one.needs, one.has, one.suffices) for one in fates} == {(3, 2, False)}


def test_a_weight_in_per_cent_counts_as_what_it_is() -> None:
    """Weights in force are then scaled, so that a per cent can show."""
    pools = f"{CHECKS}  web: {{check: c, members: {{a: 10.0.0.1, b: {{address: 10.1.0.1, weight: 4}}}}, capacity: 4}}\n"
    pools += f"  mail: {{check: c, {MAIL}}}\n"
    loaded = zonefile.load({"example.com.yaml": ZONE.encode(), "pools.yaml": pools.encode()}, {})
    assert loaded.dataset is not None
    selection = Selection("ok", "", (Serving("a", 100, (b"1234",), ""), Serving("b", 200, (b"1235",), "")), "available")
    load = loads({"web": selection}, {"web": Pool("web", (), capacity=4)}, {"web": 100})["web"]
    assert (load.needs, load.has, load.suffices) == (4, 3, False)
    known, _ = imagined.all_up(loaded.dataset)
    word = Override("web", "b", "weight 50%", "me", "", 0.0)
    fates = whatif.unfold(replace(known, overrides=(word,)), Outage()).fates
    fate = next(one for one in fates if one.pool == "web")
    assert (fate.needs, fate.has) == (4, 3) and fate.after.weight == 3
