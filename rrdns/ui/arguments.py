"""What can be said on the command line, with an example for everything. Must not know: how anything is done.

A command's `target` is `module:function` in this package; `cli.main` imports it when the command runs.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

from rich_argparse import RawDescriptionRichHelpFormatter

from rrdns import __version__
from rrdns.texts import parse_duration
from rrdns.ui import file_arguments, hand_arguments, past_arguments
from rrdns.ui.config import FORMATS, LEVELS, MAX_WORKERS, group_name, listen_address, user_name

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction["Parser"]

USAGE = 2
SHELLS = ("bash", "zsh")
COMMANDS = (
    "serve", "demo", "check", "top", "status", "explain", "events", "whatif", "replay", "drain", "disable",
    "enable", "force-up", "weight", "hold", "overrides", "drill", "audit", "failback", "reload", "upgrade", "notify",
    "import", "export", "schema", "completion", "version",
)  # fmt: skip

_T = TypeVar("_T")


class Formatter(RawDescriptionRichHelpFormatter):
    """Help as it is written; nothing in it is markup."""

    text_markup = False
    help_markup = False


class Parser(argparse.ArgumentParser):
    """Errors end in what to type next."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("argument COMMAND: invalid choice: "):
            word = message.split("invalid choice: ", 1)[1].split(" (choose", 1)[0].strip("'\"")
            near = difflib.get_close_matches(word, COMMANDS, n=1)
            message = f"there is no command {word!r}" + (f", did you mean {near[0]!r}?" if near else "")
        self.exit(USAGE, f"{self.prog}: {message}\nSee: {self.prog} --help\n")


def _checked(read: Callable[[str], _T]) -> Callable[[str], _T]:
    """A reader whose ValueError becomes argparse's usage error with its own words."""

    def convert(text: str) -> _T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"{text!r} is not a number between {low} and {high}")
        return int(text)

    return _checked(read)


def _examples(*lines: str) -> str:
    return "examples:\n" + "\n".join(f"  {line}" for line in lines)


class _Adder:
    """Adds one command after the other to the parser."""

    def __init__(self, subparsers: Subparsers) -> None:
        self._subparsers = subparsers

    def __call__(
        self,
        name: str,
        summary: str,
        text: str,
        examples: tuple[str, ...],
        target: str,
        talks: bool = False,
        json: bool = True,
    ) -> Parser:
        parser = self._subparsers.add_parser(
            name,
            help=summary,
            description=text,
            epilog=_examples(*examples),
            formatter_class=Formatter,
            allow_abbrev=False,
        )
        parser.set_defaults(target=target, talks=talks, json=False)
        if talks:
            parser.add_argument("--control", metavar="PATH", help="the server's control socket")
        if json:
            parser.add_argument("--json", action="store_true", help="print JSON instead of text")
        return parser


def build() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog="rrdns",
        description="An authoritative round-robin DNS server that knows which hosts are healthy, and can say why.",
        epilog=_examples(
            "rrdns demo                                   see it at work, on this machine only",
            "rrdns check zones/                           look for mistakes before they count",
            "rrdns serve zones/ --listen 192.0.2.53:53    serve a directory of zone files",
            "rrdns top                                    watch a running server",
        )
        + "\n\nenvironment: RRDNS_CONTROL and RRDNS_STATE name the server's control socket and state folder for all"
        + "\ncommands but serve. Without them and the flags: rrdns.yaml here or in /etc/rrdns, else the user's default."
        + "\n\nexit codes: 0 fine, 1 problems, 2 usage, 3 server not reachable, 4 in force but NOT saved",
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"rrdns {__version__}")
    add = _Adder(parser.add_subparsers(prog="rrdns", metavar="COMMAND", parser_class=Parser))
    _serving(add)
    _seeing(add)
    _acting(add)
    _converting(add)
    return parser


def _zones(parser: Parser, text: str) -> None:
    parser.add_argument("zones", metavar="ZONES", nargs="?", help=text)


