"""Checks: from the mappings of a pools file to model.Check. Must not know: pools, pydantic, how a host is asked."""

from __future__ import annotations

from rrdns import wire
from rrdns.model import (
    AgentProbe,
    Check,
    CommandProbe,
    DnsProbe,
    GrpcProbe,
    HttpProbe,
    IcmpProbe,
    Probe,
    SmtpProbe,
    TcpProbe,
    TlsProbe,
)
from rrdns.zonefile import check_shapes as shapes
from rrdns.zonefile import rdata, readers
from rrdns.zonefile.complaints import Complaints, did_you_mean
from rrdns.zonefile.fitting import read_model
from rrdns.zonefile.scalars import show
from rrdns.zonefile.yaml_nodes import Map, Seq


def read_check(name: str, body: Map, path: str, out: Complaints) -> Check | None:
    """One check; None if it has faults, which are reported."""
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in shapes.CHECKS:
        if kind is None:
            out.problem(body.at("type"), path, f"has no type; possible are {', '.join(shapes.CHECKS)}")
        else:
            near = did_you_mean(kind, shapes.CHECKS) if isinstance(kind, str) else ""
            message = f"{show(kind)} is none of {', '.join(shapes.CHECKS)}{near}"
            out.problem(body.at("type"), f"{path}.type", message)
        return None
    model = read_model(shapes.CHECKS[kind], body, "check", path, out)
    if model is None:
        return None
    _question_check(model, body, path, out)
    # Never slower while a failure counter runs than in quiet times.
    fast = model.fast if "fast" in body else min(model.fast, model.interval)
    found = _dns(model, body, path, out) if isinstance(model, shapes.DnsCheck) else _probe(model)
    if found is None:
        return None
    port, probe = found
    times = model.interval, model.timeout, model.fall, model.rise, model.ok, fast
    return Check(name, kind, port, probe, *times, at=model.at)


def _probe(model: shapes.AnyCheck) -> tuple[int, Probe]:
    match model:
        case shapes.TcpCheck():
            return model.port, TcpProbe(model.send.encode(), model.expect.encode())
        case shapes.CommandCheck():
            return model.port or 0, CommandProbe(model.command)
        case shapes.HttpCheck():
            tls = model.type == "https"
            return model.port or (443 if tls else 80), HttpProbe(
                tls=tls,
                method=model.method,
                path=model.path,
                host=model.host,
                headers=tuple(model.headers.items()),
                statuses=tuple(model.status),
                body=model.body,
                body_limit=model.body_limit,
                verify=model.verify,
            )
        case shapes.TlsCheck():
            return model.port, TlsProbe(model.host, model.verify, model.warn, model.min)
        case shapes.SmtpCheck():
            port = model.port or (465 if model.tls else 25)
            return port, SmtpProbe(model.helo, model.starttls, model.tls, model.host, model.verify)
        case shapes.GrpcCheck():
            return model.port, GrpcProbe(model.service, model.tls, model.host, model.verify)
        case shapes.AgentCheck():
            return model.port, AgentProbe(model.send.encode())
        case _:
            return 0, IcmpProbe()


def _dns(model: shapes.DnsCheck, body: Map, path: str, out: Complaints) -> tuple[int, Probe] | None:
    """What is expected has the form that a record of the type asked for has in a zone file."""
    wanted: list[bytes] = []
    sound = True
    listed = body.get("expect")
    for index, value in enumerate(model.expect):
        many = isinstance(listed, Seq)
        spot = listed.spots[index] if isinstance(listed, Seq) else body.at("expect")
        try:
            wanted.append(_lower(model.qtype, rdata.encode(model.qtype, value, b"\0")))
        except rdata.RdataError as error:
            out.problem(spot, f"{path}.expect.{index}" if many else f"{path}.expect", str(error))
            sound = False
    if wanted and model.rcode != [0]:
        message = "only an answer of NOERROR has records to expect: leave rcode: out"
        out.problem(body.at("expect"), f"{path}.expect", message)
        sound = False
    if not sound:
        return None
    rcodes = tuple(dict.fromkeys(model.rcode))
    return model.port, DnsProbe(model.name, model.qtype, rcodes, tuple(dict.fromkeys(wanted)), model.recurse)


def _lower(rtype: int, data: bytes) -> bytes:
    """Names in rdata compare without case; what stands before or behind them does not."""
    before = {wire.NS: 0, wire.CNAME: 0, 12: 0, wire.MX: 2, wire.SRV: 6}.get(rtype)
    if rtype == wire.SOA:
        return data[:-20].lower() + data[-20:]
    return data if before is None else data[:before] + data[before:].lower()


def _question_check(model: shapes.AnyCheck, body: Map, path: str, out: Complaints) -> None:
    """What is allowed and probably not meant."""
    time = readers.duration_text
    if model.timeout > model.interval:
        key = "timeout" if "timeout" in body else "interval"
        message = f"the timeout, {time(model.timeout)}, is longer than the interval, {time(model.interval)}"
        out.warning(body.at(key), f"{path}.{key}", f"{message}: dead hosts are asked less often")
    if "fast" in body and model.fast > model.interval:
        message = f"{time(model.fast)} is longer than the interval, {time(model.interval)}"
        out.warning(body.at("fast"), f"{path}.fast", f"{message}: failing hosts are asked less often")
    if isinstance(model, shapes.HttpCheck) and model.method == "HEAD" and model.body:
        out.problem(body.at("body"), f"{path}.body", "an answer to HEAD has no body: use GET")
    if isinstance(model, shapes.HttpCheck | shapes.TlsCheck | shapes.SmtpCheck | shapes.GrpcCheck):
        _question_tls(model, body, path, out)


def _question_tls(
    model: shapes.HttpCheck | shapes.TlsCheck | shapes.SmtpCheck | shapes.GrpcCheck,
    body: Map,
    path: str,
    out: Complaints,
) -> None:
    if isinstance(model, shapes.HttpCheck):
        in_tls, how = model.type == "https", "type: https"
    else:
        in_tls, how = isinstance(model, shapes.TlsCheck) or model.tls, "tls: true"
    if not in_tls and "verify" in body:
        out.warning(body.at("verify"), f"{path}.verify", f"has no effect without TLS ({how})")
    if in_tls and model.verify and not model.host:
        message = "without host: the certificate must be for the member's address; set host:, or verify: false"
        out.warning(body.spot, path, message)
    if isinstance(model, shapes.TlsCheck) and "warn" in body and model.warn <= model.min:
        message = "fails before it warns: warn: should be longer than min:"
        out.warning(body.at("warn"), f"{path}.warn", message)
