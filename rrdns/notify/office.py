"""The office: hears of every transition, and sees to it that the sinks do, sooner or later. One per control process.

`tell` is called in the middle of decisions: it takes memory only, never waits and never raises. All else happens in
tasks of its own, one to collect and one a sink to deliver; a fault in them is logged and they go on. An entry is on
the disk (if that works) before it is tried, and leaves it when it was taken: delivered at least once, and not twice
because of an orderly end.

Must not know: what decides, how a sink is reached.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from rrdns import log
from rrdns.control.clock import Clock
from rrdns.model import ABSENT, Event
from rrdns.notify.apart import Failed
from rrdns.notify.collector import Collector
from rrdns.notify.notices import Key, Notice, is_beginning, is_news
from rrdns.notify.outbox import Outbox
from rrdns.notify.queue import Queue
from rrdns.notify.senders import Sender
from rrdns.notify.sinks import Sink
from rrdns.notify.wording import Message
from rrdns.texts import clean, duration, plural

REPEAT = 60.0  # seconds after which a sink that wants it hears again of what goes on
CALM = 5.0  # after a fault of our own
FLUSH = 1.0
LAST_WORD = 1.0  # seconds that an end waits for a sink that is taking a message
DONE = ("failover", "override")  # what happened is told also if it was at a start; no picture shows it
EARLY = 5_000  # such events
_WELL = {"member": "up", "director": "up", "name": "up"}

Json = dict[str, Any]
Picture = Mapping[Key, tuple[str, str]]
"""Of every subject the word for its state now, and why; told in this order."""


class Post:
    """One sink with all that belongs to it."""

    def __init__(self, sink: Sink, told: Mapping[Key, Notice]) -> None:
        self.sink = sink
        self.collector = Collector(sink.quiet, sink.longest, told)
        self.queue = Queue(sink.keep)
        self.sender = Sender(sink)
        self.wake = asyncio.Event()
        self.repeated = float("-inf")
        self.lost = 0


class Office:
    """`host`: who speaks, in every message."""

    def __init__(self, sinks: Iterable[Sink], outbox: Outbox, clock: Clock, host: str = "") -> None:
        self.posts = {sink.name: Post(sink, {}) for sink in sinks}
        self.host = host or socket.gethostname()
        self._outbox = outbox
        self._clock = clock
        self._wake = asyncio.Event()
        self._subjects = {subject for post in self.posts.values() for subject in post.sink.on}
        self._begun = False
        self._early: list[Event] = []
        """Heard before the server served, and in no picture."""

    # ------------------------------------------------------------------ start and end

    async def open(self) -> None:
        """Takes up what an earlier process could not deliver."""
        if not self.posts:
            return
        await self._outbox.open()
        for name in self._outbox.keep_only(self.posts):
            log.logger.warning("notify: sink %s is in the settings no more; what waited for it is dropped", clean(name))
        for name, post in self.posts.items():
            post.collector.told = self._outbox.told(name)
        for entry in self._outbox.entries():
            self._give_up(self.posts[entry.sink], self.posts[entry.sink].queue.add(entry), "too many wait")

    async def run(self) -> None:
        """Until cancelled."""
        jobs: list[Callable[[], Awaitable[None]]] = [self._collect, self._keep]
        jobs += [lambda post=post: self._deliver(post) for post in self.posts.values()]  # type: ignore[misc]
        async with asyncio.TaskGroup() as group:
            for job in jobs if self.posts else ():
                group.create_task(_unbroken(job))

    async def close(self) -> None:
        """What was collected so far goes to the disk."""
        if self.posts:
            self._sort(everything=True)
            await self._outbox.close()

    # ------------------------------------------------------------------ hearing

    def begin(self, picture: Picture) -> None:
        """The server serves, or other files are in force: from now on events are heard. What changed while nobody
        listened is told; what a sink does not want to hear of any more is forgotten."""
        now = self._clock.moment()
        subjects = {subject for subject, _ in picture}
        for post in self.posts.values():
            told = dict(post.collector.told)
            for key, notice in told.items():
                if not post.sink.wants(notice) or self._is_history(notice, subjects, picture):
                    del post.collector.told[key]
            self._outbox.keep_told(post.sink.name, told, post.collector.told)
            told = dict(post.collector.told)
            for key in [*picture, *(key for key in told if key[0] in subjects and key not in picture)]:
                word, why = picture.get(key, (ABSENT, "it is there no more"))
                last = told[key].after if key in told else None
                notice = Notice(now.wall, *key, last or _WELL.get(key[0], "ok"), clean(word), clean(why))
                if is_news(last, notice) and post.sink.wants(notice):
                    post.collector.hear(notice, now.mono)
        self._begun = True
        early, self._early = self._early, []
        for event in early:
            self.tell(event)
        self._wake.set()

    def _is_history(self, notice: Notice, subjects: Collection[str], picture: Picture) -> bool:
        """Of what is in no picture: whether it was told by a process before this one, which began anew, or of a pool
        that there is not any more. Should it still be so, there will be an event."""
        if notice.subject in subjects:
            return False
        return not self._begun or bool(notice.pool and ("pool", notice.pool) not in picture)

    def tell(self, event: Event) -> None:
        """The door for events. What happens before `begin` is told then: what is by its picture, and what was done,
        such as a promotion, from here."""
        if event.subject not in self._subjects:
            return
        if not self._begun:
            if event.subject in DONE and not is_beginning(event.subject, event.before) and len(self._early) < EARLY:
                self._early.append(event)
            return
        try:
            self._hear(event)
        except Exception:
            log.logger.exception("notify: internal error at an event; nobody was told of it")

    def _hear(self, event: Event) -> None:
        name, before, after, why = (clean(text) for text in (event.name, event.before, event.after, event.why))
        notice = Notice(self._clock.moment().wall_of(event.at), event.subject, name, before, after, why)
        for post in self.posts.values():
            if post.sink.wants(notice):
                post.collector.hear(notice, self._clock.now())
                self._wake.set()

    async def test(self, name: str) -> list[Json]:
        """Sends a test to the sink, or with "" to all, at once; what happened."""
        posts = [self.posts[name]] if name else list(self.posts.values())
        return list(await asyncio.gather(*[self._test(post) for post in posts]))

    # ------------------------------------------------------------------ collecting

    async def _collect(self) -> None:
        while True:
            self._wake.clear()
            times = [at for post in self.posts.values() if (at := post.collector.deadline()) is not None]
            await _until(self._wake, min(times) - self._clock.now() if times else None)
            self._sort()

    def _sort(self, everything: bool = False) -> None:
        """What is due goes from the collectors to the queues."""
        now = self._clock.now()
        for post in self.posts.values():
            at = post.collector.deadline()
            if at is None or not (everything or at <= now):
                continue
            before = dict(post.collector.told)
            notices = post.collector.take(now, everything)
            if notices:
                post.lost += post.collector.lost
                post.collector.lost = 0
                self._outbox.keep_told(post.sink.name, before, post.collector.told)
                entry = self._outbox.put(post.sink.name, notices)
                self._give_up(post, post.queue.add(entry), "too many wait")
                post.wake.set()

    async def _keep(self) -> None:
        while True:
            await self._outbox.flush()
            await asyncio.sleep(FLUSH)

    # ------------------------------------------------------------------ delivering

    async def _deliver(self, post: Post) -> None:
        while True:
            post.wake.clear()
            now = self._clock.now()
            self._give_up(post, post.queue.expired(now), f"undelivered for {duration(post.sink.keep)}")
            at, again = post.queue.deadline(), self._repetition(post)
            waits = [when - now for when in (at, again) if when is not None]
            if not waits or min(waits) > 0:
                await _until(post.wake, min(waits) if waits else None)
                continue
            await self._outbox.flush()
            await self._try(post, now)

    async def _try(self, post: Post, now: float) -> None:
        """Everything that waits, as one message."""
        queue = post.queue
        entries = list(queue.entries)
        message = self._message(post)
        post.repeated = now
        sending = asyncio.ensure_future(post.sender.send(message))
        try:
            await asyncio.shield(sending)
        except asyncio.CancelledError:
            if await _ends_well(sending):
                self._outbox.drop(one.id for one in entries)
            raise
        except Failed as error:
            self._failed(post, error)
            return
        except Exception as error:
            log.logger.exception("notify: sink %s: internal error", post.sink.name)
            self._failed(post, Failed(f"internal error: {error!r}; the log says more"))
            return
        if queue.failures:
            log.logger.info("notify: sink %s takes messages again", post.sink.name)
        if entries:
            queue.delivered(entries, self._clock.now(), message.dropped)
            post.lost -= message.lost
            self._outbox.drop(one.id for one in entries)
            await self._outbox.flush()
        else:
            queue.heard(self._clock.now())

    def _failed(self, post: Post, error: Failed) -> None:
        queue, why = post.queue, str(error)
        if queue.why != why:
            log.logger.warning("notify: sink %s (%s): %s; trying again", post.sink.name, post.sink.where, why)
        gone = queue.failed(why, self._clock.now(), error.refused, error.after)
        self._give_up(post, gone, f"refused {queue.failures} times: {why}")

    def _message(self, post: Post) -> Message:
        entries, queue, now = post.queue.entries, post.queue, self._clock.moment()
        first = entries[0] if entries else None
        name = f"rrdns-{now.wall_of(first.made):.0f}-{first.id}-{entries[-1].id}" if first else f"rrdns-{now.wall:.0f}"
        notices = queue.notices()
        newest = {one.key for one in notices}
        standing = [one for key, one in post.collector.told.items() if key not in newest] if post.sink.repeats else []
        return Message(name, now.wall, self.host, notices, queue.untold, post.lost, standing=tuple(standing))

    def _repetition(self, post: Post) -> float | None:
        """When to say again what goes on; not while the sink fails, as then the next try says it."""
        if not post.sink.repeats or not post.collector.told:
            return None
        return max(post.repeated + REPEAT, post.queue.next_try)

    def _give_up(self, post: Post, entries: Iterable[Any], why: str) -> None:
        gone = list(entries)
        if gone:
            self._outbox.drop(one.id for one in gone)
            number = plural(len(gone), "message")
            log.logger.error("notify: sink %s: %s dropped (%s); `rrdns events` has them", post.sink.name, number, why)

    async def _test(self, post: Post) -> Json:
        sink, begun = post.sink, time.monotonic()
        wall = self._clock.moment().wall
        message = Message(f"rrdns-test-{wall:.3f}", wall, self.host, (), test=True)
        answer = {"name": sink.name, "type": sink.type, "where": sink.where}
        try:
            said = await post.sender.send(message)
        except Failed as error:
            return {**answer, "ok": False, "said": str(error), "took": time.monotonic() - begun}
        except Exception as error:
            log.logger.exception("notify: sink %s: internal error", sink.name)
            return {**answer, "ok": False, "said": f"internal error: {error!r}", "took": time.monotonic() - begun}
        if post.queue.failures:  # what waits need not wait for its time
            post.queue.next_try = float("-inf")
            post.wake.set()
        return {**answer, "ok": True, "said": said, "took": time.monotonic() - begun}

    # ------------------------------------------------------------------ showing

    def snapshot(self, now: float) -> Json:
        """`notify` of `status --json`. `since`, `sent_age`: ages in seconds; `next_try`: seconds from now."""
        found = {}
        for name, post in self.posts.items():
            queue = post.queue
            failing = queue.failing_since
            found[name] = {
                "type": post.sink.type,
                "where": post.sink.where,
                "state": "failing" if failing is not None else "ok" if queue.last_sent is not None else "unused",
                "why": queue.why,
                "since": now - failing if failing is not None else None,
                "collecting": post.collector.collecting,
                "waiting": len(queue.entries),
                "oldest": now - queue.entries[0].made if queue.entries else None,
                "next_try": max(0.0, queue.next_try - now) if failing is not None else None,
                "sent": queue.sent,
                "failures": queue.tries_failed,
                "dropped": queue.dropped,
                "sent_age": now - queue.last_sent if queue.last_sent is not None else None,
                "saved": not self._outbox.why,
            }
        return found


async def _until(event: asyncio.Event, seconds: float | None) -> None:
    """Until the event is set, or the time is over."""
    try:
        async with asyncio.timeout(None if seconds is None else max(0.02, seconds)):
            await event.wait()
    except TimeoutError:
        pass


async def _ends_well(sending: asyncio.Task[str]) -> bool:
    """Whether a sink that is just taking a message takes it in the moment that an orderly end has."""
    try:
        await asyncio.wait({sending}, timeout=LAST_WORD)
    finally:
        sending.cancel()  # a Failed in it is of no consequence: what waits is tried again after a start
    return sending.done() and not sending.cancelled() and sending.exception() is None


async def _unbroken(job: Callable[[], Awaitable[None]]) -> None:
    """Goes on after whatever goes wrong: telling people must never end control."""
    while True:
        try:
            await job()
        except Exception:
            log.logger.exception("notify: internal error; going on")
            await asyncio.sleep(CALM)
