"""Speaks to the control process: HTTP and JSON over its unix socket. Standard library only.

Every way in which no answer can come is an Unreachable with words for a person (exit 3); an answer that says no is
a Refused (exit 1). Must not know: what the answers mean, how they are shown.
"""

from __future__ import annotations

import contextlib
import grp
import http.client
import json
import os
import pwd
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

TIMEOUT = 5.0
_LONGEST_PATH = 107  # sun_path of a unix socket, without its final zero

Json = dict[str, Any]


class Unreachable(Exception):
    """Nobody answered, and why that may be."""


class Refused(Exception):
    """The server answered, and said no. `body` is its whole answer."""

    def __init__(self, text: str, status: int, body: Json) -> None:
        super().__init__(text)
        self.status = status
        self.body = body


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
        self._stream = self.sock  # http.client forgets its own as soon as the answer is the connection's last

    def wait_for_ever(self) -> None:
        self._stream.settimeout(None)


class Client:
    """One server's control socket. Each call is a connection of its own, so a restarted control is no special case."""

    def __init__(self, path: str, timeout: float = TIMEOUT) -> None:
        self.path = path
        self.timeout = timeout

    def get(self, where: str, **query: object) -> Json:
        return self._call("GET", where, query, None, self.timeout)

    def post(self, where: str, body: Json, timeout: float | None = None) -> Json:
        return self._call("POST", where, {}, body, timeout or self.timeout)

    def stream(self, where: str, **query: object) -> Iterator[Json]:
        """Lines of an endless answer as they come; ends when the server ends it. Open when this returns."""
        connection, response = self._open("GET", where, query, None, self.timeout)
        if response.status != 200:
            with contextlib.closing(connection):
                self._read(response)
                raise Unreachable(f"what answers at {self.path} is not rrdns: HTTP {response.status}")
        connection.wait_for_ever()  # quiet for hours is fine here
        return self._lines(connection, response)

    def _lines(self, connection: _UnixConnection, response: http.client.HTTPResponse) -> Iterator[Json]:
        with contextlib.closing(connection):
            try:
                while line := response.readline():
                    if line.strip():
                        yield self._parse(line)
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(f"the connection to {self.path} broke: {error or type(error).__name__}") from error

    def _call(self, method: str, where: str, query: Json, body: Json | None, timeout: float) -> Json:
        connection, response = self._open(method, where, query, body, timeout)
        try:
            return self._read(response)
        except TimeoutError as error:
            raise self._silent(timeout) from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"rrdns at {self.path} broke off in the middle of its answer; try again") from error
        finally:
            connection.close()

    def _open(
        self, method: str, where: str, query: Json, body: Json | None, timeout: float
    ) -> tuple[_UnixConnection, http.client.HTTPResponse]:
        asked = {name: value for name, value in query.items() if value is not None}
        target = f"{where}?{urlencode(asked)}" if asked else where
        if len(os.fsencode(self.path)) > _LONGEST_PATH:
            raise Unreachable(f"{self.path}: a socket's path can have at most {_LONGEST_PATH} bytes; use a shorter one")
        connection = _UnixConnection(self.path, timeout)
        try:
            if body is None:
                connection.request(method, target)
            else:
                connection.request(method, target, json.dumps(body), {"Content-Type": "application/json"})
            return connection, connection.getresponse()
        except TimeoutError as error:
            connection.close()
            raise self._silent(timeout) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from error

    def _read(self, response: http.client.HTTPResponse) -> Json:
        body = self._parse(response.read())
        if response.status >= 400:
            problems = body.get("problems") or ()
            text = body.get("error") or "; ".join(str(problem) for problem in problems) or response.reason
            raise Refused(str(text), response.status, body)
        return body

    def _parse(self, data: bytes) -> Json:
        try:
            body = json.loads(data)
        except ValueError as error:
            raise Unreachable(f"what answers at {self.path} is not rrdns: it speaks no JSON") from error
        if not isinstance(body, dict):
            raise Unreachable(f"what answers at {self.path} is not rrdns: its JSON is no object")
        return cast(Json, body)

    def _silent(self, timeout: float) -> Unreachable:
        return Unreachable(
            f"rrdns at {self.path} took the connection but did not answer within {timeout:g} s: control hangs or is "
            f"overloaded. DNS answers go on; a control that hangs is replaced within seconds"
        )

    def _unreachable(self, error: Exception) -> Unreachable:
        hint = "Is it running? For a server with another socket: --control PATH"
        if isinstance(error, FileNotFoundError):
            return Unreachable(f"no rrdns answers at {self.path}: there is no such socket. {hint}")
        if isinstance(error, ConnectionRefusedError) and not Path(self.path).is_socket():
            return Unreachable(f"no rrdns answers at {self.path}: that is no socket. {hint}")
        if isinstance(error, ConnectionRefusedError):
            return Unreachable(
                f"no rrdns answers at {self.path}: the socket is there, but nobody listens. "
                f"Control has ended or is being restarted"
            )
        if isinstance(error, PermissionError):
            return Unreachable(f"not allowed to speak to rrdns at {self.path}. {who_may(self.path)}")
        return Unreachable(f"no rrdns answers at {self.path}: {error or type(error).__name__}. {hint}")


def who_may(path: str) -> str:
    """Words on which user or group can reach the socket, or the first folder on the way that keeps us out."""
    whole = Path(path).absolute()
    for place in (*reversed(whole.parents), whole):
        try:
            found = place.stat()
        except OSError:
            break
        needed = os.X_OK if stat.S_ISDIR(found.st_mode) else os.R_OK | os.W_OK
        if not os.access(place, needed):
            owner, group = _user_name(found.st_uid), _group_name(found.st_gid)
            as_group = f", or as a member of group {group}" if found.st_mode & 0o020 and group != "root" else ""
            return f"{place} belongs to {owner}:{group}: run this as {owner} (sudo -u {owner} ...){as_group}"
    return "Run this as the server's user, or as root"


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
