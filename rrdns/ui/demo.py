"""`rrdns demo`: three real web servers, a zone over them and a whole rrdns, on loopback; a failure and a return.

Everything is started as an operator would start it, and ended by its pid whatever happens. Must not know: how
anything of the server works.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rrdns.model import Check, HttpProbe, Member, Pool, Service
from rrdns.settings import Settings
from rrdns.texts import percent
from rrdns.ui import budget
from rrdns.ui.ask import Answer, BadReply, ask
from rrdns.ui.console import Cell, out, styled
from rrdns.ui.demo_servers import Failed, Web, end_server, free_dns_port, free_port
from rrdns.ui.serve import environment

NAME, ONE = "www.demo.test", "one.demo.test"
MEMBERS = {"web1": ("127.0.0.11", 1), "web2": ("127.0.0.12", 1), "web3": ("127.0.0.13", 2)}
VICTIM = "web2"
START_WAIT = 60.0
PATIENCE = 6  # times the promise, until the demo gives up on a slow machine

CHECK = Check("web", "http", 1, HttpProbe(), interval=1.0, timeout=0.5, fall=3, rise=2, fast=0.3)
SERVICE = Service(b"", b"", "web", ttl=20, ttl_min=5)

ZONE = """\
'':  {type: NS, value: ns1.demo.test.}
ns1: {type: A, value: 127.0.0.1}
www: {type: POOL, pool: web, ttl: 20}           # every healthy member, rotating
one: {type: POOL, pool: web, answers: 1}        # one member an answer, by weight
"""
POOLS = """\
checks:
  web: {{type: http, port: {port}, path: /, interval: 1s, timeout: 500ms, fall: 3, rise: 2, fast: 300ms}}
pools:
  web:
    check: web
    members:
      web1: 127.0.0.11
      web2: 127.0.0.12
      web3: {{address: 127.0.0.13, weight: 2}}
