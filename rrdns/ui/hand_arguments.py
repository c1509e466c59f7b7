"""The command line of the operator's hand: drain, disable, enable, force-up, weight, hold, overrides, drill, audit. As
`arguments`, of which it is a part. Must not know: how anything is done.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from rrdns.overrides import read_amount
from rrdns.texts import parse_duration
from rrdns.ui import drain_arguments

LONGEST = 10 * 365 * 86400.0
WHOM = "web1, web/web1, an address, a shape (web*, rack1-*, 10.0.0.*), or label:rack1"

Add = Callable[..., argparse.ArgumentParser]
Checked = Callable[[Callable[[str], Any]], Callable[[str], Any]]


def add_to(add: Add, checked: Checked) -> None:
    """Their commands, in the order of `arguments.COMMANDS`."""
    _words(add, checked)
    _force_up(add, checked)
    _weight(add, checked)
    _hold(add, checked)
    _overrides(add)
    _drill(add, checked)
    _audit(add, checked)


def read_time(text: str) -> float:
    """How long a word is to stand; ValueError with a sentence for people."""
    seconds = parse_duration(text)
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{text!r} is no time a word could stand for: more than 0, and at most ten years")
    return seconds


def _words(add: Add, checked: Checked) -> None:
    words = (
        ("drain", "take a member out gently",
         "The member gets no answers as long as another member is left. Its checks go on.",
         ("rrdns drain web1 --for 2h --reason 'kernel update'", "rrdns drain web/web1",
          "rrdns drain web1 --wait     until no new clients come: exit 0")),
        ("disable", "never answer a member",
         "The member is not answered at all, not even when nothing else is left.",
         ("rrdns disable web1 --reason 'wrong content'", "rrdns disable web/web1 --for 30m")),
        ("enable", "end what was said of a member",
         "Removes what `drain`, `disable`, `force-up`, `weight` said; the member's checks decide again.",
         ("rrdns enable web1", "rrdns enable web/web1 mail/mx2")),
    )  # fmt: skip
    for word, summary, text, examples in words:
        target = "drain:run" if word == "drain" else "commands:override"
        parser = add(word, summary, text, examples, target, talks=True)
        parser.set_defaults(word=word)
        parser.add_argument("members", metavar="MEMBER", nargs="+", help=WHOM)
        parser.add_argument("--reason", metavar="TEXT", default="", help="for the log, `status` and your colleagues")
        if word != "enable":
            parser.add_argument(
                "--for", metavar="TIME", dest="duration", type=checked(read_time), help="until then: 30m, 2h, 1d"
            )
            parser.add_argument(
                "--force", action="store_true", help="even if it is the last healthy member of its pool"
            )
        if word == "drain":
            drain_arguments.add_to(parser, checked)


def _force_up(add: Add, checked: Checked) -> None:
    force = add(
        "force-up",
        "answer a member whatever its checks say",
        "The member counts as up until then, though checks or director say otherwise. Not where it is disabled.\n"
        "`status` and `top` show it as an alarm all the while.",
        ("rrdns force-up web1 --for 30m --reason 'the check is wrong, not the host'",),
        "commands:override",
        talks=True,
    )
    _word(force, "force-up", checked, needs_end=True)


def _weight(add: Add, checked: Checked) -> None:
    weight = add(
        "weight",
        "another weight for a member",
        "This weight instead of its own, or so much of it. It stands beside a drain or a disable; `enable` ends it.",
        ("rrdns weight web1 5 --for 1h", "rrdns weight 'web*' 50% --reason 'new rack warms up'"),
        "commands:override",
        talks=True,
    )
    weight.add_argument("members", metavar="MEMBER", nargs="+", help=WHOM)
    weight.add_argument("weight", metavar="WEIGHT", type=checked(read_amount), help="20, or 50%% of its own")
    _word(weight, "weight", checked, members=False)


def _word(
    parser: argparse.ArgumentParser, word: str, checked: Checked, needs_end: bool = False, members: bool = True
) -> None:
    parser.set_defaults(word=word)
    if members:
        parser.add_argument("members", metavar="MEMBER", nargs="+", help=WHOM)
    parser.add_argument("--reason", metavar="TEXT", default="", help="for the log, `status` and your colleagues")
    parser.add_argument(
        "--for", metavar="TIME", dest="duration", type=checked(read_time), required=needs_end,
        help="until then: 30m, 2h, 1d",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="even if it takes the last healthy member of its pool")


def _hold(add: Add, checked: Checked) -> None:
    hold = add(
        "hold",
        "freeze every automatic change",
        "Answers stay as they are, of one pool or of all. Probes go on and `status` shows what they find; what\n"
        "operators say and what a reload brings is put in force. With --release everything that happened since counts.",
        ("rrdns hold --for 1h --reason 'network change'", "rrdns hold web", "rrdns hold --release",
         "rrdns hold web --release"),
        "hold:run",
        talks=True,
    )  # fmt: skip
    hold.add_argument("pools", metavar="POOL", nargs="*", help="only these (default: all pools)")
    hold.add_argument("--release", action="store_true", help="end it")
    hold.add_argument("--for", metavar="TIME", dest="duration", type=checked(read_time), help="until then: 30m, 2h")
    hold.add_argument("--reason", metavar="TEXT", default="", help="for the log, `status` and your colleagues")


def _overrides(add: Add) -> None:
    add(
        "overrides",
        "what operators have said and still holds",
        "Every override and hold: whose, why, since when, and how much is left of it.",
        ("rrdns overrides", "rrdns overrides --json"),
        "overrides:run",
        talks=True,
    )


def _drill(add: Add, checked: Checked) -> None:
    drill = add(
        "drill",
        "rehearse a failover",
        "Takes out who serves POOL as a failure would, and gives it back after that time. Ends at once when anything\n"
        "gets worse, on Ctrl-C too, and tells at the end who took over and how long it took. Without a\n"
        "scheme it takes the member with the largest share. Exit code 1 if it was broken off.",
        ("rrdns drill web --for 5m", "rrdns drill web --member web1 --for 1m --json"),
        "drill:run",
        talks=True,
    )  # fmt: skip
    drill.add_argument("pool", metavar="POOL", help="the pool to rehearse with")
    drill.add_argument("--for", metavar="TIME", dest="duration", type=checked(read_time), required=True, help="30s, 5m")
    drill.add_argument("--member", metavar="MEMBER", action="append", default=[], help="take these out instead")
    drill.add_argument("--reason", metavar="TEXT", default="", help="for the log, `status` and your colleagues")
    drill.add_argument("--force", action="store_true", help="even if the pool would be worse off")


def _audit(add: Add, checked: Checked) -> None:
    audit = add(
        "audit",
        "what decays silently",
        "Looks for what no alarm shows: standbys nobody has used, pools one failure from empty, checks that can't\n"
        "fail, certificates, forgotten overrides, the delegation seen from outside. Exit code 1 if something is found.",
        ("rrdns audit", "rrdns audit --tell --json      for cron", "rrdns audit --resolver 127.0.0.1:5301 --idle 7d",
         "rrdns audit --no-outside --no-asking    look at what the server knows only"),
        "audit:run",
        talks=True,
    )  # fmt: skip
    audit.add_argument("--resolver", metavar="ADDR", help="ask this resolver (ADDR or ADDR:PORT) for the delegation")
    audit.add_argument(
        "--idle", metavar="TIME", type=checked(parse_duration), default=7 * 86400.0,
        help="a standby is forgotten when it has not served for so long (default: 7d)",
    )  # fmt: skip
    audit.add_argument("--tell", action="store_true", help="let the server tell what is new as events and notices")
    audit.add_argument("--no-outside", action="store_true", help="don't look at the delegation")
    audit.add_argument("--no-asking", action="store_true", help="don't ask members for a made-up path")
