"""Runs a fuzz target under atheris: `python tests/fuzz/atheris_run.py question|stream [libFuzzer's arguments]`.

rrdns is instrumented while it is imported, so that inputs which reach new code are kept. Inputs
that take long are told of.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import atheris  # type: ignore[import-not-found]

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]


STALL = 0.05  # seconds of CPU; a whole input, of up to eight packets or a long stream, with all that judges it


def timed(one_input: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The target, telling of each input that is slower than all before it, and than a stall."""
    slowest = STALL

    def run(data: bytes) -> None:
        nonlocal slowest
        start = time.thread_time()
        one_input(data)
        took = time.thread_time() - start
        if took > slowest:
            slowest = took
            print(f"slow: {took * 1000:.0f} ms for {len(data)} bytes", flush=True)

    return run


def main() -> None:
    with atheris.instrument_imports(include=["rrdns"], enable_loader_override=False):
        target = importlib.import_module(f"fuzz.fuzz_{sys.argv[1]}")
    atheris.Setup([sys.argv[0], *sys.argv[2:]], timed(target.one_input))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
