"""A whole server: what if, then the same for real; its journal replayed under other files; and what was, explained."""

from __future__ import annotations

import json
import shutil
import time

from live import ZONE, pools, serve, wait_for, web_servers


def test_what_if_then_for_real_then_again_under_other_files() -> None:
    with web_servers(3) as webs:
        members = [f"web{n}: {one.address}" for n, one in enumerate(webs)]
        text = pools(webs[0].port, *members)
        with serve(ZONE, text, "--workers", "1") as server:
            everybody = {one.address for one in webs}
            wait_for(lambda: server.addresses() == everybody, 60, "all three are answered")
            asked = server.run("whatif", "--down", "web1", "--json")
            told = json.loads(asked.stdout)["services"]["www.lb.example.com."]
            assert told["after"]["members"] == ["web0", "web2"] and told["lost"] == ["web1"]
            assert server.run("whatif", "--down", "web*", check=False).returncode == 1
            assert server.addresses() == everybody, "nothing was done"

            killed = time.monotonic()
            webs[1].kill()
            took = wait_for(lambda: server.addresses() == everybody - {webs[1].address}, 60, "web1 leaves")
            assert took < told["out"] + 20.0  # a busy machine comes late
            gone_at = time.time()
            time.sleep(3)
            webs[1].start()
            wait_for(lambda: server.addresses() == everybody, 60, "web1 is back")
            away = time.monotonic() - killed
            server.run("drain", "web2", "--reason", "test")
            wait_for(lambda: webs[2].address not in server.addresses(), 30, "web2 is drained")
            time.sleep(2.5)

            def replayed(*more: str) -> dict[str, object]:
                done = server.run("replay", "--since", "10m", "--json", *more)
                return json.loads(done.stdout)  # type: ignore[no-any-return]

            told = replayed()
            assert told["agreement"]["recorded"] == told["agreement"]["same"] > 0, told
            then = told["services"]["www.lb.example.com."]["then"]
            assert then["failovers"] == 1 and 0 < then["dead_answered"] < took + 2

            edited = server.folder / "zones.new"
            shutil.copytree(server.zones, edited)
            (edited / "pools.yaml").write_text(text.replace("fall: 3", "fall: 9"))
            told = replayed(str(edited))
            one = told["services"]["www.lb.example.com."]
            assert one["edited"]["dead_answered"] > one["then"]["dead_answered"] or one["edited"]["failovers"] == 0
            assert any("the same question" in note for note in told["notes"])
            (edited / "pools.yaml").write_text(text.replace("fall: 3", "fall: 1"))
            told = replayed(str(edited))
            one = told["services"]["www.lb.example.com."]
            assert one["edited"]["dead_answered"] < one["then"]["dead_answered"] < away

            picture = server.folder / "week.svg"
            page = server.run("replay", str(edited), "--since", "10m", "--svg", str(picture)).stdout
            assert "FAILOVERS" in page and "web1" in page and "█" in page and "·" in page
            assert picture.read_text().startswith("<svg") and "dead, and out" in picture.read_text()

            moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(gone_at + 2))
            then = json.loads(server.run("explain", "www.lb.example.com", "--at", moment, "--json").stdout)
            assert then["pool"]["members"]["web1"]["state"] == "down"
            assert then["pool"]["members"]["web2"]["serves"] is True
            now = json.loads(server.run("explain", "www.lb.example.com", "--json").stdout)
            assert now["pool"]["members"]["web1"]["state"] == "up"

            # a restart keeps what was; the journal goes on
            server.end()
            server.start()
            wait_for(lambda: server.addresses() == everybody - {webs[2].address}, 60, "as before")
            time.sleep(2.5)
            told = replayed()
            assert told["services"]["www.lb.example.com."]["then"]["failovers"] == 1
            lines = server.run("events", "--since", "1h", "--json").stdout.splitlines()
            events = [(one["name"], one["after"]) for one in map(json.loads, lines)]
            assert ("web/web1", "down") in events, "from before the restart"
