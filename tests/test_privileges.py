"""Who to become, whose the folders are, and that root is really gone. Most of it needs root to show."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rrdns.control import api
from rrdns.settings import Settings
from rrdns.supervise import privileges
from rrdns.supervise.privileges import NET_BIND_SERVICE, Account, PrivilegeError

USER = "nobody"
GROUP = "games"  # every Debian has it, and nobody is not in it
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ONLY = 1 << NET_BIND_SERVICE


@pytest.fixture
def account() -> Account:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    found = privileges.choose(USER)
    assert found
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that other users may enter (pytest's own they may not)."""
    with tempfile.TemporaryDirectory(prefix="rrdns-test-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def in_child(work: Callable[[], object]) -> str:
    """What `work` returns or raises, as text, in a forked process that may lose its rights."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            said = f"{work()}"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return text


# -- whom to become ----------------------------------------------------------------------------------------------


def test_unknown_user_is_refused() -> None:
    with pytest.raises(PrivilegeError, match="there is no user 'no-such-user'"):
        privileges.choose("no-such-user")


@as_root
def test_root_may_stay_root() -> None:
    assert privileges.choose("root") is None


@as_root
def test_account_has_its_groups(account: Account) -> None:
    assert account.uid != 0 and account.gid in account.groups


@as_root
def test_a_user_cannot_become_another(account: Account) -> None:
    def work() -> object:
        os.setuid(account.uid)
        assert privileges.choose(USER) is None
        return privileges.choose("root")

    assert in_child(work).startswith("PrivilegeError: only root can become user 'root'")


# -- the control socket's group ----------------------------------------------------------------------------------


def test_unknown_group_is_refused() -> None:
    with pytest.raises(PrivilegeError, match="there is no group 'no-such-group': create it"):
        privileges.group_id("no-such-group")


@as_root
def test_the_account_becomes_a_member() -> None:
    gid = privileges.group_id(GROUP)
    found = privileges.choose(USER, gid)
    assert found and gid in found.groups and found.gid != gid


@as_root
def test_a_user_cannot_give_away_what_it_is_not_in(account: Account) -> None:
    def outside() -> int:
        privileges.drop(account)
        return privileges.group_id(GROUP)

    assert "PrivilegeError: user nobody is not in the group 'games'" in in_child(outside)

    def inside() -> int:
        found = privileges.choose(USER, privileges.group_id(GROUP))
        assert found
        privileges.drop(found)
        return privileges.group_id(GROUP)

    assert in_child(inside) == str(privileges.group_id(GROUP))


@as_root
def test_a_group_gets_into_our_folder_and_into_no_other(folder: Path) -> None:
    gid = privileges.group_id(GROUP)
    ours, theirs, open_to_all = folder / "run", folder / "home", folder / "open"
    for one, mode in ((ours, 0o750), (theirs, 0o700), (open_to_all, 0o755)):
        one.mkdir(mode)
    (ours / "control.sock").touch()
    (theirs / "diary").touch()
    assert privileges.let_in(ours, gid, ("*.sock",)) is None
    assert (ours.stat().st_gid, ours.stat().st_mode & 0o777) == (gid, 0o750)
    assert privileges.let_in(theirs, gid, ("*.sock",)) == theirs
    assert theirs.stat().st_gid != gid
    assert privileges.let_in(open_to_all, gid, ("*.sock",)) is None
    assert open_to_all.stat().st_gid != gid
    folder.chmod(0o700)
    assert privileges.let_in(ours, gid, ("*.sock",)) == folder, "the way there counts too"


@as_root
def test_members_of_the_group_can_use_the_socket(folder: Path, account: Account) -> None:
    gid = privileges.group_id(GROUP)
    path = folder / "control.sock"

    def connect(*groups: int) -> str:
        def work() -> str:
            os.setgroups(groups)
            os.setresgid(12345, 12345, 12345)
            os.setresuid(12345, 12345, 12345)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
            return "in"

        return in_child(work)

    with api.listen(path, GROUP) as sock:
        status = path.stat()
        assert (status.st_gid, status.st_mode & 0o777) == (gid, 0o660)
        assert connect(gid) == "in" and "PermissionError" in connect()
        sock.close()
    with pytest.raises(OSError, match="there is no group 'no-such-group' any more"):
        api.listen(path, "no-such-group")


# -- dropping ----------------------------------------------------------------------------------------------------


@as_root
def test_drop_keeps_one_capability_and_the_way_back_is_closed(account: Account) -> None:
    had = privileges.capabilities()["CapPrm"] & ONLY

    def work() -> object:
        privileges.drop(account)
        ids = (os.getresuid(), os.getresgid(), sorted(os.getgroups()))
        try:
            os.seteuid(0)
        except PermissionError:
            return json.dumps([ids, privileges.capabilities()])
        return "root again"

    ids, held = json.loads(in_child(work))
    assert ids == [[account.uid] * 3, [account.gid] * 3, sorted(account.groups)]
    assert held == {"CapInh": 0, "CapPrm": had, "CapEff": had, "CapBnd": had, "CapAmb": 0, "NoNewPrivs": 1}


@as_root
def test_low_ports_open_after_the_drop_but_not_in_children(account: Account) -> None:
    bind = "import socket; s = socket.socket(); s.bind(('127.0.0.1', {})); print('bound')"

    interpreter = python(account)

    def work() -> object:
        privileges.drop(account)
        port = low_port()
        ran = subprocess.run([interpreter, "-c", bind.format(port)], capture_output=True, text=True)
        return f"{port < 1024} {ran.stdout}{ran.stderr}"

    said = in_child(work)
    assert said.startswith("True ") and "PermissionError" in said


@as_root
def test_plain_user_with_ambient_capabilities_keeps_them_from_children(account: Account) -> None:
    """As systemd starts it with User= and AmbientCapabilities=CAP_NET_BIND_SERVICE."""

    def work() -> object:
        privileges._prctl(privileges.PR_SET_KEEPCAPS, 1)
        os.setresuid(account.uid, account.uid, account.uid)
        import ctypes

        data = (ctypes.c_uint32 * 6)(ONLY, ONLY, ONLY, 0, 0, 0)
        privileges._libc.capset((ctypes.c_uint32 * 2)(privileges.CAPABILITY_VERSION_3, 0), data)
        assert privileges._prctl(privileges.PR_CAP_AMBIENT, 2, NET_BIND_SERVICE) == 0
        before = privileges.capabilities()["CapAmb"]
        privileges.lock_down()
        after = privileges.capabilities()
        return json.dumps([before, after["CapAmb"], after["CapInh"], after["CapEff"], after["NoNewPrivs"]])

    assert json.loads(in_child(work)) == [ONLY, 0, 0, ONLY, 1]


# -- folders -----------------------------------------------------------------------------------------------------

OWN = ("lock", "state.db*", "accepted*")


@as_root
def test_folders_are_made_for_the_account(folder: Path, account: Account) -> None:
    made = folder / "a" / "b"
    privileges.prepare_folder(made, account, OWN, "--state DIR")
    assert made.stat().st_uid == account.uid and made.stat().st_mode & 0o777 == 0o750
    assert made.parent.stat().st_uid == 0


@as_root
def test_own_folder_changes_hands_with_what_is_in_it(folder: Path, account: Account) -> None:
    outside = folder / "outside"
    outside.touch()
    state = folder / "state"
    (state / "accepted").mkdir(parents=True)
    (state / "accepted" / "x.yaml").touch()
    (state / "lock").symlink_to(outside)
    privileges.prepare_folder(state, account, OWN, "--state DIR")
    for path in (state, state / "accepted", state / "accepted" / "x.yaml"):
        assert path.stat().st_uid == account.uid
    assert outside.stat().st_uid == 0  # links are not followed


@as_root
def test_folder_with_strangers_things_never_changes_hands(folder: Path, account: Account) -> None:
    (folder / "passwd").touch()
    with pytest.raises(PrivilegeError, match=rf"user nobody cannot write into {folder}: .*--state DIR"):
        privileges.prepare_folder(folder, account, OWN, "--state DIR")
    assert folder.stat().st_uid == 0 and (folder / "passwd").stat().st_uid == 0


@as_root
def test_in_the_accounts_own_folder_nothing_is_touched(folder: Path, account: Account) -> None:
    os.chown(folder, account.uid, account.gid)
    (folder / "lock").touch()
    privileges.prepare_folder(folder, account, OWN, "--state DIR")
    assert (folder / "lock").stat().st_uid == 0


def test_a_file_in_the_place_of_the_folder(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(PrivilegeError, match="is no folder"):
        privileges.prepare_folder(folder / "file", None, OWN, "--state DIR")
    with pytest.raises(PrivilegeError, match="cannot make the folder"):
        privileges.prepare_folder(folder / "file" / "below", None, OWN, "--state DIR")


@as_root
def test_what_the_account_cannot_read_is_named(folder: Path, account: Account) -> None:
    zones = folder / "zones"
    zones.mkdir(mode=0o755)
    (zones / "a.yaml").touch(0o644)
    (zones / "b.yaml").touch(0o600)
    assert privileges.unreadable(zones, account) == zones / "b.yaml"
    (zones / "b.yaml").chmod(0o644)
    assert privileges.unreadable(zones, account) is None
    assert privileges.unreadable(folder / "none", account) is None
    zones.chmod(0o700)
    assert privileges.unreadable(zones, account) == zones
    folder.chmod(0o700)
    assert privileges.unreadable(zones, account) == zones
    assert os.geteuid() == 0


# -- a whole server --------------------------------------------------------------------------------------------


def low_port() -> int:
    """A free port below 1024; OSError with EACCES if we may not have one."""
    for port in range(1023, 600, -1):
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return port
    raise AssertionError("no free port")


def python(account: Account) -> str:
    """An interpreter the account may run; the tests' own may lie in root's home."""
    for one in (sys.executable, "/usr/bin/python3"):
        if Path(one).exists() and privileges.unreadable(Path(one), account) is None:
            ran = subprocess.run([one, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True)
            if ran.stdout == b"True\n":
                return one
    pytest.skip(f"user {account.name} can run no Python 3.11 here")


class Started:
    def __init__(self, folder: Path, account: Account, settings: Settings, user: int | None = None) -> None:
        self.home = folder / "home"
        if not self.home.exists():
            self.home.mkdir(0o755)
            source = Path(privileges.__file__).parent.parent
            shutil.copytree(source, self.home / "rrdns", ignore=shutil.ignore_patterns("__pycache__"))
            for name in ("fake_worker.py", "fake_control.py"):
                shutil.copy(Path(__file__).parent / name, self.home / name)
            subprocess.run(["chmod", "-R", "go+rX", str(self.home)], check=True)
        self.log = folder / f"log-{time.monotonic_ns()}"
        env = {**os.environ, "PYTHONPATH": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"}
        env["RRDNS_SETTINGS"] = settings.to_json()
        command = [python(account), "-m", "rrdns.supervise.supervisor"]
        command += ["--worker-module", "fake_worker", "--control-module", "fake_control"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=env, stderr=log, stdin=subprocess.DEVNULL, cwd=folder, user=user
            )

    def waits_for(self, words: str) -> str:
        deadline = time.monotonic() + 40
        while words not in self.log.read_text():
            assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        return self.log.read_text()

    def pids(self, state: Path) -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"RRDNS_RUN={state}".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found


@pytest.fixture
def serve(folder: Path, account: Account) -> Iterator[Callable[..., Started]]:
    state = folder / "state"
    started: list[Started] = []

    def start(port: int, user: str = USER, start_as: int | None = None) -> Started:
        settings = Settings(
            listen=(("127.0.0.1", port),), workers=2, state=str(state), control=str(folder / "run" / "control.sock"),
            zones=str(folder / "zones"), user=user,
        )  # fmt: skip
        started.append(Started(folder, account, settings, start_as))
        return started[-1]

    (folder / "zones").mkdir(0o755)
    yield start
    for one in started:
        one.process.terminate()
        one.process.wait(30)
    for pid in started[-1].pids(state) if started else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@as_root
def test_server_started_as_root_gives_root_up(serve: Callable[..., Started], folder: Path, account: Account) -> None:
    port = low_port()
    server = serve(port)
    server.waits_for("serving on")
    children = server.pids(folder / "state")
    assert len(children) == 3
    for pid in (server.process.pid, *children):
        assert privileges.user_of(pid) == account.uid
        held = privileges.capabilities(pid)
        mask = ONLY if pid == server.process.pid else 0
        assert (held["CapPrm"], held["CapEff"], held["CapInh"], held["CapAmb"]) == (mask, mask, 0, 0)
        assert held["NoNewPrivs"] == 1
    assert {path.stat().st_uid for path in (folder / "state", folder / "run", folder / "state" / "lock")} == {
        account.uid
    }
    ask(port)
    # the next start, as root again, takes over what runs as that user
    server.process.kill()
    server.process.wait()
    again = serve(port)
    said = again.waits_for("serving on")
    assert "takes over from a killed server" in said
    ask(port)
    deadline = time.monotonic() + 30
    while len(again.pids(folder / "state")) != 3:
        assert time.monotonic() < deadline, "the old ones end"
        time.sleep(0.05)
    again.process.terminate()
    assert again.process.wait(30) == 0
    assert not again.pids(folder / "state")


def ask(port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(30)
        client.sendto(b"who", ("127.0.0.1", port))
        assert client.recv(100).endswith(b"who")


@as_root
def test_orphans_of_another_user_end_before_the_start(serve: Callable[..., Started], folder: Path) -> None:
    port = low_port()
    first = serve(port, user="root")
    first.waits_for("serving on")
    first.process.kill()
    first.process.wait()
    second = serve(port)
    assert "run as another user" in second.waits_for("serving on")
    ask(port)
    assert len(second.pids(folder / "state")) == 3


@as_root
def test_unreadable_zones_are_told_before_anything_starts(serve: Callable[..., Started], folder: Path) -> None:
    (folder / "zones" / "x.yaml").touch(0o600)
    server = serve(0)
    assert server.process.wait(30) == 1
    said = server.log.read_text()
    assert f"user nobody cannot read {folder}/zones/x.yaml (zones)" in said and "--user root" in said
    assert not (folder / "state").exists()


@as_root
def test_unknown_user_ends_the_start(serve: Callable[..., Started]) -> None:
    server = serve(0, user="no-such-user")
    assert server.process.wait(30) == 1
    assert "there is no user 'no-such-user'" in server.log.read_text()


@as_root
def test_plain_user_is_told_about_low_ports(serve: Callable[..., Started], folder: Path, account: Account) -> None:
    os.chown(folder, account.uid, account.gid)
    server = serve(low_port(), user="", start_as=account.uid)
    assert server.process.wait(30) == 1
    assert "CAP_NET_BIND_SERVICE" in server.log.read_text()


@as_root
def test_without_the_user_root_stays_with_a_warning(serve: Callable[..., Started]) -> None:
    with contextlib.suppress(KeyError):
        __import__("pwd").getpwnam(privileges.DEFAULT_USER)
        pytest.skip("this machine has a user rrdns")
    server = serve(0, user="")
    assert server.waits_for("serving on").count("runs as root: there is no user rrdns") == 1
