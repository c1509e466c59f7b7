"""The directory as bytes, the guards, the accepted copy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rrdns.control import files
from rrdns.control.files import Accepted, fingerprint, losses, read
from rrdns.model import DataSet, Member, Pool, RRset, Service, Zone
from rrdns.wire import name_from_text


def name(text: str) -> bytes:
    return name_from_text(text)


# ---------------------------------------------------------------------- reading


def test_reads_only_plain_yaml_files_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "lb.example.com.yaml").write_text("a: 1\n")
    (tmp_path / "pools.yaml").write_text("b: 2\n")
    for other in (".hidden.yaml", "notes.txt", "old.yaml~", "x.yml", "#y.yaml#"):
        (tmp_path / other).write_text("")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "z.yaml").write_text("")
    os.utime(tmp_path / "pools.yaml", (5, 1234567.9))
    found = read(str(tmp_path))
    assert found.files == {f"{tmp_path}/lb.example.com.yaml": b"a: 1\n", f"{tmp_path}/pools.yaml": b"b: 2\n"}
    assert found.mtimes[f"{tmp_path}/pools.yaml"] == 1234567
    assert not found.problems
    assert found.size == 10


def test_names_are_shown_as_people_gave_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zones").mkdir()
    (tmp_path / "zones" / "pools.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert list(read("zones").files) == ["zones/pools.yaml"]
    monkeypatch.chdir("zones")
    assert list(read(".").files) == ["pools.yaml"]


def test_a_directory_that_is_not_there_or_none(tmp_path: Path) -> None:
    (problem,) = read(str(tmp_path / "no")).problems
    assert str(problem) == f"{tmp_path}/no: there is no such directory; give the directory of your zone files"
    (tmp_path / "file").touch()
    (problem,) = read(str(tmp_path / "file")).problems
    assert "this is no directory" in str(problem)


def test_what_is_no_readable_file_is_a_problem_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE", 100)
    (tmp_path / "good.yaml").write_text("x: 1\n")
    (tmp_path / "directory.yaml").mkdir()
    (tmp_path / "nowhere.yaml").symlink_to("gone")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * 101)
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yaml"))).touch()
    found = read(str(tmp_path))
    assert list(found.files) == [f"{tmp_path}/good.yaml"]
    texts = sorted(str(problem).removeprefix(f"{tmp_path}/") for problem in found.problems)
    assert [text.split(":")[0] for text in texts] == [
        "\\xff.yaml",
        "directory.yaml",
        "large.yaml",
        "loop.yaml",
        "nowhere.yaml",
        "pipe.yaml",
    ]
    words = "\n".join(texts)
    for word in (
        "this is a directory",
        "leads nowhere",
        "leads to itself",
        "pipe or socket",
        "too large with 101",
        "UTF-8",
    ):
        assert word in words


def test_an_unreadable_file_is_a_problem(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tmp_path / "x.yaml").touch(0o000)
    (problem,) = read(str(tmp_path)).problems
    assert str(problem) == f"{tmp_path}/x.yaml: Permission denied"


def test_all_files_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ALL", 100)
    for number in range(3):
        (tmp_path / f"{number}.yaml").write_bytes(b"#" * 40)
    found = read(str(tmp_path))
    assert len(found.files) == 2 and len(found.problems) == 1


def _touch_again(folder: Path) -> None:
    before = (folder / "a.yaml").stat()
    (folder / "a.yaml").write_text("A: 2\n")  # the same size
    os.utime(folder / "a.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "a.yaml").write_text("a: 22\n"),
        _touch_again,
        lambda folder: (folder / "a.yaml").unlink(),
        lambda folder: (folder / "b.yaml").touch(),
        lambda folder: (folder / "a.yaml").rename(folder / "c.yaml"),
        lambda folder: shutil.rmtree(folder),
    ],
)
def test_the_fingerprint_tells_a_change(tmp_path: Path, change: Callable[[Path], object]) -> None:
    folder = tmp_path / "zones"
    folder.mkdir()
    (folder / "a.yaml").write_text("a: 1\n")
    before = fingerprint(str(folder))
    assert fingerprint(str(folder)) == before
    (folder / "notes.txt").touch()
    assert fingerprint(str(folder)) == before
    change(folder)
    assert fingerprint(str(folder)) != before


def test_the_digest_knows_contents_only(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\n")
    before = read(str(tmp_path)).digest()
    os.utime(tmp_path / "a.yaml", (1, 1))
    assert read(str(tmp_path)).digest() == before
    (tmp_path / "b.yaml").mkdir()
    assert read(str(tmp_path)).digest() != before


# ---------------------------------------------------------------------- guards


def dataset(names: int = 10, members: int = 10, zones: int = 1) -> DataSet:
    apexes = [name(f"z{number}.") for number in range(zones)]
    web = Pool("web", tuple(Member(f"web{n}", (f"192.0.2.{n}",)) for n in range(members)))
    return DataSet(
        {
            apex: Zone(
                apex,
                1,
                tuple(RRset(name(f"n{n}.") + b"", 1, 300, (b"\1\2\3\4",)) for n in range(names - 1)),
                (Service(name("www."), apex, "web"),),
            )
            for apex in apexes
        },
        {"web": web},
    )


def test_growing_staying_and_losing_a_little_is_fine() -> None:
    assert losses(DataSet(), dataset()) == []
    assert losses(dataset(), dataset()) == []
    assert losses(dataset(), dataset(names=7, members=7)) == []
    assert losses(dataset(), dataset(names=70, members=70, zones=3)) == []
    assert losses(DataSet(), DataSet()) == []


def test_losing_everything_a_zone_or_more_than_the_share_is_said() -> None:
    assert losses(dataset(), DataSet()) == ["it holds no zone at all"]
    assert losses(dataset(zones=3), dataset(zones=1)) == ["it loses zones z1., z2."]
    (words,) = losses(dataset(), dataset(names=6))
    assert words == "it loses 4 of 10 (40 %) names: n5., n6., n7., n8."
    (words,) = losses(dataset(), dataset(members=2))
    assert words == "it loses 8 of 10 (80 %) members: web/web2, web/web3, web/web4, web/web5, web/web6 and 3 more"


def test_members_that_keep_their_name_or_their_address_are_not_lost() -> None:
    old = dataset(members=4)
    renamed = Pool("web", tuple(Member(f"x{n}", (f"192.0.2.{n}",)) for n in range(4)))
    moved = Pool("web", tuple(Member(f"web{n}", (f"198.51.100.{n}",)) for n in range(4)))
    other = Pool("web", tuple(Member(f"x{n}", (f"198.51.100.{n}",)) for n in range(4)))
    assert losses(old, DataSet(old.zones, {"web": renamed})) == []
    assert losses(old, DataSet(old.zones, {"web": moved})) == []
    assert losses(old, DataSet(old.zones, {"web": other}))
    assert losses(old, DataSet(old.zones, {}))


# ---------------------------------------------------------------------- the accepted copy


def test_an_accepted_load_comes_back(tmp_path: Path) -> None:
    kept = Accepted(tmp_path)
    assert kept.read("zones") is None
    kept.write("zones", {"zones/a.yaml": b"a", "zones/b.yaml": b"b"}, {"zones/a.yaml": 5, "zones/b.yaml": 6})
    found = kept.read("zones")
    assert found is not None
    assert found.files == {"zones/a.yaml": b"a", "zones/b.yaml": b"b"}
    assert found.mtimes == {"zones/a.yaml": 5, "zones/b.yaml": 6}
    assert kept.read("elsewhere") is None


def test_the_next_replaces_it_and_unchanged_files_are_taken_over(tmp_path: Path) -> None:
    kept = Accepted(tmp_path)
    kept.write("zones", {"zones/a.yaml": b"a", "zones/b.yaml": b"b", "zones/c.yaml": b"c"}, {})
    inode = (kept.path / "a.yaml").stat().st_ino
    kept.write("zones", {"zones/a.yaml": b"a", "zones/b.yaml": b"B"}, {})
    found = kept.read("zones")
    assert found is not None and found.files == {"zones/a.yaml": b"a", "zones/b.yaml": b"B"}
    assert (kept.path / "a.yaml").stat().st_ino == inode
    assert len(list(tmp_path.iterdir())) == 2  # the link and what it leads to


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "a.yaml").write_bytes(b"x"),
        lambda folder: (folder / "a.yaml").unlink(),
        lambda folder: (folder / files.MANIFEST).write_bytes(b"[1,2"),
        lambda folder: (folder / files.MANIFEST).write_bytes(b"[]"),
        lambda folder: (folder / files.MANIFEST).unlink(),
    ],
)
def test_a_damaged_copy_is_none(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    kept = Accepted(tmp_path)
    kept.write("zones", {"zones/a.yaml": b"a"}, {})
    damage(kept.path)
    assert kept.read("zones") is None
    kept.write("zones", {"zones/a.yaml": b"a"}, {})
    assert kept.read("zones") is not None


def test_a_manifest_cannot_lead_outside(tmp_path: Path) -> None:
    kept = Accepted(tmp_path)
    kept.write("zones", {"zones/a.yaml": b"a"}, {})
    (tmp_path / "secret.yaml").write_bytes(b"a")
    manifest = kept.path / files.MANIFEST
    manifest.write_text(manifest.read_text().replace('"a.yaml"', '"../secret.yaml"'))
    assert kept.read("zones") is None


def test_a_copy_put_back_from_a_backup_is_read_and_replaced(tmp_path: Path) -> None:
    kept = Accepted(tmp_path)
    kept.write("zones", {"zones/a.yaml": b"a"}, {})
    real = kept.path.resolve()
    kept.path.unlink()
    real.rename(kept.path)
    assert kept.read("zones") is not None
    kept.write("zones", {"zones/a.yaml": b"A"}, {})
    found = kept.read("zones")
    assert found is not None and found.files == {"zones/a.yaml": b"A"}
    assert kept.path.is_symlink()


def test_a_write_that_fails_leaves_the_old_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Accepted(tmp_path)
    kept.write("zones", {"zones/a.yaml": b"a"}, {})

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write_file", full)
    with pytest.raises(OSError, match="No space"):
        kept.write("zones", {"zones/a.yaml": b"A"}, {})
    found = kept.read("zones")
    assert found is not None and found.files == {"zones/a.yaml": b"a"}
    assert len(list(tmp_path.iterdir())) == 2
