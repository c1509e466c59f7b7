"""tests/zones/bad/: a file or folder for each mistake, with what must be said of it.

A file's messages stand in its first lines, behind `#= `; a folder's in its file `expected`. Further files of
that kind need no line of code.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rrdns import __version__
from rrdns.zonefile import load

BAD = Path(__file__).parent / "zones" / "bad"


def case(path: Path) -> tuple[dict[str, bytes], list[str]]:
    if path.is_dir():
        files = {one.name: one.read_bytes() for one in path.glob("*.yaml")}
        expected = (path / "expected").read_text().splitlines()
    else:
        files = {path.name: path.read_bytes()}
        lines = path.read_bytes().split(b"\n")
        expected = [line[3:].decode() for line in lines if line.startswith(b"#= ")]
    return files, [line.replace("VERSION", __version__) for line in expected]


@pytest.mark.parametrize("path", sorted(BAD.iterdir()), ids=lambda path: path.name)
def test_each_mistake_has_its_message(path: Path) -> None:
    files, expected = case(path)
    assert expected, "say in the file what is expected"
    loaded = load(files)
    assert [str(problem) for problem in loaded.problems] == expected
    assert (loaded.dataset is None) == any(not problem.warning for problem in loaded.problems)


def test_there_are_many() -> None:
    assert len(list(BAD.iterdir())) >= 50


def test_all_at_once_and_sorted() -> None:
    """One broken file hides none of the others; each keeps its messages."""
    single = [path for path in sorted(BAD.iterdir()) if path.is_file() and path.name.startswith(("yaml-", "record-"))]
    loaded = load({path.name: path.read_bytes() for path in single})
    said = {str(problem) for problem in loaded.problems}
    for path in single:
        if path.name.startswith("yaml-"):
            assert set(case(path)[1]) <= said
    places = [problem.place for problem in loaded.problems]
    assert places == sorted(places)
