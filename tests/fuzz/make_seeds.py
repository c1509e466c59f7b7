"""Writes the seeds: `python tests/fuzz/make_seeds.py`. Real queries, caught from dig, kdig, drill and dnspython, and
odd ones made by hand, each in a file named by what it is. A stream is several of them, framed and chopped."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

import dns.edns  # noqa: E402
import dns.message  # noqa: E402
from small_zone import name, question  # noqa: E402

from fuzz.fuzz_question import BETWEEN, PART, SAME, WHOLE  # noqa: E402

WWW = "www.lb.example.com"
TOOLS = {
    "dig": ["dig", "-r", WWW],
    "dig-type257": ["dig", "-r", "-t", "TYPE257", WWW],
    "dig-any": ["dig", "-r", WWW, "ANY", "+notcp"],
    "dig-chaos-version": ["dig", "-r", "-c", "CH", "-t", "TXT", "version.bind"],
    "dig-dnssec-nsid-subnet": ["dig", "-r", "+dnssec", "+nsid", "+subnet=192.0.2.0/24", "mail.lb.example.com", "MX"],
    "dig-noedns-cdflag-adflag": ["dig", "-r", "+noedns", "+cdflag", "+adflag", "+norec", "alias.lb.example.com"],
    "dig-edns1": ["dig", "-r", "+edns=1", "+noednsneg", WWW],
    "dig-ednsflags-zflag": ["dig", "-r", "+ednsflags=0xffff", "+zflag", WWW],
    "dig-ednsopt-unknown": ["dig", "-r", "+nocookie", "+ednsopt=65001:c0ffee", WWW],
    "dig-expire-keepalive": ["dig", "-r", "+expire", "+keepalive", "+cookie", WWW],
    "dig-padding": ["dig", "-r", "+padding=128", WWW],
    "dig-header-only-cookie": ["dig", "-r", "+header-only", "+cookie"],
    "dig-opcode-notify": ["dig", "-r", "+opcode=NOTIFY", "lb.example.com", "SOA"],
    "dig-ixfr": ["dig", "-r", "+notcp", "lb.example.com", "IXFR=1"],
    "dig-reverse-v6": ["dig", "-r", "-x", "2001:db8::1"],
    "kdig": ["kdig", "+noedns", "big.lb.example.com"],
    "kdig-padding-subnet": ["kdig", "+padding=64", "+subnet=2001:db8::/56", WWW],
    "drill-dnssec": ["drill", "-D", "x.wild.lb.example.com"],
}


def caught(command: list[str]) -> bytes:
    """The query a tool sends; it gets the query back with QR and REFUSED, which ends it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        port = ["-p", str(sock.getsockname()[1])]
        with subprocess.Popen([command[0], *port, "@127.0.0.1", *command[1:]], stdout=subprocess.DEVNULL) as tool:
            packet, peer = sock.recvfrom(4096)
            sock.sendto(packet[:2] + bytes((packet[2] | 0x80, 5)) + packet[4:], peer)
            tool.wait(20)
    return b"\x12\x34" + packet[2:]


def opt(size: int = 1232, extended: int = 0, version: int = 0, flags: int = 0, data: bytes = b"") -> bytes:
    fixed = b"\0\0\x29" + size.to_bytes(2, "big") + bytes((extended, version)) + flags.to_bytes(2, "big")
    return fixed + len(data).to_bytes(2, "big") + data


