"""Record data: YAML value <-> wire <-> master-file text. dnspython is the oracle for the wire and the text."""

from __future__ import annotations

import base64
from typing import Any

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdns import wire
from rrdns.zonefile import rdata
from rrdns.zonefile.rdata import RdataError, decode, encode, to_text

RELAXED = settings(deadline=None)  # the machine may be busy
ORIGIN = wire.name_from_text("lb.example.com.")
T = wire.TYPES

# ---------------------------------------------------------------- random valid values, as `decode` would show them

U8, U16, U32 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32))
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def escaped(data: bytes) -> str:
    return "".join(
        f"\\{chr(one)}" if one in b'"\\' else chr(one) if 0x20 <= one < 0x7F else f"\\{one:03d}" for one in data
    )


@st.composite
def names(draw: st.DrawFn) -> str:
    labels = draw(st.lists(st.binary(min_size=1, max_size=20) | st.binary(min_size=60, max_size=63), max_size=3))
    return wire.name_to_text(b"".join(bytes((len(one),)) + one for one in labels) + b"\0")


def target_names() -> st.SearchStrategy[str]:
    """Names; of four numbers alone we think that an address was meant."""
    return names().filter(lambda name: not (name.count(".") == 4 and name.replace(".", "").isdigit()))


def hexes(size: int) -> st.SearchStrategy[str]:
    return st.binary(min_size=size, max_size=size).map(bytes.hex)


@st.composite
def hashed(draw: st.DrawFn, number: str, data: str, sizes: dict[int, int], others: dict[str, Any]) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(sizes)))
    return {**{key: draw(one) for key, one in others.items()}, number: kind, data: draw(hexes(sizes[kind]))}


@st.composite
def locations(draw: st.DrawFn) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, limit, signs in (("lat", 90, "NS"), ("long", 180, "EW")):
        thousandths = draw(st.integers(0, limit * 3_600_000))
        seconds = thousandths % 60_000
        value[f"{name}_degrees"] = thousandths // 3_600_000
        value[f"{name}_minutes"] = thousandths // 60_000 % 60
        value[f"{name}_seconds"] = seconds // 1000 if seconds % 1000 == 0 else seconds / 1000
        value[f"{name}_direction"] = draw(st.sampled_from(signs)) if thousandths else signs[0]
    value["altitude"] = draw(st.integers(-100_000_00, (1 << 32) - 1 - 100_000_00)) / 100
    for name in ("size", "precision_horz", "precision_vert"):
        value[name] = draw(st.integers(0, 9)) * 10 ** draw(st.integers(0, 9)) / 100
    return value


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    priority = draw(st.integers(0, 65535))
    value: dict[str, Any] = {"svcpriority": priority, "targetname": draw(target_names())}
    if priority == 0:
        return value
    ech = st.binary(min_size=4, max_size=30).map(lambda data: len(data).to_bytes(2, "big") + data)
    params: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "alpn": st.lists(st.binary(min_size=1, max_size=20).map(escaped), min_size=1, max_size=3),
                "port": U16,
                "ipv4hint": st.lists(st.ip_addresses(v=4).map(str), min_size=1, max_size=3),
                "ech": ech.map(lambda data: base64.b64encode(data).decode()),
                "ipv6hint": st.lists(st.ip_addresses(v=6).map(str), min_size=1, max_size=3),
                "key7": st.binary(min_size=1, max_size=20).map(escaped),
                "key9999": st.none() | st.binary(min_size=1, max_size=20).map(escaped),
            },
        )
    )
    if "alpn" in params and draw(st.booleans()):
        params["no-default-alpn"] = None
    some: bool = draw(st.booleans())
    if params and some:
        params["mandatory"] = draw(st.lists(st.sampled_from(sorted(params)), min_size=1, unique=True))
        params["mandatory"].sort(key=_key_number)
    if params:
        value["svcparams"] = {key: params[key] for key in sorted(params, key=_key_number)}
    return value


def _key_number(key: str) -> int:
    known = ("mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint")
    return known.index(key) if key in known else int(key[3:])


