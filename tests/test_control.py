"""Control as a real process: files to rings, health, reload, restart, and a disk that fails. Workers are stand-ins."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from control_process import ControlProcess, Hosts, served

from rrdns import board
from rrdns.ui.client import Client, Unreachable

Maker = Callable[..., ControlProcess]
ALL = {"127.0.0.11", "127.0.0.12", "127.0.0.13"}


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    three = Hosts()
    yield three
    three.stop()


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Maker]:
    made: list[ControlProcess] = []

    def maker(**settings: Any) -> ControlProcess:
        made.append(ControlProcess(tmp_path, **settings))
        return made[-1]

    yield maker
    for control in made:
        await control.stop()


@pytest.fixture
async def control(make: Maker, hosts: Hosts) -> ControlProcess:
    """Serving three hosts that are up."""
    one = make()
    one.write(hosts)
    await one.start()
    await one.serving()
    return one


def member(status: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = status["pools"]["web"]["members"][name]
    return found


# ---------------------------------------------------------------------- from files and probes to workers


async def test_a_dead_host_leaves_the_workers_rings_and_comes_back(control: ControlProcess, hosts: Hosts) -> None:
    worker = await control.worker()
    await control.until(lambda: served(worker) == ALL)
    hosts.down("127.0.0.12")
    await control.until(lambda: served(worker) == ALL - {"127.0.0.12"})
    status = await control.get("/status")
    assert member(status, "web2")["state"] == "down"
    assert status["pools"]["web"]["serving"] == ["web1", "web3"]
    hosts.up("127.0.0.12")
    await control.until(lambda: served(worker) == ALL)
    events = (await control.get("/events", pool="web"))["events"]
    changes = [(event["name"], event["before"], event["after"]) for event in events if event["subject"] == "member"]
    assert changes[-2:] == [("web/web2", "up", "down"), ("web/web2", "down", "up")]
    assert "member web/web2 up -> down: connection refused" in control.said()


async def test_the_status_is_what_was_promised(control: ControlProcess) -> None:
    worker = await control.worker()
    await control.until(lambda: worker.commits)
    status = await control.until_status(lambda status: status["control"]["state"] == "serving")
    assert control.process is not None
    assert status["control"]["pid"] == control.process.pid
    assert status["supervisor"] == {"pid": 0, "state": "none"}
    assert len(status["workers"]) == 1
    promised = {"pid", "state", "queries", "restarts", "limited", "tcp_evicted", "tcp_refused", "confined"}
    assert promised <= status["workers"][0].keys()
    pool = status["pools"]["web"]
    assert (pool["state"], pool["serving"]) == ("ok", ["web1", "web2", "web3"])
    one = pool["members"]["web1"]
    assert {"state", "addresses", "weight", "effective_weight", "answers", "rate", "share"} <= one.keys()
    assert {"address", "state", "reason", "since"} <= one["addresses"][0].keys()
    service = status["services"]["www.lb.example.com."]
    assert (service["pool"], service["ttl"], service["types"]) == ("web", 20, ["A"])
    assert status["zones"]["lb.example.com."]["serial"] > 1_600_000_000
    assert status["reload"]["state"] == "ok" and status["reload"]["source"] == "zones"
    assert status["store"]["state"] == "ok"
    assert status["directors"] == {} and status["overrides"] == []
    why = await control.get("/explain", name="WWW.lb.example.com", type="a")
    assert why["found"] == "pool"
    with pytest.raises(Exception, match="not a record type"):
        await control.get("/explain", name="www.lb.example.com", type="AAAAA")
    export = (await control.get("/export"))["zones"]["lb.example.com."]["rrsets"]
    www = b"\3www\2lb\7example\3com\0".hex()
    assert [www, 1, 20, ["7f00000b", "7f00000c", "7f00000d"]] in export


async def test_answers_are_counted_per_member(control: ControlProcess) -> None:
    worker = await control.worker()
    await control.until(lambda: worker.commits)
    for _ in range(300):
        worker.table.find(b"\3www\2lb\7example\3com\0", b"\0\1\0\1").take()
    status = await control.until_status(lambda status: member(status, "web1")["answers"])
    assert [member(status, name)["answers"] for name in ("web1", "web2", "web3")] == [300, 300, 300]  # all fit
    assert status["services"]["www.lb.example.com."]["rate"] > 0


async def test_it_serves_after_start_wait_though_a_host_says_nothing(make: Maker, hosts: Hosts) -> None:
    control = make(start_wait=0.5)
    control.write(hosts)
    text = (control.zones / "pools.yaml").read_text()
    silent = "type: command, command: [sleep, '60'], timeout: 60s, interval: 61s, fall: 2, rise: 2, fast: 1s"
    start = text.index("type: tcp")
    (control.zones / "pools.yaml").write_text(text[:start] + silent + text[text.index("}", start) :])
    await control.start()
    await control.serving()
    assert "3 of 3 targets have no verdict after 0.5 s; serving anyway" in control.said()
    worker = await control.worker()
    await control.until(lambda: served(worker) == ALL)


# ---------------------------------------------------------------------- operators


async def test_overrides(control: ControlProcess) -> None:
    worker = await control.worker()
    await control.until(lambda: served(worker) == ALL)
    answer = await control.post("/override", members=["web1"], word="drain", reason="new disk")
    assert answer == {"ok": True, "changed": ["web/web1"], "saved": True}
    await control.until(lambda: served(worker) == ALL - {"127.0.0.11"})
    assert (await control.post("/override", members=["web1"], word="drain", reason="new disk"))["changed"] == []
    assert (await control.post("/override", members=["web/web2"], word="disable"))["changed"] == ["web/web2"]
    error = await control.refused("/override", members=["web3"], word="disable")
    assert error.status == 409 and "would answer web1" in str(error) and "--force" in str(error)
    error = await control.refused("/override", members=["wb3"], word="drain")
    assert error.status == 404 and "did you mean" in str(error)
    error = await control.refused("/override", members=["web1", "other/web1"], word="drain")
    assert error.status == 404
    await control.post("/override", members=["web3"], word="disable", force=True)
    await control.until(lambda: served(worker) == {"127.0.0.11"})
    status = await control.get("/status")
    assert {(one["member"], one["word"]) for one in status["overrides"]} == {
        ("web1", "drain"),
        ("web2", "disable"),
        ("web3", "disable"),
    }
    assert (await control.post("/override", members=["web1", "web2", "web3"], word="enable"))["changed"] == [
        "web/web1",
        "web/web2",
        "web/web3",
    ]
    await control.until(lambda: served(worker) == ALL)


async def test_an_override_ends_by_itself(control: ControlProcess) -> None:
    worker = await control.worker()
    await control.until(lambda: served(worker) == ALL)
    await control.post("/override", members=["web1"], word="disable", **{"for": 1.5})
    await control.until(lambda: served(worker) == ALL - {"127.0.0.11"})
    await control.until(lambda: served(worker) == ALL)
    assert (await control.get("/status"))["overrides"] == []


async def test_events_are_followed(control: ControlProcess) -> None:
    seen: list[str] = []

    def follow() -> None:
        for event in Client(control.settings.control, 30.0).stream("/events", follow=1):
            seen.append(f"{event['name']} {event['after']}")

    task = asyncio.create_task(asyncio.to_thread(follow))
    await asyncio.sleep(0.5)
    await control.post("/override", members=["web1"], word="drain")
    await control.until(lambda: "web/web1 drained" in seen)
    assert await control.kill(signal.SIGTERM) == 0
    await asyncio.wait_for(task, 30)  # the stream ends with the server


# ---------------------------------------------------------------------- edits


async def test_an_edit_is_followed_by_itself(control: ControlProcess, hosts: Hosts) -> None:
    worker = await control.worker()
    await control.until(lambda: served(worker) == ALL)
    serial = (await control.get("/status"))["zones"]["lb.example.com."]["serial"]
    (control.zones / "lb.example.com.yaml").write_text(
        (control.zones / "lb.example.com.yaml").read_text() + "new: {type: POOL, pool: web}\n"
    )
    await control.until(lambda: served(worker, "new.lb.example.com.") == ALL)
    status = await control.until_status(lambda status: status["events"][-1]["subject"] == "reload")
    assert status["zones"]["lb.example.com."]["serial"] > serial
    events = (await control.get("/events"))["events"]
    assert [event["why"] for event in events if event["subject"] == "reload"] == [
        "zones changed lb.example.com.; names 3 -> 4"
    ]


async def test_a_bad_edit_is_refused_and_shown_until_it_is_mended(control: ControlProcess, hosts: Hosts) -> None:
    worker = await control.worker()
    await control.until(lambda: served(worker) == ALL)
    pools = control.zones / "pools.yaml"
    good = pools.read_text()
    pools.write_text(good.replace("fall: 2", "fall: two"))
    status = await control.until_status(lambda status: status["reload"]["state"] == "refused")
    assert any(problem.startswith(f"{pools}:2:") for problem in status["reload"]["problems"])
    assert served(worker) == ALL
    answer = await control.refused("/reload")
    assert answer.status == 409 and answer.body["ok"] is False and answer.body["problems"]
    pools.write_text(good)
    await control.until_status(lambda status: status["reload"] == {**status["reload"], "state": "ok", "problems": []})


async def test_a_load_that_loses_too_much_needs_force(control: ControlProcess, hosts: Hosts) -> None:
    worker = await control.worker()
    await control.until(lambda: served(worker) == ALL)
    control.write(hosts, ["web1"])
    status = await control.until_status(lambda status: status["reload"]["state"] == "refused")
    (problem,) = status["reload"]["problems"]
    assert "loses 2 of 3 (67 %) members: web/web2, web/web3 (rrdns reload --force accepts it)" in problem
    assert served(worker) == ALL
    answer = await control.post("/reload", force=True)
    assert answer["ok"] and answer["changed"] == {"pools changed": ["web"], "members": "3 -> 1"}
    await control.until(lambda: served(worker) == {"127.0.0.11"})
    shutil.rmtree(control.zones)
    await control.until_status(lambda status: "no such directory" in str(status["reload"]["problems"]))
    assert served(worker) == {"127.0.0.11"}


async def test_sighup_reloads(control: ControlProcess, hosts: Hosts) -> None:
    assert control.process is not None
    control.process.send_signal(signal.SIGHUP)
    await control.until(lambda: "nothing changed" in control.said())


async def test_a_large_directory_is_parsed_apart_and_stops_nothing(make: Maker, hosts: Hosts) -> None:
    control = make()
    control.write(hosts)
    lines = "".join(f"n{number}: {{type: A, value: 192.0.2.1}}\n" for number in range(3000))
    (control.zones / "big.example.yaml").write_text(
        "'': {type: NS, value: ns.big.example.}\nns: {type: A, value: 192.0.2.1}\n" + lines
    )
    await control.start()
    await control.serving()
    worker = await control.worker()
    await control.until(lambda: len(worker.table.sets) > 3000)
    text = (control.zones / "big.example.yaml").read_text()
    (control.zones / "big.example.yaml").write_text(text.replace("n7: {type: A, value: 192.0.2.1}", "n7: {type: A}"))
    status = await control.until_status(lambda status: status["reload"]["state"] == "refused")
    assert "big.example.yaml:" in status["reload"]["problems"][0]


# ---------------------------------------------------------------------- restarts


async def test_killed_control_comes_back_with_all_it_knew(control: ControlProcess, hosts: Hosts) -> None:
    worker = await control.worker()
    hosts.down("127.0.0.13")
    await control.until(lambda: served(worker) == {"127.0.0.11", "127.0.0.12"})
    await control.post("/override", members=["web2"], word="drain", reason="kept")
    await control.until(lambda: served(worker) == {"127.0.0.11"})
    await control.until_status(lambda status: member(status, "web1")["addresses"][0]["checks"][0]["seen_age"] < 60)
    await asyncio.sleep(2.5)  # what is not urgent is written within a second
    seen: set[frozenset[str]] = set()
    commit = worker.table.commit

    def watched(number: int, fresh: bool = False) -> Any:
        retired = commit(number, fresh)
        seen.add(frozenset(served(worker)))
        return retired

    worker.table.commit = watched  # type: ignore[method-assign]
    hosts.stop()  # so that one probe would judge them all anew
    await control.kill()
    assert served(worker) == {"127.0.0.11"}
    commits = len(worker.commits)
    await control.start()
    await control.until(lambda: len(worker.commits) > commits)
    assert worker.commits[commits][1] is True
    assert seen == {frozenset({"127.0.0.11"})}  # the first table says what the last one said
    status = await control.get("/status")
    assert member(status, "web3")["state"] == "down"
    assert status["overrides"][0]["reason"] == "kept"
    events = (await control.get("/events"))["events"]
    assert ("web/web3", "down") in {(event["name"], event["after"]) for event in events}


async def test_a_bad_directory_at_start(make: Maker, hosts: Hosts) -> None:
    """Without an accepted copy: exit 1. With one: that is served, loudly, unless --strict."""
    control = make()
    control.write(hosts)
    good = (control.zones / "pools.yaml").read_text()
    (control.zones / "pools.yaml").write_text("pools: [")
    await control.start()
    assert control.process is not None
    assert await asyncio.wait_for(control.process.wait(), 60) == 1
    assert f"{control.zones}/pools.yaml:2:1: is not YAML" in control.said()
    assert "Traceback" not in control.said()
    (control.zones / "pools.yaml").write_text(good)
    await control.start()
    await control.serving()
    await control.until(lambda: (control.run / "accepted" / "pools.yaml").exists())
    await control.kill(signal.SIGTERM)

    (control.zones / "pools.yaml").write_text("pools: [")
    await control.start()
    await control.serving()
    status = await control.get("/status")
    assert (status["reload"]["state"], status["reload"]["source"]) == ("kept", "accepted")
    assert any("pools.yaml:2:1:" in problem for problem in status["reload"]["problems"])
    assert "the files accepted before it are" in control.said()
    worker = await control.worker()
    await control.until(lambda: served(worker) == ALL)
    (control.zones / "pools.yaml").write_text(good)
    await control.until_status(
        lambda status: (status["reload"]["state"], status["reload"]["source"]) == ("ok", "zones")
    )
    await control.kill(signal.SIGTERM)

    shutil.rmtree(control.zones)
    control.settings = control.settings.from_json(
        json.dumps({**json.loads(control.settings.to_json()), "strict": True})
    )
    await control.start()
    assert await asyncio.wait_for(control.process.wait(), 60) == 1
    assert "there is no such directory" in control.said()


async def test_a_start_may_not_lose_what_a_reload_may_not(make: Maker, hosts: Hosts) -> None:
    control = make()
    control.write(hosts)
    await control.start()
    await control.serving()
    await control.until(lambda: (control.run / "accepted").exists())
    await control.kill()
    control.write(hosts, ["web1"])
    await control.start()
    await control.serving()
    status = await control.get("/status")
    assert status["reload"]["state"] == "kept" and "loses 2 of 3" in status["reload"]["problems"][0]
    assert (await control.post("/reload", force=True))["ok"]
    await control.kill()
    await control.start()
    await control.serving()
    status = await control.until_status(lambda status: status["reload"]["state"] == "ok")
    assert list(status["pools"]["web"]["members"]) == ["web1"]


async def test_serials_never_go_back(control: ControlProcess, hosts: Hosts) -> None:
    serials = [(await control.get("/status"))["zones"]["lb.example.com."]["serial"]]
    for step in range(3):
        with (control.zones / "lb.example.com.yaml").open("a") as file:
            file.write(f"n{step}: {{type: A, value: 192.0.2.1}}\n")
        for name in control.zones.iterdir():
            os.utime(name, (10**9, 10**9))
        assert (await control.post("/reload"))["ok"]
        serials.append((await control.get("/status"))["zones"]["lb.example.com."]["serial"])
    assert serials == [serials[0] + step for step in range(4)]
    await control.kill()
    await control.start()
    await control.serving()
    assert (await control.get("/status"))["zones"]["lb.example.com."]["serial"] == serials[-1]


async def test_with_state_none_nothing_is_kept(make: Maker, hosts: Hosts) -> None:
    control = make(state="none")
    control.write(hosts)
    await control.start()
    await control.serving()
    answer = await control.post("/override", members=["web1"], word="drain")
    assert answer["saved"] is True
    assert await control.kill(signal.SIGTERM) == 0
    assert {path.name for path in control.run.iterdir()} == {board.NAME}


async def test_an_orderly_end_leaves_no_socket(control: ControlProcess) -> None:
    assert await control.kill(signal.SIGTERM) == 0
    assert not (control.run / "control.sock").exists()
    assert control.board.get(board.CONTROL, "state") == board.STOPPING
    with pytest.raises(Unreachable):
        await control.get("/status")
    assert "Traceback" not in control.said()


async def test_a_disk_that_takes_nothing_changes_no_answer(control: ControlProcess) -> None:
    worker = await control.worker()
    await control.until(lambda: served(worker) == ALL)
    for name in list(control.run.glob("state.db*")):
        name.unlink()
    (control.run / "state.db").mkdir()
    answer = await control.post("/override", members=["web1"], word="disable")
    assert answer["changed"] == ["web/web1"] and answer["saved"] is False
    await control.until(lambda: served(worker) == ALL - {"127.0.0.11"})
    status = await control.get("/status")
    assert status["store"]["state"] == "failing" and "state.db" in status["store"]["why"]
    assert "NOT saved" in control.said()
    (control.run / "state.db").rmdir()
    await control.until_status(lambda status: status["store"]["state"] == "ok")
    await control.kill()
    await control.start()
    await control.serving()
    assert [one["word"] for one in (await control.get("/status"))["overrides"]] == ["disable"]


async def test_a_second_control_on_the_same_socket_says_whose_it_is(control: ControlProcess) -> None:
    first = control.process
    assert first is not None
    await control.start()
    second = control.process
    assert second is not None
    assert await asyncio.wait_for(second.wait(), 60) == 1
    control.process = first
    assert f"pid {first.pid} listens there" in control.said()
    assert await control.get("/status")
