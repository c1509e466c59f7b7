"""`rrdns import --from gdnsd`: what comes out as text, and that rrdns then answers as a real gdnsd does."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import live
import pytest
import yaml
from needs import needs

from rrdns import cli, zonefile

ZONE = """\
@     SOA ns1 hostmaster ( 1 7200 30M 3D 900 )
@     NS  ns1
ns1   A   127.0.0.1
      TXT "of ns1"
$TTL 300
alias CNAME all
foo.@Z A  192.0.2.77
"""
CONFIG = """\
options => {{ listen => "{address}:{port}", zones_default_ttl => 3600
  run_dir => {folder}/run, state_dir => {folder}/state }}
service_types => {{
  web => {{ plugin => http_status, port => {web}, url_path => "/ok?a=1", vhost => www.example.com
    ok_codes => [ 200, 204 ], interval => 2, up_thresh => 2, ok_thresh => 2, down_thresh => 2 }}
}}
plugins => {{ {plugins} }}
"""


@dataclass
class Imported:
    """What an import said and wrote."""

    code: int
    out: str
    err: str
    folder: Path

    def pools(self) -> dict[str, dict[str, object]]:
        return yaml.safe_load((self.folder / "gdnsd.pools.yaml").read_text())  # type: ignore[no-any-return]

    def zone(self, name: str = "example.com") -> dict[str, object]:
        return yaml.safe_load((self.folder / f"{name}.yaml").read_text())  # type: ignore[no-any-return]

    def load(self) -> zonefile.Loaded:
        return zonefile.load({str(path): path.read_bytes() for path in self.folder.iterdir()})


@pytest.fixture
def imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def run(config: str, zone: str = "", check: bool = True) -> Imported:
        folder = tmp_path / "gdnsd"
        (folder / "zones").mkdir(parents=True, exist_ok=True)
        (folder / "config").write_text(config)
        (folder / "zones" / "example.com").write_text(ZONE + zone)
        if check:
            checked(folder)
        code = cli.main(["import", str(folder), "--out", str(tmp_path / "out"), "--force"])
        said = capsys.readouterr()
        return Imported(code, said.out, said.err, tmp_path / "out")

    return run


def checked(folder: Path) -> None:
    """What we import here is what gdnsd itself takes: else the test would be about nothing."""
    needs("gdnsd")
    done = subprocess.run(["gdnsd", "-c", str(folder), "checkconf"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- as text


def test_multifo(imported) -> None:  # type: ignore[no-untyped-def]
    config = """
    service_types => {
      web => { plugin => http_status, port => 8080, url_path => /x, vhost => www.example.com, ok_codes => [ 200, 301 ] }
      ext => { plugin => extmon, interval => 30, timeout => 15, cmd => [ /bin/ping, "-c1", "%%ITEM%%" ] }
    }
    plugins => { multifo => { up_thresh => 0.3
      www => { service_types => [ web, ext ], lb01 => 192.0.2.1, "lb 02" => 192.0.2.2 }
      short => [ 192.0.2.3, 192.0.2.4 ]
    } }"""
    found = imported(config, "www 600/30 DYNA multifo!www ; a comment\n   TXT here\nshort DYNC multifo!short\n")
    assert (found.code, found.err) == (0, "")
    assert found.pools() == {
        "checks": {
            "web": {"type": "http", "port": 8080, "path": "/x", "host": "www.example.com", "status": [200, 301],
                    "interval": "10s", "timeout": "5s", "fall": 10, "rise": 20, "ok": 10, "fast": "10s"},
            "ext": {"type": "command", "command": ["/bin/ping", "-c1", "{address}"],
                    "interval": "30s", "timeout": "15s", "fall": 10, "rise": 20, "ok": 10, "fast": "30s"},
        },
        "pools": {
            "www": {"check": ["web", "ext"], "members": {"lb01": "192.0.2.1", "lb-02": "192.0.2.2"}, "panic": 0.3},
            "short": {"check": [], "members": {"1": "192.0.2.3", "2": "192.0.2.4"}},
        },
    }  # fmt: skip
    zone = found.zone()
    assert zone["www"] == [
        {"type": "TXT", "ttl": 300, "value": "here"},
        {"type": "POOL", "pool": "www", "ttl": 600, "ttl_min": 30, "answers": "all"},
    ]
    assert zone["short"] == {"type": "POOL", "pool": "short", "ttl": 300, "ttl_min": 150, "answers": "all"}
    assert zone["foo"] == {"type": "A", "ttl": 300, "value": "192.0.2.77"}
    assert zone["$defaults"] == {"ttl": 86400} and zone["ns1"][0] == {"type": "A", "value": "127.0.0.1"}
    loaded = found.load()
    assert loaded.dataset is not None, loaded.problems


def test_weighted(imported) -> None:  # type: ignore[no-untyped-def]
    config = """plugins => { weighted => {
      one => { up_thresh => 0.01, a => [ 192.0.2.1, 99 ], b => [ 192.0.2.2, 1 ] }
      all => { multi => true, a => [ 192.0.2.1, 4 ], b => [ 192.0.2.2, 4 ] }
      some => { multi => TRUE, a => [ 192.0.2.1, 30 ], b => [ 192.0.2.2, 20 ] }
      big => { a => [ 192.0.2.1, 1000000 ], b => [ 192.0.2.2, 10 ] }
      six => { addrs_v4 => { a => [ 192.0.2.1, 2 ] }, addrs_v6 => { a => [ 2001:db8::1, 2 ] } }
      dc => { one => { a => [ 192.0.2.1, 1 ], b => [ 192.0.2.2, 1 ] }, two => { a => [ 192.0.2.3, 3 ] } }
    } }"""
    lines = "".join(f"{name} DYNA weighted!{name}\n" for name in ("one", "all", "some", "big", "six", "dc"))
    found = imported(config, lines)
    zone, pools = found.zone(), found.pools()["pools"]
    answers = {name: zone[name]["answers"] for name in ("one", "all", "some", "big", "six", "dc")}
    assert answers == {"one": 1, "all": 2, "some": 2, "big": 1, "six": 1, "dc": 2}
    assert pools["one"]["members"] == {"a": {"address": "192.0.2.1", "weight": 99}, "b": "192.0.2.2"}
    assert pools["big"]["members"]["a"]["weight"] == 65535
    assert set(pools["six"]["members"]) == {"a", "a-v6"}
    assert pools["dc"]["members"]["two-a"] == {"address": "192.0.2.3", "weight": 3}
    assert found.code == 0 and found.load().dataset is not None
    for words in ("an answer has 2 members, in gdnsd 1.67", "at most 65535", "IPv4 and IPv6 together", "one list"):
        assert words in found.err
    assert "NOT as in gdnsd" in (found.folder / "gdnsd.pools.yaml").read_text()


def test_simplefo_and_metafo(imported) -> None:  # type: ignore[no-untyped-def]
    config = """plugins => {
      simplefo => { pair => { primary => 192.0.2.1, secondary => 192.0.2.2 } }
      multifo => { back => { up_thresh => 0.6, a => 192.0.2.21, b => 192.0.2.22, c => 192.0.2.23 } }
      metafo => { resources => { far => {
        datacenters => [ near, mid, back ]
        dcmap => { near => { up_thresh => 0.6, 1 => 192.0.2.11, 2 => 192.0.2.12 }
                   mid => { plugin => simplefo, primary => 192.0.2.13, secondary => 192.0.2.14 }
                   back => %multifo!back } } } }
    }"""
    found = imported(config, "pair DYNA simplefo!pair\nfar DYNA metafo!far\nnear DYNA metafo!far/near\n")
    pools = found.pools()["pools"]
    idle = {"scheme": "idle-standby", "failback": 0}
    assert pools["pair"] == {
        "check": [],
        "members": {"primary": "192.0.2.1", "secondary": {"address": "192.0.2.2", "priority": 2}},
        "failover": idle,
        "when_down": ["192.0.2.1"],
    }
    far = pools["far"]
    assert far["failover"] == idle and far["when_down"] == ["192.0.2.11", "192.0.2.12"]
    assert far["members"] == {
        "near-1": "192.0.2.11",
        "near-2": "192.0.2.12",
        "mid-primary": {"address": "192.0.2.13", "priority": 2},
        "mid-secondary": {"address": "192.0.2.14", "priority": 3},
        **{f"back-{one}": {"address": f"192.0.2.2{at}", "priority": 4} for at, one in enumerate("abc", 1)},
    }
    assert "up_thresh comes to 2, 1, 1, 2 hosts in its tiers: 1 is taken for all" in found.err
    assert pools["far-near"]["members"] == {"1": "192.0.2.11", "2": "192.0.2.12"}
    assert found.code == 0


def test_static_and_one_cname_become_plain_records(imported) -> None:  # type: ignore[no-untyped-def]
    config = "plugins => { static => { a => 192.0.2.9, six => 2001:db8::9, c => www.example.net. } }"
    found = imported(config, "a 60 DYNA static!a\nsix DYNC static!six\nc DYNC static!c\n")
    zone = found.zone()
    assert zone["a"] == {"type": "A", "ttl": 60, "value": "192.0.2.9"}
    assert zone["six"] == {"type": "AAAA", "ttl": 300, "value": "2001:db8::9"}
    assert zone["c"] == {"type": "CNAME", "ttl": 300, "value": "www.example.net."}
    assert found.code == 0 and not (found.folder / "gdnsd.pools.yaml").exists()


def test_what_does_not_map_is_listed_with_its_place(imported) -> None:  # type: ignore[no-untyped-def]
    config = """options => { listen => 127.0.0.1, tcp_timeout => 15 }
