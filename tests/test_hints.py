"""Address hints of SVCB and HTTPS records that follow pools: from the file to the packet."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import dns.message
import dns.rdtypes.svcbbase
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live import Server, pools, serve, wait_for, web_servers
from needs import needs

from rrdns import hinting, wire
from rrdns.answers import AnswerSet, key
from rrdns.control import overview, serials
from rrdns.model import DataSet, Hinted, Hints, Override, Result, RRset
from rrdns.roster.roster import Roster
from rrdns.server.respond import AnswerTable
from rrdns.ui import exporter
from rrdns.ui.explain import page
from rrdns.zonefile import hints, load, rdata, schema

ZONE = """
'':
  - {type: NS, values: [ns1.lb.example.com.]}
  - {type: HTTPS, ttl: 60, pool: web, value: {svcpriority: 1, targetname: ., svcparams: {alpn: [h2], key7: /x}}}
ns1: {type: A, value: 127.0.0.1}
www:
  - {type: POOL, pool: web, answers: 2}
  - type: HTTPS
    values:
      - {svcpriority: 1, targetname: ., pool: web, svcparams: {port: 443, ech: AAQAAAAA, alpn: [h3]}}
      - {svcpriority: 2, targetname: other.example.net., pool: other}
      - {svcpriority: 3, targetname: plain.example.net.}
'*.w': {type: SVCB, pool: web, value: {svcpriority: 1, targetname: www.lb.example.com.}}
alias: {type: CNAME, value: www.lb.example.com.}
"""
POOLS = """
checks: {up: {type: tcp, port: 80, fall: 1, rise: 1}}
pools:
  web:
    check: up
    when_down: WHEN
    members: {a: 192.0.2.1, b: [192.0.2.2, '2001:db8::2'], c: {address: 192.0.2.3, weight: 2}}
  other: {check: up, when_down: servfail, members: {o: 198.51.100.1}}
