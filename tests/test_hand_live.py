"""The operator's hand on a whole server: words, holds, a restart in between, and a disk that takes nothing."""

from __future__ import annotations

import getpass
import json

from live import pools, serve, wait_for, web_servers


def test_words_and_a_hold_on_a_running_server() -> None:
    with web_servers(3) as webs:
        names = [f"web{n}: {one.address}" for n, one in enumerate(webs, 1)]
        with serve(pools_text=pools(webs[0].port, *names)) as server:
            wait_for(lambda: len(server.addresses()) == 3)
            server.run("weight", "127.0.0.11", "50%", "--for", "1h", "--reason", "new disk")
            server.run("force-up", "web2", "--for", "1h")
            audit = ("audit", "--no-outside", "--tell", "--json")
            found = json.loads(server.run(*audit, check=False).stdout)["findings"]
            assert {one["kind"] for one in found} == {"blind-check", "notify"}  # the little servers say 200 to anything
            assert "audit blind-check web" in server.run("events").stdout
            refused = server.run("drain", "web*", check=False)
            assert refused.returncode == 1 and "it would answer web1, web2, web3" in refused.stderr
            assert server.run("drain", "web1", "web9", check=False).returncode == 1
            told = json.loads(server.run("overrides", "--json").stdout)
            assert [(one["member"], one["word"]) for one in told] == [("web1", "weight 50%"), ("web2", "force-up")]
            assert {one["owner"] for one in told} == {getpass.getuser()} and all(one["left"] > 3000 for one in told)
            webs[1].kill()
            wait_for(lambda: "its checks say" in server.run("status").stdout, what="it is shown loudly")
            assert "127.0.0.12" in server.addresses()
            server.run("hold", "--for", "1h", "--reason", "network")
            server.run("enable", "web2")  # an operator's word acts; what is held is what was known: web2 is down
            wait_for(lambda: server.addresses() == {"127.0.0.11", "127.0.0.13"})
            webs[2].kill()
            wait_for(lambda: server.status()["pools"]["web"]["members"]["web3"]["state"] == "down")
            assert server.addresses() == {"127.0.0.11", "127.0.0.13"}
            assert "everything is held as it is" in server.run("top", "--once").stdout
            assert "held" in server.run("explain", "www.lb.example.com").stdout
            server.end()
            server.start()
            assert server.addresses() == {"127.0.0.11", "127.0.0.13"}, "a hold outlives a restart, with what it holds"
            assert [one["word"] for one in server.status()["overrides"]] == ["hold", "weight 50%"]
            server.run("upgrade", timeout=180)
            assert server.addresses() == {"127.0.0.11", "127.0.0.13"}, "and an upgrade"
            assert [one["word"] for one in server.status()["overrides"]] == ["hold", "weight 50%"]
            assert "released" in server.run("hold", "--release").stdout
            wait_for(lambda: server.addresses() == {"127.0.0.11"})


def test_in_force_but_not_saved_is_exit_4_everywhere() -> None:
    with serve(
        pools_text=pools(9, "web1: 127.0.0.11", "web2: 127.0.0.12").replace("check: web", "check: []")
    ) as server:
        state = server.state / "state.db"
        wait_for(state.exists)
        for one in server.state.glob("state.db*"):
            one.unlink()
        state.mkdir()  # nothing can be written there, not even by root
        for words in (("drain", "web1"), ("weight", "web1", "5"), ("hold",), ("reload",)):
            done = server.run(*words, check=False)
            assert done.returncode == 4 and "in force, NOT saved" in done.stderr, (words, done)
        assert {one["word"] for one in server.status()["overrides"]} == {"drain", "weight 5", "hold"}
        assert "NOT saved" in server.run("status").stdout
        state.rmdir()
        wait_for(lambda: server.run("reload", check=False).returncode == 0, 30, "it is saved again")