STRING = st.binary(max_size=255).map(escaped)
VALUES: dict[int, st.SearchStrategy[Any]] = {
    T["A"]: st.ip_addresses(v=4).map(str),
    T["AAAA"]: st.ip_addresses(v=6).map(str),
    T["NS"]: target_names(),
    T["CNAME"]: target_names(),
    T["DNAME"]: target_names(),
    T["PTR"]: target_names(),
    T["MX"]: st.fixed_dictionaries({"preference": U16, "exchange": target_names()}),
    T["SRV"]: st.fixed_dictionaries({"priority": U16, "weight": U16, "port": U16, "target": target_names()}),
    T["SOA"]: st.fixed_dictionaries(
        {"mname": target_names(), "contact": target_names()}
        | dict.fromkeys(("serial", "refresh", "retry", "expire", "minimum"), st.integers(0, (1 << 31) - 1))
    ),
    T["NAPTR"]: st.fixed_dictionaries(
        {"order": U16, "preference": U16}
        | dict.fromkeys(("flags", "service", "regexp"), STRING)
        | {"replacement": target_names()}
    ),
    T["CAA"]: st.fixed_dictionaries(
        {
            "flags": U8,
            "tag": st.text("abcxyzABC019", min_size=1, max_size=15),
            "value": st.binary(max_size=300).map(escaped),
        }
    ),
    T["DS"]: hashed("digest_type", "digest", {1: 20, 2: 32, 4: 48, 3: 32}, {"key_tag": U16, "algorithm": U8}),
    T["SSHFP"]: hashed("fingerprint_type", "fingerprint", {1: 20, 2: 32}, {"algorithm": U8}),
    T["TLSA"]: hashed(
        "matching_type",
        "certificate_association_data",
        {0: 70, 1: 32, 2: 64, 9: 5},
        {"certificate_usage": U8, "selector": U8},
    ),
    T["LOC"]: locations(),
    T["SVCB"]: services(),
    T["HTTPS"]: services(),
    65400: st.binary(max_size=40).map(lambda data: rf"\# {len(data)} {data.hex()}".rstrip()),
}


def agrees_with_dnspython(rtype: int, data: bytes) -> None:
    """Our text, read by dnspython, is our wire; and dnspython reads our wire as a record that is the same again."""
    kind = dns.rdatatype.RdataType.make(rtype)
    text = to_text(rtype, data)
    parsed = dns.rdata.from_wire(dns.rdataclass.IN, kind, data, 0, len(data))
    assert dns.rdata.from_text(dns.rdataclass.IN, kind, text) == parsed
    assert parsed.to_wire() == data


@pytest.mark.parametrize("rtype", VALUES, ids=wire.type_name)
def test_values_come_back_and_dnspython_agrees(rtype: int) -> None:
    @RELAXED
    @given(VALUES[rtype])
    def check(value: Any) -> None:
        data = encode(rtype, value, ORIGIN)
        assert decode(rtype, data) == value
        assert encode(rtype, rf"\# {len(data)} {data.hex()}", ORIGIN) == data
        if rtype == T["LOC"]:  # dnspython cuts altitudes off in floats, see masterfile.py; whole metres are exact
            value = value | {"altitude": int(value["altitude"])}
            data = encode(rtype, value, ORIGIN)
        agrees_with_dnspython(rtype, data)

    check()


def test_every_type_of_the_list_is_tried() -> None:
    assert set(rdata.WORDS.values()) == {rtype for rtype in VALUES if rtype < 1000} | {wire.TXT}


# ---------------------------------------------------------------- TXT


@RELAXED
@given(st.lists(st.binary(max_size=255), min_size=1, max_size=4))
def test_text_strings_of_any_bytes_come_back(strings: list[bytes]) -> None:
    data = b"".join(bytes((len(one),)) + one for one in strings)
    assert encode(wire.TXT, decode(wire.TXT, data), ORIGIN) == data
    agrees_with_dnspython(wire.TXT, data)


@RELAXED
@given(st.text(PRINTABLE + "äß€😀", min_size=1, max_size=600))
def test_plain_text_is_what_it_says(text: str) -> None:
    if text[0] == '"' or '" "' in text or "\\;" in text or text.startswith("\\#"):
        return
    data = encode(wire.TXT, text, ORIGIN)
    strings = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.TXT, data, 0, len(data)).strings  # type: ignore[attr-defined]
    assert b"".join(strings) == text.encode()
    assert all(len(one) == 255 for one in strings[:-1])
    assert encode(wire.TXT, text.replace(";", "\\;"), ORIGIN) == data


