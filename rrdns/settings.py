"""Server settings: one frozen record that flags and `rrdns.yaml` fill and every process gets as JSON.

Standard library only: the supervisor and the workers import it. Reading YAML is the CLI's business.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path


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
    user: str = ""
    strict: bool = False
    log_format: str = "text"
    log_level: str = "info"
    start_wait: float = 5.0
    health_max_age: float = 600.0
    stale: str = "serve"
    """What workers answer when control has been silent for max_stale: serve | servfail."""
    max_stale: float = 300.0
    isolation_hold: float = 60.0
    witness: tuple[str, ...] = ()
    udp_limit: int = 1232
    tcp_connections: int = 256
    """Per worker; the longest idle is closed for a new one."""
    tcp_idle: float = 10.0
    check_concurrency: int = 512
    command_concurrency: int = 16

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        data = json.loads(text)
        known = {field.name for field in fields(cls)}
        data = {name: value for name, value in data.items() if name in known}
        data["listen"] = tuple((str(address), int(port)) for address, port in data.get("listen", ()))
        data["witness"] = tuple(data.get("witness", ()))
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
