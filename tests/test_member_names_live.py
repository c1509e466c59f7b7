"""Members given by host name, with a real resolver and a real zone: followed, kept, and followed again."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from live import ZONE, Server, pools, serve, wait_for, web_servers
from names_lab import Lab, lab

pytestmark = pytest.mark.timeout(300)


def names(server: Server) -> dict[str, dict[str, object]]:
    return server.status()["names"]  # type: ignore[no-any-return]


def states(server: Server) -> set[object]:
    return {one["state"] for one in names(server).values()}


def answered(server: Server, *last: int) -> bool:
    return server.addresses() == {f"127.0.0.{one}" for one in last}


def config(folder: Path, one: Lab) -> tuple[str, ...]:
    """`--config`, with the lab's resolver."""
    file = folder / "rrdns.yaml"
    file.write_text(f"resolvers: ['127.0.0.1:{one.unbound.port}']\nstart_wait: 10s\n")
    return "--config", str(file)


def test_a_name_is_followed_and_its_last_good_addresses_outlive_the_resolver(tmp_path: Path) -> None:
    with lab(app1="5 A 127.0.0.11", app2="300 CNAME real2.example.net.", real2="5 A 127.0.0.12") as one, \
            web_servers(4) as webs:  # fmt: skip
        files = pools(webs[0].port, "web1: app1.example.net.", "web2: {address: app2.example.net., weight: 1}")
        with serve(ZONE, files, *config(tmp_path, one)) as server:
            assert answered(server, 11, 12)
            assert names(server)["app2.example.net."]["ttl"] <= 5, "the lowest of the chain"  # type: ignore[operator]

            one.set(app1="5 A 127.0.0.13")
            wait_for(lambda: answered(server, 12, 13), 60, "the name has moved")
            told = [json.loads(line) for line in server.run("events", "--json").stdout.splitlines()]
            moved = [each for each in told if each.get("subject") == "addresses" and each["before"] == "127.0.0.11"]
            assert [(each["name"], each["after"], each["why"]) for each in moved] == [
                ("web/web1", "127.0.0.13", "app1.example.net. changed")
            ]

            server.run("drain", "127.0.0.13", "--force")
            wait_for(lambda: answered(server, 12), what="drained by address")
            server.run("enable", "web1")
            wait_for(lambda: answered(server, 12, 13))

            one.unbound.end()
            wait_for(lambda: states(server) == {"stale"}, 60, "the resolver is missed")
            assert answered(server, 12, 13)
            text = server.run("status").stdout
            assert "app1.example.net. stale" in text and "its last good addresses hold" in text
            text = server.run("explain", "www.lb.example.com").stdout
            assert "stale app1.example.net.: " in text and "its last good addresses hold" in text

            server.end()
            server.start()
            assert answered(server, 12, 13), "served though the resolver is dead"
            wait_for(lambda: states(server) == {"stale"}, 60)
            assert "127.0.0.13" in names(server)["app1.example.net."]["addresses"]  # type: ignore[operator]

            one.set(app1="5 A 127.0.0.11\n5 A 127.0.0.14")
            one.unbound.start()
            wait_for(lambda: answered(server, 11, 12, 14), 90, "followed again")
            wait_for(lambda: states(server) == {"up"}, 60)

            one.set(real2="")
            wait_for(lambda: names(server)["app2.example.net."]["state"] == "stale", 60)
            assert "NXDOMAIN" in str(names(server)["app2.example.net."]["reason"])
            assert answered(server, 11, 12, 14), "the last good set stays"

            webs[0].kill()
            wait_for(lambda: answered(server, 12, 14), 60, "an address of a name is checked as any other")

            _looks_back_and_ahead(server, moved[0]["time"])


def _looks_back_and_ahead(server: Server, moved: float) -> None:
    """What was is made again from the journal, what might be is imagined with the addresses of now."""
    time.sleep(2.5)  # until the journal is on the disk
    told = json.loads(server.run("replay", "--since", "10m", "--json").stdout)
    assert told["agreement"]["recorded"] == told["agreement"]["same"] > 0, told["agreement"]

    def at(moment: float) -> set[str]:
        text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
        then = json.loads(server.run("explain", "www.lb.example.com", "--at", text, "--json").stdout)
        return {one["address"] for one in then["pool"]["members"]["web1"]["addresses"]}

    assert at(moved + 1) == {"127.0.0.13"}
    told = json.loads(server.run("whatif", "--down", "web1", "--json").stdout)["services"]["www.lb.example.com."]
    assert told["after"]["members"] == ["web2"]
    text = server.run("export").stdout
    assert "127.0.0.12" in text and "127.0.0.14" in text


def test_a_name_that_was_never_resolved_holds_nothing_up(tmp_path: Path) -> None:
    with lab(app1="5 A 127.0.0.11") as one, web_servers(2) as webs:
        files = pools(webs[0].port, "web1: app1.example.net.", "web2: missing.example.net.")
        with serve(ZONE, files, *config(tmp_path, one)) as server:
            assert answered(server, 11)
            member = server.status()["pools"]["web"]["members"]["web2"]
            assert (member["state"], member["addresses"]) == ("unknown", [])
            assert member["why"].startswith("missing.example.net. is not resolved yet: NXDOMAIN")
            one.set(missing="5 A 127.0.0.12")
            wait_for(lambda: answered(server, 11, 12), 90, "it has come")
