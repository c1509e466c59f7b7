"""The shape of checks, as pydantic models. See `checks.py` for the use. Must not know: YAML positions, pools."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal

from rrdns.model import Elsewhere
from rrdns.wire import BadName, name_from_text, type_number
from rrdns.zonefile import readers
from rrdns.zonefile.scalars import show
from rrdns.zonefile.shape_values import (
    BeforeValidator,
    Count,
    Field,
    Model,
    Port,
    Reads,
    Status,
    many,
    seconds,
    text,
    whole,
)

# ---------------------------------------------------------------- single values

RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")


def _dns_name(value: object) -> bytes:
    found = readers.text(value)
    try:
        return name_from_text(found)
    except BadName as error:
        raise ValueError(f"{show(found)} {error}") from None


def _dns_type(value: object) -> int:
    number = type_number(readers.text(value))
    if number in (0, 41) or 249 <= number <= 255:  # OPT; TKEY TSIG IXFR AXFR MAILB MAILA ANY
        raise ValueError(f"{show(value)} is no type of record that can be asked for here")
    return number


def _rcode(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return readers.whole(value, 0, 15)
    return RCODES.index(readers.choice(value, RCODES))


def _elsewhere(value: object) -> Elsewhere:
    """`10.1.0.5`, `10.1.0.{last}`, or a mapping of networks: `{192.0.2.0/24: 10.1.0.0/24}`."""
    if isinstance(value, dict):
        if not value:
            raise ValueError("an empty mapping: write {192.0.2.0/24: 10.1.0.0/24}")
        return Elsewhere(map=tuple(_pair(here, there) for here, there in value.items()))
    template = readers.text(value)
    try:
        ip_address(template.replace("{last}", "1").replace("{address}", "192.0.2.1"))
    except ValueError:
        wanted = "write an address, one with {last} in it (10.1.0.{last}), or a mapping of networks"
        raise ValueError(f"{show(template)} is no place to ask: {wanted}") from None
    return Elsewhere(template)


def _pair(here: object, there: object) -> tuple[str, str]:
    networks = []
    for one in (here, there):
        try:
            networks.append(ip_network(readers.text(one)))
        except ValueError as error:
            raise ValueError(f"{show(one)} is no address or network: {error}") from None
    if networks[0].version != networks[1].version or networks[0].prefixlen != networks[1].prefixlen:
        raise ValueError(f"{show(here)} and {show(there)} are not of one size")
    return str(networks[0]), str(networks[1])


def _plain(value: object) -> str:
    """Words that stand in a line of a protocol."""
    found = readers.text(value)
    if not found.isascii() or not found.isprintable() or " " in found:
        raise ValueError(f"{show(found)} can't be sent: plain characters without blanks")
    return found


_At = Annotated[
    Elsewhere,
    Reads(_elsewhere, anyOf=[{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]),
]
_Verify = Annotated[bool, Reads(readers.truth, type="boolean")]
_Truth = _Verify
_STATUSES = BeforeValidator(readers.as_list, json_schema_input_type=int | str | list[int | str])
_Rcode = Annotated[int, Reads(_rcode, type=["integer", "string"])]
_Host = Annotated[str, text(readers.host)]

# ---------------------------------------------------------------- checks


class CheckModel(Model):
    interval: Annotated[float, seconds(0.1, 86400)] = Field(5.0, description="time between two probes")
    timeout: Annotated[float, seconds(0.01, 600)] = Field(2.0, description="longest time one probe may take")
    fall: Count = Field(3, description="failures that mean down")
    rise: Count = Field(3, description="successes in a row that mean up again")
    ok: Count = Field(5, description="successes in a row that clear the failures counted while up")
    fast: Annotated[float, seconds(0.1, 86400)] = Field(1.0, description="interval while failures are counted")
    at: _At | None = Field(None, description="asked there instead: an address, 10.1.0.{last}, or a map of networks")


class TcpCheck(CheckModel):
    """Connect; optionally send something and wait for an answer."""

    type: Literal["tcp"]
    port: Port
    send: Annotated[str, text()] = ""
    expect: Annotated[str, text()] = Field("", description="text that must come back")


class HttpCheck(CheckModel):
    """One HTTP request per probe."""

    type: Literal["http", "https"]
    port: Port | None = Field(None, description="80 for http, 443 for https")
    method: Annotated[str, text(readers.token)] = "GET"
    path: Annotated[str, text(readers.url_path)] = "/"
    host: _Host = Field("", description="Host header and TLS server name")
    headers: dict[Annotated[str, text(readers.token)], Annotated[str, text(readers.header_value)]] = Field({})
    status: Annotated[list[Status], _STATUSES] = Field([(200, 299)], description="200, 200-399, or a list")
    body: Annotated[str, text()] = Field("", description="text that must be in the body")
    body_limit: Annotated[int, whole(1, 16 * 1024 * 1024)] = 65536
    verify: _Verify = Field(True, description="check the certificate")


class CommandCheck(CheckModel):
    """Run a program; exit code 0 is up. {address} and {port} in its arguments are replaced."""

    type: Literal["command"]
    command: Annotated[
        tuple[str, ...], Reads(readers.command, anyOf=[{"type": "string"}, {"type": "array", "items": {}}])
    ]
    port: Port | None = None


class TlsCheck(CheckModel):
    """A TLS handshake, and how long the certificate still lasts."""

    type: Literal["tls"]
    port: Port = 443
    host: _Host = Field("", description="whom the certificate must name; default the address")
    verify: _Verify = Field(True, description="check the certificate")
    warn: Annotated[float, seconds(0, 3650 * 86400)] = Field(14 * 86400.0, description="say so when less is left")
    min: Annotated[float, seconds(0, 3650 * 86400)] = Field(0.0, description="fail when less is left")


class DnsCheck(CheckModel):
    """One DNS question over UDP."""

    type: Literal["dns"]
    port: Port = 53
    name: Annotated[bytes, Reads(_dns_name, type="string")]
    qtype: Annotated[int, Reads(_dns_type, type=["integer", "string"])] = Field(1, description="default A")
    rcode: Annotated[list[_Rcode], many(int | str)] = Field([0], description="NOERROR, or a list of words")
    expect: Annotated[list[Any], many(Any)] = Field([], description="one of these must be in the answer")
    recurse: _Truth = Field(False, description="ask for recursion (RD), as of a resolver")


class IcmpCheck(CheckModel):
    """One ping."""

    type: Literal["icmp"]


class SmtpCheck(CheckModel):
    """Greeting, EHLO, QUIT."""

    type: Literal["smtp"]
    port: Port | None = Field(None, description="25, or 465 with tls")
    helo: Annotated[str, text(_plain)] = Field("", description="our name; default this host's")
    starttls: _Truth = Field(False, description="STARTTLS must be offered")
    tls: _Truth = Field(False, description="TLS from the first byte")
    host: _Host = Field("", description="TLS server name")
    verify: _Verify = Field(True, description="check the certificate")


class GrpcCheck(CheckModel):
    """grpc.health.v1; needs the extra rrdns[grpc]."""

    type: Literal["grpc"]
    port: Port
    service: Annotated[str, text(_plain)] = Field("", description="the service asked about; default the server as such")
    tls: _Truth = False
    host: _Host = Field("", description="authority and TLS server name")
    verify: _Verify = Field(True, description="check the certificate")


class AgentCheck(CheckModel):
    """One line as HAProxy's agent-check has it: up 75%, drain, maint, down#why."""

    type: Literal["agent"]
    port: Port
    send: Annotated[str, text()] = Field("", description="said first (HAProxy's agent-send)")


AnyCheck = TcpCheck | HttpCheck | CommandCheck | TlsCheck | DnsCheck | IcmpCheck | SmtpCheck | GrpcCheck | AgentCheck
CHECKS: dict[str, type[AnyCheck]] = {
    "tcp": TcpCheck,
    "http": HttpCheck,
    "https": HttpCheck,
    "tls": TlsCheck,
    "dns": DnsCheck,
    "icmp": IcmpCheck,
    "smtp": SmtpCheck,
    "grpc": GrpcCheck,
    "agent": AgentCheck,
    "command": CommandCheck,
}
