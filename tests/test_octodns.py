"""octoDNS's dynamic records read as pools; what is read and what is refused agrees with the real octoDNS."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rrdns import wire, zonefile
from rrdns.answers import key
from rrdns.model import Failover, HttpProbe, Member, Result, TcpProbe
from rrdns.roster.roster import Roster
from rrdns.zonefile.again import load_again
from rrdns.zonefile.loading import load_known

APEX = "'': {type: NS, value: ns.example.net.}\n"
DYNAMIC = """
www:
  type: A
  ttl: 60
  values: [192.0.2.100, 192.0.2.101]
  dynamic:
    pools:
      near:
        fallback: far
        values:
          - {value: 192.0.2.1, weight: 3}
          - {value: 192.0.2.2}
          - {value: 192.0.2.3, status: down}
      far:
        values: [{value: 192.0.2.11}]
    rules: [{pool: near}]
  octodns:
    healthcheck: {host: check.example.com, path: /ok, port: 8080, protocol: HTTP}
"""


def load(text: str) -> zonefile.Loaded:
    return zonefile.load({"example.com.yaml": (APEX + text).encode()})


def sound(text: str) -> Any:
    found = load(text)
    assert found.dataset is not None, "\n".join(map(str, found.problems))
    return found.dataset


def record(**changes: Any) -> dict[str, Any]:
    """A dynamic record as data; `pools`, `rules` and `healthcheck` go where they belong."""
    dynamic = {"pools": {"one": {"values": [{"value": "192.0.2.1"}]}}, "rules": [{"pool": "one"}]}
    dynamic |= {key: changes.pop(key) for key in ("pools", "rules") if key in changes}
    octodns = {"healthcheck": changes.pop("healthcheck", {"protocol": "TCP", "port": 80})}
    return {"type": "A", "ttl": 60, "values": ["192.0.2.100"], "dynamic": dynamic, "octodns": octodns, **changes}


def text(**names: Any) -> str:
    return yaml.safe_dump(names)


# ---------------------------------------------------------------- what becomes of it


def test_pools_values_weights_fallbacks_and_the_healthcheck() -> None:
    data = sound(DYNAMIC)
    pool = data.pools["www.example.com"]
    assert pool.members == (
        Member("192.0.2.1", ("192.0.2.1",), 3, 1),
        Member("192.0.2.2", ("192.0.2.2",), 1, 1),
        Member("192.0.2.11", ("192.0.2.11",), 1, 2),
    )
    assert pool.failover == Failover("idle-standby", failback=0.0)
    assert (pool.when_down.word, pool.when_down.addresses) == ("addresses", ("192.0.2.100", "192.0.2.101"))
    check = data.checks[pool.checks[0]]
    assert (check.type, check.port) == ("http", 8080)
    assert isinstance(check.probe, HttpProbe) and (check.probe.host, check.probe.path) == ("check.example.com", "/ok")
    (service,) = data.zones[b"\x07example\x03com\0"].services
    assert (service.ttl, service.ttl_min, service.answers, service.pool) == (60, 15, 1, "www.example.com")


def test_without_a_healthcheck_it_is_octodns_default() -> None:
    found = load(text(www=record() | {"octodns": {}}))
    assert found.dataset is not None
    (check,) = found.dataset.checks.values()
    assert isinstance(check.probe, HttpProbe) and check.probe.tls
    assert (check.port, check.probe.path, check.probe.host) == (443, "/_dns", "www.example.com")
    assert any("by HTTPS, port 443, path /_dns" in one.message for one in found.problems)


def test_tcp_and_icmp_checks() -> None:
    (check,) = sound(text(www=record())).checks.values()
    assert isinstance(check.probe, TcpProbe) and check.port == 80
    (check,) = sound(text(www=record(healthcheck={"protocol": "ICMP"}))).checks.values()
    assert check.type == "icmp"


def test_status_up_for_all_needs_no_check() -> None:
    values = [{"value": "192.0.2.1", "status": "up"}, {"value": "192.0.2.2", "status": "down"}]
    data = sound(text(www=record(pools={"one": {"values": values}})))
    assert not data.checks and not data.pools["www.example.com"].checks
    assert [one.name for one in data.pools["www.example.com"].members] == ["192.0.2.1"]


def test_a_pool_of_dead_values_is_passed_over() -> None:
    pools = {
        "one": {"fallback": "two", "values": [{"value": "192.0.2.1", "status": "down"}]},
        "two": {"values": [{"value": "192.0.2.2"}]},
    }
    pool = sound(text(www=record(pools=pools))).pools["www.example.com"]
    assert [(one.name, one.priority) for one in pool.members] == [("192.0.2.2", 1)] and pool.failover is None


def test_a_and_aaaa_of_a_name_share_a_pool() -> None:
    six = record(type="AAAA", values=["2001:db8::100"], pools={"one": {"values": [{"value": "2001:db8::1"}]}})
    data = sound(text(www=[record(), six]))
    pool = data.pools["www.example.com"]
    assert [one.name for one in pool.members] == ["192.0.2.1", "2001:db8::1"]
    assert pool.when_down.addresses == ("192.0.2.100", "2001:db8::100")
    assert len(data.checks) == 1


def test_the_answers() -> None:
    """Through the roster: the near tier, then the far one, then the record's own values."""
    roster = Roster()
    roster.load(sound(DYNAMIC), 0.0)
    down: set[str] = set()

    def answered(now: float) -> set[str]:
        for turn in range(5):
            for probed, target in roster.targets().items():
                roster.observe(probed, Result(target.address not in down, "said so"), now + turn)
        roster.flush(now + 5)
        roster.advance(now + 5)
        found = roster.answers[key(b"\x03www\x07example\x03com\0", wire.A)]
        return {str(ipaddress.ip_address(body.data[-4:])) for body in found.bodies}

    assert answered(0.0) == {"192.0.2.1", "192.0.2.2"}
    down |= {"192.0.2.1"}
    assert answered(10.0) == {"192.0.2.2"}
    down |= {"192.0.2.2"}
    assert answered(20.0) == {"192.0.2.11"}
    down |= {"192.0.2.11"}
    assert answered(30.0) == {"192.0.2.100", "192.0.2.101"}
    down.clear()
    assert answered(2000.0) == {"192.0.2.1", "192.0.2.2"}


