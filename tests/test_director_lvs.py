"""A real LVS director followed by a whole rrdns: a kernel with IPVS in user-mode-linux, ipvsadm, keepalived, and the
real node_exporter over its tables. What is changed there is seen in DNS answers; `pytest -s` prints how soon.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import live
import pytest
import real_directors as real
import real_lvs
from needs import needs
from test_directors_end_to_end import APEX, Watched, watched

pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]

A, B, C = real_lvs.SERVERS
TUNNEL, DIRECT = "192.0.2.12", "192.0.2.13"
SORRY = "10.9.0.99"
ROOT = Path(__file__).parents[1]


@contextlib.contextmanager
def exporter(proc: Path) -> Iterator[str]:
    """The real node_exporter over another machine's /proc; its URL."""
    needs("prometheus-node-exporter")
    port = live.free_port("127.0.0.1")
    url = f"http://127.0.0.1:{port}/metrics"
    options = (f"--path.procfs={proc}", f"--web.listen-address=127.0.0.1:{port}")
    collectors = ("--collector.disable-defaults", "--collector.ipvs")
    with real.program("prometheus-node-exporter", *options, *collectors, files={}, ready=url):
        yield url


# ---------------------------------------------------------------- ipvsadm

POOLS = """
directors:
  copy: {type: ipvs, path: %s, interval: 500ms, stale_after: 5s}
  exporter: {type: ipvs, url: "%s", interval: 500ms, stale_after: 5s}
pools:
  copied: {director: {name: copy, virtual: "203.0.113.10:80", sorry: 10.9.0.99}}
  exported: {director: {name: exporter, virtual: "203.0.113.10:80"}}
  named:
    director: {name: exporter, virtual: "203.0.113.10:80"}
    members: {a: 10.9.0.11, tunnel: 192.0.2.12, direct: 192.0.2.13}
  mapped: {director: {name: copy, virtual: "203.0.113.10:80", map: {10.9.0.0/24: 198.51.100.0/24}}}
  marked: {director: {name: copy, virtual: "fwm:7"}}
  six: {director: {name: exporter, virtual: "[2001:db8::10]:53/udp"}}
"""
MARKED = {"192.0.2.21", "192.0.2.22"}
NAMES = ("copied", "exported", "named", "mapped", "marked", "six")

SETUP = f"""
ipvsadm -A -t {real_lvs.VIP} -s wlc
ipvsadm -a -t {real_lvs.VIP} -r {A}:80 -m -w 3
ipvsadm -a -t {real_lvs.VIP} -r {TUNNEL}:80 -i -w 2
ipvsadm -a -t {real_lvs.VIP} -r {DIRECT}:80 -g -w 1
ipvsadm -A -f 7 -s rr
ipvsadm -a -f 7 -r 192.0.2.21 -g
ipvsadm -a -f 7 -r 192.0.2.22 -g
ipvsadm -A -u [2001:db8::10]:53 -s sh
ipvsadm -a -u [2001:db8::10]:53 -r [2001:db8::11]:53 -g
"""


