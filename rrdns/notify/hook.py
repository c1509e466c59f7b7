"""The command sink: a program is run for each message, without a shell, in a clean environment and for a bounded time.

What it gets stands in the environment (docs/notify.md); exit code 0 means delivered. Its process group is killed when
its time is over, and whatever it leaves behind when it ends. Must not know: when to try again.
"""

from __future__ import annotations

from rrdns.checks import command
from rrdns.checks.words import seconds
from rrdns.notify.apart import Failed
from rrdns.notify.sinks import Sink
from rrdns.notify.wording import Message, environment


async def send(sink: Sink, message: Message) -> str:
    """What it said, in a few words."""
    try:
        child = command.Child(list(sink.command), command.clean(RRDNS_EVENT_SINK=sink.name, **environment(message)))
    except (OSError, ValueError) as error:
        raise Failed(command.not_started(sink.command[0], error)[0]) from None
    done = await child.wait(sink.timeout)
    said = command.first_line(child.output)
    if not done:
        raise Failed(f"it ran longer than {seconds(sink.timeout)} and was killed{said}")
    code = child.ended.result()
    if code:
        raise Failed(f"{command.ending(code)}{said}")
    return "exit 0"