def _serving(add: _Adder) -> None:
    serve = add(
        "serve",
        "serve a directory of zone files",
        "Serves the directory ZONES (default: zones/) until it is stopped. Edits are noticed by themselves.\n"
        "Settings come from rrdns.yaml (./ or /etc/rrdns/) and from flags; flags win.",
        ("rrdns serve", "rrdns serve zones/ --listen 192.0.2.53:53 --listen '[2001:db8::53]:53' --user rrdns",
         "rrdns serve --config /etc/rrdns/rrdns.yaml", "rrdns serve zones/ --state none --workers 1"),
        "serve:run",
        json=False,
    )  # fmt: skip
    _zones(serve, "directory of zone files (default: zones)")
    serve.add_argument(
        "--listen", metavar="ADDR:PORT", action="append", type=_checked(listen_address),
        help="address to answer on, may be repeated (default: 127.0.0.1:5300 and [::1]:5300)",
    )  # fmt: skip
    serve.add_argument(
        "--workers", metavar="N", type=_number(0, MAX_WORKERS), help="answering processes (default: one per CPU)"
    )
    serve.add_argument("--state", metavar="DIR", help="where health, overrides and events are kept; `none`: nowhere")
    serve.add_argument("--control", metavar="PATH", help="where the control socket is made")
    serve.add_argument(
        "--control-group", metavar="NAME", type=_checked(group_name),
        help="group whose members may use the control socket (default: the server's own)",
    )  # fmt: skip
    serve.add_argument("--config", metavar="FILE", help="settings file")
    serve.add_argument(
        "--user", metavar="NAME", type=_checked(user_name),
        help="user to become when started as root (default: rrdns, if there is one)",
    )  # fmt: skip
    serve.add_argument("--strict", action="store_true", help="bad zone files: exit 1, even where older ones are kept")
    serve.add_argument("--log-format", choices=FORMATS, help="log lines as text (default) or JSON")
    serve.add_argument("--log-level", choices=LEVELS, help="least level that is logged (default: info)")
    demo = add(
        "demo",
        "see it at work on this machine",
        "Starts three small web servers on loopback addresses, a zone over them and rrdns itself; shows the rotation,\n"
        "kills one, shows it leave and return, and says what to type next. Ends everything it started.",
        ("rrdns demo", "rrdns demo --quick     end by itself; exit 0 if all went as promised"),
        "demo:run",
        json=False,
    )
    demo.add_argument("--quick", action="store_true", help="end after the show instead of waiting for Ctrl-C")
    check = add(
        "check",
        "look for mistakes in zone files",
        "Reads the directory as `serve` would and prints every problem as file:line:column, then what a failure\n"
        "costs: for each name, how long a dead host can go on being answered. Warns of what loads and is hardly\n"
        "meant, such as a partner or tier too weak for the load that `capacity:` tells. Touches no server.",
        ("rrdns check", "rrdns check zones/ --strict     warnings count as problems (for CI)"),
        "lint:run",
    )
    _zones(check, "directory of zone files (default: zones)")
    check.add_argument("--strict", action="store_true", help="exit 1 for warnings too")


def _seeing(add: _Adder) -> None:
    top = add(
        "top",
        "watch a running server",
        "A live picture of services, members, their states and shares, and the last events. Press ? for the keys.",
        ("rrdns top", "rrdns top --control /tmp/rrdns/control.sock", "rrdns top --once     one picture, then end"),
        "top:run",
        talks=True,
        json=False,
    )
    top.add_argument("--once", action="store_true", help="print one picture and end")
    status = add(
        "status",
        "one snapshot of a running server",
        "Who serves what, and why. When control does not answer it says what is still known, and exits 3.",
        ("rrdns status", "rrdns status --json | jq .pools.web.serving"),
        "status:run",
        talks=True,
    )
    for one in (top, status):
        one.add_argument("--state", metavar="DIR", help="the server's state folder, to look into when control is gone")
    explain = add(
        "explain",
        "why is this the answer?",
        "Everything that leads to the answer for NAME: every member, every verdict with source, reason and age,\n"
        "weights, the ring, and why the TTL is what it is.",
        (
            "rrdns explain www.lb.example.com",
            "rrdns explain www.lb.example.com AAAA --json",
            "rrdns explain www.lb.example.com --at 03:12",
        ),
        "explain:run",
        talks=True,
    )
    explain.add_argument("name", metavar="NAME", help="a full domain name; the final dot may be left out")
    explain.add_argument("type", metavar="TYPE", nargs="?", default="A", help="record type (default: A)")
    past_arguments.at(explain)
    events = add(
        "events",
        "what changed, when and why",
        "The transitions the server has recorded, oldest first: from its memory, and from the journal as far back as\n"
        "that reaches. When no server answers, from the files in its state folder (exit code 3).",
        (
            "rrdns events --since 7d",
            "rrdns events --pool web --limit 20",
            "rrdns events --follow --json",
            "rrdns events --journal /tmp/journal.db --since 14d",
        ),
        "events:run",
        talks=True,
    )
    events.add_argument(
        "--since", metavar="AGE", type=_checked(parse_duration), help="not older than this: 30s, 1h, 7d"
    )
    events.add_argument("--pool", metavar="POOL", help="only of this pool")
    limit = "the last N at most (default: 50, with --since all there are)"
    events.add_argument("--limit", metavar="N", type=_number(1, 100_000), default=None, help=limit)
    events.add_argument("--follow", action="store_true", help="go on with what happens from now on")
    past_arguments.journal(events)
    past_arguments.add_to(add, _checked)