def test_ipvsadm() -> None:
    """NAT, tunnel and direct routing; by weight, by mark, over UDP and IPv6; from the file and from node_exporter."""
    with real_lvs.director() as lvs, exporter(lvs.proc) as url:
        lvs.run(SETUP)
        live.wait_for(lambda: "0A09000B" in lvs.table.read_text(), 30, "the table comes out")
        with watched("ipvs", POOLS % (lvs.table, url), *NAMES) as it:
            three = {A, TUNNEL, DIRECT}
            it.until("at the start", copied=three, exported=three, named=three)
            it.until("... by mark, and mapped", marked=MARKED, mapped={"198.51.100.11", TUNNEL, DIRECT})
            live.wait_for(lambda: it.server.addresses("six.lb.example.com.", "AAAA") == {"2001:db8::11"}, 30, it.tell())
            assert it.member("copied", A)["director"]["why"] == "Masq, weight 3 at copy"
            assert it.member("copied", TUNNEL)["director"]["why"] == "Tunnel, weight 2 at copy"
            assert it.member("copied", DIRECT)["director"]["why"] == "Route, weight 1 at copy"

            lvs.run(f"ipvsadm -e -t {real_lvs.VIP} -r {TUNNEL}:80 -i -w 0")
            it.until("ipvsadm: weight 0", copied={A, DIRECT}, exported={A, DIRECT}, named={A, DIRECT})
            assert it.member("copied", TUNNEL)["state"] == "drained"
            lvs.run(f"ipvsadm -e -t {real_lvs.VIP} -r {TUNNEL}:80 -i -w 8")
            it.until("ipvsadm: weight 8", copied=three, exported=three, named=three)
            it.weighs("... by /proc", "copied", TUNNEL, 8)
            it.weighs("... by node_exporter", "exported", TUNNEL, 8)
            lvs.run(f"ipvsadm -d -t {real_lvs.VIP} -r {DIRECT}:80")
            it.until("ipvsadm: deleted", copied={A, TUNNEL}, exported={A, TUNNEL}, named={A, TUNNEL})
            assert it.member("named", "direct")["state"] == "down"
            lvs.run(f"ipvsadm -a -t {real_lvs.VIP} -r {B}:80 -m -w 1")
            it.until("ipvsadm: added", copied={A, B, TUNNEL}, exported={A, B, TUNNEL}, named={A, TUNNEL})
            lvs.run("ipvsadm -d -f 7 -r 192.0.2.21")
            it.until("ipvsadm: deleted by mark", marked={"192.0.2.22"})

            lvs.run(f"ipvsadm -d -t {real_lvs.VIP} -r {TUNNEL}:80")
            it.until("ipvsadm: deleted", copied={A, B}, exported={A, B})

            lvs.run(f"ipvsadm -D -t {real_lvs.VIP}")
            it.becomes("copy", "up")  # another service is there still
            assert it.answer("copied") == {A, B}  # the whole service gone is no removal of its servers
            live.wait_for(lambda: it.server.status()["pools"]["copied"]["state"] == "unknown", 60, it.tell())
            assert it.answer("copied") == {A, B}
            lvs.run(SETUP.split("ipvsadm -A -f")[0])
            it.until("set up again", copied=three, exported=three)
            lvs.run("ipvsadm -C")
            fault = it.becomes("copy", "fault")
            assert "empty" in fault["reason"], fault
            it.becomes("exporter", "fault")
            it.until("cleared: an error, not a removal", copied=three, exported=three)
            it.becomes("copy", "stale")
            assert it.answer("copied") == three


# ---------------------------------------------------------------- rrdns on the director itself

OWN = """
directors:
  here: {type: ipvs, interval: 500ms}
  counted: {type: ipvs, socket: netlink, interval: 1s, timeout: 10s}
pools:
  plain: {director: {name: here, virtual: "203.0.113.10:80"}}
  totals: {director: {name: counted, virtual: "203.0.113.10:80"}}
"""
OWN_ZONE = APEX + "plain: {type: POOL, pool: plain}\ntotals: {type: POOL, pool: totals}\n"
RRDNS = f"cd /mnt && export HOME=/tmp PYTHONPATH={ROOT} && {sys.executable} -m rrdns"
SERVE = f"{RRDNS} serve zones --listen 127.0.0.1:5300 --state /run/rrdns --control /run/rrdns.sock --workers 1"
STATUS = f"{RRDNS} status --json --control /run/rrdns.sock"
VISIT = "bash -c 'exec 3<>/dev/tcp/203.0.113.10/80 && echo GET / >&3 && cat <&3'"


