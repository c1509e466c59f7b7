"""The control socket: a unix socket in the file system, who may connect to it, and who did.

Who may connect is its mode and group; who did is told by the kernel (SO_PEERCRED). A socket somebody listens on is
never taken away. Must not know: HTTP, what is asked.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import stat
import struct
from pathlib import Path
from typing import Any

MODE = 0o660


class InUse(Exception):
    """Another process listens on the socket; the message names it."""


def listen(path: Path, group: str = "") -> socket.socket:
    """A listening unix socket at `path`, mode MODE from its first moment, and of that group before anybody can
    connect. A leftover nobody listens on is replaced; any other file is not touched. Raises InUse or OSError."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    _clear(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~MODE)
    try:
        sock.bind(str(path))
        if group:
            shutil.chown(path, group=group)
        sock.listen(128)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        of = f" (control_group {group})" if group else ""
        raise OSError(error.errno, f"control socket {path}{of}: {error.strerror or error}") from error
    except LookupError as error:
        sock.close()
        raise OSError(f"control socket {path}: there is no group {group!r} any more; change control_group") from error
    finally:
        os.umask(before)
    return sock


def _clear(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(f"control socket {path}: there is a file that is no socket; remove it, or use --control PATH")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise InUse(f"control socket {path}: it is in use ({error}); use --control PATH for another") from error
        pid = _credentials(probe)[0]
    raise InUse(f"control socket {path}: pid {pid} listens there; stop it, or use --control PATH")


def _credentials(sock: Any) -> tuple[int, int, int]:
    """(pid, uid, gid) of the other end."""
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid, gid


def user_of(sock: Any) -> str:
    """The name of the user at the other end."""
    if sock is None:
        return "?"
    uid = _credentials(sock)[1]
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
