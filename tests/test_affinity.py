"""socket_affinity: with the filter a packet goes to the socket of the CPU that it came in on."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from rrdns.supervise import affinity, sockets

HERE = sorted(os.sched_getaffinity(0))
COUNT = 4


@pytest.fixture
def group() -> Iterator[list[socket.socket]]:
    """Some sockets on one port."""
    first = sockets.open_udp(("127.0.0.1", 0))
    made = [first, *(sockets.open_udp(sockets.address_of(first)) for _ in range(COUNT - 1))]
    yield made
    for one in made:
        one.close()


def taken_by(group: list[socket.socket], cpu: int, clients: int = 40) -> set[int]:
    """Which sockets get something when so many clients on that CPU ask."""

    def send() -> None:
        os.sched_setaffinity(0, {cpu})  # of this thread alone
        for _ in range(clients):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"?", sockets.address_of(group[0]))

    thread = threading.Thread(target=send)
    thread.start()
    thread.join()
    found = {}
    for place, sock in enumerate(group):
        found[place] = 0
        while True:
            try:
                sock.recv(16)
            except BlockingIOError:
                break
            found[place] += 1
    assert sum(found.values()) == clients
    return {place for place, number in found.items() if number}


@pytest.mark.parametrize("place", range(COUNT))
def test_a_packet_goes_to_the_socket_of_its_cpu(group: list[socket.socket], place: int) -> None:
    for cpu in HERE[:2]:
        others = list(range(1000, 1000 + COUNT))
        affinity.bind(group[:1], [*others[:place], cpu, *others[place + 1 :]])
        assert taken_by(group, cpu) == {place}


def test_a_place_nobody_has_falls_back_to_the_hash(group: list[socket.socket]) -> None:
    affinity.bind(group[:1], [*range(1000, 1000 + COUNT), HERE[0]])
    assert len(taken_by(group, HERE[0])) > 1


def test_without_it_clients_are_dealt_out(group: list[socket.socket]) -> None:
    affinity.loosen(group[:1])  # nothing to take away
    assert len(taken_by(group, HERE[0])) > 1
    affinity.bind(group[:1], [HERE[0], *range(1000, 999 + COUNT)])
    assert taken_by(group, HERE[0]) == {0}
    affinity.loosen(group[-1:])
    assert len(taken_by(group, HERE[0])) > 1


def test_other_cpus_take_turns() -> None:
    """The filter, line by line: (code, true, false, number)."""
    lines = list(struct.iter_unpack("HBBI", affinity.program([4, 9])))
    assert lines == [
        (0x20, 0, 0, 0xFFFFF024),
        (0x15, 0, 1, 4),
        (0x06, 0, 0, 0),
        (0x15, 0, 1, 9),
        (0x06, 0, 0, 1),
        (0x94, 0, 0, 2),
        (0x16, 0, 0, 0),
    ]
