"""Loading: from the zones directory to a data set that may be put in force, or the problems why not.

A large directory is parsed in a child process (`python -m rrdns.control.loading`), so that control's loop goes on; of
one that was parsed before, only what changed, in a thread, while that is little. `Loader` remembers what is in force,
what was refused, and the serials; it decides nothing about answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import operator
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rrdns import zonefile
from rrdns.control import files, serials
from rrdns.control.files import Accepted, Directory
from rrdns.control.store import Store
from rrdns.model import DataSet, Place, Problem
from rrdns.supervise import children
from rrdns.wire import name_to_text
from rrdns.zonefile import Known

APART = 48 << 10  # bytes; parsing more than this here would make the loop lag for over 0.1 s
A_LITTLE = 256 << 10  # bytes; a thread parses them in half a second, and the loop has its turn every 5 ms
PATIENCE = 300.0

K = TypeVar("K")
V = TypeVar("V")

FORCE = "rrdns reload --force accepts it"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the parser made of the files, a digest of each zone's content, and what the next load can build on."""

    dataset: DataSet | None
    problems: tuple[Problem, ...]
    digests: Mapping[bytes, str]
    known: Known | None = None


@dataclass(slots=True)
class Load:
    """One attempt. `state`: ok (put `dataset` in force) | refused | kept (ditto, but from the accepted copy)."""

    state: str
    dataset: DataSet | None = None
    problems: list[str] = field(default_factory=list)
    changed: dict[str, Any] = field(default_factory=dict)
    directory: Directory | None = None
    serials: dict[str, serials.Kept] = field(default_factory=dict)

    @property
    def faults(self) -> list[str]:
        """The problems that are no warnings."""
        return [line for line in self.problems if not is_warning(line)]


class ParserFailed(Exception):
    """The parser's process broke; the message says how."""


def is_warning(line: str) -> bool:
    """Whether a problem's line is a warning (`Problem.__str__`)."""
    return ": warning: " in line


# ---------------------------------------------------------------------- parsing


def parse(contents: Mapping[str, bytes], mtimes: Mapping[str, int]) -> Parsed:
    with _uncollected():
        loaded, known = zonefile.load_known(contents, mtimes)
    found = serials.digests(loaded.dataset) if loaded.dataset is not None else {}
    return Parsed(loaded.dataset, tuple(loaded.problems), found, known)


def parse_again(before: Parsed, contents: Mapping[str, bytes], mtimes: Mapping[str, int]) -> Parsed | None:
    """The same as `parse`, where little has changed since `before`, and nothing is wrong; else None."""
    if before.known is None:
        return None
    with _uncollected():
        found = zonefile.load_again(before.known, contents, mtimes, A_LITTLE)
    if found is None:
        return None
    loaded, known, read = found
    assert loaded.dataset is not None
    kept = {name: one for name, one in before.digests.items() if name in loaded.dataset.zones}
    digests = {**kept, **serials.digests(loaded.dataset, read)}
    return Parsed(loaded.dataset, tuple(loaded.problems), digests, known)


