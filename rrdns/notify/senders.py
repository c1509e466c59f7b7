"""Which way a message goes to a sink. Must not know: what is in it, when to try again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rrdns.notify import apprise_url, hook, mail, webhook
from rrdns.notify.apart import Apart, Failed, Grip
from rrdns.notify.sinks import Sink
from rrdns.notify.wording import Message

SPARE = 1.0  # seconds beyond a sink's timeout, which holds for each step of a conversation

BLOCKING: Mapping[str, Callable[[Sink, Message, Grip], str]] = {
    "webhook": webhook.send,
    "mail": mail.send,
    "apprise": apprise_url.send,
}


class Sender:
    """One sink's way out."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._apart = Apart(sink.name)

    async def send(self, message: Message) -> str:
        """What the sink said, in a few words; raises Failed."""
        if self.sink.type == "command":
            return await hook.send(self.sink, message)
        work = BLOCKING.get(self.sink.type)
        if work is None:
            raise Failed(f"there is no type of sink {self.sink.type!r}")
        sink = self.sink
        return await self._apart.run(lambda grip: work(sink, message, grip), sink.timeout + SPARE)