def test_a_load_that_builds_on_the_last_says_the_same() -> None:
    other = b"'': {type: NS, value: ns.example.net.}\nwww: {type: A, value: 192.0.2.9}\n"
    files = {"example.com.yaml": (APEX + DYNAMIC).encode(), "example.org.yaml": other}
    loaded, known = load_known(files)
    assert known is not None
    files["example.org.yaml"] += b"more: {type: A, value: 192.0.2.10}\n"
    again = load_again(known, files)
    assert again is not None
    assert again[0].dataset == load_known(files)[0].dataset != loaded.dataset


# ---------------------------------------------------------------- what is refused, with the reason


ONE = {"value": "192.0.2.1"}
TWO = {"value": "192.0.2.2"}
VALUE = "dynamic.pools.one.values.0"


def values(*found: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"pools": {"one": {"values": list(found), **more}}}


@pytest.mark.parametrize(
    ("changes", "where", "message"),
    [
        ({"rules": [{"pool": "one", "geos": ["EU"]}, {"pool": "one"}]}, "dynamic.rules", "has 2 rules: answers by geo"),
        (
            {"rules": [{"pool": "one", "geos": ["EU"]}]},
            "dynamic.rules.0.geos",
            "answers by geography or subnet are not",
        ),
        ({"rules": [{"pool": "one", "subnets": ["10.0.0.0/8"]}]}, "dynamic.rules.0.subnets", "are not served"),
        ({"rules": [{"pool": "two"}]}, "dynamic.rules.0.pool", "there is no pool 'two'; there are one"),
        ({"rules": []}, "dynamic.rules", "is missing or empty"),
        (values(ONE, fallback="no"), "dynamic.pools.one.fallback", "no pool 'no'"),
        (values(ONE, fallback="one"), "dynamic.pools.one.fallback", "in a circle: one -> one"),
        ({"pools": {"one": {"values": [ONE]}, "two": {"values": [TWO]}}}, "dynamic.pools.two", "is used by no rule"),
        (values(), "dynamic.pools.one.values", "is missing or empty"),
        (values({"value": "no"}), f"{VALUE}.value", "is not the address of a record of type A"),
        (values({"value": "2001:db8::1"}), f"{VALUE}.value", "of type A"),
        (values(ONE | {"weight": 2}), f"{VALUE}.weight", "has no effect"),
        (values(ONE | {"weight": 0}, TWO), f"{VALUE}.weight", "not between 1 and 100"),
        (values(ONE | {"wieght": 1}), f"{VALUE}.wieght", "did you mean 'weight'?"),
        (values(ONE | {"status": "on"}), f"{VALUE}.status", "none of obey, up, down"),
        (values(ONE | {"status": "down"}), "dynamic.pools", "every value is down"),
        (values(ONE | {"status": "up"}, TWO), f"{VALUE}.status", "beside values that are checked"),
        (values(ONE, ONE), "dynamic.pools.one.values.1", "in this pool twice"),
        (
            {"healthcheck": {"protocol": "UDP"}},
            "octodns.healthcheck.protocol",
            "'UDP' is not checked here; HTTP, HTTPS",
        ),
        ({"healthcheck": {"port": "x"}}, "octodns.healthcheck.port", "is not a whole number"),
        ({"healthcheck": {"paht": "/"}}, "octodns.healthcheck.paht", "did you mean 'path'?"),
        ({"values": ["2001:db8::1"]}, "values.0", "is not the address of a record of type A"),
        ({"geo": {}}, "geo", "unknown key"),
    ],
)
def test_what_is_refused_has_its_place(changes: Mapping[str, Any], where: str, message: str) -> None:
    found = load(text(www=record(**changes)))
    problems = [one for one in found.problems if not one.warning]
    assert len(problems) == 1, problems
    assert problems[0].path == f"www A.{where}" and message in problems[0].message
    assert problems[0].place.line > 1


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"www": [record(), record()]}, "another dynamic record of this type"),
        ({"www": [record(), {"type": "POOL", "check": [], "members": ["192.0.2.9"]}]}, "a name has one POOL"),
        ({"www": [record(), {"type": "A", "value": "192.0.2.9"}]}, "gives this name's addresses"),
        ({"www": {"type": "CNAME", "value": "x.", "dynamic": {}}}, "are read at A and AAAA only"),
    ],
)
def test_beside_others(names: Mapping[str, Any], message: str) -> None:
    found = load(text(**names))
    assert found.dataset is None and any(message in one.message for one in found.problems), found.problems


