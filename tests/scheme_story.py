"""A story: many lanes side by side, each with hosts of its own that fail and recover in an order of its own, under one
rrdns that is restarted in the middle; and what all the witnesses say of it."""

from __future__ import annotations

import email
import email.policy
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from answers_seen import Recorder, Seen
from host_processes import Hosts
from live import Server, free_port, serve, wait_for
from notices_told import Told, of_json, of_mail
from notify_sinks import HttpSink, MailSink
from real_exim import Exim
from scheme_orders import SCHEMES, Rest, files, outcome

from rrdns.control import journal_reading
from rrdns.recorded import Recording
from rrdns.ui.client import Client

DWELL = 1.3  # longer than a failback: what follows in silence is over too
IN_A_SINK = 4  # lanes that share a mail sink, so that a mail holds every line
ZONE = "lb.example.com."


@dataclass(frozen=True)
class Act:
    """The test killed a host, or started it."""

    at: float
    host: str
    word: str


@dataclass
class Lane:
    """`step`: how many of its acts are done."""

    number: int
    scheme: str
    order: tuple[str, ...]
    step: int = 0
    acts: list[Act] = field(default_factory=list)
    rested_since: float | None = None

    @property
    def prefix(self) -> str:
        return f"g{self.number // IN_A_SINK}l{self.number}-"

    @property
    def net(self) -> str:
        return f"127.77.{self.number + 1}"

    @property
    def pools(self) -> list[str]:
        return [self.prefix + pool for pool in SCHEMES[self.scheme].pools]

    @property
    def rests(self) -> tuple[Rest, ...]:
        return outcome(self.scheme, self.order)

    def address(self, host: str) -> str:
        return f"{self.net}.{SCHEMES[self.scheme].hosts[host]}"

    def host(self, address: str) -> str:
        return next(host for host in SCHEMES[self.scheme].hosts if self.address(host) == address)

    def owns(self, name: str) -> bool:
        """Whether an event's name is about it."""
        return name.partition("/")[0] in self.pools

    def act(self, hosts: Hosts) -> None:
        host = self.order[self.step]
        address, at = self.address(host), time.time()
        alive = hosts.is_up(address)
        (hosts.kill if alive else hosts.start)(address)
        self.acts.append(Act(at, host, "down" if alive else "up"))
        self.step += 1
        self.rested_since = None

    def unlike(self, status: dict[str, Any], recorder: Recorder) -> str:
        """What is not yet as the truth tables have it; empty: everything is."""
        wanted = self.rests[self.step]
        for pool in SCHEMES[self.scheme].pools:
            found = status["pools"][self.prefix + pool]
            words = {f"{pool}/{name}": one["state"] for name, one in found["members"].items()}
            if any(wanted.words[host] != word for host, word in words.items()):
                return f"{self.prefix}{pool}: {words}, and not {wanted.words}"
            if found["waits"] or found["due"] is not None:
                return f"{self.prefix}{pool} waits for a return"
            seen = recorder.now(f"{self.prefix}{pool}.{ZONE}")
            addresses = frozenset(self.address(host) for host in wanted.answers[pool])
            if seen != addresses:
                return f"{self.prefix}{pool} is answered by {sorted(seen or ())}, and not by {sorted(addresses)}"
        return ""

    def __str__(self) -> str:
        return f"{self.prefix} ({self.scheme}: {' '.join(self.order[: self.step])})"


@dataclass
class Story:
    """What there is to compare. Times are wall times. `restarts`: from, to."""

    lanes: list[Lane]
    seen: dict[str, list[Seen]]
    failures: list[str]
    recording: Recording
    events: list[dict[str, Any]]
    replayed: dict[str, Any]
    told: dict[str, list[list[Told]]]
    """By sink its messages, and in each what it tells."""
    explained: list[tuple[float, str, dict[str, Any]]]
    """When, which pool, and what `rrdns explain --at` said."""
    restarts: list[tuple[float, float]]


def play(lanes: Sequence[Lane], exim: bool = False, explained: int = 6, restart_after: int = 2) -> Story:
    """From the start to the end of all lanes. Before the restart every second lane's next act is done already."""
    port = free_port("127.0.0.1", *[lane.address(host) for lane in lanes for host in SCHEMES[lane.scheme].hosts])
    text = files(
        "".join(SCHEMES[lane.scheme].text(lane.net, lane.prefix) for lane in lanes),
        [pool for lane in lanes for pool in lane.pools],
        port,
    )
    with Hosts(port) as hosts, HttpSink() as web, MailSink() as post:
        for lane in lanes:
            for host in SCHEMES[lane.scheme].hosts:
                hosts.start(lane.address(host))
        if exim:
            with Exim() as mail:
                return _tell(lanes, text, hosts, web, post, mail, explained, restart_after)
        return _tell(lanes, text, hosts, web, post, None, explained, restart_after)


