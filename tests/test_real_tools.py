"""The tools people judge a name server by, against a delegated zone: dig, kdig, drill, Zonemaster, DNSViz.

A root and a parent (Knot) and rrdns, all in network namespaces of this test (`delegated.py`).
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from delegated import OURS, PARENT, PARENT_ZONE, ROOT, Lab, lab
from live import wait_for
from namespaces import cabled
from needs import needs

TAGS_OF_A_LAB = {
    # tag: why a lab cannot do without
    "NAMESERVER_IP_PRIVATE_NETWORK": "the addresses are those kept for documentation (RFC 5737, RFC 3849)",
    "A01_DOCUMENTATION_ADDR": "the same, as newer versions call it",
    "NAMESERVER_IP_WITHOUT_REVERSE": "its root delegates no in-addr.arpa and no ip6.arpa",
}
ERRORS = ("ERROR", "CRITICAL")

A = r"www\.lb\.example\.\s+20\s+IN\s+A\s+198\.51\.100\.[123]\n"
THREE = f"(?:{A}){{3}}"
PLAIN = r"flags: qr aa; QUERY: 1, ANSWER: 3, AUTHORITY: 0, ADDITIONAL: "
BARE = r"flags: qr; QUERY: 0, ANSWER: 0, AUTHORITY: 0, ADDITIONAL: 0\n"


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab() as one:
        yield one


def said(one: Lab, *words: str) -> str:
    needs(words[0])
    done = one.client.run(*words)
    return done.stdout + done.stderr


def check(said: str, wanted: tuple[str, ...]) -> None:
    """Each pattern is found; those with `!` in front are not."""
    for pattern in wanted:
        found = re.search(pattern.removeprefix("!"), said)
        assert bool(found) is not pattern.startswith("!"), f"{pattern}\n{said}"


# ---------------------------------------------------------------- dig

DIG: dict[str, tuple[str, ...]] = {
    "www.lb.example": (PLAIN + "1", THREE, r"COOKIE: \w{48} \(good\)", "!recursion requested"),
    "+rec www.lb.example": ("flags: qr aa rd;", "recursion requested but not available"),
    "+tcp www.lb.example": (PLAIN + "1", THREE, r"SERVER: .*\(TCP\)"),
    "+noedns www.lb.example": (PLAIN + "0", THREE, "!OPT PSEUDOSECTION"),
    "+edns=1 +noednsneg www.lb.example": ("status: BADVERS", "EDNS: version: 0", r"flags: qr; QUERY: 1, ANSWER: 0"),
    "+edns=1 www.lb.example": ("BADVERS, retrying with EDNS version 0", THREE),
    "+nsid www.lb.example": (r'NSID: .*"rrdns-lab"', THREE),
    "+nsid +tcp www.lb.example": (r'NSID: .*"rrdns-lab"', THREE),
    "+nocookie www.lb.example": (THREE, "!COOKIE"),
    "+subnet=192.0.2.0/24 www.lb.example": ("CLIENT-SUBNET: 192.0.2.0/24/0", THREE),
    "+subnet=2001:db8::/56 www.lb.example": ("CLIENT-SUBNET: 2001:db8::/56/0", THREE),
    "+subnet=0 www.lb.example": (r"CLIENT-SUBNET: 0\.0\.0\.0/0/0", THREE),
    "+dnssec www.lb.example": (r"EDNS: version: 0, flags: do; udp: 1232", THREE, "!RRSIG"),
    "+bufsize=512 +ignore many.lb.example": ("flags: qr aa tc;", "ANSWER: 0", r"MSG SIZE +rcvd: 72"),
    "+bufsize=512 many.lb.example": ("Truncated, retrying in TCP mode", "ANSWER: 100"),
    "+bufsize=4096 +ignore many.lb.example": ("flags: qr aa tc;", "udp: 1232"),
    "+noedns +ignore many.lb.example": ("flags: qr aa tc;", r"MSG SIZE +rcvd: 33"),
    "+noedns +bufsize=0 +ignore www.lb.example": (THREE,),
    "+qr www.lb.example": ("Sending:", r"flags: ad; QUERY: 1, ANSWER: 0", THREE),
    "+nocookie +ednsopt=65001:c0ffee www.lb.example": ("status: NOERROR", THREE, "!OPT=65001", "!c0 ff ee"),
    "+nocookie +ednsopt=3 www.lb.example": ('"rrdns-lab"',),
    "+nocookie +ednsopt=10:0102 www.lb.example": ("status: FORMERR", BARE),
    "+nocookie +ednsopt=8:000118 www.lb.example": ("status: FORMERR", BARE),
    "+ednsflags=0x7fff www.lb.example": (r"version: 0, flags:; udp", THREE, "!MBZ"),
    "+padding=128 www.lb.example": ("status: NOERROR", THREE, "!PAD"),
    "+expire lb.example SOA": ("ANSWER: 1", r"SOA\s+ns1\.lb\.example\.", "!EXPIRE"),
    "+keepalive +tcp www.lb.example": (r"TCP KEEPALIVE: 10\.0 secs", THREE),
    "+keepalive +notcp www.lb.example": ("!KEEPALIVE", THREE),
    "+keepopen +tcp www.lb.example text.lb.example TXT": (
        THREE,
        r'TXT\s+"one"',
        "(?s)status: NOERROR.*status: NOERROR",
    ),
    "+zflag www.lb.example": (PLAIN, THREE, "!MBZ"),
    "+adflag www.lb.example": (PLAIN, THREE),
    "+cdflag www.lb.example": (PLAIN, THREE),
    "+aaflag +raflag www.lb.example": (PLAIN, THREE),
    "+tcflag www.lb.example": ("status: FORMERR", BARE),
    "+opcode=IQUERY lb.example": ("opcode: IQUERY, status: NOTIMP", BARE),
    "+opcode=STATUS lb.example": ("opcode: STATUS, status: NOTIMP", BARE),
    "+opcode=NOTIFY lb.example SOA": ("opcode: NOTIFY, status: NOTIMP", BARE),
    "+opcode=UPDATE lb.example": ("opcode: UPDATE, status: NOTIMP", BARE),
    "+opcode=15 lb.example": ("opcode: RESERVED15, status: NOTIMP", BARE),
    "+header-only": ("status: NOERROR", r"flags: qr; QUERY: 0, ANSWER: 0, AUTHORITY: 0, ADDITIONAL: 1", "good"),
    "+header-only +nocookie": ("status: FORMERR", BARE),
    "+header-only +noedns": ("status: FORMERR", BARE),
    "-c CH -t TXT version.bind": (r'version\.bind\.\s+0\s+CH\s+TXT\s+"rrdns"',),
    "-c CH -t TXT version.server": (r'CH\s+TXT\s+"rrdns"',),
    "-c CH -t TXT hostname.bind": ("status: REFUSED",),
    "-c CH -t A www.lb.example": ("status: REFUSED",),
    "-c ANY www.lb.example": ("status: REFUSED",),
    "-c HS www.lb.example": ("status: REFUSED",),
    "-t TYPE257 issue.lb.example": (r'CAA\s+0 issue "ca\.example\."',),
    "-t TYPE65280 www.lb.example": ("status: NOERROR", "ANSWER: 0, AUTHORITY: 1", r"IN\s+SOA\s+ns1\.lb\.example"),
    "-t ANY www.lb.example": (r'HINFO\s+"RFC8482" ""', "ANSWER: 1,"),
    "-t ANY +notcp www.lb.example": (r'HINFO\s+"RFC8482" ""', r"\(UDP\)"),
    "-t AXFR lb.example": ("Transfer failed",),
    "-t IXFR=1 lb.example": ("Transfer failed",),
    "-t DS lb.example": ("status: NOERROR", r"AUTHORITY: 1", r"lb\.example\.\s+\d+\s+IN\s+SOA"),
    "-t NS lb.example": ("ANSWER: 2", "ADDITIONAL: 5", r"ns2\.lb\.example\.\s+3600\s+IN\s+AAAA"),
    "-x 198.51.100.1": ("status: REFUSED",),
    "nothing.lb.example": ("status: NXDOMAIN", "flags: qr aa;", r"lb\.example\.\s+60\s+IN\s+SOA"),
    "WwW.lB.eXaMpLe": (r";WwW\.lB\.eXaMpLe\.", r"(?i)www\.lb\.example\.\s+20\s+IN\s+A"),
    "alias.lb.example": (r"CNAME\s+www\.lb\.example\.", THREE, "ANSWER: 4"),
    "example": ("status: REFUSED", "!AUTHORITY SECTION"),
    ".": ("status: REFUSED", "!AUTHORITY SECTION"),
}


@pytest.mark.parametrize("words", DIG)
def test_dig(running: Lab, words: str) -> None:
    check(said(running, "dig", "-r", f"@{OURS[0]}", "+norec", *words.split()), DIG[words])


def test_dig_at_every_address(running: Lab) -> None:
    for address in OURS:
        check(said(running, "dig", "-r", f"@{address}", "+norec", "www.lb.example"), (THREE, rf"SERVER: {address}#53"))


def test_dig_says_what_the_parent_says(running: Lab) -> None:
    """The same NS records and addresses on both sides of the zone cut."""
    assert "lb.example. 3600 NS ns2.lb.example." in PARENT_ZONE
    for name, rtype in (("lb.example", "NS"), ("ns1.lb.example", "A"), ("ns2.lb.example", "AAAA")):
        ours = said(running, "dig", "-r", f"@{OURS[0]}", "+norec", "+noall", "+answer", name, rtype)
        words = ("+noall", "+authority", "+additional")
        theirs = said(running, "dig", "-r", f"@{PARENT[0]}", "+norec", *words, name, rtype)
        lines = {" ".join(line.split()) for line in ours.splitlines()}
        assert lines and lines <= {" ".join(line.split()) for line in theirs.splitlines()}


# ---------------------------------------------------------------- kdig, drill

KA = r"www\.lb\.example\.\s+20\s+IN\s+A\s+198\.51\.100\.[123]\n"
KTHREE = f"(?:{KA}){{3}}"
KDIG: dict[str, tuple[str, ...]] = {
    "www.lb.example": ("Flags: qr aa; QUERY: 1; ANSWER: 3; AUTHORITY: 0; ADDITIONAL: 0", KTHREE, "!EDNS"),
    "+nsid +cookie +subnet=2001:db8::/48 +padding=64 +bufsize=600 www.lb.example": (
        r'NSID: \w+ "rrdns-lab"', r"COOKIE: [0-9A-F]{48}", "CLIENT-SUBNET: 2001:db8::/48/0", "UDP size: 1232 B", KTHREE,
    ),
    "+tcp +keepopen www.lb.example text.lb.example TXT": (KTHREE, r'TXT\s+"two"', r"\(TCP\)"),
    "+edns=3 www.lb.example": ("status: BADVERS", "ext-rcode: BADVERS", "Version: 0", "ANSWER: 0"),
    "+ednsopt=65001:0102 www.lb.example": ("status: NOERROR", KTHREE, "!65001"),
    "+noedns +ignore many.lb.example": ("Flags: qr aa tc;", "Received 33 B"),
    "+bufsize=1232 many.lb.example": ("ANSWER: 100", r"\(TCP\)"),
    "+cdflag +adflag +zflag +aaflag +raflag www.lb.example": ("Flags: qr aa; QUERY", KTHREE),
    "+tcflag www.lb.example": ("status: FORMERR", "Received 12 B"),
    "+dnssec www.lb.example": ("flags: do;", KTHREE),
    "+expire lb.example SOA": ("ANSWER: 1", "!EXPIRE"),
    "+alignment=128 +tcp www.lb.example": ("status: NOERROR", KTHREE),
    "-c CH -t TXT version.server": (r'CH\s+TXT\s+"rrdns"',),
    "-t NOTIFY=5 lb.example": ("status: NOTIMPL", "Received 12 B"),
    "-t AXFR lb.example": ("REFUSED",),
    "-t IXFR=5 lb.example": ("REFUSED",),
    "-t TYPE257 issue.lb.example": (r'CAA\s+0 issue "ca\.example\."',),
    "-x 2001:db8::1": ("status: REFUSED",),
}  # fmt: skip

DRILL: dict[str, tuple[str, ...]] = {
    "www.lb.example": ("rcode: NOERROR", "flags: qr aa rd ;", KTHREE, "!EDNS"),
    "-D www.lb.example": ("EDNS: version 0; flags: do ; udp: 1232", KTHREE),
    "-o rd www.lb.example": ("flags: qr aa ;", KTHREE),
    "-o rd -o AD -o CD www.lb.example": ("flags: qr aa ;", KTHREE),
    "-o TC www.lb.example": ("rcode: FORMERR",),
    "-t many.lb.example": ("ANSWER: 100",),
    "-b 512 many.lb.example": ("flags: qr aa tc rd ;", "ANSWER: 0", "rcvd: 44"),
    "-b 512 -a many.lb.example": ("ANSWER: 100",),
    "TYPE257 issue.lb.example": (r'CAA\s+0 issue "ca\.example\."',),
    "version.bind TXT CH": (r'CH\s+TXT\s+"rrdns"',),
    "-x 198.51.100.1": ("rcode: REFUSED",),
    "nothing.lb.example": ("rcode: NXDOMAIN", r"IN\s+SOA\s+ns1"),
}


@pytest.mark.parametrize("words", KDIG)
def test_kdig(running: Lab, words: str) -> None:
    check(said(running, "kdig", f"@{OURS[1]}", "+norec", *words.split()), KDIG[words])


@pytest.mark.parametrize("words", DRILL)
def test_drill(running: Lab, words: str) -> None:
    check(said(running, "drill", f"@{OURS[0]}", *words.split()), DRILL[words])


def test_drill_walks_down_from_the_root(running: Lab) -> None:
    check(said(running, "drill", "-T", "-r", hints(running), "www.lb.example"), (
        r"lb\.example\.\s+3600\s+IN\s+NS\s+ns2\.lb\.example\.", KTHREE,
    ))  # fmt: skip


def hints(one: Lab) -> str:
    file = one.folder / "hints"
    file.write_text(f". 3600 NS a.root.\na.root. 3600 A {ROOT[0]}\na.root. 3600 AAAA {ROOT[1]}\n")
    return str(file)


# ---------------------------------------------------------------- Zonemaster

SEEN_AT_EACH_ADDRESS = ("HAS_NAMESERVERS", "NO_RECURSOR", "AXFR_FAILURE", "QNAME_CASE_SENSITIVE")
SEEN = (
    *("ONE_SOA_SERIAL", "ONE_NS_SET", "ADDRESSES_MATCH", "ARE_AUTHORITATIVE", "EDNS0_SUPPORT", "SAME_SOURCE_IP"),
    *("NO_UPWARD_REFERRAL", "CASE_QUERIES_RESULTS_OK", "NAMES_MATCH", "SOA_EXISTS", "ENOUGH_IPV6_NS_CHILD"),
)


def zonemaster(one: Lab, *words: str) -> list[dict[str, Any]]:
    needs("zonemaster-cli")
    command = ("zonemaster-cli", "--json", "--level", "INFO", "--no-progress", "--hints", hints(one), *words)
    done = one.client.run(*command, "lb.example", timeout=110)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_zonemaster(running: Lab) -> None:
    told = zonemaster(running)
    bad = [one for one in told if one["level"] in (*ERRORS, "WARNING")]
    assert not [one for one in bad if one["tag"] not in TAGS_OF_A_LAB], bad
    tags = [one["tag"] for one in told]
    assert {tag: tags.count(tag) for tag in SEEN_AT_EACH_ADDRESS} == dict.fromkeys(SEEN_AT_EACH_ADDRESS, len(OURS))
    assert not set(SEEN) - set(tags)
    print(sorted({(one["level"], one["tag"]) for one in told if one["level"] in ("NOTICE", "WARNING")}))


def test_zonemaster_finds_a_lame_server(running: Lab) -> None:
    """That it would tell."""
    told = zonemaster(running, "--ns", f"ns1.lb.example/{PARENT[0]}", "--ns", f"ns2.lb.example/{OURS[1]}")
    assert [one for one in told if one["level"] in ERRORS and one["tag"] not in TAGS_OF_A_LAB]


# ---------------------------------------------------------------- DNSViz


def dnsviz(one: Lab, *words: str) -> dict[str, Any]:
    """What `dnsviz probe`, with EDNS of the future too (-E), and then `grok` make of two names and all above."""
    needs("dnsviz")
    probed = one.client.run(
        *("dnsviz", "probe", "-A", "-a", ".", "-x", f".:a.root={ROOT[0]},a.root=[{ROOT[1]}]", "-E", *words),
        *("lb.example", "www.lb.example"),
        timeout=110,
    )
    assert probed.returncode == 0, probed.stderr
    program = shutil.which("dnsviz") or "dnsviz"
    grokked = one.client.run(program, "grok", "-P", "-l", "info", stdin=probed.stdout, timeout=110)
    assert grokked.returncode == 0, grokked.stderr
    found: dict[str, Any] = json.loads(grokked.stdout)
    return found


def complaints(part: Any, at: str = "") -> Iterator[str]:
    """Every error and warning, with where it stands."""
    if isinstance(part, list):
        part = dict(enumerate(part))
    if isinstance(part, dict):
        for name, inner in part.items():
            if name in ("errors", "warnings") and inner:
                yield f"{at}: {inner}"
            yield from complaints(inner, f"{at}/{name}")


def test_dnsviz(running: Lab) -> None:
    seen = dnsviz(running)
    assert not list(complaints(seen))
    assert {name: one["status"] for name, one in seen.items()} == dict.fromkeys(
        (".", "example.", "lb.example.", "www.lb.example."), "NOERROR"
    )
    answers = seen["www.lb.example."]["queries"]["www.lb.example./IN/A"]["answer"]
    assert {address for one in answers for address in one["servers"]} == set(OURS)
    assert seen["lb.example."]["delegation"]["status"] == "INSECURE"


def test_dnsviz_finds_a_lame_server(running: Lab) -> None:
    """That it would tell."""
    assert list(complaints(dnsviz(running, "-x", f"lb.example:ns1.lb.example={PARENT[0]}")))


def test_nothing_went_wrong_inside(running: Lab) -> None:
    assert "Traceback" not in running.server.log
    assert all(one["errors"] == 0 for one in running.server.status()["workers"])


def test_namespaces_are_removed_when_a_test_fails(tmp_path: Path) -> None:
    places = []
    with (
        pytest.raises(ZeroDivisionError),
        cabled(["192.0.2.1"], ["192.0.2.2"]) as both,
        contextlib.ExitStack() as stack,
    ):
        places += [one.name for one in both]
        stack.enter_context(both[0].started("sleep", "600", output=tmp_path / "output"))
        forgotten = subprocess.Popen(both[1].command("sleep", "600"))
        wait_for(lambda: both[1].pids() == [forgotten.pid])
        raise ZeroDivisionError
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    assert places and not [one for one in places if one in left]
    assert forgotten.wait(20) < 0
