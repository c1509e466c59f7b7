"""`rrdns check`'s second look: budgets that are not kept, and each doubt with its place; quiet where all is well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns import cli, zonefile
from rrdns.model import Check, DataSet, Director, Following, HttpProbe, Member, Pool, Service
from rrdns.ui import budget
from rrdns.ui.doubts import doubts
from rrdns.zonefile.places import Places

ZONE = """\
'': {type: NS, value: ns.example.net.}
"""
CHECKS = """\
checks:
  web: {type: tcp, port: 80}
"""
TWO = "members: {a: 10.0.0.1, b: 10.0.1.1}"


def said(zone: str, pools: str = "", udp_limit: int = 1232) -> list[str]:
    files = {"example.com.yaml": (ZONE + zone).encode(), "pools.yaml": (CHECKS + pools).encode()}
    places = Places()
    loaded = zonefile.load(files, {}, places)
    assert loaded.dataset is not None, loaded.problems
    return sorted(str(one) for one in doubts(loaded.dataset, places, udp_limit))


def record(words: str) -> str:
    return f"www: {{type: POOL, check: web, {words}}}\n"


def test_a_budget_that_is_exceeded_is_told_with_numbers_that_fit() -> None:
    (text,) = said(record(f"{TWO}, budget: 15s"))
    assert text == (
        "example.com.yaml:2:76: www POOL.budget: is exceeded: a dead host can be answered for 27.5 s, 15 s are allowed"
        "; this would fit: ttl: 7, ttl_min: 3 at the record"
    )
    assert said(record(f"{TWO}, budget: 30s")) == []
    (text,) = said(record(f"{TWO}, budget: 5s"))
    assert "at the check web" in text and "interval:" in text
    (text,) = said(record(f"{TWO}, budget: 1s"))
    assert "no numbers fit" in text


def test_a_budget_without_a_check_can_t_be_kept() -> None:
    (text,) = said(f"www: {{type: POOL, check: [], {TWO}, budget: 1m}}\n")
    assert "example.com.yaml:2:75" in text and "nothing takes a dead host out" in text


def test_a_hold_for_isolation_is_told_where_there_can_be_one() -> None:
    four = "members: {a: 10.0.0.1, b: 10.0.1.1, c: 10.0.2.1, d: 10.0.3.1}"
    (text,) = said(record(f"{four}, budget: 30s"))
    assert "warning: www POOL.budget: is kept for one host that dies (27.5 s)" in text and "60 s more" in text
    assert said(record(f"{four}, budget: 90s")) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("members: {a: 10.0.0.1}", "pools.www.example.com: a is the only member"),
        ("members: {a: 10.0.0.1, b: {address: 10.0.1.1, weight: 0}}", "a is the only member"),
        ("members: {a: 10.0.0.1, b: 10.0.0.2}", "all 2 members are in 10.0.0.0/24"),
        ("members: {a: '2a00:1:2:3400::1', b: '2a00:1:2:34ff::1'}", "all 2 members are in 2a00:1:2:3400::/56"),
        ("members: {a: {address: 10.0.0.1, labels: r1}, b: {address: 10.0.1.1, labels: [r1, r2]}}", "the label r1"),
        (f"{TWO}, ttl: 300", "a dead host is noticed within 11.5 s, but caches keep it for up to 300 s"),
    ],
)
def test_each_doubt(words: str, told: str) -> None:
    (text,) = said(record(words))
    assert text.startswith("example.com.yaml:2:6: warning: ") and told in text


@pytest.mark.parametrize(
    "words",
    [
        TWO,
        "members: {a: [10.0.0.1, '2a00::1'], b: [10.0.0.2, '2a00:0:1::1']}",  # the other family has two networks
        "members: {a: 192.0.2.1, b: 192.0.2.2}",  # examples
        "members: {a: 127.0.0.1, b: 127.0.0.2}",
        "members: {a: {address: 10.0.0.1, labels: r1}, b: {address: 10.0.1.1, labels: r2}}",
        f"{TWO}, ttl: 60",
        f"{TWO}, when_down: empty",  # the SOA's minimum is 60 where nobody says another
    ],
)
def test_quiet_where_all_is_well(words: str) -> None:
    assert said(record(words)) == []


def test_no_address_is_kept_as_long_as_the_soa_s_minimum() -> None:
    soa = "apex: {type: A, value: 10.0.0.9}\n" + record(f"{TWO}, when_down: empty")
    zone = soa.replace("apex:", "x:")
    files = f"'': [{{type: NS, value: ns.example.net.}}, {{type: SOA, contact: a.example.com., minimum: 3600}}]\n{zone}"
    places = Places()
    loaded = zonefile.load({"example.com.yaml": files.encode(), "pools.yaml": CHECKS.encode()}, {}, places)
    assert loaded.dataset is not None, loaded.problems
    (text,) = [str(one) for one in doubts(loaded.dataset, places)]
    assert text.startswith("example.com.yaml:3:6: warning: www POOL:") and "3600 s, longer than the ttl of 20 s" in text


def test_answers_that_do_not_fit_a_packet() -> None:
    many = "members: [" + ", ".join(f"10.{number}.0.1" for number in range(100)) + "], answers: all"
    (text,) = said(record(many))
    assert "1633 bytes" in text and "beyond udp_limit (1232), it has fewer addresses" in text
    (text,) = said(record(many), udp_limit=4096)
    assert "clients without EDNS take 512, and get fewer addresses" in text
    assert said(record(many.replace("answers: all", "answers: 8"))) == []
    texts = ", ".join(str(number) * 240 for number in range(6))
    (text,) = said(f"t: {{type: TXT, values: [{texts}]}}\n")
    assert "example.com.yaml:2:4: warning: t TXT: the TXT answer has" in text


def test_a_cname_beside_addresses_is_refused_so_they_never_alternate() -> None:
    both = "a: [{type: CNAME, value: b.example.net.}, {type: A, value: 10.0.0.1}]"
    loaded = zonefile.load({"example.com.yaml": f"{ZONE}{both}".encode()})
    assert loaded.dataset is None and "a CNAME stands alone at its name" in str(loaded.problems[0])


def test_the_example_zones_are_quiet() -> None:
    folder = Path(__file__).parent.parent / "zones"
    places = Places()
    loaded = zonefile.load({str(one): one.read_bytes() for one in sorted(folder.glob("*.yaml"))}, {}, places)
    assert loaded.dataset is not None and loaded.problems == ()
    assert list(doubts(loaded.dataset, places)) == []


def test_check_fails_where_a_budget_is_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pools.yaml").write_text(CHECKS)
    zone = tmp_path / "example.com.yaml"
    zone.write_text(ZONE + record(f"{TWO}, budget: 15s"))
    assert cli.main(["check", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert ":2:76: www POOL.budget: is exceeded" in text and "1 budget not kept" in text and "budget 15 s" in text
    assert cli.main(["check", str(tmp_path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (
        told["services"]["www.example.com."]["kept"] is False and told["services"]["www.example.com."]["budget"] == 15
    )
    zone.write_text(ZONE + record(f"{TWO}, budget: 30s"))
    assert cli.main(["check", str(tmp_path)]) == 0


def test_wanted_and_reachable_shares_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pools.yaml").write_text(CHECKS)
    members = "members: {a: {address: 10.0.0.1, weight: 8}, b: 10.0.1.1, c: 10.0.2.1}"
    (tmp_path / "example.com.yaml").write_text(ZONE + record(f"{members}, answers: 2"))
    assert cli.main(["check", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert (
        "www.example.com. share of answers it is in: by weight a 100%, b 20%, c 20%; reachable a 100%, b 50%, c 50%"
        in text
    )
    assert "in an order resolvers may change" in text


# ---------------------------------------------------------------- numbers that fit


@given(
    st.floats(0.5, 60), st.floats(0.1, 10), st.integers(1, 6), st.integers(1, 300), st.floats(2, 300),
)  # fmt: skip
def test_what_is_said_to_fit_does(interval: float, timeout: float, fall: int, ttl: int, limit: float) -> None:
    check = Check("web", "http", 80, HttpProbe(), interval=interval, timeout=min(timeout, interval), fall=fall)
    pool = Pool("web", (Member("a", ("10.0.0.1",)), Member("b", ("10.0.0.2",))), ("web",))
    service = Service(b"", b"", "web", ttl=ttl, ttl_min=-(-ttl // 4), budget=limit)
    data = DataSet(pools={"web": pool}, checks={"web": check})
    found = budget.promise(service, pool, data)
    assert found is not None and found.worst is not None
    if found.kept:
        assert found.remedy == ""
    elif "no numbers fit" not in found.remedy:
        new_check, new = applied(found.remedy, check, service)
        after = budget.of(new, pool, {"web": new_check})
        assert after is not None and after.worst <= limit + 1e-6
    else:
        quick = budget.detection(Check("", "tcp", 1, HttpProbe(), interval=0.5, timeout=0.1, fall=1))
        assert limit < quick[1] + 1.5


def applied(remedy: str, check: Check, service: Service) -> tuple[Check, Service]:
    """The check and the record with the numbers of a remedy."""
    import re
    from dataclasses import replace

    numbers = {key: float(value) / (1000 if unit == "ms" else 1)
               for key, value, unit in re.findall(r"(\w+): ([\d.]+)(ms|s|)", remedy)}  # fmt: skip
    of_check = {key: numbers[key] for key in ("interval", "timeout", "fast") if key in numbers}
    check = replace(check, **of_check, fall=int(numbers.get("fall", check.fall)))  # type: ignore[arg-type]
    ttl, ttl_min = (int(numbers.get(key, getattr(service, key))) for key in ("ttl", "ttl_min"))
    return check, replace(service, ttl=ttl, ttl_min=ttl_min)


def test_with_a_director_the_better_of_both_counts() -> None:
    director = Director("lvs", "ipvs", interval=1.0, timeout=1.0)
    check = Check("web", "http", 80, HttpProbe(), interval=60.0, timeout=5.0)
    pool = Pool("web", (Member("a", ("10.0.0.1",)),), ("web",), following=(Following("lvs", "x"),))
    data = DataSet(pools={"web": pool}, checks={"web": check}, directors={"lvs": director})
    service = Service(b"", b"", "web", ttl=5, ttl_min=2, budget=10.0)
    found = budget.promise(service, pool, data)
    assert found is not None and found.kept and found.worst == pytest.approx(2 * 2.1 + 0.2 + 5)
    alone = Pool("web", pool.members, following=pool.following)
    wanting = budget.promise(Service(b"", b"", "web", ttl=20, budget=10.0), alone, data)
    assert wanting is not None and wanting.remedy == "this would fit: ttl: 5 at the record"
