"""A real keepalived with two VRRP instances, heard through its notify_fifo by a whole rrdns beside it, both in
user-mode-linux: a FIFO joins only what one kernel runs. What is changed there is seen in DNS answers; `pytest -s`
prints how soon.
"""

from __future__ import annotations

import json
import os
from typing import Any

import live
import pytest
import real_lvs
from needs import needs
from test_director_lvs import APEX, RRDNS

pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]

ONE, TWO = "203.0.113.10", "203.0.113.11"
FIFO = "/run/vrrp.fifo"
INSTANCE = """
vrrp_instance VI_%(number)d {
    state BACKUP
    interface dummy0
    track_interface {
        watch%(number)d
    }
    virtual_router_id 5%(number)d
    priority 150
    advert_int 1
    virtual_ipaddress {
        203.0.113.2%(number)d/32
    }
}
"""
CONF = (
    f"global_defs {{\n    vrrp_notify_fifo {FIFO}\n    fifo_write_vrrp_states_on_reload\n}}\n"
    + INSTANCE % {"number": 1}
    + INSTANCE % {"number": 2}
)
TABLE = f"""
ip link add watch1 type dummy; ip link add watch2 type dummy; ip link set watch1 up; ip link set watch2 up
ipvsadm -A -t {ONE}:80 -s wlc; ipvsadm -a -t {ONE}:80 -r 10.9.0.11:80 -m -w 3
ipvsadm -A -t {TWO}:80 -s wlc; ipvsadm -a -t {TWO}:80 -r 10.9.0.12:80 -m -w 2
"""
POOLS = f"""
directors:
  here: {{type: ipvs, interval: 500ms}}
  vrrp: {{type: keepalived, fifo: {FIFO}, interval: 1s, stale_after: 20s}}
pools:
  vips:
    director:
      - {{name: here, virtual: "{ONE}:80", use: virtual, master: vrrp/VI_1}}
      - {{name: here, virtual: "{TWO}:80", use: virtual, master: vrrp/VI_2}}
"""
SERVE = f"{RRDNS} serve zones --listen 127.0.0.1:5300 --state /run/rrdns --control /run/rrdns.sock --workers 1"
STATUS = f"{RRDNS} status --json --control /run/rrdns.sock"
KEEPALIVED = "keepalived -n -l -D -f /mnt/keepalived.conf -p /run/keepalived.pid >/mnt/keepalived.log 2>&1 &"


class Guest:
    def __init__(self, lvs: real_lvs.Director) -> None:
        self.lvs = lvs

    def serve(self) -> None:
        self.lvs.run(f"{SERVE} --user root >>/mnt/rrdns.log 2>&1 &")

    def end(self) -> None:
        """Its supervisor becomes a zombie: the guest's first process has no time for orphans."""
        self.lvs.run(
            "one=$(cat /run/rrdns/lock); kill $one; while grep -q '^State:.[RSD]' /proc/$one/status; do sleep 0.1; done"
        )

    def answer(self) -> set[str]:
        return set(self.lvs.run("dig +short +time=1 +tries=1 @127.0.0.1 -p 5300 vips.lb.example.com. || true").split())

    def until(self, what: str, wanted: set[str]) -> None:
        try:
            took = live.wait_for(lambda: self.answer() == wanted, 90, what)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.answer()}\n{self.vrrp()}\n{self.log()[-3000:]}") from None
        print(f"vrrp      {what:52} answer followed after {took:.2f} s")

    def vrrp(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.lvs.run(STATUS))["directors"]["vrrp"]
        return found

    def becomes(self, **wanted: Any) -> dict[str, Any]:
        try:
            live.wait_for(lambda: self.vrrp().items() >= wanted.items(), 90, f"{wanted}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.vrrp()}\n{self.log()[-3000:]}") from None
        return self.vrrp()

    def opened(self) -> list[int]:
        """How keepalived has opened the FIFO."""
        script = f"""
            for one in $(pgrep keepalived); do
                for fd in $(find /proc/$one/fd -lname {FIFO} -printf '%f '); do
                    sed -n 's/^flags:[^0-9]*//p' /proc/$one/fdinfo/$fd
                done
            done"""
        mask = os.O_ACCMODE | os.O_NONBLOCK
        return [int(flags, 8) & mask for flags in self.lvs.run(script).split()]

    def log(self) -> str:
        return (self.lvs.shared / "keepalived.log").read_text(errors="replace")


