"""zonefile.load on good files: what the model must hold afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrdns import wire
from rrdns.model import CommandProbe, DataSet, HttpProbe, Member, Service, TcpProbe, WhenDown, Zone
from rrdns.zonefile import is_pools_file, load, rdata, with_serial

TESTS = Path(__file__).parent
NS = "'': {type: NS, value: ns.example.net.}\n"


def directory(path: Path) -> dict[str, bytes]:
    return {f"zones/{one.name}": one.read_bytes() for one in path.glob("*.yaml")}


def loaded(files: dict[str, bytes], serials: dict[str, int] | None = None) -> DataSet:
    result = load(files, serials)
    assert [str(problem) for problem in result.problems] == []
    assert result.dataset is not None
    return result.dataset


def zone(text: str, name: str = "example.com") -> Zone:
    return loaded({f"{name}.yaml": (NS + text).encode()}).zones[wire.name_from_text(f"{name}.")]


def said(files: dict[str, str]) -> list[str]:
    return [str(problem) for problem in load({name: text.encode() for name, text in files.items()}).problems]


def texts(one: Zone, name: str, rtype: str) -> list[str]:
    """Values of a record set as master-file text; `name` relative."""
    owner = wire.name_from_text(name, one.name).lower()
    number = wire.type_number(rtype)
    found = [rrset for rrset in one.rrsets if rrset.name == owner and rrset.type == number]
    assert len(found) <= 1
    return [rdata.to_text(number, data) for rrset in found for data in rrset.rdatas]


@pytest.fixture(scope="module")
def good() -> DataSet:
    return loaded(directory(TESTS / "zones" / "good"), {"zones/pools.yaml": 1700000000, "zones/example.net.yaml": 5})


@pytest.fixture(scope="module")
def com(good: DataSet) -> Zone:
    return good.zones[wire.name_from_text("example.com.")]


# ---------------------------------------------------------------- zones


def test_the_repository_s_own_zones_load() -> None:
    data = loaded(directory(TESTS.parent / "zones"))
    assert [wire.name_to_text(name) for name in data.zones] == ["lb.example.com."]
    assert {"web", "img", "one.lb.example.com"} == set(data.pools)


def test_zone_names(good: DataSet) -> None:
    names = {wire.name_to_text(name) for name in good.zones}
    assert names == {"example.com.", "example.net.", "0/25.2.0.192.in-addr.arpa."}


def test_every_rrset_once_and_soa_first(good: DataSet) -> None:
    for one in good.zones.values():
        keys = [(rrset.name, rrset.type) for rrset in one.rrsets]
        assert len(keys) == len(set(keys))
        assert keys[0] == (one.name, wire.SOA)
        assert (one.name, wire.NS) in keys
        assert all(rrset.name == rrset.name.lower() and wire.is_within(rrset.name, one.name) for rrset in one.rrsets)


def test_types_and_values(com: Zone) -> None:
    assert texts(com, "mx1", "A") == ["192.0.2.25", "192.0.2.26"]
    assert texts(com, "mx1", "AAAA") == ["2001:db8::25", "2001:db8::26"]
    assert texts(com, "", "MX") == ["10 mx1.example.com.", "20 mx2.example.net."]
    assert texts(com, "txt", "TXT") == ['"one; two"', '"1.10"', '"010"', '"true"', '"a long text on two lines"']
    assert texts(com, "spf", "TXT") == ['"v=spf1 -all"']
    assert texts(com, "_sip._tcp", "SRV") == ["1 2 5060 web.example.com.", "2 0 0 ."]
    assert texts(com, "old", "DNAME") == ["new.example.net."]
    assert texts(com, "raw", "TYPE65400") == [r"\# 4 0a000001", r"\# 0"]
    for name, rtype in [("", "CAA"), ("naptr", "NAPTR"), ("host", "SSHFP"), ("host", "LOC"), ("sub", "DS")]:
        assert texts(com, name, rtype)
    for name, rtype in [("_443._tcp.web", "TLSA"), ("svc", "HTTPS"), ("_dns.svc", "SVCB"), ("ptr", "PTR")]:
        assert texts(com, name, rtype)


def test_names_in_values_keep_their_case_and_owners_do_not(com: Zone) -> None:
    assert texts(com, "www", "CNAME") == ["Web.Example.COM."]
    assert texts(com, "", "NS") == ["ns1.example.com.", "NS2.example.net."]
    assert texts(com, "x-ray", "A") == ["192.0.2.11"]


def test_keys_are_names_as_written(com: Zone) -> None:
    names = {rrset.name for rrset in com.rrsets}
    for key in ("no", "on", "010", r"1.10", "null", "~", "2024-01-01", r"a\.b", r"\000", "deep.down.below"):
        assert wire.name_from_text(key, com.name) in names


def test_ttls(com: Zone) -> None:
    ttls = {(wire.name_to_text(rrset.name), rrset.type): rrset.ttl for rrset in com.rrsets}
    assert ttls["example.com.", wire.NS] == 3600
    assert ttls["example.com.", wire.SOA] == 900
    assert ttls["mx1.example.com.", wire.A] == 30  # by a merge key
    assert ttls["ns1.example.com.", wire.A] == 120  # by $defaults
    plain = zone("www: {type: A, value: 192.0.2.1}")
    assert {rrset.ttl for rrset in plain.rrsets} == {300}


def test_services(com: Zone, good: DataSet) -> None:
    found = {wire.name_to_text(one.name): one for one in com.services}
    apex = com.name
    assert found["example.com."] == Service(apex, apex, "web", ttl=120, ttl_min=30)
    web = wire.name_from_text("web", apex)
    assert found["web.example.com."] == Service(web, apex, "web", 20, 2, answers=0, scheduler="rr")
    assert "*.dev.example.com." in found
    net = good.zones[wire.name_from_text("example.net.")]
    spare, place = net.services
    assert (spare.ttl, spare.ttl_min, spare.scheduler) == (7, 2, "rr")  # ceil(7/4); the pool's scheduler
    assert (place.ttl, place.ttl_min, place.pool) == (20, 5, "place.example.net")


# ---------------------------------------------------------------- SOA


def soa(one: Zone) -> str:
    return texts(one, "", "SOA")[0]


def test_soa_is_made() -> None:
    assert soa(zone("")) == "ns.example.net. hostmaster.example.com. 1 3600 600 1209600 60"


def test_soa_says_what_it_says(com: Zone) -> None:
    assert soa(com) == r"ns1.example.com. host\.master.example.com. 2026010203 7200 600 1209600 30"
    assert com.serial == 2026010203


def test_soa_in_value_form(good: DataSet) -> None:
    one = good.zones[wire.name_from_text("0/25.2.0.192.in-addr.arpa.")]
    assert soa(one) == "ns1.example.com. hostmaster.example.com. 7 1 2 3 4"
    assert one.serial == 7


def test_serial_is_the_newest_change_of_all_files(good: DataSet) -> None:
    net = good.zones[wire.name_from_text("example.net.")]
    assert net.serial == 1700000000
    assert soa(net).split()[2] == "1700000000"


def test_with_serial(com: Zone) -> None:
    later = with_serial(com, 2**32 + 9)
    assert later.serial == 9
    assert soa(later) == soa(com).replace("2026010203", "9")
    assert later.rrsets[1:] == com.rrsets[1:]


def test_soa_of_a_zone_with_a_very_long_name() -> None:
    name = ".".join(["x" * 49] * 5)
    assert soa(zone("", name)).split()[1] == "hostmaster."


# ---------------------------------------------------------------- pools


def test_http_check(good: DataSet) -> None:
    check = good.checks["web"]
    assert (check.type, check.port, check.interval, check.timeout) == ("http", 8080, 10.0, 0.5)
    assert (check.fall, check.rise, check.ok, check.fast) == (2, 4, 6, 2.0)
    assert check.probe == HttpProbe(
        tls=False,
        method="POST",
        path="/healthz?full=1",
        host="www.example.com",
        headers=(("X-Probe", "rrdns"), ("X-Number", "1.10")),
        statuses=((200, 299), (301, 301), (400, 499)),
        body="fine",
        body_limit=1024,
        verify=True,
    )


def test_other_checks(good: DataSet) -> None:
    checks = good.checks
    assert (checks["plain"].port, checks["tls"].port, checks["lax"].port) == (80, 443, 8443)
    assert checks["tls"].probe == HttpProbe(tls=True, host="www.example.com")
    assert checks["lax"].probe == HttpProbe(tls=True, verify=False, statuses=((200, 200),))
    assert checks["smtp"].probe == TcpProbe(b"EHLO rrdns\r\n", b"250")
    assert checks["script"].probe == CommandProbe(("/usr/lib/check", "--address", "{address}", "two words"))
    assert (checks["script"].port, checks["script"].interval) == (0, 60.0)
    assert checks["argv"].probe == CommandProbe(("/bin/check", "-p", "{port}", "5"))
    defaults = checks["plain"]
    assert (defaults.interval, defaults.timeout, defaults.fall, defaults.rise) == (5.0, 2.0, 3, 3)
    assert (defaults.ok, defaults.fast) == (5, 1.0)
    assert checks["quick"].fast == 0.5  # never slower than the interval, unless it is written


def test_pools(good: DataSet) -> None:
    web = good.pools["web"]
    assert web.members == (
        Member("web1", ("192.0.2.11",)),
        Member("web2", ("192.0.2.12",), weight=0),
        Member("web3", ("192.0.2.13", "2001:db8::13")),
        Member("010", ("192.0.2.14",)),
    )
    assert (web.checks, web.scheduler, web.quorum, web.panic, web.families) == (("web", "smtp"), "wrr", 2, 0.5, "any")
    assert web.when_down == WhenDown("addresses", ("192.0.2.99", "2001:db8::99"))
    spare = good.pools["spare"]
    assert [member.name for member in spare.members] == ["192.0.2.21", "2001:db8::21", "named"]
    assert (spare.scheduler, spare.panic, spare.when_down) == ("rr", None, WhenDown("servfail"))
    assert good.pools["place.example.net"].when_down == WhenDown("last")


def test_which_files_are_pools_files() -> None:
    assert is_pools_file("zones/pools.yaml") and is_pools_file("a.pools.yaml")
    assert not is_pools_file("zones/mypools.yaml") and not is_pools_file("pools.example.yaml")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("5s", 5.0), ("500ms", 0.5), ("2m", 120.0), ("1h", 3600.0), ("3", 3.0), ("0.5", 0.5), ("'4'", 4.0), ("1.5s", 1.5)],
)
def test_durations(written: str, seconds: float) -> None:
    text = f"checks: {{a: {{type: tcp, port: 1, interval: {written}, timeout: 0.1}}}}\n"
    pool = "pools: {p: {check: a, members: [192.0.2.1]}}\n"
    data = loaded({"pools.yaml": (text + pool).encode(), "e.yaml": f"{NS}w: {{type: POOL, pool: p}}".encode()})
    assert data.checks["a"].interval == seconds


# ---------------------------------------------------------------- loading as a whole


def test_nothing_is_an_empty_data_set() -> None:
    assert loaded({}) == DataSet()


def test_commented_out_sections_are_fine() -> None:
    assert loaded({"pools.yaml": b"checks:\npools:\n#  web: {}\n"}) == DataSet()


def test_one_bad_file_forbids_the_load() -> None:
    files = directory(TESTS / "zones" / "good") | {"zones/x.yaml": b"www: ["}
    result = load(files)
    assert result.dataset is None
    assert [problem.place.file for problem in result.problems] == ["zones/x.yaml"]


def test_an_unread_pools_file_blames_nobody_for_missing_names() -> None:
    files = {"example.com.yaml": f"{NS}www: {{type: POOL, pool: web}}\n", "pools.yaml": "pools: ["}
    assert [line.split(":")[0] for line in said(files)] == ["pools.yaml"]


def test_root_zone() -> None:
    ns = "{type: NS, value: ns.com.}"
    text = f"$zone: .\n'': {ns}\ncom: {ns}\nns.com: {{type: A, value: 192.0.2.1}}\n"
    data = loaded({"root.yaml": text.encode()})
    assert list(data.zones) == [b"\0"]


def test_a_cname_onto_a_pool_or_a_wildcard_is_fine() -> None:
    pool = "p: {type: POOL, check: c, members: [192.0.2.1]}\n'*.w': {type: A, value: 192.0.2.1}\n"
    text = f"{NS}{pool}a: {{type: CNAME, value: p.example.com.}}\nb: {{type: CNAME, value: x.y.w.example.com.}}\n"
    assert said({"example.com.yaml": text, "pools.yaml": "checks: {c: {type: tcp, port: 1}}\n"}) == []


def test_too_many_messages_are_counted() -> None:
    lines = "".join(f"h{number}: {{type: A, value: x}}\n" for number in range(1500))
    found = said({"example.com.yaml": NS + lines})
    assert len(found) == 1001
    assert found[-1].endswith("... and 500 more in this file")


def test_messages_are_one_plain_line() -> None:
    """What a file says can't colour the terminal or break the log's lines."""
    found = said({"example.com.yaml": f'{NS}"a\\e[31m\\nb": {{type: TXT}}\nw: {{type: "A\\nB"}}\n'})
    assert len(found) == 2
    assert all(line.isprintable() for line in found)
