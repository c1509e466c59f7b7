"""The agent check: HAProxy's words, and agents of all manners."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import Manner, Misbehaving, closes, deaf, endless, refusing, resets, says, says_first, silent

from rrdns.checks import probe
from rrdns.checks.agent import read
from rrdns.model import AgentProbe, Check, Result, Target

PLAIN = AgentProbe()
ENDLESS = "no end of the line in the first 1024 bytes"


def ask(port: int, asked: AgentProbe = PLAIN, timeout: float = 20.0) -> Result:
    check = Check("load", "agent", port, asked, timeout=timeout)
    return asyncio.run(probe(Target(check.key("127.0.0.1"), check, "127.0.0.1")))


@pytest.mark.parametrize(
    ("line", "ok", "weight", "word", "reason"),
    [
        (b"up", True, None, "", "agent: up"),
        (b"UP 75%", True, 75, "", "agent: UP 75%"),
        (b"75%", True, 75, "", "agent: 75%"),
        (b"0%", True, 0, "", "agent: 0%"),
        (b"ready,up\t50%", True, 50, "ready", "agent: ready,up 50%"),
        (b"drain", True, None, "drain", "agent: drain"),
        (b"maint", True, None, "maint", "agent: maint"),
        (b"up maxconn:30", True, None, "", "agent: up maxconn:30"),
        (b"down", False, None, "", "agent: down"),
        (b"down#disk is full, sorry", False, None, "", "agent: down (disk is full, sorry)"),
        (b"10% fail # 3 of 4", False, 10, "", "agent: 10% fail (3 of 4)"),
        (b"stopped", False, None, "", "agent: stopped"),
        (b"up down", False, None, "", "agent: up down"),
        (b"down up", False, None, "", "agent: down up"),
        (b"up later-word", True, None, "", "agent: up later-word"),
        (b"", False, None, "", "not a line of an agent: b''"),
        (b"# up", False, None, "", "not a line of an agent: b'# up'"),
        (b"75", False, None, "", "not a line of an agent: b'75'"),
        (b"9999%", False, None, "", "not a line of an agent: b'9999%'"),
        (b"-5%", False, None, "", "not a line of an agent: b'-5%'"),
        (b"HTTP/1.1 400 Bad Request", False, None, "", "not a line of an agent: b'HTTP/1.1 400 Bad Request'"),
    ],
)
def test_lines(line: bytes, ok: bool, weight: int | None, word: str, reason: str) -> None:
    said = read(line)
    assert (said.ok, said.weight, said.word, said.reason) == (ok, weight, word, reason)


@given(st.binary(max_size=200))
def test_any_line_gives_a_verdict_fit_to_print(line: bytes) -> None:
    said = read(line)
    assert said.reason.isprintable() and len(said.reason) < 300
    assert said.weight is None or 0 <= said.weight <= 1000


@pytest.mark.parametrize(
    ("manner", "ok", "reason"),
    [
        (says_first(b"up 75%\n", stay=True), True, "agent: up 75%"),
        (says_first(b"up 75%\rdown\n", stay=True), True, "agent: up 75%"),
        (says_first(b"up ", b"75", b"%\r\n", pause=0.02, stay=True), True, "agent: up 75%"),
        (says_first(b"up 75%"), True, "agent: up 75%"),
        (says_first(b"drain\nmore\n" * 100000), True, "agent: drain"),
        (says_first(b"x" * 5000, stay=True), False, f"{ENDLESS}: b'{'x' * 24}'..."),
        (closes, False, "closed before the end of the line"),
        (resets, False, "connection reset before the end of the line"),
    ],
)  # fmt: skip
def test_agents(manner: Manner, ok: bool, reason: str) -> None:
    with Misbehaving(manner) as server:
        result = ask(server.port)
    assert (result.ok, result.silent, result.void) == (ok, False, False)
    assert result.reason == reason or (manner is resets and result.reason == "connection reset")
    assert result.weight == (75 if "75%" in reason else None)
    assert result.word == ("drain" if "drain" in reason else "")


def test_it_may_say_something_first() -> None:
    with Misbehaving(says(b"ready 10%\n", stay=True)) as server:
        result = ask(server.port, AgentProbe(b"web/web1\r\n\r\n"))
        assert (result.ok, result.weight, result.word) == (True, 10, "ready")
    assert server.heard == b"web/web1\r\n\r\n"


def test_bounded_in_time() -> None:
    for manner in (silent, says_first(b"up 7", stay=True)):
        with Misbehaving(manner) as server:
            result = ask(server.port, timeout=0.3)
        assert (result.ok, result.reason) == (False, "timed out after 300ms waiting for the agent's line")
    with Misbehaving(endless) as server:
        assert ask(server.port, timeout=0.3).reason.startswith("timed out")  # it waits for a request
    with refusing() as port:
        assert ask(port).reason == "connection refused"
    with deaf() as port:
        assert ask(port, timeout=0.3).silent
