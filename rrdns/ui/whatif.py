"""`rrdns whatif`: what an outage would do, before and after for each service, and whether it would be enough.

Must not know: how decisions are made.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rrdns import imagined, knowledge, whatif, zonefile
from rrdns.imagined import Known
from rrdns.roster import whom
from rrdns.roster.overriding import UnknownMember
from rrdns.texts import clean, percent, plural
from rrdns.ui.client import Client
from rrdns.ui.config import ConfigError
from rrdns.ui.console import ALARM, TITLE, WARN, WEAK, Cell, Line, out, state_style, styled, write
from rrdns.ui.replay import dataset_of
from rrdns.whatif import Fate, Outage, Picture, Story

FINE, STRANDED = 0, 1
KNOWN_TIMEOUT = 60.0
MANY = 8


def run(args: argparse.Namespace) -> int:
    """Exit 1 when some service would be left without a healthy member."""
    known, notes = _of_files(args.zones) if args.zones else _of_server(args.control)
    outage = outage_of(args, known)
    story = whatif.unfold(known, outage)
    notes = (*notes, *story.notes)
    if args.json:
        print(json.dumps(as_json(story, outage, notes), indent=2))
    else:
        console = out()
        write(console, page(story, outage, notes))
    return STRANDED if story.stranded else FINE


def _of_files(folder: str) -> tuple[Known, Sequence[str]]:
    return imagined.all_up(dataset_of(folder))


def _of_server(path: str) -> tuple[Known, Sequence[str]]:
    data = Client(path, KNOWN_TIMEOUT).get("/known")
    contents, mtimes = knowledge.files_of(data)
    loaded = zonefile.load(contents, mtimes)
    if loaded.dataset is None:
        raise ConfigError("the server's files can't be read by this version of rrdns")
    return knowledge.known_of(data, loaded.dataset), ()


def outage_of(args: argparse.Namespace, known: Known) -> Outage:
    """Names as people write them; ConfigError for those there are none of."""
    pools = dict(known.dataset.pools)
    if any(not pool.members for pool in pools.values()):
        roster = imagined.roster_of(known)
        pools = dict(roster.dataset.pools)
    labels = [f"{whom.LABEL}{label}" for label in args.all_down]
    try:
        down = whom.members([*args.down, *labels], pools)
        drain = whom.members(args.drain, pools)
    except UnknownMember as error:
        raise ConfigError(str(error)) from error
    for name in args.director_gone:
        if name not in known.dataset.directors:
            there = ", ".join(known.dataset.directors) or "none"
            raise ConfigError(f"there is no director {name!r}; there are: {there}")
    return Outage(tuple(down), tuple(drain), tuple(args.director_gone))


# ---------------------------------------------------------------- as data


def as_json(story: Story, outage: Outage, notes: Sequence[str]) -> Mapping[str, Any]:
    return {
        "ok": not story.stranded,
        "outage": {
            "down": [f"{pool}/{member}" for pool, member in outage.down],
            "drain": [f"{pool}/{member}" for pool, member in outage.drain],
            "director_gone": list(outage.gone),
        },
        "isolation_held": story.held,
        "services": {
            one.service: {
                **{name: value for name, value in asdict(one).items() if name != "service"},
                "changed": one.changed,
                "share_left": round(one.share, 4),
                "suffices": one.suffices,
            }
            for one in story.fates
        },
        "moves": [{"after": round(at, 3), "pool": pool, "serving": list(who)} for at, pool, who in story.moves],
        "notes": list(notes),
    }


# ---------------------------------------------------------------- as a page


def page(story: Story, outage: Outage, notes: Sequence[str]) -> Iterator[Line]:
    yield styled(("what if  ", TITLE), _asked(outage))
    changed = [one for one in story.fates if one.changed or not one.after.healthy]
    for one in changed:
        yield styled("")
        yield from _service(one)
    if story.held:
        yield styled("")
        text = (
            " self-isolation: so much silence at once looks like a fault of our own, so the last state is held first "
        )
        yield styled((text, WARN))
    for note in notes:
        yield styled(("note ", WARN), f" {clean(note)}")
    yield styled("")
    same = len(story.fates) - len(changed)
    if same:
        yield styled((f"{plural(same, 'service')} would go on as before", WEAK))
    yield _verdict(story)


def _asked(outage: Outage) -> str:
    def listed(members: Sequence[tuple[str, str]]) -> str:
        names = [f"{pool}/{member}" for pool, member in members]
        return ", ".join(names[:MANY]) + (f" and {len(names) - MANY} more" if len(names) > MANY else "")

    words = [f"{listed(outage.down)} dead"] if outage.down else []
    words += [f"{listed(outage.drain)} drained"] if outage.drain else []
    words += [f"director {name} gone" for name in outage.gone]
    return "; ".join(words) or "nothing happens"


def _service(one: Fate) -> Iterator[Line]:
    yield styled((clean(one.service), TITLE), (f"  pool {clean(one.pool)}", WEAK))
    yield styled(("  before  ", WEAK), *_picture(one.before))
    yield styled(("  after   ", WEAK), *_picture(one.after))
    if one.joined:
        yield styled(("  takes over  ", WEAK), _names(one.joined))
    if one.lost or one.dying:
        yield styled(("  clients ", WEAK), _times(one))
    yield styled(("  weight  ", WEAK), *_capacity(one))


def _picture(one: Picture) -> Iterator[Cell | str]:
    who = "SERVFAIL" if one.servfail else _names(one.members) or "no address"
    yield clean(one.state), state_style(one.state)
    yield f": {who}"
    yield f"   TTL {one.ttl}", WEAK
    if one.state != "ok" and one.why:
        yield f"   ({clean(one.why)})", WEAK


def _names(names: Sequence[str]) -> str:
    return ", ".join(clean(name) for name in names[:MANY]) + (
        f" and {len(names) - MANY} more" if len(names) > MANY else ""
    )


def _times(one: Fate) -> str:
    if one.out is None or one.moved is None:
        staying = [name for name in one.dying if name in one.after.members] or one.dying
        return f"are sent to {_names(staying)} for as long as it lasts"
    return (
        f"out of our answers after {one.out:.1f} s at most, and out of caches after {one.moved:.1f} s at most"
        if one.out
        else "nobody has to move"
    )


def _capacity(one: Fate) -> Iterator[Cell | str]:
    if not one.after.healthy:
        yield "nobody who is known good is left", "bold red"
        return
    share = one.share
    yield f"{one.after.weight} of {one.before.weight} serves ({percent(share)})"
    if one.suffices is None:
        if 0 < share < 1:
            yield f"   each that is left carries {1 / share:.2f} times its share; capacity: is not told", WEAK
    elif one.suffices:
        yield f"   enough: {one.needs} needed", "green"
    else:
        yield f"   TOO LITTLE: {one.needs} needed, {one.has} there", "bold red"


def _verdict(story: Story) -> Line:
    gone, short = story.stranded, [one for one in story.fates if one.suffices is False]
    if gone:
        names = _names([one.service for one in gone])
        return styled((f" {plural(len(gone), 'service')} without a healthy member: {names} ", ALARM))
    if short:
        return styled(
            (f" a healthy member for each service, but too little weight: {_names([o.service for o in short])} ", WARN)
        )
    return styled(("every service keeps a healthy member", "bold green"))