def made_by_hand() -> dict[str, bytes]:
    plain = question(f"{WWW}.")
    head = b"\x12\x34\1\0\0\1\0\0\0\0\0\1"
    asked = plain[12:]
    cookie = b"\0\x0a\0\x08clientck"
    whole = b"\0\x0a\0\x18clientck\1\0\0\0\x6b\x49\xd2\0" + bytes(8)
    return {
        "empty": b"",
        "eleven-bytes": plain[:11],
        "header-alone": plain[:12],
        "response": plain[:2] + b"\x80" + plain[3:],
        "truncation-bit": plain[:2] + b"\3" + plain[3:],
        "opcode-15": plain[:2] + b"\x79" + plain[3:],
        "two-questions": b"\x12\x34\1\0\0\2\0\0\0\0\0\0" + asked + asked,
        "no-question-no-cookie": b"\x12\x34\1\0\0\0\0\0\0\0\0\1" + opt(),
        "trailing-bytes": plain + b"\0\0",
        "letters-mixed": question("wWw.Lb.ExAmPlE.cOm."),
        "name-pointer-to-itself": b"\x12\x34\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1",
        "name-255-bytes": question(".".join(["a" * 63] * 3 + ["b" * 45, "lb.example.com."])),
        "name-256-bytes": head[:11] + b"\0" + (b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"b" * 62 + b"\0\0\1\0\1",
        "name-127-labels": head[:11] + b"\0" + b"\1a" * 127 + b"\0\0\1\0\1",
        "name-cut-off": plain[:20],
        "label-type-01": head[:11] + b"\0\x41" + b"a" * 65 + b"\0\0\1\0\1",
        "label-with-zero-bytes": head[:11] + b"\0\4a\0.\xff" + name("lb.example.com.") + b"\0\1\0\1",
        "root-ns": question(".", 2),
        "class-any": plain[:-2] + b"\0\xff",
        "class-none": plain[:-2] + b"\0\xfe",
        "type-0": question(f"{WWW}.", 0),
        "type-65535": question(f"{WWW}.", 65535),
        "type-opt-asked": question(f"{WWW}.", 41),
        "axfr": question("lb.example.com.", 252),
        "ds-of-cut": question("cut.lb.example.com.", 43, edns=1232, do=True),
        "below-cut": question("a.b.cut.lb.example.com.", 28),
        "below-dname": question("www.moved.lb.example.com.", edns=1232),
        "below-dname-too-long": question("a." * 110 + "moved.lb.example.com."),
        "dname-chain": question("moved.moved.moved.lb.example.com."),
        "alias-loop": question("loop.lb.example.com."),
        "alias-out": question("out.lb.example.com.", edns=4096),
        "alias-dangling": question("dangling.lb.example.com."),
        "wildcard-itself": question("*.wild.lb.example.com."),
        "empty-non-terminal": question("wild.lb.example.com."),
        "nothing": question("nothing.lb.example.com.", 16),
        "big-512": question("big.lb.example.com.", edns=0),
        "big-65535": question("big.lb.example.com.", edns=65535),
        "opt-with-owner": head + asked + b"\1a" + opt(),
        "opt-twice": head[:11] + b"\2" + asked + opt() + opt(),
        "opt-in-answer": b"\x12\x34\1\0\0\1\0\1\0\0\0\0" + asked + opt(),
        "opt-version-255": head + asked + opt(version=255),
        "opt-extended-rcode": head + asked + opt(extended=255, flags=0x7FFF),
        "opt-rdlength-too-long": head + asked + opt()[:-2] + b"\0\xff\0",
        "option-cut-off": head + asked + opt(data=b"\0\3\0\5a"),
        "option-header-cut-off": head + asked + opt(data=b"\0\3\0"),
        "cookie-half": head + asked + opt(data=cookie),
        "cookie-whole-forged": head + asked + opt(data=whole),
        "cookie-of-7-bytes": head + asked + opt(data=b"\0\x0a\0\7clientc"),
        "cookie-of-41-bytes": head + asked + opt(data=b"\0\x0a\0\x29" + bytes(41)),
        "cookie-twice": head + asked + opt(data=cookie + whole),
        "cookie-no-question": b"\x12\x34\1\0\0\0\0\0\0\0\0\1" + opt(data=cookie),
        "cookie-behind-nsid": head + asked + opt(data=b"\0\3\0\0" + cookie),
        "subnet-family-3": head + asked + opt(data=b"\0\x08\0\4\0\3\0\0"),
        "subnet-scope-set": head + asked + opt(data=b"\0\x08\0\7\0\1\x18\x18\xc0\0\2"),
        "subnet-bits-behind": head + asked + opt(data=b"\0\x08\0\7\0\1\x17\0\xc0\0\3"),
        "subnet-none": head + asked + opt(data=b"\0\x08\0\4\0\0\0\0"),
        "keepalive-with-data": head + asked + opt(data=b"\0\x0b\0\2\0\1"),
        "many-options": head + asked + opt(data=b"\xfd\xe9\0\0" * 100),
        "many-records": b"\x12\x34\1\0\0\1\0\0\0\0\0\x10" + asked + (b"\xc0\x0c\0\1\0\1\0\0\0\0\0\0") * 16,
        "seventeen-records": b"\x12\x34\1\0\0\1\0\0\0\0\0\x11" + asked + (b"\xc0\x0c\0\1\0\1\0\0\0\0\0\0") * 17,
        "counts-65535": b"\x12\x34\1\0" + b"\xff" * 8 + asked,
        "record-pointer-cut-off": b"\x12\x34\1\0\0\1\0\0\0\0\0\1" + asked + b"\xc0",
        "tsig": head + asked + b"\3key\0\0\xfa\0\xff\0\0\0\0\0\4\0\0\0\0",
        "opt-then-tsig": head[:11] + b"\2" + asked + opt() + b"\3key\0\0\xfa\0\xff\0\0\0\0\0\4\0\0\0\0",
    }


def in_a_row(made: dict[str, bytes]) -> dict[str, bytes]:
    """Packets whose replies could be mistaken for each other, if what is remembered were looked up carelessly."""
    rows = {
        "row-siblings": ("nothing", "letters-mixed", "dig", "root-ns", "axfr"),
        "row-cookies": (
            "cookie-half",
            "cookie-whole-forged",
            "cookie-half",
            "cookie-behind-nsid",
            "cookie-no-question",
        ),
        "row-sizes": ("big-512", "big-65535", "big-512", "kdig"),
        "row-names": ("type-0", "name-255-bytes", "name-256-bytes", "label-with-zero-bytes", "label-type-01"),
        "row-cuts": ("ds-of-cut", "below-cut", "below-dname", "alias-out", "wildcard-itself"),
    }
    asked = ("letters-mixed", "nothing", "below-cut", "below-dname", "wildcard-itself", "cookie-half", "type-0")
    changed = {
        "changed-in-part": (*asked, "!part", *asked),
        "changed-as-a-whole": (*asked[:5], "!whole", *asked[:3], "!part", *asked[:3], "!same", *asked[:2]),
        "changed-to-the-same": (*asked, "!same", *asked),
        "changed-back-and-forth": ("dig", "!part", "!part", "dig", "!whole", "!whole", "dig", "!part", "dig"),
    }
    words = {word.decode(): word for word in (PART, WHOLE, SAME)}
    return {what: BETWEEN.join((made | words)[one] for one in row) for what, row in (rows | changed).items()}


def by_dnspython() -> dict[str, bytes]:
    options = [dns.edns.ECSOption("2001:db8::", 48), dns.edns.GenericOption(3, b"")]
    made = {
        "dnspython-svcb": dns.message.make_query(WWW, "SVCB", use_edns=0, payload=4096, want_dnssec=True),
        "dnspython-options": dns.message.make_query(WWW, "AAAA", use_edns=0, options=options, payload=512),
        "dnspython-idn": dns.message.make_query("bücher.lb.example.com", "A"),
    }
    out = {}
    for what, message in made.items():
        message.id = 0x1234
        out[what] = message.to_wire()
    return out


def streams(made: dict[str, bytes]) -> dict[str, bytes]:
    def framed(*names: str) -> bytes:
        return b"".join(len(made[one]).to_bytes(2, "big") + made[one] for one in names)

    two = framed("dig", "cookie-half")
    return {
        "one-piece": b"\0" + two,
        "byte-by-byte": b"\1\0" + two,
        "odd-pieces": b"\5\0\1\x06\x1e\x02" + framed("dig-any", "big-65535", "below-dname", "alias-loop", "tsig"),
        "length-split": b"\2\0\x40" + two * 3,
        "half-a-length": b"\0" + two + b"\0",
        "half-a-message": b"\0" + two + b"\0\x40" + made["dig"][:20],
        "empty-messages": b"\0" + two + b"\0\0\0\0" + two,
        "response-between": b"\0" + two + framed("response") + two,
        "length-4097": b"\0" + two + b"\x10\x01" + bytes(4097),
        "length-65535": b"\0" + two + b"\xff\xff" + two,
        "length-4096": b"\3\x10\xff\x07" + two + b"\x10\0" + made["dig"].ljust(4096, b"\0") + two,
        "formerr-and-on": b"\0" + framed("header-alone", "dig", "opt-twice", "dig", "opcode-15", "dig"),
        "keepalive": b"\0" + framed("dig-expire-keepalive", "keepalive-with-data", "dig-dnssec-nsid-subnet"),
        "two-hundred-queries": b"\0" + framed("kdig") * 200,
        "client-that-does-not-read": b"\x82\xff\x07" + framed("big-65535") * 120,
        "no-stream": b"\x0f" + bytes(15),
        "nothing": b"",
    }


def main() -> None:
    made = made_by_hand() | by_dnspython() | {what: caught(command) for what, command in TOOLS.items()}
    for target, seeds in (("question", made | in_a_row(made)), ("stream", streams(made))):
        folder = HERE / "seeds" / target
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for what, data in seeds.items():
            (folder / what).write_bytes(data)
        print(f"{len(seeds)} seeds in {folder}")


if __name__ == "__main__":
    main()
