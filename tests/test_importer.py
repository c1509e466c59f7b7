"""`rrdns import`: BIND master files -> zone YAML -> our loader, and the same records as dnspython reads."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import dns.name
import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdns import wire
from rrdns.model import RRset
from rrdns.ui.importer import import_files
from rrdns.ui.masterfile import MAX_FAULTS, read_file
from rrdns.zonefile import load
from rrdns.zonefile.naming import yaml_stem, zone_of_master
from rrdns.zonefile.writer import scalar, zone_yaml

HERE = Path(__file__).parent / "zones" / "import"
WHOLE = {
    "db.example.com": "example.com.",
    "2.0.192.in-addr.arpa.zone": "2.0.192.in-addr.arpa.",
    "db.0-25.2.0.192": "0/25.2.0.192.in-addr.arpa.",
    "dumped.txt": "example.org.",
}

Sets = dict[tuple[bytes, int], tuple[int, frozenset[bytes]]]


def by_dnspython(path: Path, origin: str) -> Sets:
    """Every RRset of a master file, as dnspython reads it."""
    with contextlib.chdir(path.parent):
        zone = dns.zone.from_file(path.name, origin, relativize=False, allow_include=True)
    return {
        ((name.to_wire() or b"").lower(), int(found.rdtype)): (
            found.ttl,
            frozenset(one.to_wire() or b"" for one in found),
        )
        for name, found in zone.iterate_rdatasets()
    }


def by_loader(*paths: Path) -> Sets:
    """Every RRset of the YAML files, as our loader reads them."""
    loaded = load({str(path): path.read_bytes() for path in paths})
    assert loaded.dataset is not None, "\n".join(map(str, loaded.problems))
    return {
        (one.name, one.type): (one.ttl, frozenset(one.rdatas))
        for zone in loaded.dataset.zones.values()
        for one in zone.rrsets
    }


# ---------------------------------------------------------------- the same records


@pytest.mark.parametrize("name", WHOLE)
def test_import_loses_nothing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_files([HERE / name], tmp_path) == 0
    (written,) = tmp_path.iterdir()
    assert by_loader(written) == by_dnspython(HERE / name, WHOLE[name])
    out, err = capsys.readouterr()
    assert not err
    assert out.startswith(f"{HERE / name} -> {written}: {WHOLE[name]} ")


def test_many_files_in_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_files([HERE / name for name in WHOLE], tmp_path / "new" / "folder") == 0
    written = sorted((tmp_path / "new" / "folder").iterdir())
    assert [path.name for path in written] == [
        "0-25.2.0.192.in-addr.arpa.yaml",
        "2.0.192.in-addr.arpa.yaml",
        "example.com.yaml",
        "example.org.yaml",
    ]
    expected: Sets = {}
    for name, origin in WHOLE.items():
        expected |= by_dnspython(HERE / name, origin)
    assert by_loader(*written) == expected
    assert "[4/4] " in capsys.readouterr().out


def test_the_yaml_reads_well(tmp_path: Path) -> None:
    import_files([HERE / "db.example.com"], tmp_path)
    text = (tmp_path / "example.com.yaml").read_text()
    for line in (
        "$defaults: {ttl: 3600}",
        "  - {type: NS, values: [ns1.example.com., ns2.example.net.]}",
        "  - {type: A, ttl: 300, value: 192.0.2.25}",
        "  - {type: AAAA, ttl: 300, value: '2001:db8::25'}",
        "www: {type: CNAME, value: web1.example.com.}",
        "'*.dev': {type: A, ttl: 300, value: 192.0.2.99}",
        "alias: {type: SVCB, value: {svcpriority: 0, targetname: web1.example.com.}}",
        r"'john\.doe': {type: TXT, value: 'a dot inside a label'}",
        r"private: {type: TYPE65280, value: '\# 6 0a000001ffff'}",
    ):
        assert line in text.splitlines()
    assert max(len(line) for line in text.splitlines() if "DKIM1" not in line) <= 120


def test_an_owner_that_looks_like_an_anchor(tmp_path: Path) -> None:
    source = tmp_path / "db.example.com"
    source.write_text("@ 60 SOA ns1 host 1 2 3 4 5\n@ 60 NS ns1\nns1 60 A 192.0.2.1\nx-ray 60 A 192.0.2.2\n")
    assert import_files([source], tmp_path / "out") == 0
    assert by_loader(tmp_path / "out" / "example.com.yaml") == by_dnspython(source, "example.com.")


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    source = tmp_path / "db.example.com"
    source.write_bytes(b'@ 60 SOA ns1 host 1 2 3 4 5 ; B\xfcro\n@ 60 NS ns1\nns1 60 A 192.0.2.1\nt 60 TXT "M\xfcll"\n')
    assert import_files([source], tmp_path / "out") == 0
    sets = by_loader(tmp_path / "out" / "example.com.yaml")
    assert sets[wire.name_from_text("t.example.com."), wire.TXT] == (60, frozenset({b"\4M\xfcll"}))


def test_several_ttls_in_a_set_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "db.example.com"
    source.write_text("@ 60 SOA ns1 host 1 2 3 4 5\n@ 60 NS ns1\nns1 60 A 192.0.2.1\nns1 30 A 192.0.2.2\n")
    assert import_files([source], tmp_path / "out") == 0
    assert "ns1.example.com. A has several TTLs: the first, 60, was taken" in capsys.readouterr().err
    sets = by_loader(tmp_path / "out" / "example.com.yaml")
    assert sets[wire.name_from_text("ns1.example.com."), wire.A] == (60, frozenset({b"\xc0\0\2\1", b"\xc0\0\2\2"}))


# What `named-checkzone -D` of BIND 9.18 makes of them.
TTLS = {
    "the SOA without a TTL": (
        "@ SOA ns1 a 1 2 3 4 300\n@ NS ns1\nns1 60 A 1.1.1.1\nb A 1.1.1.2\n",
        {"@": 300, "ns1": 60, "b": 300},
    ),
    "the SOA with one": (
        "@ 3600 SOA ns1 a 1 2 3 4 300\n@ NS ns1\nns1 60 A 1.1.1.1\nb A 1.1.1.2\n",
        {"@": 3600, "ns1": 60, "b": 60},
    ),
    "$TTL in an included file": (
        "$TTL 50\n@ SOA ns1 a 1 2 3 4 300\n@ NS ns1\nns1 60 A 1.1.1.1\nb A 1.1.1.2\n$INCLUDE inner\nc A 1.1.1.4\n"
        "$TTL 3\ne A 1.1.1.6\n",
        {"@": 50, "ns1": 60, "b": 50, "x": 50, "y": 70, "c": 70, "e": 3},
    ),
    "a TTL in an included file": (
        "@ 3600 SOA ns1 a 1 2 3 4 300\n@ NS ns1\n$INCLUDE inner2\nb A 1.1.1.2\n$GENERATE 1-2 g$ A 1.1.1.$\n",
        {"@": 3600, "x": 3600, "y": 70, "b": 70, "g1": 70, "g2": 70},
    ),
}


@pytest.mark.parametrize("case", TTLS)
def test_ttls_are_binds(case: str, tmp_path: Path) -> None:
    (tmp_path / "inner").write_text("x A 2.2.2.2\n$TTL 70\ny A 2.2.2.3\n")
    (tmp_path / "inner2").write_text("x A 2.2.2.2\ny 70 A 2.2.2.3\n")
    source = tmp_path / "db.example.com"
    source.write_text(TTLS[case][0])
    found = read_file(source)
    assert not found.faults
    origin = wire.name_from_text("example.com.")
    assert {one.name: one.ttl for one in found.rrsets} == {
        wire.name_from_text(name, origin): ttl for name, ttl in TTLS[case][1].items()
    }


def test_ways_of_writing_that_bind_takes(tmp_path: Path) -> None:
    source = tmp_path / "db.example.com"
    source.write_bytes(
        b"$TTL 5\r\n@ SOA ns1 a 1 2 3 4 300\r\n@ NS ns1 ; a comment\r\nns1 A 192.0.2.1\r\n"
        b'$GENERATE 1-2 m$ MX "10 h${0,2}"\r\n'
        b"$ORIGIN sub\r\nq A 192.0.2.2\r\n  A 192.0.2.3\r\n"
        b't TXT a\\;b "c;d" e\\"f \\x \\065\r\n'
    )
    found = read_file(source)
    assert not found.faults
    sets = {(wire.name_to_text(one.name), one.type): one.rdatas for one in found.rrsets}
    assert sets["m2.example.com.", wire.MX] == (b"\0\x0a\x03h02" + wire.name_from_text("example.com."),)
    assert len(sets["q.sub.example.com.", wire.A]) == 2
    assert sets["t.sub.example.com.", wire.TXT] == (b'\3a;b\3c;d\3e"f\1x\1A',)


# ---------------------------------------------------------------- which zone


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("db.example.com", "example.com."),
        ("DB.Example.com", "example.com."),
        ("example.com.zone", "example.com."),
        ("example.com.db.signed", "example.com."),
        ("example.com", "example.com."),
        ("named.example.com", "example.com."),
        ("example.zone", "example.zone."),
        ("db.local", "local."),
        ("db.127", "127.in-addr.arpa."),
        ("db.192.0.2", "2.0.192.in-addr.arpa."),
        ("192.0.2.rev", "2.0.192.in-addr.arpa."),
        ("zone", "zone."),
        ("what is this?", None),
        ("x" * 64, None),
    ],
)
def test_zone_of_a_files_name(name: str, zone: str | None) -> None:
    assert zone_of_master(name) == (wire.name_from_text(zone) if zone else b"")


def test_names_of_yaml_files() -> None:
    for zone, stem, say in (
        ("example.com.", "example.com", False),
        ("0/25.2.0.192.in-addr.arpa.", "0-25.2.0.192.in-addr.arpa", True),
        (".", "root", True),
        ("pools.", "pools-zone", True),
        ("my.pools.", "my.pools-zone", True),
    ):
        assert yaml_stem(wire.name_from_text(zone)) == (stem, say)


def test_the_origin_that_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "what is this?"
    source.write_text("@ 60 SOA ns1 host 1 2 3 4 5\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n")
    assert import_files([source], tmp_path / "out") == 1
    assert "give --origin NAME" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert import_files([source], tmp_path / "out", origin="Example.com") == 0
    assert by_loader(tmp_path / "out" / "example.com.yaml") == by_dnspython(source, "example.com.")
    assert import_files([HERE / "dumped.txt"], tmp_path / "out", origin="example.net") == 1
    assert "its SOA is of example.org., not of example.net. as --origin says" in capsys.readouterr().err


def test_a_part_of_a_zone_only_with_origin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = HERE / "include" / "common.inc"
    source = tmp_path / "common.zone"
    source.write_text("$TTL 60\n" + part.read_text())
    assert import_files([source], tmp_path / "out") == 1
    assert "has no SOA record" in capsys.readouterr().err
    assert import_files([source], tmp_path / "out", origin="example.com") == 0
    assert "common: {type: A, value: 203.0.113.7}" in (tmp_path / "out" / "example.com.yaml").read_text()


# ---------------------------------------------------------------- what can't be imported


def test_faults_are_listed_with_their_lines_and_the_rest_is_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = HERE / "broken.example.net.zone"
    assert import_files([source], tmp_path) == 1
    err = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(f"{source}:").split(":")[0] for line in err[:-1]] == ["5", "7", "9", "11", "14", "15"]
    assert "bad1    A   192.0.2.300" in err[0]
    assert "outside the zone" in err[4]
    assert "NOSUCHTYPE" in err[5]
    assert "1 RRSIG left out" in err[-1]
    found = {wire.name_to_text(name).split(".")[0] for name, _ in by_loader(tmp_path / "broken.example.net.yaml")}
    assert found == {"broken", "ns1", "good1", "good2", "good3", "good4", "good6"}
    assert (tmp_path / "broken.example.net.yaml").read_text().count("# NOT imported: ") == 7


def test_a_file_that_is_no_zone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "named.conf"
    source.write_text('options { directory "/var/cache/bind"; };\n' * (MAX_FAULTS + 30))
    assert import_files([source, tmp_path / "nothing.here", tmp_path], tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert f"{source}:1: " in err
    assert err.count(f"{source}:") <= 6
    assert "is it a zone file?" in err
    assert "nothing.here: can't be read: No such file" in err
    assert f"{tmp_path}: can't be read: Is a directory" in err
    assert not (tmp_path / "out").exists()


def test_an_open_bracket_ends_the_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "db.example.com"
    source.write_text('@ 60 SOA ns1 host 1 2 3 4 5\n@ 60 NS ns1\nt 60 TXT ( "a\nns1 60 A 192.0.2.1\n')
    assert import_files([source], tmp_path / "out") == 1
    assert f"{source}:3: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_includes_that_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, circle = tmp_path / "db.missing", tmp_path / "db.circle"
    missing.write_text("@ 60 SOA ns1 host 1 2 3 4 5\n$INCLUDE not/there\n")
    circle.write_text("@ 60 SOA ns1 host 1 2 3 4 5\n$INCLUDE db.circle\n")
    assert import_files([missing, circle], tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert "$INCLUDE not/there: no such file" in err
    assert "$INCLUDE leads in a circle" in err


def test_includes_from_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BIND reads them relative to its `directory`, not to the file."""
    (tmp_path / "zones").mkdir()
    shutil.copy(HERE / "db.example.com", tmp_path / "zones")
    shutil.copytree(HERE / "include", tmp_path / "include")
    monkeypatch.chdir(tmp_path)
    assert import_files(["zones/db.example.com"], Path("out")) == 0
    assert by_loader(tmp_path / "out" / "example.com.yaml") == by_dnspython(HERE / "db.example.com", "example.com.")


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "example.org.yaml"
    target.write_text("# mine\n")
    assert import_files([HERE / "dumped.txt"], tmp_path) == 1
    assert target.read_text() == "# mine\n"
    assert "exists already: --force replaces it" in capsys.readouterr().err
    assert import_files([HERE / "dumped.txt"], tmp_path, force=True) == 0
    assert "example.org." in capsys.readouterr().out
    copy = tmp_path / "again"
    shutil.copy(HERE / "dumped.txt", copy)
    assert import_files([HERE / "dumped.txt", copy], tmp_path, force=True) == 1
    assert f"{copy}: its zone was imported from {HERE / 'dumped.txt'} already" in capsys.readouterr().err
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["again", "example.org.yaml"]


