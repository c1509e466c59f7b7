"""A write that is cancelled before its thread has begun it: the moment at which what is pending is easily lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor


async def cancelled_before_it_began(thread: ThreadPoolExecutor | None, flush: Coroutine[object, object, bool]) -> None:
    """Cancels the flush while its thread is still at something else."""
    hold = threading.Event()
    busy = asyncio.get_running_loop().run_in_executor(thread, hold.wait)
    task = asyncio.create_task(flush)
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    hold.set()
    await busy
