"""A real worker process over real sockets: UDP in batches, TCP, wildcards, the link, the hand-over."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import time

import dns.message
import pytest
from small_zone import ZONE, addresses, name, question, small_zone
from worker_process import wait_until, worker

from rrdns import board, link
from rrdns.answers import AnswerSet, Changes, Node, key
from rrdns.server.respond import AnswerTable
from rrdns.server.udp import BatchSocket, PlainSocket, batches_work
from rrdns.settings import Settings

WWW = key(name("www.lb.example.com."), 1)


def answers(reply: bytes) -> list[str]:
    return [str(rr) for rrset in dns.message.from_wire(reply).answer for rr in rrset]


def test_nothing_is_read_before_the_first_commit() -> None:
    with worker() as one:
        with pytest.raises(TimeoutError):
            one.udp(question("www.lb.example.com."), timeout=0.5)
        assert one.value("state") == board.STARTING
        one.publish(small_zone(), fresh=True)
        assert answers(one.udp(question("www.lb.example.com.")))
        wait_until(lambda: one.value("state") == board.SERVING)


@pytest.mark.parametrize(
    "listen,ask", [("127.0.0.1", ""), ("::1", ""), ("0.0.0.0", "127.0.0.9"), ("::", "::1")], ids=str
)
def test_both_families_and_the_address_that_was_asked(listen: str, ask: str) -> None:
    with worker(small_zone(), listen=listen, ask=ask) as one:
        # A connected socket hears only replies from the address it asked.
        assert answers(one.udp(question("www.lb.example.com.", edns=1232)))
        assert answers(one.tcp(question("www.lb.example.com."))[0])
        for _ in range(200):
            assert one.udp(question("alias.lb.example.com."))
        wait_until(lambda: one.value("answered") == 202)


def test_silent_packets_among_a_batch() -> None:
    with worker(small_zone()) as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((one.address, one.port))
        one.process.send_signal(signal.SIGSTOP)
        wanted = []
        for number in range(60):
            sock.send(question("www.lb.example.com.", number=number))
            wanted.append(number)
            sock.send(b"\x80" * (number % 20))  # a response, or too short for a header
            if number % 3 == 0:
                sock.send(question("alias.lb.example.com.", number=1000 + number))
                wanted.append(1000 + number)
        one.process.send_signal(signal.SIGCONT)
        got = [int.from_bytes(sock.recv(4096)[:2], "big") for _ in wanted]
        assert sorted(got) == sorted(wanted)
        wait_until(lambda: one.value("dropped") == 60)
        assert one.value("errors") == 0


def test_tcp_pipelining_and_order() -> None:
    with worker(small_zone()) as one:
        packets = [question("www.lb.example.com.", number=n) for n in range(300)]
        assert [int.from_bytes(reply[:2], "big") for reply in one.tcp(*packets)] == list(range(300))
        # One byte at a time is still a query.
        with socket.create_connection((one.address, one.port), timeout=10) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in len(packets[0]).to_bytes(2, "big") + packets[0]:
                sock.send(bytes((byte,)))
            assert sock.recv(2)
        # A client may close its sending half and still read (RFC 7766 section 6.2.4).
        with socket.create_connection((one.address, one.port), timeout=10) as sock:
            sock.sendall(b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets))
            sock.shutdown(socket.SHUT_WR)
            total = b""
            while data := sock.recv(65536):
                total += data
            assert total.count(name("www.lb.example.com.")) == 300


def test_tcp_limits() -> None:
    with worker(small_zone(), settings=Settings(tcp_connections=8, tcp_idle=1.0)) as one:
        idle = [socket.create_connection((one.address, one.port), timeout=10) for _ in range(20)]
        # The longest idle made room: the newcomer is served.
        assert answers(one.tcp(question("www.lb.example.com."))[0])
        assert one.value("tcp_connections") <= 8
        for sock in idle:
            assert sock.recv(1) == b""  # closed for idleness, or evicted
            sock.close()
        with socket.create_connection((one.address, one.port), timeout=20) as drip:
            # Dripping bytes buys no time.
            drip.send(b"\0")
            assert drip.recv(1) == b""


def test_a_client_that_never_reads_is_bounded() -> None:
    with worker(small_zone()) as one:
        packet = question("big.lb.example.com.")
        framed = (len(packet).to_bytes(2, "big") + packet) * 500
        sock = socket.create_connection((one.address, one.port), timeout=2)
        with sock, contextlib.suppress(TimeoutError):
            for _ in range(400):
                sock.sendall(framed)
            pytest.fail("200,000 answers of 1,600 bytes were taken in without anyone reading them")
        assert answers(one.udp(question("www.lb.example.com.")))
        assert resident(one.process.pid) < 100 << 20


def resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_out_of_descriptors() -> None:
    with worker(small_zone(), settings=Settings(tcp_connections=1000), prefix=("prlimit", "--nofile=40")) as one:
        held = [socket.create_connection((one.address, one.port), timeout=10) for _ in range(80)]
        time.sleep(0.5)
        before = cpu(one.process.pid)
        assert answers(one.udp(question("www.lb.example.com.")))
        assert answers(one.tcp(question("www.lb.example.com."))[0])
        time.sleep(1.0)
        assert cpu(one.process.pid) - before < 0.5, "accept is spinning"
        for sock in held:
            sock.close()


def cpu(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_control_comes_and_goes() -> None:
    with worker(small_zone()) as one:
        for _ in range(5):
            one.udp(question("www.lb.example.com."))
        assert one.counters()[WWW][2] - one.counters()[WWW][1] == 5
        one.control.close()
        assert answers(one.udp(question("www.lb.example.com.")))
        one.connect()
        retired = one.publish(small_zone(), fresh=True)
        assert retired[WWW][2] - retired[WWW][1] == 6
        one.publish(Changes({WWW: AnswerSet((addresses("192.0.2.200"),), (0,), True)}, {}, {}))
        assert answers(one.udp(question("www.lb.example.com."))) == ["192.0.2.200"]


def test_a_large_commit_is_in_force_at_once_and_acknowledged_when_it_is_settled() -> None:
    """So many that it takes hundreds of pieces; meanwhile questions are answered, and all answers are counted."""
    names = [name(f"n{at}.lb.example.com.") for at in range(30_000)]
    zone = small_zone()

    def table(last: int) -> Changes:
        ring = AnswerSet((addresses(f"192.0.2.{last}"),), (0,), True)
        return Changes({key(one, 1): ring for one in names}, dict.fromkeys(names, Node(ZONE)), zone.zones)

    with worker() as one:
        one.publish(table(1), fresh=True)
        packets = [question(f"n{at}.lb.example.com.") for at in (0, 29_999, 17, 15_000)]
        for last in (2, 3):
            for packet in packets:
                assert answers(one.udp(packet)) == [f"192.0.2.{last - 1}"]
            for part in link.parts(table(last)):
                one.control.sendall(part)
            assert answers(one.udp(packets[0])) == [f"192.0.2.{last - 1}"]
            one.control.sendall(link.encode(("commit", last, False)))
            signs, told = 0, 0
            while (frame := one.frame())[0] != "ack":
                assert frame[:2] == ("counters", 0)
                signs += 1
                told += sum(end - start for _, start, end in frame[2].values())
                assert answers(one.udp(packets[signs % 4])) == [f"192.0.2.{last}"]
            assert frame[1] == last and signs >= 3
            told += sum(end - start for _, start, end in frame[2].values())
            assert told >= 5  # those of the ring in force before; the rest is told with the next commit
        one.control.sendall(link.encode(("counters", 9)))
        assert one.frame()[:2] == ("counters", 9)


def test_garbage_on_the_link_only_ends_the_link() -> None:
    with worker(small_zone()) as one:
        one.control.sendall(b"\0\0\0\5garbage and more of it")
        wait_until(lambda: hung_up(one.control))
        one.connect()
        assert answers(one.udp(question("www.lb.example.com.")))


def hung_up(sock: socket.socket) -> bool:
    ready, _, _ = select.select([sock], [], [], 0)
    return bool(ready) and sock.recv(1, socket.MSG_PEEK) == b""


def test_hand_over() -> None:
    with worker(small_zone()) as one:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(10)
            sock.connect(str(one.run / "worker-0.sock"))
            sock.send(b"HAND")
            data, fds, _, _ = socket.recv_fds(sock, 65536, 16)
        told = json.loads(data)
        assert told["pid"] == one.process.pid and told["index"] == 0
        assert told["udp"] == [["127.0.0.1", one.port, 0]] and told["tcp"] == [["127.0.0.1", one.port, 1]]
        taken = socket.socket(fileno=fds[0])
        os.close(fds[1])
        with taken:
            assert taken.getsockname() == ("127.0.0.1", one.port)
            assert answers(one.udp(question("www.lb.example.com."))), "it goes on serving"


def test_sigterm_answers_what_is_queued() -> None:
    with worker(small_zone()) as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((one.address, one.port))
        one.process.send_signal(signal.SIGSTOP)
        for number in range(200):
            sock.send(question("www.lb.example.com.", number=number))
        one.process.terminate()
        one.process.send_signal(signal.SIGCONT)
        assert sorted(int.from_bytes(sock.recv(4096)[:2], "big") for _ in range(200)) == list(range(200))
        assert one.process.wait(10) == 0


@pytest.mark.parametrize("stale", ["serve", "servfail"])
def test_without_control_for_too_long(stale: str) -> None:
    with worker(small_zone(), settings=Settings(max_stale=0.5, stale=stale)) as one:
        one.control.close()
        wait_until(lambda: one.value("stale") == 1)
        rcode = one.udp(question("www.lb.example.com."))[3] & 15
        assert rcode == (2 if stale == "servfail" else 0)
        one.connect()
        one.publish(small_zone(), fresh=True)
        wait_until(lambda: one.value("stale") == 0)
        assert answers(one.udp(question("www.lb.example.com.")))


def sockets_of_both_kinds() -> list[type[BatchSocket] | type[PlainSocket]]:
    return [BatchSocket, PlainSocket] if batches_work() else [PlainSocket]


@pytest.mark.parametrize("kind", sockets_of_both_kinds())
@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_batched_and_plain_sockets_answer_alike(kind: type[BatchSocket] | type[PlainSocket], listen: str) -> None:
    table = AnswerTable()
    table.stage(small_zone())
    table.commit(1, fresh=True)
    twin = AnswerTable()
    twin.stage(small_zone())
    twin.commit(1, fresh=True)
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
        if listen == "0.0.0.0":
            server.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        elif listen == "::":
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        server.bind((listen, 0))
        server.setblocking(False)
        one = kind(server, table)
        asked = {"0.0.0.0": "127.0.0.77", "::": "::1"}.get(listen, listen)
        client.connect((asked, server.getsockname()[1]))
        client.settimeout(10)
        texts = ("www", "alias", "nothing", "www", "x.moved", "cut", "big", "mail", "WWW", "www")
        packets = [question(text + ".lb.example.com.", edns=edns) for text in texts for edns in (None, 1232)]
        packets += [b"", b"\0" * 11, packets[0][:-1], struct.pack("!6H", 1, 0x2800, 1, 0, 0, 0)]
        for _ in range(3):
            wanted = []
            for packet in packets:
                client.send(packet)
                reply = twin.reply(packet, udp=True)
                if reply is not None:
                    wanted.append(reply)
            while one.turn():
                pass
            assert [client.recv(4096) for _ in wanted] == wanted
        assert one.counts.errors == 0 and one.counts.queries == 3 * len(packets)
        assert one.counts.answered == 3 * len(wanted)