def test_one_file_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert import_files([HERE / "dumped.txt"], None) == 0
    out, err = capsys.readouterr()
    assert "www:\n  - {type: A, value: 192.0.2.3}\n  - {type: AAAA, value: '2001:db8::3'}\n" in out
    assert not err
    assert import_files([HERE / "dumped.txt", HERE / "db.example.com"], None) == 2
    assert import_files([HERE / "dumped.txt", HERE / "db.example.com"], Path("x"), origin="example.com") == 2
    assert import_files([HERE / "dumped.txt"], None, origin="a..b") == 2
    assert not capsys.readouterr().out


def test_the_altitude_dnspython_cuts_off(tmp_path: Path) -> None:
    source = tmp_path / "db.example.com"
    source.write_text("@ 60 SOA ns1 host 1 2 3 4 5\n@ 60 LOC 1 N 1 E 0.29m\n")
    (found,) = [one.rdatas[0] for one in read_file(source).rrsets if one.type == wire.TYPES["LOC"]]
    assert int.from_bytes(found[-4:], "big") == 10_000_029


# ---------------------------------------------------------------- any records at all


@st.composite
def rrsets(draw: st.DrawFn) -> RRset:
    label = st.binary(min_size=1, max_size=6) | st.sampled_from([b"no", b"x-y", b"null", b"10", b"$a", b"*", b"'"])
    inner = b"".join(bytes((len(one),)) + one.lower() for one in draw(st.lists(label, min_size=1, max_size=3)))
    rtype = draw(st.sampled_from([wire.TXT, 65400]))
    if rtype == wire.TXT:
        data = [bytes((len(one),)) + one for one in draw(st.lists(st.binary(max_size=9), min_size=1, unique=True))]
    else:
        data = draw(st.lists(st.binary(max_size=9), min_size=1, unique=True))
    return RRset(inner + wire.name_from_text("example.com."), rtype, draw(st.integers(0, 9)), tuple(data))