"""


def dataset(zone: str = ZONE, when: str = "empty") -> DataSet:
    loaded = load({"lb.example.com.yaml": zone.encode(), "pools.yaml": POOLS.replace("WHEN", when).encode()})
    assert loaded.dataset, [str(one) for one in loaded.problems]
    return loaded.dataset


def name(text: str) -> bytes:
    return wire.name_from_text(text + ".lb.example.com." if text else "lb.example.com.")


WWW, WILD, APEX = key(name("www"), wire.HTTPS), key(name("*.w"), wire.SVCB), key(name(""), wire.HTTPS)


def hear(roster: Roster, now: float, *down: str) -> None:
    """A round of results: all up but those."""
    for one, target in roster.targets().items():
        roster.note(one, Result(target.address not in down, "told"), now)
    roster.flush(now)


def started(data: DataSet | None = None, tells: bool = False) -> Roster:
    roster = Roster(tells=tells)
    roster.load(data or dataset(), 0.0)
    hear(roster, 1.0)
    return roster


def worker(roster: Roster) -> AnswerTable:
    from rrdns.answers import Changes

    table = AnswerTable()
    table.stage(Changes(dict(roster.answers), dict(roster.nodes), dict(roster.zones)))
    table.commit(1, fresh=True)
    return table


def records(table: AnswerTable, text: str, rtype: str = "HTTPS") -> list[dns.rdtypes.svcbbase.SVCBBase]:
    reply = table.reply(dns.message.make_query(f"{text}.lb.example.com.".lstrip("."), rtype).to_wire())
    assert reply is not None
    found = dns.message.from_wire(reply)
    assert found.rcode() == 0
    return [one for rrset in found.answer if rrset.rdtype in (64, 65) for one in rrset]


def hinted(record: Any) -> tuple[list[str], list[str]]:
    v4, v6 = record.params.get(4), record.params.get(6)
    return list(v4.addresses) if v4 else [], list(v6.addresses) if v6 else []


# ---------------------------------------------------------------- the file


def test_what_a_zone_file_says() -> None:
    zone = dataset().zones[name("")]
    found = {key(one.rrset.name, one.rrset.type): one for one in zone.hinted}
    assert found.keys() == {WWW, WILD, APEX}
    assert all(one.rrset in zone.rrsets and one.zone == zone.name for one in zone.hinted)
    assert found[WWW].hints == (Hints("web", 2, "wrr"), Hints("other", 8, "wrr"), None), "2 answers, as www has"
    assert found[WILD].hints == (Hints("web", 2, "wrr"),), "its target is www"
    assert (found[WWW].ttl, found[WWW].ttl_min) == (20, 5), "as a POOL"
    assert (found[APEX].ttl, found[APEX].ttl_min, found[APEX].hints) == (60, 15, (Hints("web"),))


def test_a_pool_only_hints_use_is_used() -> None:
    loaded = load({"lb.example.com.yaml": ZONE.encode(), "pools.yaml": POOLS.replace("WHEN", "all").encode()})
    assert not [str(one) for one in loaded.problems if "uses this pool" in one.message]


def test_equal_records_with_different_pools_are_two() -> None:
    value = "{svcpriority: 1, targetname: ., pool: %s}"
    text = f"\nd: {{type: HTTPS, values: [{value % 'web'}, {value % 'other'}, {value % 'web'}]}}"
    zone = dataset(ZONE + text).zones[name("")]
    assert [[one.pool for one in each.hints if one] for each in zone.hinted if each.rrset.name == name("d")] == [
        ["web", "other"]
    ]


def test_no_more_records_than_fit() -> None:
    values = ", ".join(f"{{svcpriority: {n}, targetname: ., pool: web}}" for n in range(1, 18))
    loaded = load({"z.yaml": f"'': [{{type: NS, value: ns.x.}}, {{type: HTTPS, values: [{values}]}}]".encode()})
    assert any("a name has at most 16 records with a pool" in str(one) for one in loaded.problems)


def test_a_slow_default_is_warned_of() -> None:
    zone = b"$defaults: {ttl: 1h}\n'': [{type: NS, value: ns.x.}, "
    zone += b"{type: HTTPS, pool: p, value: {svcpriority: 1, targetname: .}}]"
    loaded = load({"z.yaml": zone, "pools.yaml": b"pools: {p: {members: [192.0.2.1]}}"})
    assert any("caches keep a dead host that long" in one.message for one in loaded.problems)


def test_the_schema_knows_the_key() -> None:
    shown = schema()["zone"]["$defs"]["HTTPSRecord"]["properties"]
    assert "pool" in shown and "pool" in shown["value"]["anyOf"][0]["anyOf"][0]["properties"]
    assert "pool" not in schema()["zone"]["$defs"]["MXRecord"]["properties"]


def test_the_serial_follows_the_pools() -> None:
    before = serials.digests(dataset())
    assert before == serials.digests(dataset())
    assert before != serials.digests(dataset(when="all")), "the pool changed"
    only = "'': {type: NS, value: ns.x.}\nwww: {type: HTTPS, pool: %s, value: {svcpriority: 1, targetname: .}}"
    assert serials.digests(dataset(only % "web")) != serials.digests(dataset(only % "other"))


# ---------------------------------------------------------------- the bytes

_ADDRESSES = st.lists(st.binary(min_size=4, max_size=4), unique=True, max_size=5)
_ADDRESSES6 = st.lists(st.binary(min_size=16, max_size=16), unique=True, max_size=5)
_PARAMS = st.dictionaries(st.sampled_from([1, 3, 5, 7, 9, 500]), st.just(b"\2h2"), max_size=4)


@given(_PARAMS, st.sampled_from([".", "a.example."]), _ADDRESSES, _ADDRESSES6)
def test_parameters_stand_in_the_order_of_their_numbers(
    params: Mapping[int, bytes], target: str, v4: list[bytes], v6: list[bytes]
) -> None:
    bare = b"\0\1" + wire.name_from_text(target)
    for number, data in sorted(params.items()):
        bare += number.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data
    full = hints.with_hints(bare, b"".join(v4), b"".join(v6))
    keys, at = [], 2 + len(wire.name_from_text(target))
    while at < len(full):
        keys.append(int.from_bytes(full[at : at + 2], "big"))
        at += 4 + int.from_bytes(full[at + 2 : at + 4], "big")
    assert keys == sorted({*params, *([4] if v4 else []), *([6] if v6 else [])})
    assert hints.joined([[full]]) == [full] and hints.with_hints(bare, b"", b"") == bare


_FAMILY = st.lists(
    st.lists(st.sampled_from([b"\1\1\1\1", b"\2\2\2\2", b"\3\3\3\3"]), min_size=1, max_size=3), max_size=5
)


@given(st.lists(st.none() | st.tuples(_FAMILY, st.integers(0, 7)), min_size=1, max_size=3))
def test_a_turn_has_the_next_slot_of_every_family(wanted: list[tuple[list[list[bytes]], int] | None]) -> None:
    slots: list[hinting.Families | None] = [
        None if one is None else ([tuple(slot) for slot in one[0]], [(bytes(15) + bytes((n,)),) for n in range(one[1])])
        for one in wanted
    ]
    rdatas = tuple(bytes((0, n + 1)) + b"\0" for n in range(len(slots)))
    one = Hinted(RRset(name("www"), wire.HTTPS, 20, rdatas), name(""), tuple(Hints("p") if s else None for s in slots))
    ring = hinting.hinted_ring(one, slots, 20, ())
    lengths = [len(family) for families in slots if families for family in families if family]
    assert all(len(ring.slots) % length == 0 for length in lengths)
    for turn, index in enumerate(ring.slots):
        texts = [rdata.to_text(wire.HTTPS, data) for data in hinting.hinted_rdatas(AnswerSet((ring.bodies[index],)))]
        for text, families in zip(texts, slots, strict=True):
            for word, family in zip(("ipv4hint", "ipv6hint"), families or ((), ()), strict=True):
                assert (word in text) == bool(family)
                if family:
                    for address in family[turn % len(family)]:
                        assert str(ip_address(address)) in text


def test_a_ring_has_a_bound() -> None:
    one = Hinted(RRset(name("www"), wire.HTTPS, 20, (b"\0\1\0",)), name(""), (Hints("p"),))
    v4, v6 = [(bytes((0, 0, 0, n)),) for n in range(101)], [(bytes(15) + bytes((n,)),) for n in range(103)]
    ring = hinting.hinted_ring(one, [(v4, v6)], 20, ())
    assert len(ring.slots) == 103


# ---------------------------------------------------------------- the roster


def test_hints_follow_the_members_and_dnspython_reads_them() -> None:
    roster = started()
    table = worker(roster)
    seen = [records(table, "www") for _ in range(12)]
    assert {record.priority for turn in seen for record in turn} == {1, 2, 3}
    mine = [next(one for one in turn if one.priority == 1) for turn in seen]
    assert {one for record in mine for one in hinted(record)[0]} == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}
    assert all(len(hinted(record)[0]) == 2 for record in mine)
    firsts = [hinted(record)[0][0] for record in mine]
    assert firsts.count("192.0.2.3") == 6 and firsts.count("192.0.2.1") == 3, "by weight, as the A ring"
    assert all(hinted(record)[1] == ["2001:db8::2"] and record.params[3].port == 443 for record in mine)
    hear(roster, 2.0, "192.0.2.1", "2001:db8::2")
    for turn in [records(worker(roster), "www") for _ in range(6)]:
        record = next(one for one in turn if one.priority == 1)
        assert sorted(hinted(record)[0]) == ["192.0.2.2", "192.0.2.3"] and hinted(record)[1] == []
    assert hinted(records(table, "x.y.w", "SVCB")[0])[1] == ["2001:db8::2"]
    assert len(records(table, "")) == len(records(table, "alias")) // 3 == 1


def test_a_change_is_told_once_and_only_where_it_shows() -> None:
    roster = started()
    again = roster.load(dataset(), 2.0)
    assert not again.changes
    for one, target in roster.targets().items():
        if target.address == "198.51.100.1":
            decision = roster.observe(one, Result(False, "told"), 3.0)
    assert WWW in decision.changes.sets and APEX not in decision.changes.sets and WILD not in decision.changes.sets
    assert roster.ring_members(WWW) == () and not roster.answers[WWW].counted


@pytest.mark.parametrize("when", ["empty", "servfail"])
def test_nobody_left_is_a_record_without_hints(when: str) -> None:
    roster = started(dataset(when=when))
    hear(roster, 2.0, "192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::2", "198.51.100.1")
    for record in records(worker(roster), "www"):
        assert hinted(record) == ([], [])
    assert len(roster.answers[WWW].slots) == 1


def test_all_and_a_sorry_server_are_hinted() -> None:
    everybody = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::2")
    for when, wanted in (("all", 3), ("[203.0.113.9]", 1)):
        roster = started(dataset(when=when))
        hear(roster, 2.0, *everybody)
        found = {one for _ in range(9) for one in hinted(records(worker(roster), "")[0])[0]}
        assert len(found) == wanted


def ttl(roster: Roster, place: bytes) -> int:
    return hinting.ttl_of(roster.answers[place])


def test_the_ttl_shrinks_as_a_pools_does() -> None:
    data = dataset()
    check = data.checks["up"]
    roster = started(DataSet(data.zones, data.pools, {"up": type(check)("up", "tcp", 80, check.probe, fall=3)}))
    assert (ttl(roster, WWW), ttl(roster, APEX)) == (20, 60)
    target = next(one for one in roster.targets() if one.endswith("@192.0.2.1"))
    roster.observe(target, Result(False, "told"), 2.0)
    assert (ttl(roster, WWW), ttl(roster, APEX), ttl(roster, WILD)) == (5, 15, 5)
    other = next(one for one in roster.targets() if one.endswith("@198.51.100.1"))
    for now in range(3, 8):
        roster.observe(target, Result(True, "told"), float(now))
    roster.observe(other, Result(False, "told"), 9.0)
    assert (ttl(roster, WWW), ttl(roster, APEX)) == (5, 60), "www has the other pool too"


def test_an_overrides_end_shortens_it_in_time() -> None:
    roster = started()
    roster.override(Override("web", "a", "drain", "root", "", 0.0, until=1000.0), 2.0)
    assert ttl(roster, APEX) == 60 and roster.next_deadline() == 940.0, "its ttl is the longest"
    roster.advance(940.0)
    assert (ttl(roster, APEX), ttl(roster, WWW)) == (15, 20)


def test_records_may_turn_from_static_to_hinted_and_back() -> None:
    plain = ZONE.replace(", pool: web, value", ", value").replace("pool: web, svcparams", "svcparams")
    plain = plain.replace(", pool: other}", "}")
    roster = Roster()
    roster.load(dataset(plain), 0.0)
    hear(roster, 1.0)
    static = roster.answers[WWW]
    assert not roster.hinted and APEX in roster.answers
    decision = roster.load(dataset(), 2.0)
    assert {WWW, APEX, WILD} <= decision.changes.sets.keys() and roster.answers[WWW] != static
    decision = roster.load(dataset(plain), 3.0)
    assert roster.answers[WWW] == static and not roster.hinted
    gone = "'': {type: NS, value: ns1.example.net.}"
    roster.load(dataset(), 4.0)
    decision = roster.load(dataset(gone), 5.0)
    assert decision.changes.sets[WWW] is None and WWW not in roster.answers and APEX not in roster.answers


def test_below_a_cut_nothing_is_answered() -> None:
    text = "\ncut: {type: NS, value: ns.example.net.}"
    text += "\nx.cut: {type: HTTPS, pool: web, value: {svcpriority: 1, targetname: .}}"
    roster = started(dataset(ZONE + text))
    assert key(name("x.cut"), wire.HTTPS) not in roster.answers and WWW in roster.answers


def test_targets_bring_their_addresses_along() -> None:
    table = worker(started())
    reply = table.reply(dns.message.make_query("a.w.lb.example.com.", "SVCB", use_edns=0).to_wire())
    assert reply is not None
    assert {str(one.name) for one in dns.message.from_wire(reply).additional} == {"www.lb.example.com."}


# ---------------------------------------------------------------- what people see


def test_export_has_the_hints_of_this_moment() -> None:
    roster = started()
    zone = roster.dataset.zones[name("")]
    text = exporter.master_file(zone, roster.answers)
    line = next(one for one in text.splitlines() if "HTTPS 1" in one and one.startswith("www"))
    assert 'alpn="h3" port="443" ipv4hint="192.0.2.3,192.0.2.1,192.0.2.2" ech="AAQAAAAA" ipv6hint="2001:db8::2"' in line
    assert " 20 IN HTTPS 3 plain.example.net.\n" in text
    rows = {(row[0], row[1]): row for row in overview.export(roster)["lb.example.com."]["rrsets"]}
    row = rows[name("www").hex(), wire.HTTPS]
    assert row[2] == 20 and f"{rdata.to_text(wire.HTTPS, bytes.fromhex(row[3][0]))}" in line
    hear(roster, 2.0, "192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::2")
    assert "hint" not in next(
        one for one in exporter.master_file(zone, roster.answers).splitlines() if one.startswith("@") and "HTTPS" in one
    )


def test_explain_says_which_pools() -> None:
    roster = started()
    told = roster.explain(name("www"), wire.HTTPS, 2.0)
    assert told["found"] == "hinted" and "pool web (ok: 3 of 3 members up) and pool other (ok" in told["why"]
    one = roster.explain(name("q.w"), wire.SVCB, 2.0)
    assert one["pool"]["name"] == "web" and one["pool"]["members"]["a"]["serves"]
    shown = "\n".join(str(line) for line in page(one, 100))
    assert (
        "address hints follow pool web" in shown and "20: nothing is about to change" in shown and "pool web" in shown
    )


# ---------------------------------------------------------------- a whole server

LIVE = """
'': {type: NS, values: [ns1.lb.example.com.]}
ns1: {type: A, value: 127.0.0.1}
www:
  - {type: POOL, pool: web, ttl: 20}
  - {type: HTTPS, pool: web, value: {svcpriority: 1, targetname: ., svcparams: {alpn: [h2, h3], port: 443}}}
"""


def told(program: str, server: Server) -> str:
    needs(program)
    command = [program, "@127.0.0.1", "-p", str(server.port), "www.lb.example.com.", "HTTPS", "+noall", "+answer"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.replace('"', "")


def test_a_dead_member_loses_its_hint() -> None:
    with web_servers(3) as servers:
        members = [f"w{n}: {one.address}" for n, one in enumerate(servers, 1)]
        with serve(LIVE, pools(servers[0].port, *members), "--workers", "1") as server:
            for program in ("dig", "kdig"):
                said = told(program, server)
                assert "1 . alpn=h2,h3 port=443 ipv4hint=" in said
                assert all(one.address in said for one in servers)
            servers[1].kill()
            wait_for(lambda: "127.0.0.12" not in told("dig", server), 30, "the hint goes")
            said = told("dig", server)
            assert "127.0.0.11" in said and "127.0.0.13" in said
            assert "address hints follow pool web" in server.run("explain", "www.lb.example.com", "HTTPS").stdout
            exported = server.run("export").stdout
            assert "HTTPS 1 . " in exported and "127.0.0.12" not in exported