@pytest.mark.parametrize(
    ("value", "strings"),
    [
        (r"v=DKIM1\; k=rsa", [b"v=DKIM1; k=rsa"]),
        ("v=DKIM1; k=rsa", [b"v=DKIM1; k=rsa"]),
        ('"txtvers=1" "a=b"', [b"txtvers=1", b"a=b"]),
        (r'"say \"hi\"\; \\ \200"', [b'say "hi"; \\ \xc8']),
        ('""', [b""]),
        ("", [b""]),
        (r"back\slash \" \065", [rb"back\slash \" \065"]),
        ("x" * 300, [b"x" * 255, b"x" * 45]),
        ('"' + "x" * 300 + '" "y"', [b"x" * 255, b"x" * 45, b"y"]),
        (r'"\# 4 0a000001"', [rb"# 4 0a000001"]),
        (r'"\\# 4 0a000001"', [rb"\# 4 0a000001"]),
        (r"\# 4 03616263", [b"abc"]),
        (1234, [b"1234"]),
    ],
)
def test_text_forms(value: Any, strings: list[bytes]) -> None:
    data = encode(wire.TXT, value, ORIGIN)
    assert data == b"".join(bytes((len(one),)) + one for one in strings)
    assert encode(wire.TXT, decode(wire.TXT, data), ORIGIN) == data


# ---------------------------------------------------------------- forms octoDNS and people use


@pytest.mark.parametrize(
    ("word", "value", "text"),
    [
        ("A", "192.0.2.1", "192.0.2.1"),
        ("AAAA", "2001:DB8:0:0::1", "2001:db8::1"),
        ("MX", {"priority": 10, "value": "mail.example.com."}, "10 mail.example.com."),
        ("MX", {"preference": "0", "exchange": "."}, "0 ."),
        ("CAA", {"tag": "issue", "value": ";"}, '0 issue ";"'),
        ("SPF", r"v=spf1 -all", '"v=spf1 -all"'),
        ("NS", "NS1.Example.COM.", "NS1.Example.COM."),
        ("CNAME", r"we\.ird.example.com.", r"we\.ird.example.com."),
        (
            "DS",
            {"flags": 1, "protocol": 13, "algorithm": 2, "public_key": "AB" * 32},
            "1 13 2 " + "ab" * 32,
        ),
        (
            "SOA",
            {
                "mname": "ns1.example.com.",
                "rname": "john.doe@example.com",
                "serial": 7,
                "refresh": "1h",
                "retry": "10m",
                "expire": "1w2d",
                "minimum": 60,
            },
            r"ns1.example.com. john\.doe.example.com. 7 3600 600 777600 60",
        ),
        (
            "LOC",
            {"lat_degrees": 52, "lat_direction": "N", "long_degrees": 13, "long_direction": "e", "altitude": 34},
            "52 0 0.000 N 13 0 0.000 E 34.00m 1.00m 10000.00m 10.00m",
        ),
        (
            "HTTPS",
            {
                "svcpriority": 1,
                "targetname": ".",
                "svcparams": {"port": "443", "alpn": "h2, h3", "dohpath": "/q{?dns}"},
            },
            '1 . alpn="h2,h3" port="443" key7="/q{?dns}"',
        ),
        (
            "SVCB",
            {"svcpriority": 1, "targetname": ".", "svcparams": {"alpn": [r"a,b\\c"]}},
            r'1 . alpn="a\\,b\\\\c"',
        ),
        ("TYPE1", r"\# 4 0a 00 00 01", "10.0.0.1"),
        ("TYPE65400", r"\# 0", r"\# 0"),
    ],
)
def test_forms(word: str, value: Any, text: str) -> None:
    rtype = rdata.record_type(word)
    data = encode(rtype, value, ORIGIN)
    assert to_text(rtype, data) == text
    agrees_with_dnspython(rtype, data)


def test_soa_names_are_not_compressed() -> None:
    """dnslib would write the second name as a pointer into the first; spliced into an answer it points elsewhere."""
    value = {"mname": "ns.example.com.", "contact": "root.example.com.", "serial": 1}
    data = encode(wire.SOA, value | dict.fromkeys(("refresh", "retry", "expire", "minimum"), 1), ORIGIN)
    assert data.startswith(b"\2ns\7example\3com\0\4root\7example\3com\0")


