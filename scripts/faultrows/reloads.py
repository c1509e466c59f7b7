"""Edits under load: R7 good ones, R8 thirty kinds of broken ones, R9 a start with those."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from faultrows import ground, others, upgrades
from faultrows.ground import Files
from faultrows.rows import Finding, Run, row
from rrdns.ui.client import Client, Refused

STATIC = "static.lb.example.com."


@row(
    "R7",
    "20 good edits under load; an upgrade in place at 20,000 q/s",
    "0 lost, gap <= 50 ms, no answer half of the old and half of the new",
    gdnsd="0 of 3,500 lost, 24 ms",
    Knot="0 of 2,000 lost, 8 ms",
)
def good_edits(run: Run) -> Finding:
    finding, edits = Finding(), 20
    with ground.site() as (server, behind):
        files, halves, stop = Files.of(server), [0, 0], threading.Event()

        def look() -> None:
            while not stop.is_set():
                networks = {address.split(".")[2] for address in server.addresses(STATIC)}
                halves[0] += 1
                halves[1] += len(networks) != 1

        load = ground.watch(server, 16, run.rate, allow=[host.address for host in behind])
        looking = threading.Thread(target=look)
        try:
            for number in range(1, edits + 1):
                text = files.texts[0].replace("192.0.2.1, 192.0.2.2", f"192.0.{number}.1, 192.0.{number}.2")
                fresh = server.zones / ".fresh"
                fresh.write_text(text)
                fresh.rename(files.zone)
                server.process.send_signal(signal.SIGHUP)
                ground.wait_for(lambda n=number: f"192.0.{n}.1" in server.addresses(STATIC), 30, f"edit {number}")
                if number == 1:
                    looking.start()
        finally:
            stop.set()
            if looking.is_alive():
                looking.join()
        ground.count(finding, load.result(), 0, 50)
        finding.all_of("edits in force", edits, edits)
        finding.at_most(f"half-new answers of {halves[0]}", halves[1], 0)
        finding.at_most("members withdrawn", len(ground.withdrawals(server)), 0)
    upgrades.upgraded(run, finding)
    others.compare(run, finding, gdnsd_reloads)
    return finding


def gdnsd_reloads(peer: others.Peer) -> str:
    load = peer.watch(10)
    for _ in range(20):
        time.sleep(0.4)
        os.kill(peer.pid, signal.SIGUSR1)  # reload-zones
    return f"20 reload-zones: {others.told(load.result())}"


# ------------------------------------------------------------------ broken files

Break = Callable[[Files], object]


def _text(pools: bool, change: Callable[[str], str | bytes]) -> Break:
    def make(files: Files) -> None:
        path, text = (files.pools, files.texts[1]) if pools else (files.zone, files.texts[0])
        fresh = change(text)
        path.write_bytes(fresh if isinstance(fresh, bytes) else fresh.encode())

    return make


def _add(line: str) -> Break:
    return _text(False, lambda text: f"{text}\n{line}\n")


def _instead(make: Callable[[Path], object]) -> Break:
    def broken(files: Files) -> None:
        files.zone.unlink()
        make(files.zone)

    return broken


def _cut(tenth: int) -> Break:
    """Of a file in one pair of braces: no beginning of it is a whole."""

    def cut(text: str) -> str:
        flow = json.dumps(yaml.safe_load(text))
        return flow[: len(flow) * tenth // 10]

    return _text(False, cut)


def _without_permission(path: Path) -> None:
    """Root may read everything, but not a link that leads to itself."""
    if os.geteuid():
        path.write_text("")
        path.chmod(0)
    else:
        path.symlink_to(path.name)


def _alias_bomb() -> str:
    lines = ["x-0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join([*lines, "bomb: {type: TXT, values: *a9}"])


BROKEN: dict[str, Break] = {
    **{f"cut at {tenth}/10": _cut(tenth) for tenth in range(1, 10)},
    "tabs": _add("tabs:\n\t- {type: A, value: 192.0.2.9}"),
    "a list for the mapping": _text(False, lambda text: "- a\n- b\n"),
    "a number": _text(False, lambda text: "5\n"),
    "duplicate key": _add("www: {type: A, value: 192.0.2.9}"),
    "alias bomb": _add(_alias_bomb()),
    "100 MB": _text(False, lambda text: b"# " + b"x" * (100 << 20) + b"\n"),
    "a file missing": lambda files: files.pools.unlink(),
    "a directory": _instead(lambda path: path.mkdir()),
    "no permission": _instead(_without_permission),
    "a named pipe": _instead(lambda path: os.mkfifo(path)),
    "a link to nowhere": _instead(lambda path: path.symlink_to("nowhere")),
    "NUL": _add("nul: {type: TXT, value: a\0b}"),
    "not UTF-8": _text(False, lambda text: text.encode() + b"bad: {type: TXT, value: \xff\xfe}\n"),
    "unknown pool": _add("other: {type: POOL, pool: other}"),
    "unknown key": _text(True, lambda text: text.replace("members:", "memers:")),
    "bad address": _add("bad: {type: A, value: 192.0.2.500}"),
    "label of 64": _add(f"{'a' * 64}: {{type: A, value: 192.0.2.9}}"),
    "CNAME beside A": _add("both: [{type: CNAME, value: www.lb.example.com.}, {type: A, value: 192.0.2.9}]"),
    "weight not a number": _text(True, lambda text: re.sub(r"web1: (\S+)", r"web1: {address: \1, weight: .nan}", text)),
    "10,000 brackets": _add(f"deep: {'[' * 10_000}"),
    "a Python object": _add("object: !!python/object/apply:os.system ['true']"),
}


def kinds(run: Run) -> dict[str, Break]:
    """All, or with a small scale every n-th."""
    step = max(1, round(1 / run.scale))
    return dict(list(BROKEN.items())[::step])


def names_file(text: str) -> bool:
    """A message that says which file (and where in it, unless the whole file is what is wrong)."""
    return "lb.example.com.yaml" in text or "pools.yaml" in text


@row(
    "R8",
    f"reload of {len(BROKEN)} kinds of broken files under load",
    "0 lost, 0 changed answers, refused with the file named, <= 1 s each",
    gdnsd="keeps the old (read)",
    Knot="keeps the old (read)",
)
def broken_edits(run: Run) -> Finding:
    finding, broken = Finding(), kinds(run)
    bad: dict[str, str] = {}
    worst, unnamed = 0.0, []
    with ground.site() as (server, behind):
        files, control = Files.of(server), ground.client(server)
        allow = {host.address for host in behind}
        load = ground.watch(server, max(4.0, len(broken) * 0.5), run.rate, allow=sorted(allow))
        for name, make in broken.items():
            make(files)
            start = time.monotonic()
            reply = reload(control)
            took = time.monotonic() - start
            worst = max(worst, took)
            if reply.get("ok"):
                bad[name] = "accepted"
            elif not any(names_file(str(one)) for one in reply["problems"]):
                unnamed.append(f"{name}: {reply['problems'][:1]}")
            if server.addresses() != allow or server.addresses(STATIC) != {"192.0.2.1", "192.0.2.2"}:
                bad[name] = "answers changed"
            finding.details[name] = {
                "took_s": round(took, 3),
                "problems": [str(one)[:200] for one in reply["problems"][:2]],
            }
            files.put_back()
        ground.wait_for(lambda: reload(control)["ok"], 30, "the good files again")
        ground.count(finding, load.result())
        finding.all_of("refused, answers unchanged", len(broken) - len(bad), len(broken))
        finding.all_of("messages that name the file", len(broken) - len(unnamed), len(broken))
        finding.at_most("slowest refusal", worst, 1.0, "s", timing=True)
        finding.at_most("tracebacks in the log", ground.tracebacks(server), 0)
        finding.notes += [f"{name}: {what}" for name, what in bad.items()] + unnamed
    return finding


def reload(control: Client) -> dict[str, Any]:
    """What control says to it, refused or not."""
    try:
        return control.post("/reload", {"force": False}, timeout=60)
    except Refused as refused:
        return refused.body


@row("R9", f"start with {len(BROKEN)} kinds of broken files", "exits non-zero <= 1 s naming the file; `check` agrees")
def broken_start(run: Run) -> Finding:
    finding, broken = Finding(), kinds(run)
    ended = agreed = named = 0
    slowest = 0.0
    with ground.served(["web1: 127.0.0.11", "web2: 127.0.0.12"], 9, start=False) as server:
        files = Files.of(server)
        for name, make in broken.items():
            make(files)
            start = time.monotonic()
            served = command("serve", str(server.zones), "--state", "none", "--listen", "127.0.0.1:0",
                             "--control", str(server.control))  # fmt: skip
            took = time.monotonic() - start
            slowest = max(slowest, took)
            checked = command("check", str(server.zones))
            files.put_back()
            ended += served.returncode == 1
            agreed += (served.returncode == 1) == (checked.returncode == 1)
            good = names_file(served.stderr) and "Traceback" not in served.stderr + checked.stderr
            named += good
            finding.details[name] = {"took_s": round(took, 2), "codes": [served.returncode, checked.returncode],
                                     "said": served.stderr[-300:]}  # fmt: skip
            if served.returncode != 1 or checked.returncode != 1 or not good:
                finding.notes.append(
                    f"{name}: serve {served.returncode}, check {checked.returncode}: {served.stderr[-100:]}"
                )
    finding.all_of("exit 1", ended, len(broken))
    finding.all_of("`check` agrees", agreed, len(broken))
    finding.all_of("names the file, no traceback", named, len(broken))
    finding.at_most("slowest", slowest, 1.0, "s", timing=True)
    return finding


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """An rrdns that must end by itself; one that does not is ended, and counts as code -9."""
    full = [sys.executable, "-m", "rrdns", *words]
    with subprocess.Popen(full, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            out, errors = process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, errors = process.communicate(timeout=15)
            return subprocess.CompletedProcess(full, -9, out, errors)
    return subprocess.CompletedProcess(full, process.returncode, out, errors)
