"""What a server settles before its first process starts: user, folders, lock, addresses, orphans, privileges.

Everything that can refuse a start is asked here, in an order that leaves a refused start without a trace and
an earlier server's living workers undisturbed. What needs root (other users' processes, folders to hand over)
comes before the drop. Floor 4, standard library only. Must not know: what happens afterwards.
"""

from __future__ import annotations

import os
import resource
import secrets
import socket
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import rrdns
from rrdns.log import logger
from rrdns.settings import Settings, default_control, default_state
from rrdns.supervise import handover, ports, privileges, sockets
from rrdns.supervise.handover import Orphan
from rrdns.supervise.ports import Address, SocketError
from rrdns.supervise.privileges import Account, PrivilegeError
from rrdns.supervise.runfolder import OWN, FolderError, RunFolder

StartError = (FolderError, PrivilegeError, SocketError)
"""What `prepare` raises; the text is for people."""

MOST_FILES = 1 << 16


@dataclass(slots=True)
class Place:
    """All that is settled. `settings` has every default filled in."""

    settings: Settings
    folder: RunFolder
    addresses: tuple[Address, ...]
    cpus: tuple[int, ...]
    account: Account | None
    claims: list[socket.socket] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)
    taken: list[socket.socket] = field(default_factory=list)
    """DNS sockets of living orphans."""
    reads: dict[int, set[int]] = field(default_factory=dict)
    """Who of them reads which: pid -> inodes."""
    silent: list[Orphan] = field(default_factory=list)
    """Old workers that gave no sockets."""

    def release(self) -> None:
        for sock in (*self.claims, *self.taken):
            sock.close()
        self.folder.unlock()


def prepare(settings: Settings, lock: int = -1) -> Place:
    """Settles everything and drops privileges; one of StartError if this server must not start. `lock`: the folder's,
    which we hold already (upgrade.py)."""
    group = privileges.group_id(settings.control_group) if settings.control_group else None
    account = privileges.choose(settings.user, group)
    addresses = sockets.wanted(settings.listen)
    cpus = tuple(sorted(os.sched_getaffinity(0)))
    settings = _filled(settings, addresses, len(cpus))
    _check_readable(settings, account)
    folder = RunFolder(settings.state, account)
    place = Place(settings, folder, addresses, cpus, account)
    try:
        folder.lock(account, lock)
        privileges.prepare_folder(Path(settings.control).parent, account, OWN, "--control PATH")
        if group is not None:
            _let_in(settings, group)
        _find_orphans(place)
        _secure_addresses(place)
        _check_control(settings.control, [one.pid for one in place.orphans])
        _drop(settings, account)
        if place.orphans:
            folder.set_aside()
        else:
            folder.forget()
            folder.sweep()
    except BaseException:
        place.release()
        if not folder.kept:
            folder.clean()
        raise
    _raise_file_limit()
    return place


def _filled(settings: Settings, addresses: Sequence[Address], cpus: int) -> Settings:
    state = settings.state or default_state()
    return replace(
        settings,
        state=state if state == "none" else str(Path(state).absolute()),
        control=str(Path(settings.control or default_control()).absolute()),
        listen=tuple(addresses),
        workers=settings.workers if settings.workers > 0 else cpus,
        # All workers must know each other's cookies: a client's next packet may reach another.
        cookie_secret=settings.cookie_secret or (secrets.token_hex(16),),
    )


def _check_readable(settings: Settings, account: Account | None) -> None:
    """A server that drops root must be able to read its zones and itself, or every child ends in a riddle."""
    if account is None:
        return
    for path, what in (
        (Path(settings.zones), "zones"),
        (Path(sys.executable), "Python interpreter"),
        (Path(rrdns.__file__).parent, "rrdns itself"),
    ):
        blocked = privileges.unreadable(path, account)
        if blocked:
            raise PrivilegeError(
                f"user {account.name} cannot read {blocked.resolve()} ({what}): let it in (chmod o+x for the "
                f"folders above, chmod -R o+rX for the rest), or use --user root to stay root"
            )


def _let_in(settings: Settings, group: int) -> None:
    """The control socket's group must reach it; the state folder is not for others' eyes."""
    folder = Path(settings.control).parent
    barred = privileges.let_in(folder, group, () if folder == Path(settings.state) else OWN)
    if barred:
        logger.warning(
            "members of the group %s cannot reach the control socket, %s bars the way: use --control PATH",
            *(settings.control_group, barred),
        )


def _find_orphans(place: Place) -> None:
    """Living processes of a killed server; those we could neither signal nor share ports with end at once."""
    uid = place.account.uid if place.account else os.geteuid()
    place.orphans = handover.find(place.folder.generations())
    foreign = [one for one in place.orphans if privileges.user_of(one.pid) not in (uid, -1)]
    if not foreign:
        return
    pids = ", ".join(str(one.pid) for one in foreign)
    if os.geteuid() != 0:
        raise PrivilegeError(f"processes of an earlier server run as another user (pid {pids}): start as root")
    logger.warning("processes of an earlier server run as another user (pid %s): they end before the start", pids)
    handover.end(foreign)
    place.orphans = [one for one in place.orphans if one not in foreign]


def _secure_addresses(place: Place) -> None:
    """Claims the addresses, takes over what orphans hold of them, and makes sure that nobody else is there."""
    users = [place.account.uid] if place.account else []
    place.claims = [ports.claim(one, users) for one in place.addresses if one[1]]
    taken, place.reads, place.silent = handover.collect([one for one in place.orphans if one.is_worker])
    place.taken = handover.select_wanted(taken, place.addresses)
    inodes = {sockets.inode(sock) for sock in place.taken}
    pids = {one.pid for one in place.orphans}
    for address in place.addresses:
        sockets.probe(address, inodes, pids)


def _check_control(path: str, known: Collection[int]) -> None:
    """A second server with folders of its own must not take the first one's control socket away."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ask:
        ask.setblocking(False)
        try:
            ask.connect(path)
        except OSError:
            return  # nobody is there
        pid, _ = ports.peer(ask)
    if pid not in known:
        raise FolderError(f"the control socket {path} is in use by pid {pid}; stop it, or use --control PATH")


def _drop(settings: Settings, account: Account | None) -> None:
    if account:
        privileges.drop(account)
    elif os.geteuid() == 0:
        if settings.user != "root":
            logger.warning(
                "runs as root: there is no user %s to drop to (useradd --system %s, or --user NAME; "
                "--user root says that this is meant)",
                *(privileges.DEFAULT_USER,) * 2,
            )
        privileges.no_new_privileges()
    else:
        privileges.lock_down()


def _raise_file_limit() -> None:
    """Connections and probes each take a descriptor; the usual soft limit of 1,024 is for programs with select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
