"""From a directory to a data set that may be put in force, or the reasons why not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rrdns.control import loading
from rrdns.control.clock import Clock
from rrdns.control.files import Accepted
from rrdns.control.loading import Loader, ParserFailed
from rrdns.control.store import Store
from rrdns.wire import name_from_text

ZONE = "'': {type: NS, value: ns.lb.}\nns: {type: A, value: 192.0.2.1}\n"


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    folder = tmp_path / "zones"
    folder.mkdir()
    (folder / "lb.yaml").write_text(ZONE)
    return folder


def loader(zones: Path, kept: bool = True) -> Loader:
    run = zones.parent / "run"
    run.mkdir(exist_ok=True)
    return Loader(str(zones), Accepted(run) if kept else None, Store(None, Clock()))


async def test_a_load_says_what_it_changes(zones: Path) -> None:
    one = loader(zones)
    first = await one.start()
    assert first.state == "ok" and first.changed == {"zones added": ["lb."], "names": "0 -> 2"}
    one.in_force(first)
    (zones / "lb.yaml").write_text(ZONE + "www: {type: A, value: 192.0.2.2}\n")
    (zones / "other.yaml").write_text(ZONE)
    second = await one.reload()
    assert second.changed == {"zones added": ["other."], "zones changed": ["lb."], "names": "2 -> 5"}
    one.in_force(second)
    assert (await one.reload()).changed == {}


async def test_an_unchanged_directory_is_not_looked_at_twice(zones: Path) -> None:
    one = loader(zones)
    one.in_force(await one.start())
    assert await one.look() is None
    os.utime(zones / "lb.yaml")
    assert await one.look() is None
    (zones / "lb.yaml").write_text("a: [")
    refused = await one.look()
    assert refused is not None and refused.state == "refused" and refused.faults
    assert await one.look() is None
    (zones / "lb.yaml").write_text(ZONE)
    again = await one.look()
    assert again is not None and again.state == "ok"


async def test_problems_of_the_directory_and_of_the_files_come_together(zones: Path) -> None:
    (zones / "dir.yaml").mkdir()
    (zones / "bad.yaml").write_text("a: [")
    found = await loader(zones).start()
    assert found.dataset is None
    assert [line.removeprefix(f"{zones}/").split(":")[0] for line in found.problems] == ["bad.yaml", "dir.yaml"]


async def test_nothing_to_serve_is_a_problem_at_start(zones: Path) -> None:
    (zones / "lb.yaml").unlink()
    found = await loader(zones).start()
    assert found.dataset is None
    assert found.problems == [f"{zones}: there is no zone here: no file like example.com.yaml"]


async def test_losing_all_needs_force_and_is_then_what_a_restart_serves(zones: Path) -> None:
    one = loader(zones)
    first = await one.start()
    one.in_force(first)
    assert await one.keep(first) == ""
    (zones / "lb.yaml").unlink()
    refused = await one.reload()
    assert refused.problems == [f"{zones}: refused: it holds no zone at all (rrdns reload --force accepts it)"]
    forced = await one.reload(force=True)
    assert forced.state == "ok" and forced.dataset is not None and not forced.dataset.zones
    one.in_force(forced)
    await one.keep(forced)
    assert (await loader(zones).start()).state == "ok"


async def test_a_start_serves_the_copy_if_the_directory_is_bad(zones: Path) -> None:
    one = loader(zones)
    await one.keep(await one.start())
    (zones / "lb.yaml").write_text("a: [")
    again = loader(zones)
    kept = await again.start()
    assert kept.state == "kept" and kept.dataset is not None and kept.faults
    assert name_from_text("lb.") in kept.dataset.zones
    assert (await loader(zones).start(strict=True)).state == "refused"
    assert (await loader(zones, kept=False).start()).state == "refused"
    again.in_force(kept)
    assert await again.keep(kept) == ""  # the copy is not replaced by itself
    (zones / "lb.yaml").write_text(ZONE)
    assert (await again.reload()).state == "ok"


async def test_another_directory_is_not_measured_by_this_ones_copy(zones: Path) -> None:
    one = loader(zones)
    await one.keep(await one.start())
    other = zones.parent / "other"
    other.mkdir()
    (other / "else.yaml").write_text(ZONE)
    assert (await loader(other).start()).state == "ok"
    (other / "else.yaml").write_text("a: [")
    assert (await loader(other).start()).state == "refused"


async def test_a_copy_that_cannot_be_written_is_told(zones: Path) -> None:
    one = loader(zones)
    first = await one.start()
    (zones.parent / "run").rmdir()
    assert "could not be written" in await one.keep(first)


async def test_a_serial_that_goes_back_is_a_warning_at_its_file(zones: Path) -> None:
    one = loader(zones)
    for serial in (9000, 8000):
        soa = f"  - {{type: SOA, contact: h.lb., serial: {serial}}}\n"
        (zones / "lb.yaml").write_text(ZONE.replace("'': ", f"'':\n{soa}  - "))
        found = await one.reload()
        assert found.state == "ok", found.problems
        one.in_force(found)
    assert any(line.startswith(f"{zones}/lb.yaml: warning: lb.: serial 8000 is behind") for line in found.problems)
    assert not found.faults


# ---------------------------------------------------------------------- what changed, and no more


async def test_of_a_large_directory_only_what_changed_is_parsed(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "APART", 0)
    (zones / "pools.yaml").write_text("pools: {web: {check: [], members: [192.0.2.1]}}\n")
    (zones / "other.yaml").write_text(f"{ZONE}www: {{type: POOL, pool: web}}\n")
    one = loader(zones)
    one.in_force(await one.start())

    async def never(*_: object) -> loading.Parsed:
        raise AssertionError("everything was parsed again")

    with monkeypatch.context() as patch:
        patch.setattr(loading, "parse_apart", never)
        (zones / "lb.yaml").write_text(ZONE + "new: {type: A, value: 192.0.2.2}\n")
        found = await one.reload()
        assert found.state == "ok" and found.changed == {"zones changed": ["lb."], "names": "5 -> 6"}
        one.in_force(found)
        (zones / "pools.yaml").write_text("pools: {web: {check: [], members: [192.0.2.1], scheduler: rr}}\n")
        found = await one.reload()
        assert found.changed == {"pools changed": ["web"], "zones changed": ["other."]}
        one.in_force(found)
    whole = await loader(zones).reload()
    assert found.dataset is not None and whole.dataset is not None
    assert found.dataset.pools == whole.dataset.pools and found.problems == whole.problems
    (zones / "pools.yaml").write_text("pools: {wob: {check: [], members: [192.0.2.1]}}\n")
    refused = await one.reload()  # this needs a look at everything, to tell all that is wrong
    assert refused.state == "refused" and "there is no pool 'web', did you mean 'wob'?" in refused.problems[0]
    (zones / "pools.yaml").write_text("pools: {web: {check: [], members: [192.0.2.1]}}\n")
    monkeypatch.setattr(loading, "parse_apart", never)
    assert (await one.reload()).changed == {"pools changed": ["web"], "zones changed": ["other."]}


async def test_what_is_lost_is_measured_after_such_a_load_too(zones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "APART", 0)
    hosts = "".join(f"h{at}: {{type: A, value: 192.0.2.1}}\n" for at in range(18))
    (zones / "many.yaml").write_text(f"'': {{type: NS, value: ns.lb.}}\n{hosts}")
    one = loader(zones)
    one.in_force(await one.start())
    (zones / "many.yaml").write_text("'': {type: NS, value: ns.lb.}\n" + "".join(hosts.splitlines(True)[6:]))
    fewer = await one.reload()
    assert fewer.state == "ok" and fewer.changed["names"] == "21 -> 15"
    (zones / "many.yaml").write_text("'': {type: NS, value: ns.lb.}\n" + "".join(hosts.splitlines(True)[7:]))
    refused = await one.reload()
    assert refused.state == "refused" and "it loses 7 of 21 (33 %) names: h0.many." in refused.problems[0]


# ---------------------------------------------------------------------- the child


async def test_parsing_apart_gives_the_same(zones: Path) -> None:
    contents, mtimes = {"zones/lb.yaml": ZONE.encode()}, {"zones/lb.yaml": 5}
    assert await loading.parse_apart(contents, mtimes) == loading.parse(contents, mtimes)
    wrong = {"zones/lb.yaml": b"a: ["}
    assert await loading.parse_apart(wrong, mtimes) == loading.parse(wrong, mtimes)


@pytest.mark.parametrize("ends", ["import sys; sys.exit(3)", "import os; os.kill(os.getpid(), 9)", "print('hello')"])
async def test_a_parser_that_breaks_is_a_refusal(zones: Path, monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    monkeypatch.setattr("rrdns.supervise.children.command", lambda module: [sys.executable, "-c", ends])
    with pytest.raises(ParserFailed):
        await loading.parse_apart({"x": b"x" * 1_000_000}, {})
    monkeypatch.setattr(loading, "APART", 0)
    found = await loader(zones).start()
    assert found.state == "refused" and str(zones) in found.problems[0]


async def test_a_parser_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrdns.supervise.children.command", lambda module: ["sleep", "600"])
    monkeypatch.setattr(loading, "PATIENCE", 0.3)
    with pytest.raises(ParserFailed, match="took over"):
        await loading.parse_apart({}, {})
