"""BIND master files, read through dnspython ($INCLUDE, $GENERATE, $TTL, `1h`) into RRsets of our model. Floor 5.

The only module that imports dnspython, and only inside functions, because it costs a fifth of a second. Its reader is
used below dns.zone: that one drops names outside the zone without a word, stops at the first fault and takes the first
$ORIGIN for the zone. Here the SOA's owner is the zone. Must not know: YAML, what becomes of the records.
"""

from __future__ import annotations

import contextlib
import errno
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rrdns import wire
from rrdns.model import RRset
from rrdns.zonefile.naming import zone_of_master

if TYPE_CHECKING:
    import dns.rdata

MAX_FAULTS = 20  # of one file: what is no zone file at all would have one a line
MAX_DEPTH = 20  # of files that $INCLUDE each other
_SIGNATURES = {46: "RRSIG", 47: "NSEC", 50: "NSEC3", 51: "NSEC3PARAM"}
_NOWHERE = wire.name_from_text("no-origin.invalid.")


@dataclass(slots=True)
class Source:
    """What one master file said. `faults` are lines for the operator; `zone` is empty if it could not be told. `more`:
    records with words of our own, by owner, from whoever reads another program's types."""

    path: str
    zone: bytes = b""
    rrsets: list[RRset] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    usable: bool = True
    gave_up: bool = False
    more: dict[bytes, list[Mapping[str, str | int]]] = field(default_factory=dict)


def read_file(
    path: Path, origin: bytes = b"", prepare: Callable[[str], str] = str, default_ttl: int | None = None
) -> Source:
    """Read one master file. `origin` is the zone where the operator said it. `prepare` may change the text, line by
    line; `default_ttl` is for records before any $TTL."""
    shown = str(path)
    try:
        data = path.read_bytes()
    except OSError as fault:
        return Source(shown, faults=[f"{shown}: can't be read: {fault.strerror}"], usable=False)
    # Bytes above 127 stand for themselves in a master file; as escapes they reach dnspython untouched, which would
    # otherwise want UTF-8 and turn names into their xn-- form.
    text = "".join([chr(byte) if byte < 128 else f"\\{byte:03d}" for byte in data])
    text = prepare(text)
    base = origin or zone_of_master(path.name) or _NOWHERE
    source = _read(path, text, base, default_ttl)
    apexes = sorted({one.name for one in source.rrsets if one.type == wire.SOA})
    if len(apexes) == 1 and apexes[0] != base and not origin and not wire.is_within(apexes[0], _NOWHERE):
        base = apexes[0]
        source = _read(path, text, base, default_ttl)
    source.zone = base
    doubt = _no_zone(source, apexes, origin)
    if doubt and source.usable:
        source.faults.append(f"{shown}: {doubt}")
        source.usable = False
    return source


def _no_zone(source: Source, apexes: Sequence[bytes], origin: bytes) -> str:
    """Why this is not one zone; nothing if it is."""
    names = [wire.name_to_text(one) for one in apexes]
    if len(apexes) > 1:
        return f"has {len(apexes)} SOA records ({', '.join(names)}): one file is one zone"
    if not apexes and not origin:
        return (
            "has no SOA record, so it is no whole zone; what $INCLUDE names is read with the file that names it. "
            "With --origin NAME it is imported as it is"
        )
    if apexes and origin and apexes[0] != origin:
        return f"its SOA is of {names[0]}, not of {wire.name_to_text(origin)} as --origin says"
    if source.zone == _NOWHERE:
        return "its zone can't be told from its name or its SOA: give --origin NAME"
    return ""


def _read(path: Path, text: str, base: bytes, default_ttl: int | None) -> Source:
    """Read with relative names under `base`. $INCLUDE is relative to the file, or to the current directory."""
    folder = path.absolute().parent
    missing = []
    for directory, shown in ((folder, path.parent), (Path.cwd(), Path())):
        try:
            with contextlib.chdir(directory):
                return _read_here(path, text, base, shown, default_ttl)
        except FileNotFoundError as fault:
            missing.append(str(fault.filename))
    fault_text = (
        f"{path}: $INCLUDE {missing[0]}: no such file in {folder} or here: run this in the directory that BIND's "
        "`directory` option names"
    )
    return Source(str(path), faults=[fault_text], usable=False)


