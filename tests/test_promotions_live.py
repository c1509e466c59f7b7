"""`before_promote` as operators run it: a real program that fails, hangs, succeeds, and is killed by a restart."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from live import serve, wait_for, web_servers
from needs import needs
from test_schemes_live import CHECK, ZONE, Scene, pool

PROGRAM = """#!/bin/sh
here={here}
who="from=$RRDNS_FROM to=$RRDNS_TO $RRDNS_FROM_ADDRESSES $RRDNS_TO_ADDRESSES"
echo "begin $RRDNS_POOL $RRDNS_REASON $who $1" >> $here/told
echo $$ >> $here/pids
env | sort > $here/env
case "$(cat $here/mode)" in
  fail) echo "no route to the fence" >&2; echo more >&2; exit 3;;
  hang) sleep 600 & wait; exit 0;;
  ok) echo "end" >> $here/told; exit 0;;
esac
"""
MEMBERS = "w1: 127.0.0.11, w2: {address: 127.0.0.12, priority: 2}"
SCHEME = "{scheme: idle-standby, failback: manual}"


class Fenced(Scene):
    """A scene with the program, which does as its mode says."""

    folder: Path

    def mode(self, word: str) -> None:
        (self.folder / "mode.new").write_text(word)
        (self.folder / "mode.new").replace(self.folder / "mode")

    def told(self) -> list[str]:  # type: ignore[override]
        try:
            return (self.folder / "told").read_text().splitlines()
        except FileNotFoundError:
            return []

    def begun(self) -> int:
        return sum(line.startswith("begin") for line in self.told())

    def promotion(self) -> dict[str, Any]:
        return self.pool()["promotion"] or {}

    def promotions(self) -> list[str]:
        return [f"{one['before']} -> {one['after']}" for one in self.events() if one["subject"] == "promotion"]


@contextlib.contextmanager
def fenced(folder: Path, timeout: str = "20s") -> Iterator[Fenced]:
    needs("dig")
    program = folder / "fence"
    program.write_text(PROGRAM.format(here=folder))
    program.chmod(0o755)
    command = f"{{command: [{program}, now], timeout: {timeout}}}"
    with web_servers(2) as webs:
        text = (
            CHECK.format(port=webs[0].port) + "pools:\n" + pool("web", MEMBERS, failover=SCHEME, before_promote=command)
        )
        zone = "".join(line for line in ZONE.splitlines(True) if "reports" not in line)
        with serve(zone, text, "--workers", "1") as server:
            one = Fenced(server, webs)
            one.folder = folder
            one.mode("ok")
            one.becomes("w1")
            yield one


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_it_fails_is_told_and_succeeds_at_last(tmp_path: Path) -> None:
    with fenced(tmp_path) as one:
        assert one.told() == [], "the first holder needs none"
        one.mode("fail")
        one.kill("w1")
        wait_for(lambda: one.promotion().get("state") == "blocked", 30, "it is blocked")
        assert one.dig() == "w1", "the old holder stays, though down"
        found = one.promotion()
        assert found["why"] == f"{tmp_path}/fence exited 3: no route to the fence"
        assert (found["leaving"], found["coming"], found["reason"]) == (["w1"], ["w2"], "failover")
        assert one.told()[0] == "begin web failover from=w1 to=w2 127.0.0.11 127.0.0.12 now"
        clean = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
        assert {one for one in clean if not one.startswith("RRDNS_")} <= {"PATH", "LANG", "PWD", "_", "SHLVL"}
        shown = one.server.run("status").stdout
        assert "failover to w2 blocked" in shown and "no route to the fence" in shown and "tried again in" in shown
        explained = one.server.run("explain", "www.lb.example.com").stdout
        assert "promotion of w2 blocked" in explained
        one.mode("ok")
        one.becomes("w2")  # at its next try
        wait_for(lambda: one.promotions()[-1:] == ["blocked -> done"], 10, "it is told")
        assert one.promotions() == ["none -> pending", "pending -> blocked", "blocked -> done"]
        assert one.told()[-1] == "end" and not one.promotion()
        one.start("w1")
        one.is_up("w1")
        wait_for(lambda: one.pool()["waits"], 30, "w1 waits to return")
        one.server.run("failback", "web")
        one.becomes("w1")
        assert one.told()[-2].startswith("begin web failback from=w2 to=w1")
        replayed = one.server.run("replay", "--since", "1h", "--json", check=False)
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def test_an_operator_goes_without_it(tmp_path: Path) -> None:
    with fenced(tmp_path) as one:
        one.mode("fail")
        one.kill("w1")
        wait_for(lambda: one.promotion().get("state") == "blocked", 30, "it is blocked")
        assert one.server.run("failback", "web", check=False).returncode == 1
        one.server.run("failback", "web", "--force", "--reason", "I pulled the plug")
        one.becomes("w2")
        assert "I pulled the plug" in one.server.run("events", "--pool", "web").stdout


def test_it_hangs_and_is_killed_with_all_it_started(tmp_path: Path) -> None:
    with fenced(tmp_path, "1s") as one:
        one.mode("hang")
        one.kill("w1")
        wait_for(lambda: one.promotion().get("state") == "blocked", 30, "it is blocked")
        assert "ran longer than 1s and was killed" in one.promotion()["why"] and one.dig() == "w1"
        pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
        wait_for(lambda: not any(map(is_there, pids)), 10, "they are gone")
        one.start("w1")
        one.is_up("w1")
        wait_for(lambda: one.promotions()[-1:] == ["blocked -> abandoned"], 10, "nobody wants it any more")
        begun = one.begun()
        assert one.dig() == "w1" and not one.promotion() and one.begun() == begun


def test_a_restart_in_the_middle_runs_it_again(tmp_path: Path) -> None:
    with fenced(tmp_path, "60s") as one:
        one.mode("hang")
        one.kill("w1")
        wait_for(lambda: one.begun() == 1, 30, "it runs")
        (pid,) = [int(line) for line in (tmp_path / "pids").read_text().split()]
        one.restart()
        wait_for(lambda: one.begun() == 2, 30, "it runs again")
        assert not is_there(pid), "an orderly end takes it along"
        assert one.dig() == "w1" and one.promotion()["state"] == "pending"
        before = one.server.pid("control")
        one.mode("ok")
        os.kill(before, signal.SIGKILL)
        one.becomes("w2")
        assert one.begun() == 3
        pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
        for left in filter(is_there, pids):  # of the control that was killed
            os.killpg(left, signal.SIGKILL)


def test_whatif_takes_it_to_succeed_and_says_so(tmp_path: Path) -> None:
    with fenced(tmp_path) as one:
        told = one.server.run("whatif", "--down", "web/w1", check=False).stdout
        assert "taken to succeed at once" in told and one.begun() == 0
        assert json.loads(one.server.run("status", "--json").stdout)["pools"]["web"]["promotion"] is None


def test_a_drill_says_that_it_is_one(tmp_path: Path) -> None:
    with fenced(tmp_path) as one:
        done = one.server.run("drill", "web", "--for", "5s", check=False)
        assert one.told()[0].startswith("begin web drill from=w1 to=w2"), done.stdout + done.stderr
        assert "w2" in done.stdout and "degraded" not in done.stdout, done.stdout + done.stderr
        wait_for(lambda: one.pool()["waits"], 30, "w1 waits to return")
