"""What if: it agrees with what then really happens, and with the failover budget."""

from __future__ import annotations

import heapq
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from pretend_server import GOOD, SILENT, dataset

from rrdns import cli, imagined, knowledge, whatif
from rrdns.model import DataSet, Failover, Override
from rrdns.roster.roster import Roster
from rrdns.ui import budget
from rrdns.whatif import Outage, Story

ZONE = b"""
'': {type: NS, value: ns1.example.com.}
ns1: {type: A, value: 192.0.2.53}
www: {type: POOL, pool: web, ttl: 20}
api: {type: POOL, pool: api, ttl: 30}
"""
POOLS = b"""
checks:
  web: {type: tcp, port: 80}
pools:
  web:
    check: web
    capacity: 2
    members:
      web1: {address: 192.0.2.1, labels: [rack1]}
      web2: {address: 192.0.2.2, labels: [rack1, old]}
      web3: {address: 198.51.100.3, labels: rack2}
  api:
    check: web
    when_down: servfail
    members: {api1: {address: 203.0.113.1, labels: rack2}}
"""
FILES = {"zones/example.com.yaml": ZONE, "zones/pools.yaml": POOLS}


def unfold(data: DataSet, outage: Outage) -> Story:
    known, _ = imagined.all_up(data)
    return whatif.unfold(known, outage)


def serving(data: DataSet, outage: Outage) -> dict[str, tuple[str, ...]]:
    return {one.service: one.after.members for one in unfold(data, outage).fates}


# -------------------------------------------------------------------- one by one


def test_a_member_that_dies_leaves_within_the_budget() -> None:
    data = dataset(FILES)
    fate = {one.service: one for one in unfold(data, Outage(down=(("web", "web1"),))).fates}["www.example.com."]
    (service,) = (one for one in data.zones[b"\x07example\x03com\x00"].services if one.pool == "web")
    promised = budget.of(service, data.pools["web"], data.checks)
    assert promised is not None
    assert fate.lost == ("web1",) and fate.after.members == ("web2", "web3") and fate.after.healthy
    assert fate.out == pytest.approx(promised.gone, abs=0.1)
    assert fate.moved == pytest.approx(promised.worst, abs=0.1)
    assert (fate.needs, fate.has, fate.suffices) == (2, 2, True)


def test_weight_that_does_not_suffice_is_told() -> None:
    fates = unfold(dataset(FILES), Outage(down=(("web", "web1"), ("web", "web2")))).fates
    fate = {one.service: one for one in fates}["www.example.com."]
    assert fate.suffices is False and fate.share == pytest.approx(1 / 3)


def test_the_last_one_leaves_what_when_down_says() -> None:
    story = unfold(dataset(FILES), Outage(down=(("api", "api1"),)))
    (fate,) = story.stranded
    assert fate.service == "api.example.com." and fate.after.servfail and not fate.after.members


def test_a_drained_member_leaves_at_once() -> None:
    fate = {one.service: one for one in unfold(dataset(FILES), Outage(drain=(("web", "web3"),))).fates}
    www = fate["www.example.com."]
    assert www.lost == ("web3",) and www.out is not None and www.out < 1
    assert www.moved == pytest.approx(20 + budget.PUBLISH, abs=0.3)


def test_a_member_nobody_checks_is_answered_on() -> None:
    unchecked = POOLS.replace(b"    check: web\n    when_down", b"    check: []\n    when_down")
    story = unfold(dataset({**FILES, "zones/pools.yaml": unchecked}), Outage(down=(("api", "api1"),)))
    (fate,) = [one for one in story.fates if one.pool == "api"]
    assert fate.after.members == ("api1",) and fate.dying == ("api1",) and fate.out is None
    assert any("no check" in note for note in story.notes)


def test_silence_of_most_is_held_first() -> None:
    many = b"".join(b"      m%d: 192.0.%d.1\n" % (n, n) for n in range(6))
    pools = POOLS.replace(b"    members: {api1: {address: 203.0.113.1, labels: rack2}}\n", b"    members:\n" + many)
    down = tuple(("api", f"m{n}") for n in range(6))
    story = unfold(dataset({**FILES, "zones/pools.yaml": pools}), Outage(down=down))
    fate = {one.service: one for one in story.fates}["api.example.com."]
    assert story.held and not fate.after.healthy
    assert fate.out is not None and 60 < fate.out < 90


def test_what_is_known_survives_the_way_to_the_command() -> None:
    data = dataset(FILES)
    known, _ = imagined.all_up(data)
    roster = imagined.roster_of(replace(known, now=1000.0))
    roster.override(Override("web", "web2", "drain", "me", "", 0.0, 1060.0, 60.0), 1000.0)
    told = json.loads(
        json.dumps(knowledge.told(roster, (FILES, dict.fromkeys(FILES, 1)), {"isolation_hold": 7}, 1000.0))
    )
    again = knowledge.known_of(told, dataset(knowledge.files_of(told)[0]))  # type: ignore[arg-type]
    assert again.overrides == roster.overrides and again.isolation_hold == 7
    assert again.health == {key: roster.health(key) for key in roster.targets()}


# -------------------------------------------------------------------- what then really happens