def _read_here(path: Path, text: str, base: bytes, folder: Path, default_ttl: int | None) -> Source:
    import dns.exception
    import dns.name
    import dns.rdataclass
    import dns.tokenizer

    source = Source(str(path))
    collector = _Collector(source, folder)
    reader = _reader_class()(
        dns.tokenizer.Tokenizer(text, str(path)), dns.rdataclass.IN, collector.transaction(), allow_include=True
    )
    reader.current_origin = reader.last_name = dns.name.from_wire(base, 0)[0]
    if default_ttl is not None:
        reader.default_ttl, reader.default_ttl_known = default_ttl, True
    reader.collector = collector
    collector.reader = reader
    collector.lines = text.splitlines()
    try:
        reader.read()
    except (dns.exception.DNSException, UnicodeDecodeError, OSError, RecursionError) as fault:
        if isinstance(fault, FileNotFoundError):
            raise
        source.usable = False
        if not collector.stopped:
            collector.fault(_plain(fault), reader.tok.where())
    finally:
        for one in [reader.current_file, *(part for state in reader.saved_state for part in state)]:
            if isinstance(one, io.IOBase):
                one.close()  # what $INCLUDE opened and a fault left open
    collector.finish(base)
    return source


def _plain(fault: BaseException) -> str:
    """dnspython's words without its class names and places."""
    if isinstance(fault, UnicodeDecodeError):
        return "is not UTF-8, which a file named by $INCLUDE must be"
    if isinstance(fault, OSError) and fault.errno == errno.EMFILE:
        return "$INCLUDE leads in a circle"
    if isinstance(fault, OSError):
        return f"{fault.filename or '$INCLUDE'}: {fault.strerror}"
    text = re.sub(r"caught exception <class '[^']*'>: ", "", str(fault))
    text = re.sub(r"^\S+:\d+: ", "", text).rstrip(".")
    return "can't be read" if text in ("", "Text input is malformed") else text


class _Collector:
    """Gathers records as they are read, with the places of those that can't be taken."""

    def __init__(self, source: Source, folder: Path) -> None:
        self.source = source
        self.folder = folder
        self.reader: Any = None
        self.lines: list[str] = []
        self.start: tuple[str, int] | None = None
        self.stopped = False
        self._sets: dict[tuple[bytes, int], tuple[int, list[bytes], tuple[str, int]]] = {}
        self._faults: list[tuple[tuple[str, int], str]] = []
        self._skipped: dict[str, int] = {}

    def transaction(self) -> Any:
        """What dnspython's reader writes into; only `add` matters."""
        import dns.name
        import dns.rdataclass
        import dns.transaction

        class Manager(dns.transaction.TransactionManager):
            def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
                return dns.name.root, False, dns.name.root

            def get_class(self) -> dns.rdataclass.RdataClass:
                return dns.rdataclass.IN

        class Records(dns.transaction.Transaction):
            def add(_, *args: Any) -> None:
                self.add(*args)

            def _set_origin(_, origin: Any) -> None:
                pass

        return Records(Manager(), True, False)

    def add(self, name: Any, ttl: int, rdata: dns.rdata.Rdata) -> None:
        """One record, called by dnspython's reader."""
        rtype = int(rdata.rdtype)
        if rtype in _SIGNATURES:
            self._skipped[_SIGNATURES[rtype]] = self._skipped.get(_SIGNATURES[rtype], 0) + 1
            return
        if rtype in (0, 41) or 128 <= rtype <= 255:
            self.fault(f"{wire.type_name(rtype)} is no type of data", self.where())
            return
        data = rdata.to_wire() or b""
        if rtype == 29 and data[:1] == b"\0":
            # dnspython counts altitude in floats and cuts off: 0.29 m would become 0.28 m.
            data = data[:-4] + (round(rdata.altitude) + 10_000_000).to_bytes(4, "big")  # type: ignore[attr-defined]
        key = (name.to_wire().lower(), rtype)
        known = self._sets.get(key)
        if known is None:
            self._sets[key] = (ttl, [data], self.where())
            return
        first, rdatas, _ = known
        if data not in rdatas:
            rdatas.append(data)
        if ttl != first:
            text = (
                f"{wire.name_to_text(key[0])} {wire.type_name(rtype)} has several TTLs: the first, {first}, was taken"
            )
            if text not in self.source.notes:
                self.source.notes.append(text)

    def where(self) -> tuple[str, int]:
        place: tuple[str, int] = self.start or self.reader.tok.where()
        return place

    def fault(self, message: str, place: tuple[str, int]) -> None:
        """Note what can't be imported; at the limit stop reading."""
        self._faults.append((place, message))
        self.stopped = self.stopped or len(self._faults) >= MAX_FAULTS

    def _shown(self, file: str) -> str:
        return file if file == self.source.path else str(self.folder / file)

    def _quoted(self, file: str, line: int) -> str:
        if file != self.source.path or not 0 < line <= len(self.lines):
            return ""
        text = self.lines[line - 1].strip()
        return f": {text if len(text) <= 70 else text[:67] + '...'}"

    def finish(self, base: bytes) -> None:
        """Hand over the RRsets; those outside the zone are faults."""
        apex = next((name for name, rtype in self._sets if rtype == wire.SOA), base)
        for (name, rtype), (ttl, rdatas, place) in self._sets.items():
            if wire.is_within(name, apex):
                self.source.rrsets.append(RRset(name, rtype, ttl, tuple(rdatas)))
            else:
                message = f"{wire.name_to_text(name)} is outside the zone {wire.name_to_text(apex)}"
                self._faults.append((place, message))
        self.source.gave_up = len(self._faults) >= MAX_FAULTS
        for (file, line), message in sorted(self._faults)[: 3 if self.source.gave_up else None]:
            self.source.faults.append(f"{self._shown(file)}:{line}: {message}{self._quoted(file, line)}")
        if self.source.gave_up:
            self.source.usable = False
            self.source.faults.append(f"{self.source.path}: too much is wrong, reading stopped: is it a zone file?")
        for kind, count in self._skipped.items():
            self.source.faults.append(
                f"{self.source.path}: {count} {kind} left out: rrdns does not sign, and these would go stale. Remove "
                "the zone's DS from the parent zone before delegating to rrdns"
            )


