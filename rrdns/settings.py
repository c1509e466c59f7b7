"""Server settings: one frozen record that flags and `rrdns.yaml` fill and every process gets as JSON.

Standard library only: the supervisor and the workers import it. Reading YAML is the CLI's business.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes in bytes, times in seconds. `listen` holds (address, port); empty: the defaults that exist."""

    zones: str = "zones"
    listen: tuple[tuple[str, int], ...] = ()
    workers: int = 0
    """0: one per CPU this process may run on."""
    state: str = ""
    """Directory for what is kept; "none" keeps nothing; empty: default_state()."""
    control: str = ""
    """Path of the control socket; empty: default_control()."""
    control_group: str = ""
    """The group whose members may use it; empty: the main group of the user the server runs as."""
    user: str = ""
    strict: bool = False
    log_format: str = "text"
    log_level: str = "info"
    start_wait: float = 5.0
    health_max_age: float = 600.0
    journal_age: float = 14 * 86400.0
    """The inputs of decisions are kept for so long, """
    journal_size: int = 64 << 20
    """and at most so many bytes of them; 0 keeps none."""
    stale: str = "serve"
    """What workers answer when control has been silent for max_stale: serve | servfail."""
    max_stale: float = 300.0
    isolation_hold: float = 60.0
    witness: tuple[str, ...] = ()
    udp_limit: int = 1232
    udp_ratio: int = 4
    """A pool's answer by UDP is at most so many times its query, unless a cookie proved who asks; 0: no such limit."""
    udp_ratio_all: bool = False
    """Other UDP replies too: they are cut off."""
    nsid: str = ""
    """What a client that asks for it is told of which server this is (RFC 5001); empty: nothing."""
    cookies: bool = True
    """DNS cookies (RFC 7873)."""
    cookie_secret: tuple[str, ...] = ()
    """32 hex digits each: the first makes cookies, all are known. Empty: a random one at the start of the server."""
    cookie_required_udp: bool = False
    """UDP queries with a cookie that is none of ours get BADCOOKIE instead of an answer."""
    ede: bool = False
    """Says in the reply why there is no answer, or why it may not be good (RFC 8914)."""
    version_text: str = ""
    """The answer to version.bind and version.server, TXT in class CH; empty: REFUSED."""
    hostname_text: str = ""
    """The answer to hostname.bind and id.server."""
    tcp_connections: int = 256
    """Per worker; the longest idle is closed for a new one."""
    tcp_per_client: int = 64
    """Of those, from one address: a quarter, so that four at least are needed to push the others out."""
    tcp_idle: float = 10.0
    rrl: int = 0
    """UDP replies a second to one client network (/24, /56), all workers together; 0: as many as asked for."""
    rrl_slip: int = 1
    """Of the replies beyond it every n-th is sent, cut off, so that the client comes by TCP; 0: none."""
    rrl_exempt: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    resolvers: tuple[str, ...] = ()
    """Who is asked for members given by host name: ADDR:PORT or [ADDR]:PORT, in this order; empty: the machine's."""
    check_concurrency: int = 512
    command_concurrency: int = 16
    metrics_listen: tuple[tuple[str, int], ...] = ()
    """Where /metrics and /healthz are answered by TCP; empty: nowhere, only on the control socket."""
    notify: tuple[Mapping[str, Any], ...] = ()
    """Sinks as `notify.sinks` writes them: who is told of transitions."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        data = json.loads(text)
        known = {field.name for field in fields(cls)}
        data = {name: value for name, value in data.items() if name in known}
        data["listen"] = tuple((str(address), int(port)) for address, port in data.get("listen", ()))
        data["metrics_listen"] = tuple((str(address), int(port)) for address, port in data.get("metrics_listen", ()))
        for name in ("witness", "resolvers", "rrl_exempt", "cookie_secret", "notify"):
            if name in data:
                data[name] = tuple(data[name])
        return cls(**data)


def default_control() -> str:
    """/run/rrdns/control.sock for root, else below $XDG_RUNTIME_DIR or, without one, the state folder."""
    if os.geteuid() == 0:
        return "/run/rrdns/control.sock"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return str(Path(runtime, "rrdns", "control.sock") if runtime else Path(default_state(), "control.sock"))


def default_state() -> str:
    """/var/lib/rrdns for root, else $XDG_STATE_HOME/rrdns (~/.local/state/rrdns)."""
    if os.geteuid() == 0:
        return "/var/lib/rrdns"
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(base, "rrdns"))