def directory(chance: random.Random) -> DataSet:
    """Some pools of some members, on hosts they may share."""
    pools, zone = {}, [ZONE.decode().split("www:")[0]]
    checks = {
        f"c{n}": f"{{type: tcp, port: {80 + n}, interval: {chance.choice([2, 5, 10])}s,"
        f" timeout: {chance.choice([1, 2])}s, fall: {chance.randint(1, 4)}, rise: {chance.randint(1, 3)}}}"
        for n in range(2)
    }
    for number in range(chance.randint(1, 4)):
        members = {
            f"m{one}": f"{{address: 10.{chance.choice([0, number])}.{one}.1, weight: {chance.randint(1, 3)},"
            f" priority: {chance.randint(1, 2)}, labels: [rack{one % 2}]}}"
            for one in range(chance.randint(1, 4))
        }
        down = chance.choice(["all", "empty", "servfail", "last", "[192.0.2.99]"])
        lines = [f"    check: {chance.choice(list(checks))}", f"    quorum: {chance.randint(1, len(members))}"]
        lines += [f"    when_down: {down}", "    members:", *(f"      {k}: {v}" for k, v in members.items())]
        pools[f"p{number}"] = lines
        zone.append(f"s{number}: {{type: POOL, pool: p{number}, ttl: {chance.choice([10, 20, 60])}}}\n")
    text = "checks:\n" + "".join(f"  {k}: {v}\n" for k, v in checks.items()) + "pools:\n"
    text += "".join(f"  {name}:\n" + "\n".join(lines) + "\n" for name, lines in pools.items())
    data = dataset({"zones/example.com.yaml": "".join(zone).encode(), "zones/pools.yaml": text.encode()})
    return replace(data, pools={name: _with_scheme(pool, data, chance) for name, pool in data.pools.items()})


def _with_scheme(pool, data: DataSet, chance: random.Random):  # type: ignore[no-untyped-def]
    later = [name for name in data.pools if name > pool.name]
    what = chance.random()
    if what < 0.2:
        return replace(pool, failover=Failover("idle-standby"))
    if what < 0.4:
        return replace(pool, failover=Failover("rotating-standby", active=1))
    if what < 0.6 and later:
        return replace(pool, fallback=chance.choice(later))
    if what < 0.75 and later:
        return replace(pool, failover=Failover("simple-failover", backup=chance.choice(later)))
    return pool


def happens(data: DataSet, outage: Outage, chance: random.Random) -> dict[str, tuple[tuple[str, ...], str]]:
    """The same outage in a roster that is fed as a server would feed it, probe by probe."""
    roster = Roster(None)
    roster.load(data, 0.0)
    dead = {
        address
        for pool, member in outage.down
        for one in data.pools[pool].members
        if one.name == member
        for address in one.addresses
    }
    heap = [(chance.uniform(0, 5), key) for key in sorted(roster.targets())]
    heapq.heapify(heap)
    struck, now = False, 0.0
    while now < 900:
        deadline = roster.next_deadline()
        if deadline is not None and (not heap or deadline <= heap[0][0]):
            now = max(now, deadline) + 0.02
            roster.advance(now)
            continue
        if not heap:
            break
        now, key = heapq.heappop(heap)
        if now > 200 and not struck:
            struck = True
            for pool, member in outage.drain:
                roster.override(Override(pool, member, "drain", "", "", 0.0), now)
        target = roster.targets()[key]
        gone = struck and target.address in dead
        roster.observe(key, SILENT if gone else GOOD, now)
        heapq.heappush(heap, (now + roster.pace(key) * chance.uniform(0.9, 1.1) + 0.001, key))
    return {
        name: (tuple(one.name for one in duty.selection.serving), duty.selection.state)
        for name, duty in roster.duties.items()
    }


@pytest.mark.parametrize("seed", range(50))
def test_it_agrees_with_what_then_really_happens(seed: int) -> None:
    chance = random.Random(seed)
    data = directory(chance)
    members = [(pool.name, one.name) for pool in data.pools.values() for one in pool.members]
    if chance.random() < 0.3:
        down = [(pool.name, one.name) for pool in data.pools.values() for one in pool.members if "rack0" in one.labels]
    else:
        down = chance.sample(members, chance.randint(0, min(3, len(members))))
    drain = chance.sample(members, chance.randint(0, min(2, len(members))))
    outage = Outage(tuple(down), tuple(drain))
    told = {one.pool: (one.after.members, one.after.state) for one in unfold(data, outage).fates}
    truly = happens(data, outage, chance)
    assert told == {name: truly[name] for name in told}


# -------------------------------------------------------------------- the command


def test_the_command_and_its_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in FILES.items():
        (tmp_path / Path(name).name).write_bytes(text)
    assert cli.main(["whatif", str(tmp_path), "--down", "web1"]) == 0
    said = capsys.readouterr().out
    assert "out of caches after" in said and "every service keeps a healthy member" in said
    assert cli.main(["whatif", str(tmp_path), "--all-down", "rack2"]) == 1
    said = capsys.readouterr().out
    assert "SERVFAIL" in said and "1 service without a healthy member: api.example.com." in said
    assert cli.main(["whatif", str(tmp_path), "--all-down", "rack7"]) == 2
    assert "no member carries the label 'rack7'; there are old, rack1, rack2" in capsys.readouterr().err
    assert cli.main(["whatif", str(tmp_path), "--all-down", "rack1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["services"]["www.example.com."]["suffices"] is False