"""


def run(args: argparse.Namespace) -> int:
    before = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with tempfile.TemporaryDirectory(prefix="rrdns-demo-", ignore_cleanup_errors=True) as folder:
            # the server may drop to a user of its own, who must be able to read the zone
            Path(folder).chmod(0o755)
            return _in(Path(folder), stay=not args.quick and sys.stdout.isatty())
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _in(folder: Path, stay: bool) -> int:
    show = _Show(folder)
    try:
        with show.running():
            show.rotation()
            show.failure()
            show.comeback()
            show.what_next(stay)
            if stay:
                show.watch()
    except Failed as error:
        print(f"rrdns demo: {error}", file=sys.stderr)
        return 1
    return 0


# ---------------------------------------------------------------- the show


@dataclass
class _Show:
    folder: Path
    webs: dict[str, Web] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        self.console = out()

    def say(self, *pieces: Cell | str) -> None:
        self.console.print(styled(*pieces), end="\n", soft_wrap=True)

    def title(self, text: str) -> None:
        self.say("")
        self.say((text, "bold cyan"))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The web servers and rrdns; all of them end with this."""
        with contextlib.ExitStack() as stack:
            web_port = free_port([address for address, _ in MEMBERS.values()])
            self.title("Three web servers, each a process of its own")
            for name, (address, weight) in MEMBERS.items():
                web = self.webs[name] = Web(name, address, web_port)
                web.start()
                stack.callback(web.end)
                self.say(
                    f"  {name}  http://{address}:{web_port}/  weight {weight}  pid {web.process and web.process.pid}"
                )
            zones = self.folder / "zones"
            zones.mkdir()
            (zones / "demo.test.yaml").write_text(ZONE)
            (zones / "pools.yaml").write_text(POOLS.format(port=web_port))
            self.title("Two files say what is to be served")
            for file in sorted(zones.iterdir()):
                self.say((f"  {file}", "bold"))
                for line in file.read_text().splitlines():
                    self.say((f"    {line}", "green"))
            server = self._server(zones)
            stack.callback(end_server, server, self.folder / "state")
            self._wait_for_server(server)
            yield

    @property
    def control(self) -> Path:
        return self.folder / "state" / "control.sock"

    def _server(self, zones: Path) -> subprocess.Popen[bytes]:
        self.port = free_dns_port()
        listen = f"127.0.0.1:{self.port}"
        self.title("rrdns serves them")
        self.say(f"  rrdns serve {zones} --listen {listen} --state {self.folder / 'state'} ...")
        options = ["--listen", listen, "--state", str(self.folder / "state"), "--control", str(self.control)]
        with open(self.folder / "log", "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "rrdns", "serve", str(zones), *options, "--config", os.devnull],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(Settings()),
                start_new_session=True,
            )

    def _wait_for_server(self, server: subprocess.Popen[bytes]) -> None:
        def everyone() -> bool:
            if server.poll() is not None:
                raise Failed(f"the server ended with exit code {server.returncode}:\n{self._log()}")
            return set(self.answer(NAME).addresses) == {address for address, _ in MEMBERS.values()}

        took = self._until(everyone, START_WAIT)
        if took is None:
            raise Failed(f"the server does not answer with all three after {START_WAIT:.0f} s:\n{self._log()}")
        self.say(f"  answers after {took:.1f} s; its log is {self.folder / 'log'}")

    def _log(self) -> str:
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-20:])

    def answer(self, name: str) -> Answer:
        """What the server says now; an empty answer when it says nothing."""
        try:
            return ask("127.0.0.1", self.port, name)
        except (OSError, BadReply):
            return Answer(-1, (), 0)

    def _until(self, condition: Callable[[], bool], seconds: float) -> float | None:
        start = time.monotonic()
        while not condition():
            if time.monotonic() - start > seconds:
                return None
            time.sleep(0.02)
        return time.monotonic() - start

    # -------------------------------------------------------- the acts

    def rotation(self) -> None:
        self.title(f"{NAME}: every healthy server, a different one first each time")
        for _ in range(6):
            addresses = self.answer(NAME).addresses
            if not addresses:
                raise Failed(f"no answer for {NAME}")
            url = f"http://{addresses[0]}:{next(iter(self.webs.values())).port}/"
            with urllib.request.urlopen(url, timeout=5) as page:  # a real visit, as a browser would make it
                visited = page.read().decode().strip()
            self.say(f"  {'  '.join(addresses)}   → {visited} answered the visit")
        self.title(f"{ONE}: one server an answer, web3 twice as often as the others")
        counted = Counter(self.answer(ONE).addresses for _ in range(200))
        for name, (address, weight) in MEMBERS.items():
            share = counted[(address,)] / sum(counted.values())
            self.say(f"  {name}  weight {weight}  {'█' * round(40 * share)} {percent(share)} of 200 answers")

    def failure(self) -> None:
        web = self.webs[VICTIM]
        promise = budget.of(SERVICE, _POOL, {"web": CHECK})
        if promise is None or web.process is None:
            raise Failed(f"{VICTIM} is not running")
        self.title(f"kill -9 {web.process.pid}: {VICTIM} dies")
        web.end()
        start, alarmed = time.monotonic(), 0.0

        def gone() -> bool:
            nonlocal alarmed
            now = self.answer(NAME)
            if not alarmed and 0 < now.ttl < SERVICE.ttl:
                alarmed = time.monotonic() - start
                self.say(f"  after {alarmed:.1f} s  a probe failed: the TTL goes from {SERVICE.ttl} to {now.ttl}")
            return now.rcode == 0 and bool(now.addresses) and web.address not in now.addresses

        took = self._until(gone, PATIENCE * promise.gone)
        if took is None:
            raise Failed(f"{VICTIM} is still answered {PATIENCE * promise.gone:.0f} s after its death:\n{self._log()}")
        self._verdict(took, promise.gone, f"{VICTIM} has left: {'  '.join(self.answer(NAME).addresses)}")

    def comeback(self) -> None:
        web = self.webs[VICTIM]
        self.title(f"{VICTIM} is started again")
        web.start()
        promised = budget.back(CHECK)
        took = self._until(lambda: web.address in self.answer(NAME).addresses, PATIENCE * promised)
        if took is None:
            raise Failed(f"{VICTIM} is not answered {PATIENCE * promised:.0f} s after its return:\n{self._log()}")
        self._verdict(took, promised, f"{VICTIM} has returned: {'  '.join(self.answer(NAME).addresses)}")

    def _verdict(self, took: float, promised: float, what: str) -> None:
        kept = took <= promised
        said = f"promised within {promised:.1f} s" + ("" if kept else ", late: is this machine busy?")
        self.say(f"  after {took:.1f} s  {what}   ", (f"({said})", "green" if kept else "yellow"))

    def what_next(self, stay: bool) -> None:
        if not stay:
            self.title("That was it. Your own zone: rrdns check zones/ && rrdns serve zones/")
            return
        self.title("It goes on running. In another terminal:")
        rrdns = "rrdns" if shutil.which("rrdns") else f"{sys.executable} -m rrdns"
        for command, what in (
            (f"dig @127.0.0.1 -p {self.port} {NAME}", "ask it"),
            (f"export RRDNS_CONTROL={self.control}", "so that rrdns finds this server"),
            (f"{rrdns} top", "watch it"),
            (f"{rrdns} explain {NAME}", "why this answer?"),
            (f"{rrdns} drain web1 --for 1m", "take a server out gently"),
            (f"kill -9 {self._pid('web3')}", "web3 dies"),
            (f"$EDITOR {self.folder / 'zones' / 'demo.test.yaml'}", "an edit counts within a second"),
        ):
            self.say(("  " + command, "bold"), (f"   # {what}", "dim"))
        self.say("")
        self.say(("Ctrl-C ends all of it.", "bold"))

    def _pid(self, name: str) -> int:
        process = self.webs[name].process
        return process.pid if process else 0

    def watch(self) -> None:
        """Until Ctrl-C: a line whenever other servers are answered."""
        before: set[str] = set(self.answer(NAME).addresses)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(0.25)
                now = set(self.answer(NAME).addresses)
                if now != before:
                    names = {address: name for name, (address, _) in MEMBERS.items()}
                    listed = ", ".join(names.get(address, address) for address in sorted(now)) or "nobody"
                    self.say((time.strftime("%H:%M:%S  "), "dim"), f"{NAME} is now: {listed}")
                    before = now
            return
        self.say("")
        self.say("ending the servers ...")


_POOL = Pool("web", tuple(Member(name, (address,), weight) for name, (address, weight) in MEMBERS.items()), ("web",))
