"""Settings from rrdns.yaml and flags: each key, each mistake with its place, and who wins."""

from __future__ import annotations

import argparse
import os
from dataclasses import fields
from pathlib import Path

import pytest

from rrdns.settings import Settings
from rrdns.ui import config
from rrdns.ui.config import ConfigError

EVERY_KEY = b"""\
# comments are fine
zones: lb
listen: ['192.0.2.53:53', '[2001:db8::53]', 127.0.0.1:5300]
workers: 2
state: /var/lib/rrdns
control: run/control.sock
control_group: root
user: root
strict: true
log_format: json
log_level: debug
start_wait: 500ms
health_max_age: 10m
journal_age: 30d
journal_size: 256MB
stale: servfail
max_stale: 300
isolation_hold: 1m
witness: [192.0.2.1, '2001:db8::1']
udp_limit: 1400
udp_ratio: 5
udp_ratio_all: true
nsid: server-1
cookies: false
cookie_secret: [e5e973e5a6b2a43f48e7dc849e37bfcf, '445536BCD2513298075A5D379663C962']
cookie_required_udp: true
ede: true
version_text: none of your business
hostname_text: ns1
tcp_connections: 10
tcp_per_client: 5
tcp_idle: 2.5
rrl: 200
rrl_slip: 3
rrl_exempt: [192.0.2.0/24, '2001:db8::/32']
resolvers: [192.0.2.53, '[::1]:5353']
check_concurrency: 100
command_concurrency: 4
metrics_listen: 127.0.0.1:9553
notify: [{name: ops, type: mail, server: localhost, tls: none, from: rrdns@example.com, to: ops@example.com}]
x-note: anything
"""


def arguments(**given: object) -> argparse.Namespace:
    empty = dict.fromkeys(("config", "zones", "listen", "workers", "state", "control", "user", "strict"))
    return argparse.Namespace(**{**empty, **given})


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config.parse("rrdns.yaml", text.encode())
    return str(caught.value)


def test_every_key_of_settings_is_read() -> None:
    values = config.parse("/etc/rrdns/rrdns.yaml", EVERY_KEY)
    assert values.keys() == {field.name for field in fields(Settings)}
    assert values["listen"] == (("192.0.2.53", 53), ("2001:db8::53", 53), ("127.0.0.1", 5300))
    assert values["start_wait"] == 0.5 and values["health_max_age"] == 600 and values["tcp_idle"] == 2.5
    assert values["zones"] == "/etc/rrdns/lb" and values["control"] == "/etc/rrdns/run/control.sock"
    assert values["state"] == "/var/lib/rrdns"
    assert Settings.from_json(Settings(**values).to_json()) == Settings(**values)


def test_nothing_but_comments_is_fine() -> None:
    assert config.parse("rrdns.yaml", b"\n# listen: x\n") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("listn: x", "rrdns.yaml:1:1: listn: unknown key, did you mean 'listen'?"),
        ("log-format: json", "rrdns.yaml:1:1: log-format: unknown key, did you mean 'log_format'?"),
        ("workers: many", "rrdns.yaml:1:10: workers: 'many' is not a whole number between 0 and 512"),
        ("workers: -1", "rrdns.yaml:1:10: workers: -1 is not"),
        ("workers: true", "rrdns.yaml:1:10: workers: true is not"),
        ("start_wait: soon", "rrdns.yaml:1:13: start_wait: 'soon' is no duration; write 30s"),
        ("start_wait: 1h", "rrdns.yaml:1:13: start_wait: '1h' is not between 0s and 5m"),
        ("start_wait: .nan", "rrdns.yaml:1:13: start_wait: .nan is not between"),
        ("stale: maybe", "rrdns.yaml:1:8: stale: 'maybe' is none of serve, servfail"),
        ("strict: 'yes'", "rrdns.yaml:1:9: strict: 'yes' is neither true nor false"),
        ("user: nobody-of-this-name", "there is no user 'nobody-of-this-name'"),
        (
            "control_group: nobodies",
            "rrdns.yaml:1:16: control_group: there is no group 'nobodies' (to make one: groupadd",
        ),
        ("control_group: 0", "rrdns.yaml:1:16: control_group: 0 is no text"),
        ("listen: 300.0.0.1:53", "'300.0.0.1' is no IP address"),
        ("listen: '*:53'", "write 0.0.0.0:53 for all IPv4 addresses"),
        ("listen: '2001:db8::1:53:'", "is no IP address"),
        ("listen: 192.0.2.1:66000", "port '66000' is not between 0 and 65535"),
        ("listen: '[::1]53'", "write an IPv6 address and port as [2001:db8::53]:53"),
        ("witness: [gateway]", "rrdns.yaml:1:10: witness: 'gateway' does not appear to be an IPv4 or IPv6 address"),
        ("zones: [a]", "is no text"),
        ("cookie_secret: abc", "cookie_secret: takes 32 hex digits in quotes, or a list of such (to make one: openssl"),
        ("cookie_secret: [12345678901234567890123456789012]", "takes 32 hex digits in quotes"),
        ("cookie_secret: []", "is empty; leave it out for a random secret"),
        (f"nsid: {'x' * 129}", "nsid: has 129 bytes, at most 128 are possible"),
        ("a: b: c", "rrdns.yaml:1:"),
        ("- a", "rrdns.yaml:1:1: is a list"),
    ],
)
def test_mistakes_have_a_place_and_a_way_out(text: str, said: str) -> None:
    assert said in complaint(text)


def test_all_mistakes_at_once() -> None:
    assert len(complaint("workers: x\nstale: y\nfoo: 1\n").splitlines()) == 1 + 3


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "rrdns.yaml"
    file.write_text("workers: 3\nlog_level: error\nudp_limit: 512\n")
    found = config.settings(arguments(config=str(file), workers=0, listen=[("127.0.0.1", 5300)]))
    assert found.workers == 0 and found.log_level == "error" and found.udp_limit == 512
    assert found.listen == (("127.0.0.1", 5300),)
    assert found.state and found.control, "the defaults are filled in"


def test_a_missing_file_that_was_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        config.settings(arguments(config=str(tmp_path / "none.yaml")))


def test_the_same_address_twice() -> None:
    with pytest.raises(ConfigError, match="given twice"):
        config.settings(arguments(config=os.devnull, listen=[("127.0.0.1", 53), ("127.0.0.1", 53)]))


def test_where_a_client_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RRDNS_CONTROL", "RRDNS_STATE"):
        monkeypatch.delenv(name, raising=False)
    ask = argparse.Namespace(control=None, state=None)
    (tmp_path / "rrdns.yaml").write_text("control: my.sock\nstate: kept\n")
    assert config.server_paths(ask)[:2] == ("my.sock", "kept")
    monkeypatch.setenv("RRDNS_CONTROL", "/run/other.sock")
    assert config.server_paths(ask) == ("/run/other.sock", "", "")
    ask.control = "/run/named.sock"
    assert config.server_paths(ask) == ("/run/named.sock", "", "")
    monkeypatch.setenv("RRDNS_STATE", "/var/lib/other")
    assert config.server_paths(ask) == ("/run/named.sock", "/var/lib/other", "")