def test_altitude_is_exact_to_the_centimetre() -> None:
    place = {"lat_degrees": 37, "lat_minutes": 14, "lat_seconds": 12.094, "lat_direction": "N", "long_degrees": 115}
    value = place | {"long_minutes": 48, "long_seconds": 14.649, "long_direction": "W", "altitude": 0.29, "size": 0.5}
    text = "37 14 12.094 N 115 48 14.649 W 0.29m 0.50m 10000.00m 10.00m"
    assert to_text(T["LOC"], encode(T["LOC"], value, ORIGIN)) == text


def test_type_words() -> None:
    assert rdata.record_type("SPF") == wire.TXT  # RFC 7208 withdrew type 99
    assert rdata.record_type("TYPE99") == 99
    for word in ("TYPE0", "TYPE65536", "TYPE01", "a", "HINFO", "POOL", ""):
        with pytest.raises(ValueError):
            rdata.record_type(word)


# ---------------------------------------------------------------- faults


BAD: list[tuple[str, Any, tuple[str | int, ...], str]] = [
    ("A", "192.0.2.300", (), "'192.0.2.300' is not an IPv4 address"),
    ("A", "2001:db8::1", (), "use type AAAA"),
    ("A", 1.5, (), "'1.5' is not an IPv4 address"),
    ("A", None, (), "is nothing, but an IPv4 address belongs here"),
    ("A", True, (), "put it in quotes"),
    ("AAAA", "192.0.2.1", (), "use type A"),
    ("AAAA", "fe80::1%eth0", (), "zone index"),
    ("CNAME", "www", (), "www has no final dot: did you mean www.lb.example.com.?"),
    ("CNAME", "www.example.com", (), "did you mean www.example.com.?"),
    ("CNAME", "@", (), "did you mean lb.example.com.?"),
    ("CNAME", r"www.example.com\.", (), "no final dot"),
    ("CNAME", "", (), "is empty"),
    ("CNAME", "a..b.", (), "empty label"),
    ("CNAME", "10 mail.example.com.", (), "has a space in it"),
    ("NS", "192.0.2.1.", (), "192.0.2.1 is an address"),
    ("NS", "x" * 64 + ".example.com.", (), "has 64 bytes"),
    ("NS", ["a."], (), "is a list"),
    ("NS", "bücher.example.", (), "xn--"),
    ("MX", "10 mail.example.com.", (), "{preference: 10, exchange: mail.example.com.}"),
    ("MX", {"preference": 10}, (), "the field exchange is missing"),
    ("MX", {"preference": 10, "exchang": "a."}, ("exchang",), "did you mean 'exchange'?"),
    ("MX", {"preference": 70000, "exchange": "a."}, ("preference",), "70000 is not between 0 and 65535"),
    ("MX", {"preference": "ten", "exchange": "a."}, ("preference",), "'ten' is not a whole number"),
    ("MX", {"preference": True, "exchange": "a."}, ("preference",), "true is not a whole number"),
    ("SRV", {"priority": 1, "weight": 1, "port": 80, "target": "www"}, ("target",), "no final dot"),
    ("CAA", {"tag": "issue it", "value": ""}, ("tag",), "letters and digits"),
    ("DS", {"key_tag": 1, "algorithm": 13, "digest_type": 2, "digest": "ab"}, ("digest",), "digest_type 2 means 32"),
    ("DS", {"key_tag": 1, "algorithm": 13, "digest_type": 2, "digest": "xy"}, ("digest",), "hex digits"),
    ("SSHFP", {"algorithm": 1, "fingerprint_type": 9, "fingerprint": "abc"}, ("fingerprint",), "two make a byte"),
    ("TXT", "a\nb", (), "a line break"),
    ("TXT", r"a\\;b", (), "escaped twice"),
    ("TXT", '"a" b', (), "the quotes do not match"),
    ("TXT", 'a" "b', (), "does not start with a quote"),
    ("TXT", '"\\300"', (), r"\300 is no byte"),
    ("TXT", {"a": 1}, (), "is a mapping"),
    ("TXT", "x" * 65535, (), "at most 65535"),
    ("SOA", {"mname": ".", "contact": "a b@example.com"}, (), "serial is missing"),
    ("NAPTR", {"order": 1}, (), "preference is missing"),
    (
        "NAPTR",
        {"order": 1, "preference": 1, "flags": "u", "service": "", "regexp": r"!a!\1!", "replacement": "."},
        ("regexp",),
        r"write \\1 for a backslash",
    ),
    ("LOC", {"lat_degrees": 91}, (), "lat_direction is missing"),
    (
        "LOC",
        {
            "lat_degrees": 90,
            "lat_minutes": 1,
            "lat_direction": "N",
            "long_degrees": 1,
            "long_direction": "E",
            "altitude": 0,
        },
        ("lat_degrees",),
        "more than 90 degrees",
    ),
    (
        "LOC",
        {"lat_degrees": 1, "lat_direction": "E", "long_degrees": 1, "long_direction": "E", "altitude": "high"},
        ("lat_direction",),
        "neither N nor S",
    ),
    ("HTTPS", {"svcpriority": 0, "targetname": "a.", "svcparams": {"port": 1}}, ("svcparams",), "alias"),
    ("HTTPS", {"svcpriority": 1, "targetname": ".", "svcparams": {"alpm": ["h2"]}}, ("svcparams", "alpm"), "'alpn'"),
    ("HTTPS", {"svcpriority": 1, "targetname": ".", "svcparams": {"key1": "h2"}}, ("svcparams", "key1"), "write alpn"),
    (
        "HTTPS",
        {"svcpriority": 1, "targetname": ".", "svcparams": {"ipv4hint": ["192.0.2.1", "::1"]}},
        ("svcparams", "ipv4hint", 1),
        "not an IPv4 address",
    ),
    (
        "HTTPS",
        {"svcpriority": 1, "targetname": ".", "svcparams": {"no-default-alpn": None}},
        ("svcparams", "no-default-alpn"),
        "needs alpn",
    ),
    (
        "HTTPS",
        {"svcpriority": 1, "targetname": ".", "svcparams": {"mandatory": ["port"]}},
        ("svcparams", "mandatory"),
        "names port, which is not there",
    ),
    ("TYPE65400", "0a000001", (), r"\# 4 0a000001"),
    ("TYPE65400", r"\# 4 0a", (), "says 4 bytes"),
    ("TYPE65400", r"\# four 0a", (), "is not \\#"),
    ("TYPE1", r"\# 3 0a0000", (), "an IPv4 address has 4"),
    ("TYPE15", r"\# 4 000ac00c", (), "compressed"),
    ("TYPE65", r"\# 3 000103", (), "runs past its end"),
]