service_types => {
  never => { plugin => null }
  file => { plugin => extfile, file => x }
  slow => { plugin => tcp_connect, port => 80, up_thresh => 500 }
}
plugins => {
  reflect => {}
  multifo => {
    ok => { service_types => slow, a => 192.0.2.1 }
    dead => { service_types => never, a => 192.0.2.2 }
    filed => { service_types => file, a => 192.0.2.3 }
    blind => { ignore_health => true, a => 192.0.2.4 }
    split => { addrs_v4 => { service_types => slow, a => 192.0.2.5 }, addrs_v6 => { b => 2001:db8::5 } }
    unused => { a => 192.0.2.6 }
  }
  weighted => { names => { a => [ www.example.net., 1 ], b => [ www.example.org., 1 ] } }
}"""
    names = ["multifo!ok", "multifo!dead", "multifo!filed", "multifo!blind", "multifo!split", "reflect", "geoip!x"]
    lines = "".join(f"n{at} DYNA {one}\n" for at, one in enumerate(names)) + "cn DYNC weighted!names\n"
    found = imported(config, lines, check=False)
    base = found.folder.parent / "gdnsd"
    wanted = [
        f"{base}/config:1: options: listen: not of the zones; write it as `listen:` into rrdns.yaml",
        f"{base}/config:1: options: tcp_timeout: not imported",
        f"{base}/config:3: the service type never (null) has no counterpart, always down",
        f"{base}/config:4: the service type file (extfile) has no counterpart, states in a file: make it a director",
        f"{base}/config:5: slow: up_thresh is 500, at most 100 are counted here",
        f"{base}/config:13: multifo!blind: ignore_health",
        f"{base}/config:14: addrs_v4 and addrs_v6 have different service_types; a pool has one set (named at {base}/zo",
        f"{base}/zones/example.com:13: reflect: the plugin reflect has no counterpart here: n5.example.com. is",
        f"{base}/zones/example.com:14: geoip!x: answers by geography have no counterpart here",
        f"{base}/config:17: www.example.net.: a CNAME can't be a member here: members are addresses (named at ",
        f"{base}/zones/example.com:15",
        f"{base}/config: left out, as no zone names them: multifo!unused",
    ]
    for line in wanted:
        assert line in found.err, f"{line}\n--- not in\n{found.err}"
    assert found.code == 0
    assert set(found.pools()["pools"]) == {"ok", "dead", "filed", "blind"}
    assert "n4" not in found.zone()
    assert "NOT imported: " in (found.folder / "example.com.yaml").read_text()


@pytest.mark.parametrize(
    ("config", "zone", "message"),
    [
        ("plugins => {", "", "config:1: the file ends in the middle"),
        ("pluggins => {}", "", "config:1: gdnsd knows options, service_types and plugins, not 'pluggins'"),
        ("", "www DYNA multifo!x\n", "the configuration has no plugin multifo: www.example.com. is left out"),
        ("plugins => { multifo => {} }", "www DYNA multifo!x\n", "multifo has no resource 'x'"),
        ("plugins => { multifo => { x => { service_types => no, a => 192.0.2.1 } } }", "www DYNA multifo!x\n",
         "there is no service type 'no'"),
        ("plugins => { multifo => { x => { up_thresh => 2, a => 192.0.2.1 } } }", "www DYNA multifo!x\n",
         "config:1: up_thresh is a number above 0.0 and up to 1.0"),
        ("service_types => { s => { plugin => tcp_connect } }\nplugins => { multifo => { x => { service_types => s, "
         "a => 192.0.2.1 } } }", "www DYNA multifo!x\n", "config:1: the service type s has no port"),
    ],
)  # fmt: skip
def test_faults_have_places_and_no_traceback(config: str, zone: str, message: str, imported) -> None:  # type: ignore[no-untyped-def]
    found = imported(config, zone, check=False)
    assert message in found.err
    assert found.code == (0 if zone else 1)


def test_where_to_write_must_be_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", "--from", "gdnsd", str(tmp_path)]) == 2
    assert "--out DIR" in capsys.readouterr().err
    assert cli.main(["import", "--from", "gdnsd", str(tmp_path), "--out", str(tmp_path / "o")]) == 1
    assert "there are no zones" in capsys.readouterr().err


# ---------------------------------------------------------------- as answers


@dataclass
class Gdnsd:
    """A real gdnsd on a folder."""

    port: int
    process: subprocess.Popen[bytes]

    def addresses(self, name: str, rtype: str = "A") -> set[str]:
        query = dns.message.make_query(name, rtype)
        answer = dns.query.udp(query, "127.0.0.1", timeout=5, port=self.port)
        assert answer.rcode() == dns.rcode.NOERROR
        return {str(rr) for rrset in answer.answer for rr in rrset if rr.rdtype in (1, 28)}


@contextlib.contextmanager
def gdnsd(folder: Path, port: int) -> Iterator[Gdnsd]:
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(["gdnsd", "-c", str(folder), "start"], stdout=log, stderr=log)
    try:
        server = Gdnsd(port, process)
        live.wait_for(lambda: process.poll() is not None or server.addresses("ns1.example.com."), 40, "gdnsd answers")
        assert process.poll() is None, (folder / "log").read_text()
        yield server
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


PLUGINS = """
  multifo => {{ service_types => web
    all => {{ up_thresh => 0.3, {three} }}
    half => {{ up_thresh => 0.7, {three} }} }}
  weighted => {{ service_types => web
    one => {{ up_thresh => 0.1, {weights} }}
    many => {{ up_thresh => 0.1, multi => true, {weights} }} }}
