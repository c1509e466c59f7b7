"""Giving up root: who to become, whose the folders are, and which capability stays. Floor 4, standard library only.

Started as root the supervisor hands its folders to the account, drops to it and keeps CAP_NET_BIND_SERVICE
alone, since it opens port 53 late (when control is ready) and again later. Its children have no capability:
an exec by a user who is not root starts with none. no_new_privs makes that final. Must not know: DNS, workers.

    started as   user named      becomes             supervisor keeps        children
    root         yes, exists     that user           NET_BIND_SERVICE        nothing
    root         no, rrdns is    user rrdns          NET_BIND_SERVICE        nothing
    root         no, none is     root (a warning)    all                     all
    root         root            root                all                     all
    root         unknown         -> PrivilegeError
    a user       no, or itself   that user           NET_BIND_SERVICE if it  nothing
                                                     had it (systemd)
    a user       another         -> PrivilegeError
"""

from __future__ import annotations

import ctypes
import fnmatch
import grp
import os
import pwd
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEFAULT_USER = "rrdns"
NET_BIND_SERVICE = 10

# prctl(2)
PR_SET_KEEPCAPS, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 8, 23, 24, 38, 47
PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_CLEAR_ALL = 2, 4
CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class PrivilegeError(Exception):
    """The server cannot start as the user it is told to be; the text is for people."""


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def choose(user: str, group: int | None = None) -> Account | None:
    """Whom to become; None: stay who we are. PrivilegeError if that user cannot be. `group`: one it is a member of
    besides its own, so that it can give the control socket to it."""
    root = os.geteuid() == 0
    try:
        entry = pwd.getpwnam(user or DEFAULT_USER)
    except KeyError:
        if user:
            text = f"there is no user {user!r}: create it (useradd --system {user}) or change --user"
            raise PrivilegeError(text) from None
        return None
    if not root:
        if user and entry.pw_uid != os.geteuid():
            raise PrivilegeError(f"only root can become user {user!r}: start as root, or as {user} without --user")
        return None
    if entry.pw_uid == 0:
        return None
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    if group is not None and group not in groups:
        groups += (group,)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)


def group_id(name: str) -> int:
    """The number of the group that gets the control socket; PrivilegeError if we could not give it away."""
    try:
        gid = grp.getgrnam(name).gr_gid
    except KeyError:
        text = f"there is no group {name!r}: create it (groupadd --system {name}) or change control_group"
        raise PrivilegeError(text) from None
    if os.geteuid() != 0 and gid not in (os.getegid(), *os.getgroups()):
        who = user_name(os.geteuid())
        text = f"user {who} is not in the group {name!r}, so cannot give it the control socket: "
        raise PrivilegeError(f"{text}add it (usermod -aG {name} {who}), start as root, or change control_group")
    return gid


def let_in(folder: Path, gid: int, own: Iterable[str]) -> Path | None:
    """Lets a group reach what is in a folder of ours that has nothing else in it. What bars the way all the same: this
    folder or one above it, or None."""
    status, own = folder.stat(), tuple(own)
    ours = os.geteuid() in (0, status.st_uid) and not status.st_mode & 0o022
    if ours and not _lets_in(status, gid) and _only(folder, own):
        os.chown(folder, -1, gid)
        folder.chmod(status.st_mode & 0o7707 | 0o050)
    return next((one for one in (folder, *folder.parents) if not _lets_in(one.stat(), gid)), None)


def _lets_in(status: os.stat_result, gid: int) -> bool:
    return bool(status.st_mode & (0o010 if status.st_gid == gid else 0o001))


@contextmanager
def acting_as(account: Account | None) -> Iterator[None]:
    """File work with the account's rights (effective ids), so that root follows no link laid by that user."""
    if account is None:
        yield
        return
    old_uid, old_gid, old_groups = os.geteuid(), os.getegid(), os.getgroups()
    os.setgroups(account.groups)
    os.setegid(account.gid)
    os.seteuid(account.uid)
    try:
        yield
    finally:
        os.seteuid(old_uid)
        os.setegid(old_gid)
        os.setgroups(old_groups)


def drop(account: Account) -> None:
    """root -> account for good, with CAP_NET_BIND_SERVICE (if it was there) and nothing else."""
    keep = capabilities()["CapPrm"] & (1 << NET_BIND_SERVICE)
    for number in range(64):
        # the bounding set is a second wall; without CAP_SETPCAP (containers) it stays as it is
        if number != NET_BIND_SERVICE and _prctl(PR_CAPBSET_READ, number) == 1:
            _prctl(PR_CAPBSET_DROP, number)
    _must(_prctl(PR_SET_KEEPCAPS, 1), "keep capabilities over the change of user")
    os.setgroups(account.groups)
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    _set_capabilities(keep)
    _must(_prctl(PR_SET_KEEPCAPS, 0), "end keeping capabilities")
    no_new_privileges()
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise PrivilegeError(f"could become root again after the change to user {account.name}: this kernel is not safe")