def test_notify_fifo() -> None:
    needs("dig")
    with real_lvs.director() as lvs:
        zones = lvs.shared / "zones"
        zones.mkdir()
        (zones / "lb.example.com.yaml").write_text(APEX + "vips: {type: POOL, pool: vips, answers: all}\n")
        (zones / "pools.yaml").write_text(POOLS)
        (lvs.shared / "keepalived.conf").write_text(CONF)
        lvs.run(TABLE)
        it = Guest(lvs)
        it.serve()
        live.wait_for(lambda: it.answer() == {ONE, TWO}, 90, "rrdns answers")  # nobody says who is the master
        assert "notify_fifo" in it.becomes(state="fault")["reason"]

        lvs.run(KEEPALIVED)
        it.becomes(state="up", instances={"VI_1": "MASTER", "VI_2": "MASTER"}, master=True)
        assert set(it.opened()) == {os.O_RDWR | os.O_NONBLOCK}
        instances(it)
        without_a_reader(it)
        ends_and_begins(it)


def instances(it: Guest) -> None:
    """Each VIP goes by its own instance."""
    it.lvs.run("ip link set watch1 down")
    it.until("VI_1: FAULT", {TWO})
    found = it.becomes(instances={"VI_1": "FAULT", "VI_2": "MASTER"})
    assert found["master"] is None and found["reason"] == ""
    it.lvs.run("ip link set watch1 up; ip link set watch2 down")
    it.until("VI_1: MASTER again, VI_2: FAULT", {ONE})
    it.lvs.run("kill -HUP $(cat /run/keepalived.pid)")
    it.lvs.run("ip link set watch2 up")
    it.until("reloaded, VI_2: MASTER again", {ONE, TWO})


def without_a_reader(it: Guest) -> None:
    """keepalived is held up by nobody; what it wrote meanwhile is there for the next."""
    it.end()
    it.lvs.run("for i in $(seq 5); do ip link set watch1 down; sleep 0.2; ip link set watch1 up; sleep 0.2; done")
    it.lvs.run("ip link set watch2 down")
    live.wait_for(lambda: "203.0.113.22" not in it.lvs.run("ip addr show dev dummy0"), 60, "keepalived goes on")
    live.wait_for(lambda: "203.0.113.21" in it.lvs.run("ip addr show dev dummy0"), 60, "keepalived goes on")
    it.serve()
    it.until("rrdns started anew", {ONE})
    it.becomes(instances={"VI_1": "MASTER", "VI_2": "FAULT"})
    it.lvs.run("ip link set watch2 up")
    it.until("VI_2: MASTER again", {ONE, TWO})


def ends_and_begins(it: Guest) -> None:
    it.lvs.run("kill $(cat /run/keepalived.pid); while test -e /run/keepalived.pid; do sleep 0.1; done")
    found = it.becomes(instances={"VI_1": "STOP", "VI_2": "STOP"}, master=False)
    print(f"vrrp      keepalived stopped: {found['state']} {found['reason']!r}; the FIFO is {it.lvs.run('ls /run')!r}")
    it.lvs.run(KEEPALIVED)
    it.becomes(state="up", instances={"VI_1": "MASTER", "VI_2": "MASTER"})
    it.until("keepalived started again", {ONE, TWO})
    # The parent would start another child, and a child whose parent is killed ends in order.
    it.lvs.run("one=$(cat /run/keepalived.pid); kill -STOP $one; kill -9 $(pgrep -P $one)")
    assert "nobody has" in it.becomes(state="fault")["reason"]
    it.becomes(state="stale")
    assert it.answer() == {ONE, TWO}  # nobody says who is the master