@pytest.mark.parametrize(("word", "value", "path", "part"), BAD, ids=lambda one: str(one)[:40])
def test_what_is_wrong_is_said(word: str, value: Any, path: tuple[str | int, ...], part: str) -> None:
    with pytest.raises(RdataError) as caught:
        encode(rdata.record_type(word), value, ORIGIN)
    assert part in caught.value.message
    assert caught.value.path == path


def test_every_fault_of_a_value_is_said_at_once() -> None:
    with pytest.raises(RdataError) as caught:
        encode(wire.SRV, {"priority": -1, "weight": 1, "port": 65536, "target": "www"}, ORIGIN)
    found = [caught.value, *caught.value.others]
    assert [one.path for one in found] == [("priority",), ("port",), ("target",)]


@RELAXED
@given(st.sampled_from(sorted(rdata.WORDS)), st.binary(max_size=40))
def test_random_bytes_are_read_or_refused(word: str, data: bytes) -> None:
    """No other exception, and whatever decodes as a value that can be written comes back as the same bytes."""
    rtype = rdata.record_type(word)
    try:
        value = decode(rtype, data)
        to_text(rtype, data)
        again = encode(rtype, value, ORIGIN)
    except RdataError:
        return
    assert again == data


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@RELAXED
@given(st.sampled_from(sorted(rdata.WORDS)), JUNK)
def test_junk_is_a_fault_not_a_crash(word: str, value: Any) -> None:
    rtype = rdata.record_type(word)
    try:
        data = encode(rtype, value, ORIGIN)
    except RdataError as fault:
        assert fault.message
        return
    assert encode(rtype, decode(rtype, data), ORIGIN) == data