def lock_down() -> None:
    """For a start as a plain user: keep at most CAP_NET_BIND_SERVICE, and let no child inherit even that."""
    held = capabilities()
    if held["CapPrm"] or held["CapInh"]:
        _set_capabilities(held["CapPrm"] & (1 << NET_BIND_SERVICE))
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    no_new_privileges()


def pass_on() -> None:
    """Lets what `drop` or `lock_down` kept outlive our own exec. After it `lock_down` keeps it from children again."""
    kept = capabilities()["CapPrm"] & (1 << NET_BIND_SERVICE)
    if kept and os.geteuid() != 0:
        _set_capabilities(kept, kept)
        _must(_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, NET_BIND_SERVICE), "keep CAP_NET_BIND_SERVICE over an exec")


def stop_passing_on() -> None:
    """There was no exec."""
    if os.geteuid() != 0:
        lock_down()


def no_new_privileges() -> None:
    """No exec below this process ever gains rights (setuid programs, file capabilities)."""
    _must(_prctl(PR_SET_NO_NEW_PRIVS, 1), "set no_new_privs")


def capabilities(pid: int | str = "self") -> dict[str, int]:
    """CapInh, CapPrm, CapEff, CapBnd, CapAmb and NoNewPrivs of a process."""
    found = dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"), 0)
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in found:
            found[name] = int(value, 16)
    return found


def user_of(pid: int) -> int:
    """The effective uid of a process, -1 if there is none."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return -1
    return next((int(line.split()[2]) for line in lines if line.startswith("Uid:")), -1)


def prepare_folder(folder: Path, account: Account | None, own: Iterable[str], option: str) -> None:
    """Makes `folder` usable for the account: creates it, or hands over one of ours, or says what is wrong.

    An existing folder of root's is handed over only if nothing but our own files (`own`: patterns) is in it,
    so that a mistaken path such as /run never changes hands. What is in a folder that is already the
    account's is left alone: root must not touch files where a lesser user can lay links.
    """
    own = tuple(own)
    try:
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o750)
            if account:
                os.chown(folder, account.uid, account.gid)
            return
        if not folder.is_dir():
            raise PrivilegeError(f"{folder} is no folder: move it away, or use {option}")
        status = folder.stat()
        if account and status.st_uid == 0 and not status.st_mode & 0o022 and _only(folder, own):
            _give(folder, account)
        with acting_as(account):
            usable = os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True)
    except OSError as error:
        raise PrivilegeError(f"cannot make the folder {folder}: {error.strerror}: use {option}") from error
    if not usable:
        who = account.name if account else user_name(os.geteuid())
        raise PrivilegeError(
            f"user {who} cannot write into {folder}: give it that folder (chown -R {who} {folder}), or use {option}"
        )


def unreadable(path: Path, account: Account | None, pattern: str = "*.yaml") -> Path | None:
    """The first of `path` and the files in it that match which the account may not read, or None."""
    with acting_as(account):
        if not os.access(path, os.F_OK, effective_ids=True):
            # not there at all is another's message; there but out of reach is ours
            return None if _missing(path) else path
        if not path.is_dir():
            return None if os.access(path, os.R_OK, effective_ids=True) else path
        if not os.access(path, os.R_OK | os.X_OK, effective_ids=True):
            return path
        files = sorted(path.glob(pattern))
        return next((file for file in files if not os.access(file, os.R_OK, effective_ids=True)), None)


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _missing(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _only(folder: Path, own: tuple[str, ...]) -> bool:
    return all(any(fnmatch.fnmatch(entry.name, pattern) for pattern in own) for entry in folder.iterdir())


def _give(folder: Path, account: Account) -> None:
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            os.chown(Path(root, name), account.uid, account.gid, follow_symlinks=False)
    os.chown(folder, account.uid, account.gid)


def _prctl(option: int, *arguments: int) -> int:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return int(_libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(one) for one in padded)))


def _must(result: int, what: str) -> None:
    if result < 0:
        raise PrivilegeError(f"could not {what}: {os.strerror(ctypes.get_errno())}")


def _set_capabilities(mask: int, inheritable: int = 0) -> None:
    """capset(2): permitted and effective to `mask`, inheritable mostly to none (the ambient set follows it down)."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = (ctypes.c_uint32 * 6)(low, low, inheritable & 0xFFFFFFFF, high, high, inheritable >> 32)
    _must(_libc.capset(ctypes.byref(header), ctypes.byref(data)), "set the capabilities")