# ---------------------------------------------------------------- the real octoDNS as the judge

ADDRESSES = st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "nonsense"])
VALUES = st.lists(
    st.fixed_dictionaries(
        {"value": ADDRESSES},
        optional={
            "weight": st.sampled_from([1, 2, 100, 0, 101]),
            "status": st.sampled_from(["obey", "up", "down", "on"]),
        },
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one["value"],
)
POOLS = st.dictionaries(
    st.sampled_from(["one", "two", "three"]),
    st.fixed_dictionaries({"values": VALUES}, optional={"fallback": st.sampled_from(["one", "two", "three"])}),
    min_size=1,
    max_size=3,
)
RULES = st.sampled_from([[{"pool": "one"}], [{"pool": "two"}], [], [{"pool": "one"}, {"pool": "two"}]])
OURS_ONLY = ("has 2 rules", "every value is down", "beside values that are checked")
"""What octoDNS takes and rrdns says no to, by these words."""


@given(POOLS, RULES)
def test_octodns_and_we_take_the_same(pools: Mapping[str, Any], rules: list[Mapping[str, str]]) -> None:
    octodns = pytest.importorskip("octodns.record")
    from octodns.record.exception import ValidationError
    from octodns.zone import Zone

    data = record(pools=pools, rules=rules)
    try:
        octodns.Record.new(Zone("example.com.", []), "www", dict(data))
        theirs = ""
    except ValidationError as error:
        theirs = str(error)
    found = load(text(www=data))
    ours = "; ".join(str(one) for one in found.problems if not one.warning)
    if any(word in ours for word in OURS_ONLY):
        return
    assert bool(theirs) == bool(ours), f"octoDNS: {theirs}\nwe: {ours}"


def test_octodns_takes_the_example_of_this_test() -> None:
    octodns = pytest.importorskip("octodns.record")
    from octodns.zone import Zone

    data = yaml.safe_load(DYNAMIC)["www"]
    made = octodns.Record.new(Zone("example.com.", []), "www", data)
    pool = sound(DYNAMIC).pools["www.example.com"]
    theirs = {
        (one["value"], one["weight"])
        for each in made.dynamic.pools.values()
        for one in each.data["values"]
        if one["status"] != "down"
    }
    assert theirs == {(one.name, one.weight) for one in pool.members}
    check = sound(DYNAMIC).checks["www.example.com"]
    assert (made.healthcheck_port, made.healthcheck_path) == (check.port, check.probe.path)
    assert made.healthcheck_host() == check.probe.host
