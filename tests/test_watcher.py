"""Edits are noticed: real inotify, and without it."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rrdns.control import files, watcher


class Watch:
    """Collects what the watcher yields, with the time."""

    def __init__(self, folder: Path, known: files.Fingerprint | None = None) -> None:
        self.seen: list[tuple[float, files.Fingerprint]] = []
        self.task = asyncio.create_task(self._run(str(folder), known))

    async def _run(self, folder: str, known: files.Fingerprint | None) -> None:
        async for found in watcher.changes(folder, known):
            self.seen.append((time.monotonic(), found))

    async def after(self, change: Callable[[], object], seconds: float = 30.0) -> float:
        """Makes a change; seconds until it was told of."""
        count = len(self.seen)
        start = time.monotonic()
        await asyncio.to_thread(change)
        async with asyncio.timeout(seconds):
            while len(self.seen) == count:  # noqa: ASYNC110 - the list is filled by another task
                await asyncio.sleep(0.01)
        return self.seen[count][0] - start

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def begun(folder: Path) -> Watch:
    watch = Watch(folder)
    await asyncio.sleep(0.5)  # until inotify is set up; the sweep would be slower than the tests want
    return watch


@pytest.fixture
def no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only inotify: what these tests see was not found by looking."""
    monkeypatch.setattr(watcher, "SWEEP", 600.0)


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    folder = tmp_path / "zones"
    folder.mkdir()
    (folder / "lb.yaml").write_text("a: 1\n")
    return folder


def _rename_into_place(folder: Path) -> None:
    (folder / ".lb.yaml.new").write_text("a: 3\n")
    (folder / ".lb.yaml.new").rename(folder / "lb.yaml")


def _replace_folder(folder: Path) -> None:
    fresh = folder.with_name("fresh")
    fresh.mkdir()
    (fresh / "lb.yaml").write_text("a: 4\n")
    folder.rename(folder.with_name("old"))
    fresh.rename(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "lb.yaml").write_text("a: 2\n"),
        _rename_into_place,
        lambda folder: (folder / "lb.yaml").unlink(),
        lambda folder: (folder / "new.yaml").touch(),
        lambda folder: (folder / "lb.yaml").chmod(0o600),
        _replace_folder,
        lambda folder: shutil.rmtree(folder),
    ],
    ids=["edit", "rename", "delete", "add", "chmod", "replace-folder", "remove-folder"],
)
async def test_a_change_in_a_plain_folder(zones: Path, no_sweep: None, change: Callable[[Path], object]) -> None:
    watch = await begun(zones)
    try:
        took = await watch.after(lambda: change(zones))
        assert took >= 0.25  # it was let come to rest
        assert took < 10.0  # a second, on a machine that is not busy
        await asyncio.sleep(0.3)
        await asyncio.to_thread(zones.mkdir, exist_ok=True)
        await watch.after(lambda: (zones / "lb.yaml").write_text("a: 99\n"))
    finally:
        await watch.stop()


async def test_a_symbolic_link_that_is_swapped(tmp_path: Path, no_sweep: None) -> None:
    for number in (1, 2):
        (tmp_path / "releases" / str(number)).mkdir(parents=True)
        (tmp_path / "releases" / str(number) / "lb.yaml").write_text(f"a: {number}\n")
    link = tmp_path / "zones"
    link.symlink_to("releases/1")
    watch = await begun(link)
    try:

        def swap(number: int) -> None:
            (tmp_path / "next").symlink_to(f"releases/{number}")
            (tmp_path / "next").rename(link)

        await watch.after(lambda: swap(2))
        await asyncio.sleep(0.3)  # the new target is being watched by then
        await watch.after(lambda: (tmp_path / "releases" / "2" / "lb.yaml").write_text("a: 22\n"))
        await watch.after(lambda: swap(1))
    finally:
        await watch.stop()


