"""Asking through the doors to directors in tests: what goes wrong must end in time, and in words without secrets."""

from __future__ import annotations

import time
from collections.abc import Awaitable

from misbehaving import Misbehaving

from rrdns.directors import Fault
from rrdns.model import Director

SECRET = "s3cret-words"
PATIENCE = 10.0  # a bound is held if the question ends within its timeout and this
LONG = 30.0  # a timeout that is not to be met


async def fault(question: Awaitable[object]) -> str:
    begun = time.monotonic()
    try:
        got = await question
    except Fault as error:
        assert time.monotonic() - begun < PATIENCE, "it took too long"
        said = str(error)
        assert said and said.isprintable() and SECRET not in said
        return said
    raise AssertionError(f"no fault: {str(got)[:200]}")


def web(server: Misbehaving, path: str = "/", timeout: float = LONG, **more: object) -> Director:
    return Director("lb", "http", url=f"http://127.0.0.1:{server.port}{path}", timeout=timeout, **more)  # type: ignore[arg-type]
