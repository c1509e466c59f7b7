"""One connection of one probe in TLS: connect, shake hands, one deadline over all of it, one verdict.

Connections without TLS are the dialer's. Must not know: what is said (`conversation`), HTTP.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import cast

from rrdns.checks import tls
from rrdns.checks.conversation import CONNECTING, HANDSHAKE, Conversation, Wire
from rrdns.checks.words import fault, seconds
from rrdns.model import Result, Target


async def in_tls(talk: Conversation, target: Target, context: ssl.SSLContext, name: str) -> Result:
    """Runs `talk` with the target as `name`, within the check's timeout."""
    check = target.check
    loop = asyncio.get_running_loop()
    begun, deadline = time.monotonic(), loop.time() + check.timeout
    ok = silent = ours = False
    try:
        async with asyncio.timeout_at(deadline) as limit:
            ok, reason = await _verdict(loop, talk, target, context, name)
    except ssl.SSLError as error:
        reason = await tls.explain(error, name, target.address, check.port, deadline - loop.time())
    except OSError as error:  # the kernel's own ETIMEDOUT is a TimeoutError too
        if isinstance(error, TimeoutError) and limit.expired():
            silent = talk.stage == CONNECTING
            reason = f"timed out after {seconds(check.timeout)} {talk.stage or talk.waiting()}"
        else:
            reason, silent, ours = fault(error)
            if talk.stage == HANDSHAKE:  # the host had accepted, so the path works
                unsaid = isinstance(error, ConnectionError) and error.errno is None  # both loops' way to say: EOF
                reason, silent = f"TLS handshake: {'closed by the server' if unsaid else reason}", False
    finally:
        talk.drop()
    return Result(ok, reason, time.monotonic() - begun, silent, ours)


async def _verdict(
    loop: asyncio.AbstractEventLoop, talk: Conversation, target: Target, context: ssl.SSLContext, name: str
) -> tuple[bool, str]:
    """Connects, in two steps, so that a timeout can say which of them did not end.

    The socket is the loop's from the start: uvloop closes one that it is given (`sock=`) twice if that one is
    reset early, and so perhaps another's.
    """
    judged = asyncio.Event()
    talk.tell = judged.set
    await loop.create_connection(lambda: talk, target.address, target.check.port)
    if talk.transport and talk.verdict is None:
        talk.before_tls = False
        secure = await loop.start_tls(
            cast(asyncio.Transport, talk.transport),
            talk,
            context,
            server_hostname=name,
            ssl_handshake_timeout=3600,  # the deadline is ours
        )
        talk.secured(cast(Wire, secure))
    await judged.wait()
    assert talk.verdict
    if isinstance(talk.verdict, Exception):
        raise talk.verdict
    return talk.verdict
