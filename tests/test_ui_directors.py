"""What people are shown of directors: status, the alarms that top shows too, explain, and what check says of delays."""

from __future__ import annotations

from typing import Any

from small_following import LVS, PART

from rrdns.model import DataSet, Following, Member, Pool, Service, Zone
from rrdns.ui import budget, explain, lint, present, status
from rrdns.wire import name_from_text

ONE = {"state": "up", "age": 1.0, "took": 0.003, "reason": "", "type": "ipvs", "servers": 12, "since": 60.0}
VOICE = {"name": "lvs1", "word": "drain", "why": "weight 0 at lvs1", "weight": 0, "active": 4, "inactive": 1}


def snapshot(**directors: dict[str, Any]) -> dict[str, Any]:
    member = {"state": "drained", "why": "weight 0 at lvs1", "addresses": [], "director": VOICE}
    following = {"notes": ["lvs1 and lvs2 disagree: web1 up / down"]}
    pools = {"web": {"state": "ok", "members": {"web1": member}, "following": following}}
    return {"directors": directors, "pools": pools, "workers": []}


def page(shown: dict[str, Any]) -> str:
    return "\n".join(line.plain for line in status.page(shown, 160))


def test_a_line_for_each_director() -> None:
    text = page(snapshot(lvs1=ONE, lvs2={**ONE, "state": "fault", "age": None, "reason": "connection refused"}))
    assert "director up lvs1 (ipvs): 12 servers, read 1s ago in 3ms" in text
    assert "director fault lvs2 (ipvs): never read, connection refused" in text
    assert "1 of 2 directors" in text and "pool web: lvs1 and lvs2 disagree" in text


def test_a_keepalived_tells_its_instances() -> None:
    text = page(snapshot(ka1={**ONE, "type": "keepalived", "servers": 0, "instances": {"b": "BACKUP", "a": "MASTER"}}))
    assert "director up ka1 (keepalived): a MASTER, b BACKUP, read 1s ago in 3ms" in text
    many = {f"VI_{number}": "MASTER" for number in range(20)}
    assert "and 12 more" in page(snapshot(ka1={**ONE, "instances": many}))


def test_alarms_say_whether_its_word_holds() -> None:
    fault = {**ONE, "state": "fault", "reason": "timed out"}
    shown = snapshot(a=fault, b={**fault, "state": "stale"}, c={**fault, "age": None})
    assert [text for text, _ in present.alarms(shown)] == [
        "director a fault: timed out; its last word holds",
        "director b stale: timed out; its last word has no vote any more",
        "director c fault: timed out",
    ]
    assert list(present.alarms({"directors": {"x": {}}})) == []


def test_a_member_s_voice() -> None:
    assert present.voice_phrase(VOICE) == "lvs1: drain (weight 0 at lvs1), weight 0, 4 active, 1 inactive"
    told = {"name": "www.", "type": "A", "pool": {"name": "web", **snapshot()["pools"]["web"]}}
    assert any("director  lvs1: drain" in line.plain for line in explain.page(told, 160))


def test_what_a_director_costs_in_time() -> None:
    apex = name_from_text("lb.")
    service = Service(name_from_text("www.lb."), apex, "web", ttl=20)
    pool = Pool("web", (), following=(Following("lvs1", PART),), weight_from="director")
    assert budget.by_director(service, pool, {"lvs1": LVS}) == (8.6, 28.6)
    data = DataSet({apex: Zone(apex, 1, (), (service,))}, {"web": pool}, directors={"lvs1": LVS})
    assert list(lint.failover_lines(data)) == [
        "www.lb. (pool web): a host that its director (lvs1) takes out is out of our answers after 8.6 s at most, "
        "and out of caches after 28.6 s at most"
    ]
    plain = Pool("web", (Member("a", ("192.0.2.1",)), Member("b", ("192.0.2.2",))))
    assert budget.by_director(service, plain, {}) is None
    assert "no check" in next(iter(lint.failover_lines(DataSet(data.zones, {"web": plain}))))