"""
NAMES = {"all": "multifo!all", "half": "multifo!half", "one": "weighted!one", "many": "weighted!many"}
STANDBY = """
  simplefo => {{ service_types => web, pair => {{ primary => {0}, secondary => {1} }} }}
  metafo => {{ service_types => web, resources => {{ far => {{
    datacenters => [ near, back ], dcmap => {{ near => [ {0}, {1} ], back => {2} }} }} }} }}
"""
STANDBY_NAMES = {"pair": "simplefo!pair", "far": "metafo!far"}


def failover_is_read() -> bool:
    """Whether the loader knows `failover:`; until then those resources are tested as text only."""
    text = b"pools: {a: {check: [], members: [192.0.2.1], failover: {scheme: idle-standby, failback: 0}}}"
    return zonefile.load({"pools.yaml": text}).dataset is not None


def seen(server: Gdnsd | live.Server, name: str, times: int = 60) -> set[frozenset[str]]:
    """The sets of addresses that come, over many answers."""
    return {frozenset(server.addresses(f"{name}.example.com.")) for _ in range(times)}


def test_rrdns_answers_as_gdnsd_did() -> None:
    """All up, one down, two down, all back: the same sets of addresses from both, over the same real web servers."""
    needs("gdnsd")
    with tempfile.TemporaryDirectory(prefix="rrdns-gdnsd-") as name, live.web_servers(3) as web:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "zones").mkdir()
        names = {**NAMES, **(STANDBY_NAMES if failover_is_read() else {})}
        zone = ZONE + "".join(f"{one} DYNA {reference}\n" for one, reference in names.items())
        (folder / "zones" / "example.com").write_text(zone)
        port = live.free_port("127.0.0.1")
        plugins = PLUGINS.format(
            three=", ".join(f"m{at} => {one.address}" for at, one in enumerate(web)),
            weights=", ".join(f"m{at} => [ {one.address}, 4 ]" for at, one in enumerate(web)),
        )
        plugins += STANDBY.format(*(one.address for one in web))
        config = CONFIG.format(address="127.0.0.1", port=port, folder=folder, web=web[0].port, plugins=plugins)
        (folder / "config").write_text(config)
        if os.geteuid() == 0:
            (folder / "run").mkdir()
            (folder / "state").mkdir()
        assert cli.main(["import", "--from", "gdnsd", str(folder), "--out", str(folder / "out")]) == 0
        ours = live.Server(folder, folder / "out")
        with gdnsd(folder, port) as theirs:
            try:
                ours.start()
                for dead in ([], [0], [0, 1], [0, 1, 2], []):
                    for at, one in enumerate(web):
                        one.status(503 if at in dead else 200)
                    wanted = states([one.address for one in web], dead)
                    for name_, sets in ((one, wanted[one]) for one in names):
                        for server in (theirs, ours):
                            what = f"{type(server).__name__} {name_} with {dead} down: {sets}"
                            live.wait_for(lambda s=server, n=name_, w=sets: seen(s, n) == w, 60, what)
            finally:
                ours.end()
                live.end_leftovers(ours.state)


def states(addresses: list[str], dead: list[int]) -> dict[str, set[frozenset[str]]]:
    """What the manual of gdnsd promises: below up_thresh everybody."""
    left = frozenset(one for at, one in enumerate(addresses) if at not in dead)
    everybody = frozenset(addresses)
    kept = left or everybody
    return {
        "all": {kept},
        "half": {left if len(left) == 3 else everybody},
        "one": {frozenset([one]) for one in kept},
        "many": {kept},
        "pair": {frozenset([next((one for one in addresses[:2] if one in left), addresses[0])])},
        "far": {left & frozenset(addresses[:2]) or left or frozenset(addresses[:2])},
    }