def test_on_the_director_itself() -> None:
    """Its own /proc/net/ip_vs, and the kernel by netlink, which alone has the connections in total."""
    needs("dig")
    with real_lvs.director() as lvs:
        lvs.run(SETUP)
        (lvs.shared / "zones").mkdir()
        (lvs.shared / "zones" / "lb.example.com.yaml").write_text(OWN_ZONE)
        (lvs.shared / "zones" / "pools.yaml").write_text(OWN)
        lvs.run(f"{SERVE} --user root >/mnt/rrdns.log 2>&1 &")

        def answer(pool: str) -> set[str]:
            return set(lvs.run(f"dig +short @127.0.0.1 -p 5300 {pool}.lb.example.com. || true").split())

        def until(what: str, wanted: set[str]) -> None:
            took = live.wait_for(lambda: answer("plain") == wanted == answer("totals"), 90, what)
            print(f"inside    {what:44} poll 0.5 and 1 s, answer followed after {took:.2f} s")

        until("at the start", {A, TUNNEL, DIRECT})
        lvs.run(f"ipvsadm -e -t {real_lvs.VIP} -r {DIRECT}:80 -g -w 0; ipvsadm -d -t {real_lvs.VIP} -r {TUNNEL}:80")
        until("weight 0, and deleted", {A})
        for _ in range(5):
            lvs.run(VISIT)

        def total(pool: str) -> int | None:
            said = json.loads(lvs.run(STATUS))["pools"][pool]["members"][A]["director"]
            assert said["word"] == "up", said
            return said["total"]  # type: ignore[no-any-return]

        live.wait_for(lambda: total("totals") == 5, 60, "netlink counts the connections")
        assert total("plain") is None


# ---------------------------------------------------------------- keepalived

KEEPALIVED = """
global_defs {
    script_user root
}
vrrp_instance VI_1 {
    state BACKUP
    interface dummy0
    track_interface {
        dummy1
    }
    virtual_router_id 51
    priority 150
    advert_int 1
    virtual_ipaddress {
        203.0.113.20/32
    }
    notify /mnt/note
}
virtual_server 203.0.113.10 80 {
    delay_loop 1
    lvs_sched wrr
    lvs_method NAT
    protocol TCP
    sorry_server 10.9.0.99 80
    SERVERS
}
virtual_server 203.0.113.11 80 {
    delay_loop 1
    lvs_sched wrr
    lvs_method NAT
    protocol TCP
    SERVERS inhibit_on_failure
}
"""
SERVER = """
    real_server %s 80 {
        weight %d
        %s
        HTTP_GET {
            url {
                path /
                status_code 200
            }
            connect_timeout 2
            retry 1
            delay_before_retry 1
        }
    }
"""
FOLLOWING = """
directors:
  table: {type: ipvs, path: %(table)s, interval: 500ms, stale_after: 5s}
  exporter: {type: ipvs, url: "%(url)s", interval: 500ms, stale_after: 5s}
  led: {type: ipvs, path: %(table)s, interval: 500ms, stale_after: 5s, master: notes}
  notes: {type: keepalived, path: %(notes)s, interval: 500ms, stale_after: 5s}
  dump: {type: keepalived, path: %(dump)s, interval: 500ms, stale_after: 60s}
  told: {type: ipvs, path: %(table)s, interval: 500ms, stale_after: 5s, master: dump}
pools:
  removed: {director: {name: table, virtual: "203.0.113.10:80", sorry: 10.9.0.99}}
  exported: {director: {name: exporter, virtual: "203.0.113.10:80", sorry: 10.9.0.99}}
  inhibited: {director: {name: table, virtual: "203.0.113.11:80", weight_zero: down}}
  vips:
    members:
      vip1: {address: 203.0.113.10, director: {name: led, use: virtual, virtual: "203.0.113.10:80"}}
      other: {address: 203.0.113.30}
  dumped:
    members:
      vip1: {address: 203.0.113.10, director: {name: told, use: virtual, virtual: "203.0.113.10:80"}}
      other: {address: 203.0.113.30}
"""


DUMP = """
rm -f /tmp/keepalived.json
kill -s $(keepalived --signum=JSON) $(cat /run/keepalived.pid)
for i in $(seq 50); do tail -c1 /tmp/keepalived.json 2>/dev/null | grep -q "]" && break; sleep 0.1; done
cp /tmp/keepalived.json /mnt/dump.new && chmod 644 /mnt/dump.new && mv /mnt/dump.new /mnt/keepalived.json
"""