def _acting(add: _Adder) -> None:
    hand_arguments.add_to(add, _checked)
    failback = add(
        "failback",
        "give a pool back to those who are well again",
        "Ends the wait of a failover scheme: the better tier, or the pool's own hosts, serve again at once (after the\n"
        "pool's before_promote, if it has one). With --force who waits for that command is promoted without it.",
        (
            "rrdns failback web",
            "rrdns failback web --reason 'disk replaced'",
            "rrdns failback db --force --reason 'db1 is off, I pulled the plug'",
        ),
        "failback:run",
        talks=True,
    )
    failback.add_argument("pool", metavar="POOL", help="its name; see `rrdns status` for who waits to return")
    failback.add_argument("--reason", metavar="TEXT", default="", help="for the log and your colleagues")
    failback.add_argument("--force", action="store_true", help="without before_promote: be sure that two can't serve")
    reload = add(
        "reload",
        "read the zone files now",
        "Edits are noticed by themselves; this waits for the result and prints the problems if the load is refused.",
        ("rrdns reload", "rrdns reload --force     accept a load that loses a zone or much of its content"),
        "commands:reload",
        talks=True,
    )
    reload.add_argument("--force", action="store_true", help="accept a load that loses more than the guards allow")
    add(
        "upgrade",
        "go on as the version that is installed now",
        "The running server tries the installed version out, then goes on as it: the same supervisor and sockets, so\n"
        "that no query is lost, the same verdicts and overrides. Waits until the new version serves. One that can't\n"
        "load, or finds the zone files bad, is refused with the reason (exit 1), and the old one serves on.",
        ("pip install --upgrade rrdns && rrdns upgrade", "rrdns upgrade --json | jq .after.supervisor"),
        "upgrade:run",
        talks=True,
    )
    notify = add(
        "notify",
        "try out who is told of transitions",
        "`test` has the server send a test to every sink of `notify:` in its settings, or to one, and says what came\n"
        "of it. Exit code 1 where one did not take it.",
        ("rrdns notify test", "rrdns notify test ops"),
        "notify:run",
        talks=True,
    )
    notify.add_argument("do", metavar="test", choices=("test",), help="send a test now")
    notify.add_argument("sink", metavar="SINK", nargs="?", default="", help="only to this one (default: to all)")


def _converting(add: _Adder) -> None:
    file_arguments.add_to(add)
    completion = add(
        "completion",
        "what Tab offers, for bash and zsh",
        "Prints the shell's script. Members, pools and services are asked of the running server at each Tab.",
        ('eval "$(rrdns completion bash)"                                      in ~/.bashrc',
         "rrdns completion bash > /etc/bash_completion.d/rrdns               for everybody",
         "rrdns completion zsh > ~/.zfunc/_rrdns                             a folder of $fpath"),
        "completion:run",
        json=False,
    )  # fmt: skip
    completion.add_argument("shell", metavar="SHELL", nargs="?", choices=SHELLS, help="bash or zsh")
    completion.add_argument("--names", choices=("members", "pools", "services"), help=argparse.SUPPRESS)
    add(
        "version",
        "which rrdns this is",
        "Versions of rrdns and of what it stands on.",
        ("rrdns version",),
        "commands:version",
    )