async def parse_apart(contents: Mapping[str, bytes], mtimes: Mapping[str, int]) -> Parsed:
    """`parse` in a process of its own. Raises ParserFailed."""
    question = await asyncio.to_thread(pickle.dumps, (dict(contents), dict(mtimes)))
    process = await asyncio.create_subprocess_exec(
        *children.command("rrdns.control.loading"),
        env=children.environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            answer, _ = await process.communicate(question)
    except TimeoutError as error:
        raise ParserFailed(f"reading the files took over {PATIENCE:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ParserFailed(f"the process that reads the files {children.how_it_ended(process.returncode)}")
    with _uncollected():
        return await asyncio.to_thread(_unpacked, answer)


def _unpacked(answer: bytes) -> Parsed:
    try:
        parsed = pickle.loads(answer)
    except Exception as error:  # a pickle that is cut or garbled can raise anything
        raise ParserFailed(f"the process that reads the files gave no data set: {error!r}") from error
    if not isinstance(parsed, Parsed):
        raise ParserFailed("the process that reads the files gave no data set")
    return parsed


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cycle collector: millions of objects are made, hardly a cycle, and it would look at all of them
    again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def main() -> int:
    """The child: a pickle of (files, mtimes) on stdin, one of Parsed on stdout; both ends are ours."""
    os.nice(10)  # queries and checks come first
    gc.disable()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed by mistake is no part of the answer
    contents, mtimes = pickle.load(sys.stdin.buffer)
    pickle.dump(parse(contents, mtimes), answers, pickle.HIGHEST_PROTOCOL)
    answers.close()
    return 0


# ---------------------------------------------------------------------- what control asks


Parser = Callable[[Mapping[str, bytes], Mapping[str, int]], Parsed]


class Loader:
    """`folder` as the operator gave it; `accepted`: None keeps no copy."""

    def __init__(self, folder: str, accepted: Accepted | None, store: Store, parser: Parser = parse) -> None:
        self.folder = folder
        self.accepted = accepted
        self.dataset: DataSet | None = None
        """What is in force."""
        self._store = store
        self._parser = parser
        self._sound: Parsed | None = None
        """The last one without problems, to build on."""
        self._seen = ""
        """Digest of the files at the last attempt: an unchanged directory is not looked at twice."""

    async def start(self, strict: bool = False) -> Load:
        """The first load: the directory, else (unless `strict`) the accepted copy, else refused."""
        found = await asyncio.to_thread(files.read, self.folder)
        copy = await asyncio.to_thread(self.accepted.read, self.folder) if self.accepted is not None else None
        if copy is not None and copy.files == found.files and not found.problems:
            return await self._attempt(None, True, found)  # accepted before, however much that lost
        before = await self._judge(copy, None, force=True) if copy is not None else None
        load = await self._attempt(before.dataset if before is not None else None, False, found)
        if load.state == "ok" or strict or before is None or before.dataset is None:
            return load
        before.state, before.problems = "kept", load.problems
        return before

    async def reload(self, force: bool = False) -> Load:
        return await self._attempt(self.dataset, force)

    async def look(self) -> Load | None:
        """A reload, or None if the directory is as it was at the last attempt."""
        found = await asyncio.to_thread(files.read, self.folder)
        if found.digest() == self._seen:
            return None
        return await self._attempt(self.dataset, False, found)

    def in_force(self, load: Load) -> None:
        """The load was put in force: later ones are compared with it, and its serials are kept."""
        self.dataset = load.dataset
        self._store.keep_serials(load.serials)

    async def keep(self, load: Load) -> str:
        """Keeps the accepted copy; what went wrong, in words, or ""."""
        if self.accepted is None or load.directory is None or load.state != "ok":
            return ""
        try:
            await asyncio.to_thread(self.accepted.write, self.folder, load.directory.files, load.directory.mtimes)
        except OSError as error:
            return f"the copy of the accepted files in {self.accepted.path} could not be written: {error}"
        return ""

    # ------------------------------------------------------------------ inside

    async def _attempt(self, old: DataSet | None, force: bool, found: Directory | None = None) -> Load:
        if found is None:
            found = await asyncio.to_thread(files.read, self.folder)
        self._seen = await asyncio.to_thread(found.digest)
        return await self._judge(found, old, force)

    async def _judge(self, found: Directory, old: DataSet | None, force: bool) -> Load:
        """Parses, guards, numbers."""
        try:
            parsed = await self._parse(found)
        except ParserFailed as error:
            return Load("refused", problems=[f"{self.folder}: {error}"])
        problems = sorted([*found.problems, *parsed.problems])
        if parsed.dataset is None or found.problems:
            return Load("refused", problems=list(map(str, problems)))
        return await asyncio.to_thread(self._weigh, parsed, parsed.dataset, found, problems, old, force)

    async def _parse(self, found: Directory) -> Parsed:
        if found.size <= APART:
            return self._parser(found.files, found.mtimes)
        parsed = None
        if self._sound is not None:
            parsed = await asyncio.to_thread(parse_again, self._sound, found.files, found.mtimes)
        if parsed is None:
            parsed = await parse_apart(found.files, found.mtimes)
        if parsed.known is not None:
            self._sound = parsed
        return parsed

    def _weigh(
        self,
        parsed: Parsed,
        dataset: DataSet,
        found: Directory,
        problems: list[Problem],
        old: DataSet | None,
        force: bool,
    ) -> Load:
        """The guards and the serials; in a thread, large data sets take a moment."""
        lost = [] if force else files.losses(old or DataSet(), dataset)
        if old is None and not dataset.zones and not force:
            nothing = Problem(Place(self.folder), "", "there is no zone here: no file like example.com.yaml")
            return Load("refused", problems=list(map(str, sorted([*problems, nothing]))))
        if lost:
            lines = [str(Problem(Place(self.folder), "", f"refused: {words} ({FORCE})")) for words in lost]
            return Load("refused", problems=[*lines, *map(str, problems)])
        dataset, kept, warnings = serials.settle(
            dataset, parsed.digests, {max(found.mtimes.values(), default=1) % (1 << 32)}, self._store.serial
        )
        for zone, words in warnings:
            shown = f"{self.folder}/{zone}yaml"
            problems.append(Problem(Place(shown if shown in found.files else self.folder), zone, words, warning=True))
        return Load("ok", dataset, list(map(str, sorted(problems))), differences(old, dataset), found, kept)


def differences(old: DataSet | None, new: DataSet) -> dict[str, Any]:
    """What a load changes, in words and names for the operator; what stays is not mentioned."""
    before = old or DataSet()
    found = _changes("zones", before.zones, new.zones, files.same_content, name_to_text)
    found |= _changes("pools", _whole(before), _whole(new), operator.eq, str)
    if files.more_names(before, new):
        found["names"] = f"{files.count_names(before)} -> {files.count_names(new)}"
    members = [sum(len(pool.members) for pool in dataset.pools.values()) for dataset in (before, new)]
    if members[0] != members[1]:
        found["members"] = f"{members[0]} -> {members[1]}"
    return {what: how for what, how in found.items() if how}


def _changes(
    kind: str, old: Mapping[K, V], new: Mapping[K, V], same: Callable[[V, V], bool], shown: Callable[[K], str]
) -> dict[str, Any]:
    return {
        f"{kind} added": sorted(map(shown, new.keys() - old.keys())),
        f"{kind} removed": sorted(map(shown, old.keys() - new.keys())),
        f"{kind} changed": sorted(shown(name) for name in old.keys() & new.keys() if not same(old[name], new[name])),
    }


def _whole(dataset: DataSet) -> dict[str, tuple[object, ...]]:
    """Pools with their checks."""
    return {name: (pool, *map(dataset.checks.get, pool.checks)) for name, pool in dataset.pools.items()}


if __name__ == "__main__":
    # under this module's own name, or the pickle would hold classes of __main__
    from rrdns.control.loading import main as run

    sys.exit(run())
