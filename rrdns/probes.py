"""What the checks ask: a fact for each kind of probe, and where it is aimed. Floor 0: plain frozen data.

`model.py` hands them on; import them from there. Must not know: how anything is asked, YAML.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Connect; optionally send bytes and wait until `expect` (a substring) has been seen."""

    send: bytes = b""
    expect: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """One HTTP/1.1 request. `statuses` are inclusive ranges; `body` must stand in the first `body_limit` bytes."""

    tls: bool = False
    method: str = "GET"
    path: str = "/"
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    statuses: tuple[tuple[int, int], ...] = ((200, 299),)
    body: str = ""
    body_limit: int = 65536
    verify: bool = True


@dataclass(frozen=True, slots=True)
class CommandProbe:
    """Run a program; `{address}` and `{port}` in its arguments are replaced; exit code 0 is up."""

    argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TlsProbe:
    """A TLS handshake as `host`, and how long its certificate still lasts, in seconds: with less than `warn` left it
    passes and says so, with less than `least` it fails."""

    host: str = ""
    verify: bool = True
    warn: float = 14 * 86400.0
    least: float = 0.0


@dataclass(frozen=True, slots=True)
class DnsProbe:
    """One question over UDP. `name` is in wire form; `expect`: one of these rdatas (uncompressed, names in lower
    case) must be among the answer's of that type; `recurse` asks for recursion."""

    name: bytes = b"\0"
    qtype: int = 1
    rcodes: tuple[int, ...] = (0,)
    expect: tuple[bytes, ...] = ()
    recurse: bool = False


@dataclass(frozen=True, slots=True)
class IcmpProbe:
    """One echo request (ping)."""


@dataclass(frozen=True, slots=True)
class SmtpProbe:
    """Greeting, EHLO as `helo`, QUIT. `starttls`: STARTTLS must be offered; `tls`: in TLS from the first byte, as
    `host`."""

    helo: str = ""
    starttls: bool = False
    tls: bool = False
    host: str = ""
    verify: bool = True


@dataclass(frozen=True, slots=True)
class GrpcProbe:
    """grpc.health.v1: `service` must be SERVING; "" asks for the server as a whole."""

    service: str = ""
    tls: bool = False
    host: str = ""
    verify: bool = True


@dataclass(frozen=True, slots=True)
class AgentProbe:
    """One line as HAProxy's agent-check has it: `up 75%`, `drain`, `down#why`. `send` is said first."""

    send: bytes = b""


Probe = TcpProbe | HttpProbe | CommandProbe | TlsProbe | DnsProbe | IcmpProbe | SmtpProbe | GrpcProbe | AgentProbe


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A check that is aimed elsewhere than at the address in the answer, for hosts behind NAT.

    `template`: an address, in which {last} is the last number of the answered one (its last 16 bits, in IPv6) and
    {address} all of it. Else `map`: (network in the answer, network asked) of one size; the first that holds it counts,
    and an address in none of them is asked itself.
    """

    template: str = ""
    map: tuple[tuple[str, str], ...] = ()

    def of(self, address: str) -> str:
        """Where to ask for `address`; ValueError if that makes no address."""
        if self.template:
            last = address.rpartition(":" if ":" in address else ".")[2] or "0"
            return str(ip_address(self.template.replace("{last}", last).replace("{address}", address)))
        host = ip_address(address)
        for here, there in self.map:
            answered, asked = ip_network(here), ip_network(there)
            if host in answered:
                return str(asked[int(host) - int(answered.network_address)])
        return address
