"""A whole rrdns whose pools follow a real Squid, Apache, mod_jk, Envoy or lbcd: what is changed there is seen in DNS
answers. As test_directors_end_to_end.py, which says what is printed and what is asserted.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import live
import real_directors as real
import test_director_apache
import test_director_envoy
import test_director_mod_jk
import test_director_squid
from needs import needs
from real_apache import apache
from test_directors_end_to_end import A, B, C, Watched, watched

POOLS = """
directors:
  it: {type: %s, url: "%s", interval: 500ms, timeout: 2s, stale_after: 5s}
pools:
  made: {director: %s}
"""


def visits(url: str, count: int = 6) -> None:
    """Traffic: some directors look at their servers only when they need one."""
    for _ in range(count):
        with contextlib.suppress(OSError):
            real.get(url)


@contextlib.contextmanager
def traffic(url: str) -> Iterator[None]:
    done = threading.Event()

    def run() -> None:
        while not done.wait(0.1):
            visits(url, 2)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(30)


def gone(it: Watched, program: real.Program, holds: set[str], then: set[str]) -> None:
    os.killpg(program.process.pid, signal.SIGKILL)
    program.process.wait(20)
    it.goes_stale("it", {"made": holds})
    it.until("no vote any more", made=then)


# ---------------------------------------------------------------- Squid


def test_squid() -> None:
    needs("squid")
    with live.web_servers(3) as webs:
        port = live.free_port("127.0.0.1")
        url = f"http://127.0.0.1:{port}"
        files = {"squid.conf": test_director_squid.conf(port, webs[:2], 20)}
        with (
            real.program("squid", "-N", "-f", "{folder}/squid.conf", files=files, ready=f"{url}/") as squid,
            traffic(f"{url}/"),
            watched("squid", POOLS % ("squid", url, "it"), "made") as it,
        ):
            it.until("at the start", made={A, B})
            assert it.member("made", "web2")["weight"] == 20
            webs[0].end()
            it.until("a server is killed, Squid sees it dead", made={B})
            webs[0].start()
            it.until("it is back", made={A, B})
            text = test_director_squid.conf(port, webs, 7).replace("{folder}", str(squid.folder))
            (squid.folder / "squid.conf").write_text(text)
            squid.process.send_signal(signal.SIGHUP)
            it.until("reconfigured with a third server", made={A, B, C})
            it.weighs("... and another weight", "made", "web2", 7)
            gone(it, squid, {A, B, C}, {A, B, C})


# ---------------------------------------------------------------- Apache

LINES = """
<Proxy balancer://www>
  BalancerMember http://127.0.0.11:{port} route=web1 loadfactor=2 retry=1
  BalancerMember http://127.0.0.12:{port} route=web2 loadfactor=3 retry=1
  ProxySet nonce=abc growth=2
</Proxy>
ProxyPass /app/ balancer://www/
<Location /balancer-manager>
  SetHandler balancer-manager
  Require ip 127.0.0.0/8
