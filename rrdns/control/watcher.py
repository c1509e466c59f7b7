"""Watcher: tells when the zones directory has changed and has come to rest.

inotify (watchfiles) makes it quick; a look at every file's stat every SWEEP seconds makes it certain, where
inotify says nothing: network file systems, a directory reached through several links. Watched are the directory
itself, the folders in which links lead to it (a symlink swap happens there), and those its files' links lead to.
The one module that imports watchfiles. Must not know: what is in the files, what a load does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import watchfiles

from rrdns import log
from rrdns.control import files

QUIET = 0.3  # without an event for this long, the directory has come to rest
LONGEST = 30.0  # of unrest; then what is there is looked at anyway
SWEEP = 2.0
SWEEP_ALONE = 0.5  # where inotify can't be had
BEGUN = 300  # ms after which a watch is known to be set up, though nothing has happened
MOST_LINKS = 40  # as the kernel follows


async def changes(folder: str, known: files.Fingerprint | None = None) -> AsyncIterator[files.Fingerprint]:
    """Yields whenever the folder differs from when it last yielded (at first: from `known`) and is at rest."""
    bell = asyncio.Event()
    listener = asyncio.create_task(_listen(folder, bell))
    try:
        if known is None:
            known = await asyncio.to_thread(files.fingerprint, folder)
        while True:
            await _ring_or(bell, SWEEP_ALONE if listener.done() else SWEEP)
            now = await asyncio.to_thread(files.fingerprint, folder)
            if now == known:
                continue
            known = await _at_rest(folder, bell, now)
            yield known
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


async def _at_rest(folder: str, bell: asyncio.Event, found: files.Fingerprint) -> files.Fingerprint:
    """Waits until nothing has happened for QUIET seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + LONGEST
    while loop.time() < end:
        rang = await _ring_or(bell, QUIET)
        again = await asyncio.to_thread(files.fingerprint, folder)
        if not rang and again == found:
            break
        found = again
    return found


async def _ring_or(bell: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return False
    bell.clear()
    return True


# ---------------------------------------------------------------------- inotify


async def _listen(folder: str, bell: asyncio.Event) -> None:
    """Rings the bell at every event that matters; begins anew whenever the places to watch are others. Ends only
    where there is no inotify to be had."""
    while True:
        watched = await asyncio.to_thread(Places, folder)
        begun = False
        try:
            async for events in watchfiles.awatch(
                *watched.names,
                watch_filter=None,
                debounce=100,
                step=20,
                rust_timeout=BEGUN,
                yield_on_timeout=True,
                recursive=False,
                ignore_permission_denied=True,
            ):
                if begun and not any(watched.matters(path) for _, path in events):
                    continue
                begun = True  # at first the bell rings in any case: before, nobody listened
                bell.set()
                if await asyncio.to_thread(Places, folder) != watched:
                    break
        except FileNotFoundError:
            await asyncio.sleep(0.1)  # a place went between the look and the watch
        except (OSError, RuntimeError) as error:
            log.logger.warning(
                "edits are noticed by looking every %g s only, the system gives no notice of changes: %s",
                SWEEP_ALONE,
                error,
            )
            return


class Places:
    """Where a change of what `folder` holds can show itself: real folders, and the names in them that count.

    `top`, the folder itself: in it every file that is ours counts, whether it is named here or not.
    """

    def __init__(self, folder: str) -> None:
        found: dict[str, set[str]] = {}
        self.top = os.path.realpath(folder)
        try:
            _follow(Path(folder).absolute(), found)
            with os.scandir(self.top) as entries:
                links = [entry.path for entry in entries if files.counts(entry.name) and entry.is_symlink()]
            found.setdefault(self.top, set())
            for link in links:
                _follow(Path(link), found)
        except OSError:
            pass  # it is not there, or we may not look: what was found so far is what can be watched
        self.names = {place: names for place, names in found.items() if place == self.top or os.access(place, os.R_OK)}
        self._identity = [_identity(place) for place in sorted(self.names)]

    def __eq__(self, other: object) -> bool:
        """Whether a watch set up for the one does for the other: a folder put in another's place is not watched."""
        return isinstance(other, Places) and (self.names, self._identity) == (other.names, other._identity)

    def matters(self, path: str) -> bool:
        place, name = os.path.split(path)
        return name in self.names.get(place, ()) or (place == self.top and files.counts(name))


def _identity(place: str) -> tuple[int, int]:
    try:
        found = Path(place).stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def _follow(path: Path, found: dict[str, set[str]]) -> None:
    """Adds the folder and name of every symbolic link on the way to `path`, and of where the way ends."""
    todo, here, hops = list(path.parts[1:]), Path(path.anchor), 0
    while todo:
        part = todo.pop(0)
        if part == "..":
            here = here.parent
            continue
        step = here / part
        if step.is_symlink():
            hops += 1
            if hops > MOST_LINKS:
                return
            found.setdefault(str(here), set()).add(part)
            target = step.readlink()
            if target.is_absolute():
                here, todo = Path(target.anchor), [*target.parts[1:], *todo]
            else:
                todo = [*target.parts, *todo]
        elif not todo or not step.exists():
            found.setdefault(str(here), set()).add(part)
            return
        else:
            here = step
