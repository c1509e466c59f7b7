"""Short turns on the CPU: what the kernel says of a process that has asked, and of one that must be left alone."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from rrdns.server.turns import TURN

SCRIPT = """
import ctypes, json, os, platform, struct, sys
from rrdns.server import turns
os.nice(3)
if sys.argv[1] == "batch":
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
taken = turns.ask_for_short_turns()
buffer = ctypes.create_string_buffer(struct.calcsize(turns._ATTRIBUTES))
number = turns._NUMBERS[platform.machine()] + 1  # sched_getattr
assert ctypes.CDLL(None).syscall(ctypes.c_long(number), 0, buffer, len(buffer), 0) == 0
_, policy, _, nice, _, runtime, *_ = struct.unpack(turns._ATTRIBUTES, buffer.raw)
print(json.dumps({"taken": taken, "policy": policy, "nice": nice, "runtime": runtime}))
"""
ours = pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="numbers of other machines")


def asked(how: str) -> dict[str, int]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@ours
def test_the_kernel_has_taken_it_and_nothing_else_changed() -> None:
    told = asked("normal")
    assert told["taken"]
    assert (told["policy"], told["nice"]) == (os.SCHED_OTHER, 3 + os.getpriority(os.PRIO_PROCESS, 0))
    major, minor = (int(part) for part in platform.release().split(".")[:2])
    if (major, minor) >= (6, 12):
        assert told["runtime"] == TURN


@ours
def test_another_class_is_left_alone() -> None:
    told = asked("batch")
    assert not told["taken"]
    assert told["policy"] == os.SCHED_BATCH


def test_an_unknown_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from rrdns.server import turns

    monkeypatch.setattr(platform, "machine", lambda: "pdp11")
    assert not turns.ask_for_short_turns()