async def test_a_config_map_that_is_swapped(tmp_path: Path, no_sweep: None) -> None:
    """Kubernetes: files are links through `..data`, which is a link that is replaced."""
    folder = tmp_path / "zones"
    folder.mkdir()

    def version(number: int) -> None:
        (folder / f"..{number}").mkdir()
        (folder / f"..{number}" / "lb.yaml").write_text(f"a: {number}\n")
        (folder / "..data_tmp").symlink_to(f"..{number}")
        (folder / "..data_tmp").rename(folder / "..data")

    version(1)
    (folder / "lb.yaml").symlink_to("..data/lb.yaml")
    watch = await begun(folder)
    try:
        for number in (2, 3):
            await watch.after(lambda number=number: version(number))  # type: ignore[misc]
            await asyncio.sleep(0.3)
    finally:
        await watch.stop()


async def test_a_file_elsewhere_that_a_link_leads_to(tmp_path: Path, zones: Path, no_sweep: None) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "pools.yaml").write_text("p: 1\n")
    (zones / "pools.yaml").symlink_to(shared / "pools.yaml")
    watch = await begun(zones)
    try:
        await watch.after(lambda: (shared / "pools.yaml").write_text("p: 2\n"))
    finally:
        await watch.stop()


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1])
async def test_a_change_while_the_watch_is_being_set_up(zones: Path, no_sweep: None, delay: float) -> None:
    watch = Watch(zones, files.fingerprint(str(zones)))
    try:
        await asyncio.sleep(delay)
        await watch.after(lambda: (zones / "lb.yaml").write_text("a: 2\n"))
    finally:
        await watch.stop()


async def test_what_is_not_ours_says_nothing(zones: Path) -> None:
    watch = await begun(zones)
    try:
        (zones / "notes.txt").write_text("x")
        (zones / ".lb.yaml.swp").write_text("x")
        (zones.parent / "beside.yaml").write_text("x")
        await asyncio.sleep(1.0)
        assert not watch.seen
    finally:
        await watch.stop()


async def test_many_writes_in_a_row_are_told_once_they_rest(zones: Path) -> None:
    watch = await begun(zones)
    try:

        def write() -> None:
            for number in range(20):
                (zones / "lb.yaml").write_text(f"a: {number}\n")
                time.sleep(0.05)

        await watch.after(write)
        await asyncio.sleep(0.6)
        assert watch.seen[-1][1] == files.fingerprint(str(zones))
        assert len(watch.seen) <= 3  # a busy machine may make a pause look like rest
    finally:
        await watch.stop()


async def test_without_inotify_the_sweep_finds_it(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*args: object, **kwargs: object) -> AsyncIterator[None]:
        raise OSError(28, "No space left on device: the limit of inotify watches")
        yield

    monkeypatch.setattr("watchfiles.awatch", none)
    watch = await begun(zones)
    try:
        await watch.after(lambda: (zones / "lb.yaml").write_text("a: 2\n"))
    finally:
        await watch.stop()


async def test_the_sweep_finds_what_inotify_does_not_say(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(*args: object, **kwargs: object) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr("watchfiles.awatch", silent)
    monkeypatch.setattr(watcher, "SWEEP", 0.2)
    watch = await begun(zones)
    try:
        await watch.after(lambda: (zones / "lb.yaml").write_text("a: 2\n"))
    finally:
        await watch.stop()


def test_the_places_of_a_folder(tmp_path: Path) -> None:
    top = tmp_path / "real" / "zones"
    top.mkdir(parents=True)
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to(tmp_path / "real")
    (tmp_path / "loop").symlink_to("loop")
    (top / "x.yaml").symlink_to("../../gone/x.yaml")
    (top / "y.yaml").symlink_to("../../loop")
    places = watcher.Places(str(tmp_path / "a" / "zones"))
    base = os.path.realpath(tmp_path)
    assert places.names == {
        base: {"a", "b", "gone", "loop"},
        f"{base}/real": {"zones"},
        f"{base}/real/zones": {"x.yaml", "y.yaml"},
    }
    assert places.matters(f"{base}/real/zones/new.yaml")
    assert not places.matters(f"{base}/real/zones/new.txt")
    assert not places.matters(f"{base}/new.yaml")
    assert watcher.Places(str(tmp_path / "no" / "where")).names == {base: {"no"}}
