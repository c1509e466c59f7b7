"""A bounded run of atheris on each fuzz target: 20 seconds under CI, 5 elsewhere. `scripts/fuzz` runs longer."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "fuzz"
CI = os.environ.get("CI") == "true"
SECONDS = 20 if CI else 5


def run(target: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("atheris") is None:
        reason = "atheris is not installed: it has wheels for CPython 3.11 to 3.14 on Linux x86-64"
        pytest.fail(reason) if CI else pytest.skip(reason)
    (folder / "corpus").mkdir()
    return subprocess.run(
        [
            *(sys.executable, str(HERE / "atheris_run.py"), target, f"-max_total_time={SECONDS}", "-timeout=10"),
            *("-max_len=8192", f"-artifact_prefix={folder}/", str(folder / "corpus"), str(HERE / "seeds" / target)),
        ],
        capture_output=True,
        text=True,
        timeout=110,
    )


@pytest.mark.parametrize("target", ["question", "stream"])
def test_nothing_is_found(target: str, tmp_path: Path) -> None:
    done = run(target, tmp_path)
    found = [(file.name, file.read_bytes().hex()) for file in tmp_path.iterdir() if file.is_file()]
    assert done.returncode == 0, (
        f"{done.stderr[-3000:]}\n{done.stdout[-2000:]}\n{found}\nkeep it in {HERE / 'findings' / target}"
    )
    runs = re.search(r"Done (\d+) runs", done.stderr)
    covered = re.findall(r" cov: (\d+)", done.stderr)
    assert runs and int(runs[1]) > len(list((HERE / "seeds" / target).iterdir())), done.stderr[-2000:]
    assert covered and int(covered[-1]) > 100, "rrdns is not instrumented"
    print(f"{target}: {runs[0]}, coverage {covered[-1]}; {done.stdout}")
