"""A rehearsed failover: whom it takes out, when it is broken off, what the report says; then on a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from fake_api import member, status
from live import pools, serve, wait_for, web_servers

from rrdns.ui.config import ConfigError
from rrdns.ui.drill import Rehearsal, lines

Json = dict[str, Any]


def picture(serving: list[str], state: str = "ok", drilled: tuple[str, ...] = (), **of_pool: Any) -> Json:
    found = status(3)
    members = {f"web{n}": member(share=n / 6, answers=100 * n) for n in (1, 2, 3)}
    for name in drilled:
        members[name] = member("drained", override={"word": "drill"}, answers=300)
    found["pools"]["web"].update(members=members, serving=serving, state=state, **of_pool)
    return found


ALL = ["web1", "web2", "web3"]


def test_whom_it_takes_out() -> None:
    assert Rehearsal.of(picture(ALL), "web", []).members == ["web3"]  # the largest share, without a scheme
    assert Rehearsal.of(picture(ALL), "web", ["web1", "web/web2"]).members == ["web1", "web2"]
    tier = picture(["web1", "web2"], scheme="idle-standby")
    assert Rehearsal.of(tier, "web", []).members == ["web1", "web2"]
    lent = picture(["app/a", "web1"], fallback="app")
    assert Rehearsal.of(lent, "web", []).members == ["web1"]


@pytest.mark.parametrize(
    ("found", "pool", "members", "words"),
    [
        (picture(ALL), "wb", [], "there is no pool wb; there are web"),
        (picture(ALL), "web", ["web9"], "has no member web9"),
        (picture(ALL, drilled=("web1",)), "web", ["web1"], "has an override already (drill)"),
        (picture(ALL, held={"word": "hold"}), "web", [], "is held"),
        (picture(["app/a"], fallback="app"), "web", [], "nobody of its own serves"),
    ],
)
def test_what_can_t_be_rehearsed(found: Json, pool: str, members: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=r"pool|override") as info:
        Rehearsal.of(found, pool, members)
    assert words in str(info.value)


def test_who_took_over_and_what_was_answered() -> None:
    one = Rehearsal.of(picture(["web1"], scheme="idle-standby"), "web", [])
    one.look(picture(["web1"], drilled=("web1",)), 0.1)
    assert one.took is None
    one.look(picture(["web2"], drilled=("web1",)), 0.4)
    one.look(picture(["web2"], drilled=("web1",)), 0.9)
    assert (one.took, one.took_over, one.aborted, one.answers) == (0.4, ["web2"], "", {"web1": 200})
    one.after(picture(["web2"], due=29.0, scheme="idle-standby"), 0.1)
    assert one.settled and one.returned == "now served by web2; web1 return in 29s (failback)"
    one.after(picture(["web1"]), 30.0)
    assert one.returned == "served by web1 as before, 30s after the end"
    text = "\n".join(lines(one.report()))
    assert "nothing got worse" in text and "took over: web2, seen after 400ms" in text and "for 5 s (TTL)" in text


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (picture(["web2"], "degraded", ("web1",)), "pool web is degraded"),
        ({**picture(["web2"], drilled=("web1",)), "pools": {}}, "pool web is gone"),
        (picture(["web2"]), "somebody else has spoken: web1 is no longer taken out"),
    ],
)
def test_what_breaks_it_off(after: Json, words: str) -> None:
    one = Rehearsal.of(picture(ALL), "web", ["web1"])
    one.look(after, 0.5)
    assert words in one.aborted


def test_a_backup_that_gives_its_hosts_away_is_what_is_rehearsed() -> None:
    before = picture(ALL, scheme="simple-failover")
    before["pools"]["app"] = {"state": "ok", "members": {}}
    one = Rehearsal.of(before, "web", ["web1"])
    after = picture(["app/a"], drilled=("web1",))
    after["pools"]["app"] = {"state": "down", "members": {}, "to_pools": ["web"]}
    one.look(after, 0.5)
    assert one.aborted == ""
    after["pools"]["app"]["to_pools"] = []
    one.look(after, 0.7)
    assert one.aborted.startswith("pool app is down")


def test_a_pool_that_is_helped_out_is_what_is_rehearsed_too() -> None:
    one = Rehearsal.of(picture(["web1"], scheme="simple-failover"), "web", [])
    one.look(picture(["app/a"], "degraded", ("web1",), from_pool="app"), 0.5)
    assert one.aborted == "" and one.took_over == ["app/a"]
    one.look(picture(["app/a"], "down", ("web1",), from_pool="app"), 0.7)
    assert one.aborted.startswith("pool web is down")


BACKUP = """\
checks:
  web: {{type: tcp, port: {port}, interval: 500ms, timeout: 300ms, fall: 2, rise: 1, fast: 200ms}}
pools:
  web:
    check: web
    failover: {{scheme: simple-failover, backup: app, failback: 0s}}
    members: {{web1: 127.0.0.11}}
  app: {{check: web, when_down: empty, members: {{app1: 127.0.0.12}}}}