def _tell(
    lanes: Sequence[Lane],
    text: dict[str, str],
    hosts: Hosts,
    web: HttpSink,
    post: MailSink,
    exim: Exim | None,
    explained: int,
    restart_after: int,
) -> Story:
    with serve(text["lb.example.com.yaml"], text["pools.yaml"], "--workers", "1", start=False) as server:
        config = server.folder / "rrdns.yaml"
        config.write_text(_settings(lanes, web, post, exim))
        server.arguments += ("--config", str(config))
        server.start()
        names = [f"{pool}.{ZONE}" for lane in lanes for pool in lane.pools]
        restarts = []
        with Recorder(names, server.port) as recorder:
            longest = max(len(lane.order) for lane in lanes)
            drive(lanes, restart_after, server, hosts, recorder)
            for lane in lanes[1::2]:
                lane.act(hosts)
            restarts.append(restart(server))
            drive(lanes, longest, server, hosts, recorder)
            wait_for(lambda: _all_told(server, exim), 60, "everything is told")
            if _held(server):  # because it came too often; it goes out at an orderly end
                restarts.append(restart(server))
                wait_for(lambda: _all_told(server, exim) and not _held(server), 60, "everything is told")
        told = {"chat": [[of_json(one) for one in message["events"]] for message in web.taken]}
        for sink, lines in _posted(post):
            told.setdefault(sink, []).append(lines)
        for message in exim.mails() if exim else ():
            told.setdefault("exim " + str(message["To"]).partition("@")[0], []).append(of_mail(message))
        wait_for(lambda: _is_whole(server), 30, "the journal has everything")
        recording = journal_reading.read(server.state / "journal.db", 0.0)
        printed = server.run("events", "--json", "--limit", "10000").stdout.splitlines()
        story = Story(
            list(lanes), recorder.seen, recorder.failures, recording, [json.loads(line) for line in printed],
            json.loads(server.run("replay", "--since", "1h", "--json").stdout), told, [], restarts,
        )  # fmt: skip
        for at, name in calm(story, explained):
            moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
            said = server.run("explain", name, "--at", moment, "--json").stdout
            story.explained.append((at, name, json.loads(said)))
    return story


def _settings(lanes: Sequence[Lane], web: HttpSink, post: MailSink, exim: Exim | None) -> str:
    """A webhook for everything, and mail sinks for a few lanes each."""
    same = "on: [member, pool, failover], quiet: 200ms, longest: 800ms, timeout: 20s"
    lines = [f"  - {{name: chat, type: webhook, url: '{web.url}', {same}}}\n"]
    for group in sorted({lane.number // IN_A_SINK for lane in lanes}):
        for name, port in (("post", post.port), ("exim", exim.port if exim else 0)):
            where = f"server: '127.0.0.1:{port}', tls: none, from: rrdns@ns1.example.com, to: g{group}@example.com"
            if port:
                lines.append(f"  - {{name: {name}{group}, type: mail, {where}, pools: 'g{group}l*', {same}}}\n")
    return "notify:\n" + "".join(lines)


def drive(lanes: Sequence[Lane], steps: int, server: Server, hosts: Hosts, recorder: Recorder) -> None:
    """Each lane does its acts up to that step; the next when all that follows from the last is done."""
    client, end = Client(str(server.control), 20.0), time.monotonic() + 60 + 20 * steps
    while True:
        status = client.get("/status")
        left = []
        for lane in lanes:
            unlike, now = lane.unlike(status, recorder), time.monotonic()
            if unlike:
                lane.rested_since = None
                left.append((lane, unlike))
            elif lane.rested_since is None:
                lane.rested_since = now
            if lane.rested_since is None or now - lane.rested_since < DWELL:
                left.append((lane, unlike))
            elif lane.step < min(steps, len(lane.order)):
                lane.act(hosts)
                left.append((lane, "it has just begun"))
                time.sleep(0.01)  # no rack that dies: each host by itself
        if not left:
            return
        assert time.monotonic() < end, "; ".join(f"{lane}: {unlike}" for lane, unlike in left)
        time.sleep(0.05)


def restart(server: Server) -> tuple[float, float]:
    begun = time.time()
    server.process.terminate()
    server.process.wait(60)
    server.start(server.port)
    return begun, time.time()


def _all_told(server: Server, exim: Exim | None) -> bool:
    sinks = Client(str(server.control), 20.0).get("/status")["notify"].values()
    return not any(one["waiting"] for one in sinks) and (exim is None or len(exim.mails()) == exim.accepted)


def _held(server: Server) -> bool:
    return any(one["collecting"] for one in Client(str(server.control), 20.0).get("/status")["notify"].values())


def _is_whole(server: Server) -> bool:
    """Everything `rrdns events` knows is in the journal."""
    printed = server.run("events", "--json", "--limit", "10000").stdout.splitlines()
    return len(journal_reading.read(server.state / "journal.db", 0.0, datasets=False).events) >= len(printed)


def _posted(post: MailSink) -> Iterator[tuple[str, list[Told]]]:
    for envelope, text in zip(list(post.mails), post.texts(), strict=True):
        message = email.message_from_string(text, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        yield "post " + envelope.rcpt_tos[0].partition("@")[0], of_mail(message)


def calm(story: Story, most: int) -> list[tuple[float, str]]:
    """Whole seconds, spread over the story and its lanes, around which the same was answered."""
    found = []
    for name, some in story.seen.items():
        for one in some:
            second = float(int(one.since + 0.1) + 1)
            while second < one.until - 0.1:
                found.append((second, name))
                second += 1.0
    found.sort()
    return found[:: max(1, len(found) // most)][:most] if most else []