def keepalived_conf() -> str:
    pieces = KEEPALIVED.split("SERVERS")
    rest = [piece.partition("\n") for piece in pieces[1:]]
    conf = pieces[0]
    for option, _, more in rest:
        conf += "".join(SERVER % (one, weight, option.strip()) for weight, one in enumerate((A, B, C), 1)) + more
    return conf


def test_keepalived() -> None:
    with real_lvs.director() as lvs, exporter(lvs.proc) as url:
        notes, dump = lvs.shared / "vrrp.log", lvs.shared / "keepalived.json"
        (lvs.shared / "keepalived.conf").write_text(keepalived_conf())
        (lvs.shared / "note").write_text('#!/bin/sh\necho "$1 \\"$2\\" $3 $4" >>/mnt/vrrp.log\n')
        (lvs.shared / "note").chmod(0o755)
        lvs.run("keepalived -n -l -D -f /mnt/keepalived.conf >/mnt/keepalived.log 2>&1 &")
        live.wait_for(lambda: notes.exists() and "MASTER" in notes.read_text(), 60, "VRRP master")
        live.wait_for(lambda: lvs.table.read_text().count("Masq    1 ") >= 2, 60, "keepalived has set up IPVS")

        lvs.run(DUMP)
        pools = FOLLOWING % {"table": lvs.table, "url": url, "notes": notes, "dump": dump}
        with watched("keepalived", pools, "removed", "exported", "inhibited", "vips", "dumped") as it:
            followed(it, lvs)
            vrrp(it, lvs)


def followed(it: Watched, lvs: real_lvs.Director) -> None:
    everybody = {A, B, C}
    it.until("at the start", removed=everybody, exported=everybody, inhibited=everybody)
    lvs.web(B, up=False)
    live.wait_for(lambda: lvs.table.read_text().count("0A09000C") == 1, 60, "keepalived removes it")
    it.until("a server fails: removed", removed={A, C}, exported={A, C})
    it.until("... inhibited", inhibited={A, C})
    assert it.member("inhibited", B)["state"] == "down"  # weight 0 there, which `weight_zero: down` explains
    lvs.web(B, up=True)
    live.wait_for(lambda: lvs.table.read_text().count("0A09000C") == 2, 60, "keepalived adds it")
    it.until("it is well: added", removed=everybody, exported=everybody)
    it.until("... no longer inhibited", inhibited=everybody)

    for one in (A, B, C):
        lvs.web(one, up=False)
    live.wait_for(lambda: "0A090063" in lvs.table.read_text(), 60, "keepalived puts the sorry server in")
    live.wait_for(lambda: it.server.status()["pools"]["removed"]["state"] == "down", 60, it.tell())
    assert SORRY not in it.answer("removed") and it.answer("removed") <= everybody
    for one in (A, B, C):
        lvs.web(one, up=True)
    it.until("all failed, all are back", removed=everybody, exported=everybody, inhibited=everybody)


def vrrp(it: Watched, lvs: real_lvs.Director) -> None:
    vip1, other = "203.0.113.10", "203.0.113.30"
    it.until("VRRP master", vips={vip1, other}, dumped={vip1, other})
    lvs.run("ip link set dummy1 down")
    live.wait_for(lambda: "FAULT" in (lvs.shared / "vrrp.log").read_text(), 60, "keepalived notes it")
    it.until("VRRP fault, by the notify log", vips={other})
    assert it.answer("dumped") == {vip1, other}  # nobody has asked keepalived since
    lvs.run(DUMP)
    it.until("... by the JSON dump", dumped={other})
    lvs.run("ip link set dummy1 up")
    it.until("VRRP master again, by the notify log", vips={vip1, other})
    lvs.run(DUMP)
    it.until("... by the JSON dump", dumped={vip1, other})
