"""The client against a small real server on a unix socket: answers, refusals, and every way of getting none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fake_api import FakeApi

from rrdns.ui.client import Client, Refused, Unreachable, who_may


def test_get_and_post(tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        client = Client(api.path)
        assert client.get("/status")["version"] == "0.1.0"
        api.answers["POST", "/override"] = (200, {"ok": True, "changed": ["web/web1"], "saved": True})
        assert client.post("/override", {"members": ["web1"]})["changed"] == ["web/web1"]
        client.get("/events", limit=5, since=None, pool="a b&c")
    assert api.asked[1] == ("POST", "/override", {}, {"members": ["web1"]})
    assert api.asked[2] == ("GET", "/events", {"limit": "5", "pool": "a b&c"}, None)


def test_a_refusal_has_the_servers_words(tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.answers["POST", "/override"] = (409, {"error": "web1 is the last healthy member of web"})
        with pytest.raises(Refused, match="last healthy") as caught:
            Client(api.path).post("/override", {})
        assert caught.value.status == 409


def test_no_socket(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"no rrdns answers at .*/none: there is no such socket.*--control PATH"):
        Client(str(tmp_path / "none")).get("/status")


def test_a_socket_nobody_listens_on(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
    with pytest.raises(Unreachable, match="nobody listens"):
        Client(str(tmp_path / "s")).get("/status")


def test_what_is_no_socket(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="that is no socket"):
        Client(str(tmp_path)).get("/status")


def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="at most 107 bytes"):
        Client(str(tmp_path / ("x" * 120))).get("/status")


def test_a_server_that_hangs(tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.delay = 2.0
        with pytest.raises(Unreachable, match=r"did not answer within 0.1 s"):
            Client(api.path, timeout=0.1).get("/status")


@pytest.mark.parametrize(
    "answer", [b"", b"hello\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1", b"HTTP/1.1 200 OK\r\n\r\nnot json"]
)
def test_something_else_behind_the_socket(tmp_path: Path, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        sock.listen()

        def serve() -> None:
            one, _ = sock.accept()
            with one:
                one.recv(4096)
                one.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Unreachable):
            Client(str(tmp_path / "s"), timeout=5).get("/status")
        thread.join()


def test_a_list_is_no_answer(tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.answers["GET", "/status"] = (200, [1, 2])
        with pytest.raises(Unreachable, match="is not rrdns"):
            Client(api.path).get("/status")


def test_a_stream_gives_lines_until_the_server_ends_it(tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.stream = [{"name": "a"}, {"name": "b"}]
        stream = Client(api.path).stream("/events", follow=1)
        assert api.asked, "it is open before the first line is taken"
        assert [next(stream)["name"], next(stream)["name"]] == ["a", "b"]
        api.ended.set()
        assert list(stream) == []


def test_not_allowed_names_the_owner(tmp_path: Path) -> None:
    """Asked as `nobody` in a process of its own, because root may do everything."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    tmp_path.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with FakeApi(closed / "s"):
        script = (
            "import os, sys; sys.path.insert(0, sys.argv[2]); from rrdns.ui.client import Client, Unreachable\n"
            "os.setgid(65534); os.setuid(65534)\n"
            "try: Client(sys.argv[1]).get('/status')\n"
            "except Unreachable as error: print(error)\n"
        )
        home = str(Path(__file__).parent.parent)
        done = subprocess.run(
            [sys.executable, "-c", script, str(closed / "s"), home], capture_output=True, text=True, timeout=60
        )
    assert "not allowed to speak to rrdns" in done.stdout, done.stderr
    # pytest's own folders are closed to others too: the first one on the way is named
    assert "belongs to root:root: run this as root (sudo -u root ...)" in done.stdout


def test_who_may_without_any_obstacle(tmp_path: Path) -> None:
    assert "server's user" in who_may(str(tmp_path))