</Location>
"""


def test_apache() -> None:
    with live.web_servers(3) as webs:
        port = live.free_port("127.0.0.1")
        page = f"http://127.0.0.1:{port}/balancer-manager"
        worker = f"http://{A}:{webs[0].port}"
        pools = POOLS % ("apache", f"{page}?nonce=abc", "{name: it, balancer: www}")
        lines = LINES.replace("{port}", str(webs[0].port))
        with apache(port, lines, *test_director_apache.MODULES) as program, watched("apache", pools, "made") as it:
            change = test_director_apache.change
            it.until("at the start", made={A, B})
            change(page, worker, w_status_N="1")
            it.until("drain", made={B})
            change(page, worker, w_status_N="0", w_status_D="1")
            it.until("drain off, disabled", made={B})
            assert it.member("made", "web1")["state"] == "drained"
            change(page, worker, w_status_D="0")
            it.until("enabled", made={A, B})
            change(page, worker, w_status_H="1")
            it.until("hot standby", made={B})
            change(page, worker, w_status_H="0", w_lf="7")
            it.until("no standby", made={A, B})
            it.weighs("loadfactor 7", "made", "web1", 7)
            change(page, worker, b_nwrkr=f"http://{C}:{webs[2].port}", b_wyes="1")
            live.wait_for(lambda: C in it.server.status()["pools"]["made"]["members"], 60, it.tell())
            it.until("a third server, disabled as Apache adds it", made={A, B})
            change(page, f"http://{C}:{webs[2].port}", w_status_D="0")
            it.until("... and enabled", made={A, B, C})
            with traffic(f"http://127.0.0.1:{port}/app/"):
                webs[1].end()
                it.until("a server is killed, under traffic", made={A, C})
                webs[1].start()
                it.until("it is back", made={A, B, C})
            conf = program.folder / "apache.conf"
            conf.write_text(conf.read_text().replace("route=web2 loadfactor=3", "route=web2 loadfactor=5"))
            program.process.send_signal(signal.SIGUSR1)
            it.until("reloaded: the file's two servers again", made={A, B})
            it.weighs("... with their weights", "made", "web2", 5)
            gone(it, program, {A, B}, {A, B})


# ---------------------------------------------------------------- mod_jk


class Ajp(test_director_mod_jk.Ajp):
    """On an address of its own; can be started again."""

    def __init__(self, address: str, port: int) -> None:
        self.listener = socket.create_server((address, port))
        self.port = port
        self.open: list[socket.socket] = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()


def test_mod_jk() -> None:
    with contextlib.ExitStack() as stack:
        ajp = live.free_port(A, B)
        nodes = {one: Ajp(one, ajp) for one in (A, B)}
        stack.callback(lambda: [one.end() for one in nodes.values()])
        port = live.free_port("127.0.0.1")
        page = f"http://127.0.0.1:{port}/jkstatus"
        properties = test_director_mod_jk.workers((A, ajp), (B, ajp), "worker.maintain=1")
        lines = test_director_mod_jk.LINES
        program = stack.enter_context(apache(port, lines, "jk", workers_properties=properties))
        it = stack.enter_context(watched("mod_jk", POOLS % ("mod_jk", page, "{name: it, worker: lb}"), "made"))

        def update(**settings: int) -> None:
            more = "".join(f"&{name}={value}" for name, value in settings.items())
            real.get(f"{page}?cmd=update&from=list&w=lb&sw=node1{more}")

        it.until("at the start", made={A, B})
        update(vwa=1)
        it.until("disabled (drain)", made={B})
        update(vwa=2)
        it.until("stopped", made={B})
        assert it.member("made", "node1")["state"] == "drained"
        update(vwa=0)
        it.until("active", made={A, B})
        update(vwf=9)
        it.weighs("lbfactor 9", "made", "node1", 9)
        with traffic(f"http://127.0.0.1:{port}/app/"):
            nodes.pop(A).end()
            it.until("a server is killed, under traffic", made={B})
            nodes[A] = Ajp(A, ajp)
            it.until("it is back", made={A, B})
        update(vwa=1)
        it.until("disabled (drain)", made={B})
        gone(it, program, {B}, {A, B})


# ---------------------------------------------------------------- Envoy


def hosts(webs: list[live.Web], **states: tuple[str, int]) -> str:
    """What discovery says: by web1, web2 ... its health and weight."""
    endpoints: list[dict[str, Any]] = []
    for name, (health, weight) in states.items():
        web = webs[int(name[3:]) - 1]
        address = {"socket_address": {"address": web.address, "port_value": web.port}}
        endpoint = {"address": address, "hostname": name}
        endpoints.append({"endpoint": endpoint, "health_status": health, "load_balancing_weight": weight})
    kind = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
    resource = {"@type": kind, "cluster_name": "www", "endpoints": [{"lb_endpoints": endpoints}]}
    return json.dumps({"resources": [resource]})


def test_envoy() -> None:
    binary = test_director_envoy.envoy()
    well = ("HEALTHY", 5)
    with live.web_servers(3) as webs:
        admin, port = live.free_port("127.0.0.1"), live.free_port("127.0.0.1")
        url = f"http://127.0.0.1:{admin}"
        files = {
            "envoy.json": test_director_envoy.bootstrap(admin, port),
            "hosts.json": hosts(webs, web1=well, web2=well),
        }
        argv = (binary, "-c", "{folder}/envoy.json", "--concurrency", "1", "--use-dynamic-base-id", "-l", "warn")
        with (
            real.program(*argv, files=files, ready=f"{url}/ready") as program,
            watched("envoy", POOLS % ("envoy", url, "{name: it, cluster: www}"), "made") as it,
        ):

            def discover(**states: tuple[str, int]) -> None:
                test_director_envoy.rewrite(program.folder, hosts(webs, **states))

            it.until("at the start", made={A, B})
            discover(web1=("DRAINING", 5), web2=well)
            it.until("drain", made={B})
            discover(web1=well, web2=well)
            it.until("healthy", made={A, B})
            discover(web1=well, web2=("HEALTHY", 9))
            it.weighs("weight 9", "made", "web2", 9)
            webs[0].end()
            it.until("a server is killed", made={B})
            webs[0].start()
            it.until("it is back", made={A, B})
            discover(web1=well, web2=well, web3=well)
            it.until("a third server", made={A, B, C})
            discover(web2=well, web3=well)
            it.until("the first is taken out", made={B, C})
            webs[0].end()  # Envoy lists it, pending its removal, as long as its check passes
            live.wait_for(lambda: "web1" not in it.server.status()["pools"]["made"]["members"], 60, it.tell())
            gone(it, program, {B, C}, {B, C})


# ---------------------------------------------------------------- lbcd

HOSTS = """
directors:
  one: {type: lbcd, socket: "127.0.0.11:%(port)d", interval: 500ms, timeout: 400ms, stale_after: 3s}
  two: {type: lbcd, socket: "127.0.0.12:%(port)d", interval: 500ms, timeout: 400ms, stale_after: 3s}
pools:
  hosts:
    weight_from: director
    members:
      a: {address: 127.0.0.11, director: one}
      b: {address: 127.0.0.12, director: two}
"""


@contextlib.contextmanager
def lbcd(address: str, port: int, weight: str) -> Iterator[None]:
    needs("lbcd")
    program = shutil.which("lbcd", path=real.PATH) or "lbcd"
    daemon = subprocess.Popen([program, "-f", "-b", address, "-p", str(port), "-w", weight])
    try:
        yield
    finally:
        daemon.terminate()
        daemon.wait(20)


def test_lbcd() -> None:
    """A director for each host. One that does not answer says nothing: it is unknown, and served while nobody is up."""
    port = live.free_port(A, B)
    with contextlib.ExitStack() as stack:
        stack.enter_context(lbcd(B, port, "100:200"))
        with lbcd(A, port, "100:200"):
            it = stack.enter_context(watched("lbcd", HOSTS % {"port": port}, "hosts"))
            it.until("at the start", hosts={A, B})
            before = it.member("hosts", "a")["weight"]
        with lbcd(A, port, "1000:2000"):
            live.wait_for(lambda: 0 < it.member("hosts", "a")["weight"] < before, 60, it.tell())
            assert it.member("hosts", "b")["weight"] == before
        it.goes_stale("one", {"hosts": {A, B}})
        it.until("no vote: only who is known up", hosts={B})
