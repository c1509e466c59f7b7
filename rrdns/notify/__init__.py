"""Telling people: transitions go to sinks (a program, a webhook, mail, apprise), grouped, limited and retried.

    an event -> office.tell -> collector (what is news, grouped) -> queue (kept in outbox, on disk) -> senders -> a sink

`notices`, `sinks`, `collector` and `queue` are pure: what is news, who wants it, what goes together, when to try
again. `wording` writes the texts. `outbox` is the disk, `senders` and the modules it picks from are the network, and
`office` holds it together. All of it runs in control's process, and nothing there ever waits for it.
"""
