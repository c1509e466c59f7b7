"""The apprise sink: one of the many services that the `apprise` package knows by URL. The one module that imports it.

It is heavy, so it is imported at the first message, in the sink's thread. Must not know: when to try again.
"""

from __future__ import annotations

from rrdns.notify.apart import Failed, Grip, secret
from rrdns.notify.notices import BAD, CRITICAL, worst
from rrdns.notify.sinks import Sink
from rrdns.notify.wording import Message, text, title


def send(sink: Sink, message: Message, grip: Grip) -> str:
    """Nothing of what it says about a URL is repeated: the URL holds the password."""
    try:
        import apprise
    except ImportError as error:
        raise Failed(f"the package apprise is missing ({error.name}): pip install 'rrdns[notify]'") from None
    service = apprise.Apprise()
    if not service.add(secret(sink.url_from) if sink.url_from else sink.url):
        raise Failed("apprise does not understand the URL: see https://github.com/caronc/apprise/wiki")
    level = worst(message.notices)
    kind = apprise.NotifyType.FAILURE if level == CRITICAL else apprise.NotifyType.WARNING
    if level not in BAD:
        kind = apprise.NotifyType.INFO
    if not service.notify(body=text(message), title=title(message), notify_type=kind):
        raise Failed("apprise could not deliver it: the service refused it or could not be reached")
    return "taken"