@settings(deadline=None)
@given(st.lists(rrsets(), max_size=6, unique_by=lambda one: (one.name, one.type)))
def test_what_is_written_is_what_is_loaded(sets: list[RRset]) -> None:
    apex = RRset(wire.name_from_text("example.com."), wire.NS, 60, (wire.name_from_text("ns.example.net."),))
    text = zone_yaml(wire.name_from_text("example.com."), [apex, *sets], "a comment\n: with * signs")
    loaded = load({"zones/example.com.yaml": text.encode()})
    assert loaded.dataset is not None, (text, loaded.problems)
    (zone,) = loaded.dataset.zones.values()
    found = {(one.name, one.type): (one.ttl, one.rdatas) for one in zone.rrsets if one.type != wire.SOA}
    assert found == {(one.name, one.type): (one.ttl, one.rdatas) for one in [apex, *sets]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("www.example.com.", "www.example.com."),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "'2001:db8::1'"),
        ("no", "'no'"),
        ("010", "'010'"),
        ("1e3", "'1e3'"),
        ("it's", "'it''s'"),
        ("", "''"),
        ("a\nb", '"a\\nb"'),
        (5, "5"),
        (None, "null"),
    ],
)
def test_scalars(value: str | int | None, text: str) -> None:
    assert scalar(value) == text