"""


def test_a_backup_is_rehearsed_without_force() -> None:
    with web_servers(2) as webs, serve(pools_text=BACKUP.format(port=webs[0].port)) as server:
        wait_for(lambda: server.addresses() == {"127.0.0.11"})
        wait_for(lambda: server.status()["pools"]["app"]["state"] == "ok")
        report = json.loads(server.run("drill", "web", "--for", "2s", "--json").stdout)
        assert report["aborted"] is None and report["took_over"] == ["app/app1"] and report["members"] == ["web1"]
        wait_for(lambda: server.addresses() == {"127.0.0.11"})


def test_another_member_that_fails_breaks_it_off_too() -> None:
    one = Rehearsal.of(picture(ALL), "web", ["web1"])
    after = picture(["web3"], drilled=("web1",))
    after["pools"]["web"]["members"]["web2"] = member("down", reason="refused")
    one.look(after, 0.5)
    assert one.aborted == "web/web2 is down: refused"


def test_of_a_held_pool_it_says_how_to_release_it() -> None:
    found = picture(ALL)
    found["pools"]["web"]["held"] = {"word": "hold"}
    for holds, words in (([""], "rrdns hold --release first"), (["", "web"], "rrdns hold web --release first")):
        found["overrides"] = [{"pool": pool, "member": "", "word": "hold"} for pool in holds]
        with pytest.raises(ConfigError, match=words):
            Rehearsal.of(found, "web", [])


def test_a_hold_in_the_middle_breaks_it_off() -> None:
    one = Rehearsal.of(picture(ALL), "web", ["web1"])
    after = picture(["web2"], drilled=("web1",))
    after["pools"]["web"]["held"] = {"word": "hold", "owner": "ann"}
    one.look(after, 0.5)
    assert "is held now" in one.aborted


# ---------------------------------------------------------------- with a server

SCHEME = """\
checks:
  web: {{type: tcp, port: {port}, interval: 500ms, timeout: 300ms, fall: 2, rise: 1, fast: 200ms}}
pools:
  web:
    check: web
    failover: {{scheme: idle-standby, failback: 0s}}
    members:
      web1: {{address: 127.0.0.11, priority: 1}}
      web2: {{address: 127.0.0.12, priority: 2}}
"""


def test_a_scheme_takes_over_and_gives_back() -> None:
    with web_servers(2) as webs, serve(pools_text=SCHEME.format(port=webs[0].port)) as server:
        wait_for(lambda: server.addresses() == {"127.0.0.11"}, what="the better tier serves")
        words = (sys.executable, "-m", "rrdns", "drill", "web", "--for", "60s", "--json")
        with subprocess.Popen(
            [*words, "--control", str(server.control)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as drill:
            try:
                wait_for(lambda: server.addresses() == {"127.0.0.12"}, what="the standby serves")
                assert [one["word"] for one in server.status()["overrides"]] == ["drill"]
                time.sleep(0.6)  # so that it sees it, too
                drill.send_signal(signal.SIGINT)
                text, fault = drill.communicate(timeout=60)
            finally:
                drill.kill()
        assert drill.returncode == 1, fault
        report = json.loads(text)
        assert report["aborted"] == "interrupted" and report["took_over"] == ["web2"] and report["members"] == ["web1"]
        assert server.status()["overrides"] == []
        wait_for(lambda: server.addresses() == {"127.0.0.11"}, what="the better tier is back")


def test_it_ends_by_itself_and_breaks_off_when_another_dies() -> None:
    with web_servers(3) as webs:
        names = [f"web{n}: {one.address}" for n, one in enumerate(webs, 1)]
        with serve(pools_text=pools(webs[0].port, *names)) as server:
            wait_for(lambda: len(server.addresses()) == 3)
            done = server.run("drill", "web", "--for", "1s")
            assert "nothing got worse" in done.stdout and "as before" in done.stdout
            refused = server.run("drill", "web", "--member", "web*", "--for", "1s", check=False)
            assert refused.returncode == 2 and "no member web*" in refused.stderr
            last = [word for n in (1, 2, 3) for word in ("--member", f"web{n}")]
            refused = server.run("drill", "web", *last, "--for", "1s", check=False)
            assert refused.returncode == 1 and "it would answer" in refused.stderr
            began = time.monotonic()
            drill = subprocess.Popen(
                [sys.executable, "-m", "rrdns", "drill", "web", "--member", "web1", "--for", "10m",
                 "--control", str(server.control)],
                stdout=subprocess.PIPE, text=True, env=dict(os.environ),
            )  # fmt: skip
            try:
                wait_for(lambda: server.status()["overrides"], what="it has begun")
                webs[1].kill()
                text, _ = drill.communicate(timeout=60)
            finally:
                drill.kill()
                drill.wait()
            assert drill.returncode == 1 and "broken off" in text and "web/web2 is down" in text
            assert time.monotonic() - began < 60 and server.status()["overrides"] == []


def test_a_server_that_is_away_for_a_moment_gets_its_members_back() -> None:
    """The word outlives the restart; it must not stand until its hour is over. Other words stay."""
    with web_servers(3) as webs:
        names = [f"web{n}: {one.address}" for n, one in enumerate(webs, 1)]
        with serve(pools_text=pools(webs[0].port, *names)) as server:
            wait_for(lambda: len(server.addresses()) == 3)
            server.run("drain", "web3", "--reason", "kernel update")
            with subprocess.Popen(
                [sys.executable, "-m", "rrdns", "drill", "web", "--member", "web1", "--for", "1h", "--json",
                 "--control", str(server.control)],
                stdout=subprocess.PIPE, text=True,
            ) as drill:  # fmt: skip
                try:
                    wait_for(lambda: len(server.status()["overrides"]) == 2, what="it has begun")
                    old = server.pid("control")
                    os.kill(old, signal.SIGKILL)
                    text, _ = drill.communicate(timeout=60)
                finally:
                    drill.kill()
            report = json.loads(text)
            assert drill.returncode == 1 and "can't be watched" in report["aborted"]
            assert server.pid("control") not in (0, old)
            assert [one["word"] for one in server.status()["overrides"]] == ["drain"]
            wait_for(lambda: server.addresses() == {webs[0].address, webs[1].address}, what="it is given back")
