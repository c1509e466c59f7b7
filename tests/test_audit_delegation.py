"""`rrdns audit` against a real parent zone and a real resolver, in network namespaces; nothing of it is a mock."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from delegated import CLIENT, OURS, ROOT, Lab, lab
from live import wait_for
from namespaces import needs_namespaces
from needs import needs

UNBOUND = """
server:
  interface: {address}
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{run}"
  pidfile: ""
  use-syslog: no
  root-hints: "{run}/hints"
  module-config: "iterator"
  do-ip6: no
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Lab]:
    needs("unbound")
    needs_namespaces()
    with lab() as one:
        run = one.folder / "unbound"
        run.mkdir()
        (run / "hints").write_text(f". 3600 NS a.root.\na.root. 3600 A {ROOT[0]}\n")
        config = run / "unbound.conf"
        config.write_text(UNBOUND.format(address=CLIENT[0], run=run))
        with one.client.started("unbound", "-d", "-c", str(config), output=run / "output"):
            ask = ("kdig", f"@{CLIENT[0]}", "+short", "+timeout=1", "example.", "NS")
            wait_for(lambda: "ns.example." in one.client.run(*ask).stdout, 60, "unbound resolves")
            yield one


def findings(one: Lab, code: int, *more: str) -> list[str]:
    words = ("-m", "rrdns", "audit", "--control", str(one.server.control), "--no-asking", "--json", *more)
    done = one.client.run(sys.executable, *words)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return [f"{found['about']} {found['text']}" for found in told["findings"] if found["kind"] != "notify"]


def test_a_delegation_that_is_right_then_wrong(place: Lab) -> None:
    resolver = ("--resolver", CLIENT[0])
    assert findings(place, 1, *resolver) == []  # 1: nobody is told of anything, which is a finding too
    zone = place.server.zones / "lb.example.yaml"
    text = zone.read_text()
    try:
        zone.write_text(text.replace("ns2.lb.example.]", "ns3.lb.example.]").replace("ns2:", "ns3:"))
        assert place.server.run("reload").returncode == 0
        told = findings(place, 1, *resolver)
        assert (
            "lb.example. its parent example. sends clients to ns2.lb.example., which is no NS of the zone here" in told
        )
        assert "lb.example. ns3.lb.example. is an NS of the zone, but its parent example. does not list it" in told
        zone.write_text(text.replace(OURS[0], "198.51.100.99"))
        assert place.server.run("reload").returncode == 0
        assert any("glue of ns1.lb.example." in one and "198.51.100.99" in one for one in findings(place, 1, *resolver))
    finally:
        zone.write_text(text)
        place.server.run("reload")


def test_a_resolver_that_is_not_there(place: Lab) -> None:
    told = findings(place, 1, "--resolver", f"{CLIENT[0]}:5399")
    assert len(told) == 1 and "its parent can't be found" in told[0]
