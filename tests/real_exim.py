"""A real mail server, exim, on a free loopback port, that delivers into a Maildir; without privileges of its own."""

from __future__ import annotations

import email
import email.policy
import os
import pwd
import re
import socket
import subprocess
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType

_CONFIG = """\
primary_hostname = mx.example.com
domainlist here = example.com
local_interfaces = <; 127.0.0.1
daemon_smtp_ports = {port}
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
pid_file_path = {folder}/pid
exim_user = {user}
exim_group = {group}
deliver_drop_privilege = true
keep_environment =
add_environment =
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 50
smtp_load_reserve = 1000
check_spool_space = 0
check_log_space = 0
acl_smtp_rcpt = here
begin acl
here:
  accept domains = +here
  deny message = no relaying
begin routers
box:
  driver = accept
  domains = +here
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  create_directory
  user = {user}
  group = {group}
begin retry
* * F,1h,1s
"""


class Exim:
    """`with Exim() as mail: mail.port; mail.mails()`."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="rrdns-exim-")
        self.folder = Path(self._temporary.name)
        uid = os.getuid() or pwd.getpwnam("nobody").pw_uid
        user = pwd.getpwuid(uid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = self.folder / "exim.conf"
        config.write_text(_CONFIG.format(port=self.port, folder=self.folder, user=user.pw_name, group=user.pw_gid))
        config.chmod(0o644)
        self.folder.chmod(0o755)
        for name in ("spool", "mail"):
            (self.folder / name).mkdir()
        if os.getuid() == 0:
            for path in (self.folder, self.folder / "spool", self.folder / "mail"):
                os.chown(path, uid, user.pw_gid)
        self._process = subprocess.Popen(
            ["/usr/sbin/exim4", "-C", str(config), "-bdf", "-q1s"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        end = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, self._process.communicate()[1] + self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
                return sock.recv(3) == b"220"
        except OSError:
            return False

    @property
    def log(self) -> str:
        return "".join(f"{path.name}: {path.read_text()}" for path in sorted(self.folder.glob("*log")))

    @property
    def accepted(self) -> int:
        """Messages it has said yes to; their delivery takes a moment more."""
        return len(self._ids())

    def _ids(self) -> list[str]:
        log = self.folder / "mainlog"
        return re.findall(r" <= .* id=(\S+)", log.read_text()) if log.exists() else []

    def mails(self) -> list[EmailMessage]:
        """What was delivered, in the order in which it was accepted."""
        accepted = self._ids()
        found = []
        for path in (self.folder / "mail" / "new").glob("*"):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            found.append(message)
        return sorted(found, key=lambda one: accepted.index(one["Message-ID"].strip("<>")))

    def __enter__(self) -> Exim:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate(timeout=15)
        self._temporary.cleanup()