def _reader_class() -> Any:
    """dnspython's reader, going on after a record it can't read, and with BIND's idea of a TTL left out:

    | case                                       | BIND, and here             | dnspython                   |
    |--------------------------------------------|----------------------------|-----------------------------|
    | the SOA has no TTL, and there is no $TTL   | its minimum is the default | the last one said goes first|
    | $TTL, or a TTL, in a file of $INCLUDE      | goes on behind it          | ends with it                |
    """
    import dns.exception
    import dns.tokenizer
    import dns.zonefile

    class Reader(dns.zonefile.Reader):
        collector: _Collector
        _tok: Any = None
        _opened: tuple[Any, ...] = ()  # the tokenizers of the files that stand open
        _kept: dict[str, Any] | None = None

        @property
        def tok(self) -> Any:
            if self._kept:  # back from an included file, and all of the outer file's state is restored: but for TTLs
                vars(self).update(self._kept)
                self._kept = None
            return self._tok

        @tok.setter
        def tok(self, new: Any) -> None:
            if new in self._opened:
                self._opened = self._opened[: self._opened.index(new) + 1]
                self._kept = {key: one for key, one in vars(self).items() if "_ttl" in key and key[0] != "_"}
            else:
                self._opened += (new,)
            self._tok = new

        def _rr_line(self) -> None:
            self._tolerant(super()._rr_line)
            if not self.last_ttl_known:
                self.default_ttl_from_soa = False  # the SOA took its minimum as its TTL: then it stands like a $TTL

        def _generate_line(self) -> None:
            plain = self.tok.get

            def get(*args: Any, **options: Any) -> Any:
                token = plain(*args, **options)
                if token.is_quoted_string():  # `"10 mail$"`: the text of several fields, which dnspython refuses
                    token.ttype = dns.tokenizer.IDENTIFIER
                return token

            self.tok.get = get
            try:
                self._tolerant(super()._generate_line)
            finally:
                del self.tok.get

        def _place(self) -> tuple[str, int]:
            file, line = self.tok.where()
            return file, line - (self.tok.ungotten_char == "\n")  # counted when read, even if given back

        def _tolerant(self, read: Any) -> None:
            if len(self.saved_state) > MAX_DEPTH:
                raise dns.exception.SyntaxError("$INCLUDE leads in a circle")  # type: ignore[no-untyped-call]
            start = self.collector.start = self._place()
            try:
                read()
            except dns.exception.DNSException as fault:
                self.collector.fault(_plain(fault), start)
                # The line's end is still ahead unless the tokenizer has passed it; within ( ... ) it always is.
                at_quote = self.tok.quoting and self.tok.ungotten_char == '"'  # the end of a text, given back
                if at_quote or self.tok.multiline or self.tok.ungotten_token or self._place() == start:
                    with contextlib.suppress(dns.exception.DNSException):
                        self._eat_line()  # type: ignore[no-untyped-call]
                if self.tok.multiline or self.tok.quoting or self.collector.stopped:
                    self.collector.stopped = True  # an open bracket or quote: nobody can tell where the next begins
                    raise
            finally:
                self.collector.start = None

    return Reader
