"""What is news, what goes together, when it is tried again, and how it is put: in pretend time."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.notify import notices, wording
from rrdns.notify.collector import BURST, SETTLE, WINDOW, Collector
from rrdns.notify.notices import Notice, is_news
from rrdns.notify.queue import FIRST_WAIT, LONGEST_WAIT, MOST, REFUSALS, Entry, Queue, backoff
from rrdns.notify.sinks import Sink, of
from rrdns.notify.wording import Message


def notice(
    name: str = "web/web1",
    after: str = "down",
    before: str = "up",
    subject: str = "member",
    why: str = "refused",
    at: float = 1e9,
) -> Notice:
    return Notice(at, subject, name, before, after, why)


# ---------------------------------------------------------------- what is news


@pytest.mark.parametrize(
    ("subject", "told", "after", "news"),
    [
        ("member", None, "up", False),
        ("member", None, "drained", False),
        ("member", None, "down", True),
        ("member", "down", "down", False),
        ("member", "down", "up", True),
        ("member", "down", "drained", True),
        ("member", "down", "absent", True),
        ("member", None, "absent", False),
        ("pool", "degraded", "down", True),
        ("pool", "down", "degraded", True),
        ("pool", None, "ok", False),
        ("director", None, "unknown", False),
        ("director", None, "stale", True),
        ("reload", None, "refused", True),
        ("reload", "refused", "ok", True),
        ("override", None, "drain", True),
    ],
)
def test_what_is_news(subject: str, told: str | None, after: str, news: bool) -> None:
    assert is_news(told, notice(subject=subject, after=after, before="none")) is news


def test_a_sink_hears_what_it_wants() -> None:
    sink = Sink("ops", "command", on=("member", "reload"), pools=("web*", "mail"))
    assert sink.wants(notice("web-eu/a")) and sink.wants(notice("mail/a"))
    assert not sink.wants(notice("db/a")) and not sink.wants(notice("mail2/a"))
    assert not sink.wants(notice("web", subject="pool"))
    assert sink.wants(notice("zones", subject="reload"))  # it is about no pool
    assert of(json.loads(json.dumps(sink.plain()))) == sink


def test_a_url_is_shown_without_what_is_secret() -> None:
    assert (
        Sink("a", "webhook", url="https://user:pw@hooks.example.com:8443/T0K3N?k=v").where
        == "https://hooks.example.com:8443"
    )
    assert Sink("a", "apprise", url="tgram://12345:token/chat").where == "tgram:..."


# ---------------------------------------------------------------- grouping


def test_a_rack_is_one_message() -> None:
    one = Collector(5.0, 30.0)
    for number in range(40):
        one.hear(notice(f"web/web{number}"), 100.0 + number / 40)
    one.hear(notice("web", "down", "ok", "pool"), 101.0)
    assert one.deadline() == 106.0
    assert one.take(105.9) == ()
    assert len(one.take(106.0)) == 41
    assert one.take(200.0) == () and one.deadline() is None


def test_a_message_waits_no_longer_than_the_longest() -> None:
    one = Collector(5.0, 30.0)
    for number in range(100):
        one.hear(notice(f"web/web{number}"), 100.0 + number)
    assert one.deadline() == 130.0
    assert len(one.take(130.0)) == 100


def test_who_is_back_before_the_message_goes_is_in_none() -> None:
    one = Collector(5.0, 30.0)
    one.hear(notice(after="down"), 0.0)
    one.hear(notice(after="up", before="down"), 3.0)
    assert one.take(8.0) == ()


def test_a_message_tells_the_way_from_what_was_told_to_what_is() -> None:
    one = Collector(5.0, 30.0)
    one.hear(notice("web", "degraded", "ok", "pool"), 0.0)
    one.hear(notice("web", "down", "degraded", "pool"), 1.0)
    (told,) = one.take(6.0)
    assert (told.before, told.after, told.changes) == ("ok", "down", 2)
    one.hear(notice("web", "ok", "down", "pool"), 10.0)
    (told,) = one.take(15.0)
    assert told.after == "ok" and one.told == {}


def test_a_flapping_member_is_told_a_few_times_and_then_in_sum() -> None:
    one = Collector(1.0, 5.0)
    told, now = [], 0.0
    for number in range(60):  # a change every 10 s for ten minutes
        word = ("down", "up")[number % 2]
        one.hear(notice(after=word, before=("up", "down")[number % 2]), now)
        told += one.take(now + 2.0)
        now += 10.0
    assert len(told) == BURST
    told = one.take(now + SETTLE)
    assert len(told) == 1 and told[0].after == "up" and told[0].changes == 60 - BURST
    assert "57 changes" in wording.line(told[0], 1e9)
    # the last word is told even to one who was told a bad one before
    one.hear(notice(after="down"), now + SETTLE + WINDOW)
    assert one.take(now + SETTLE + WINDOW + 2.0)[0].after == "down"


def test_what_flaps_without_end_is_summed_up_now_and_then() -> None:
    one = Collector(1.0, 5.0)
    messages = 0
    for number in range(6 * 360):  # six hours, a change every ten seconds
        now = number * 10.0
        one.hear(notice(after=("down", "up")[number % 2]), now)
        messages += bool(one.take(now + 2.0))
    assert messages <= (BURST + 1) * 6 * 6


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["up", "down", "unknown"]), st.floats(0.0, 100.0)), max_size=60
    )
)
def test_in_the_end_every_sink_knows_the_truth(steps: list[tuple[int, str, float]]) -> None:
    """Whatever came how fast: once all stands still, what was told last of each is what is."""
    one = Collector(1.0, 5.0)
    now, truth, heard = 0.0, {}, {}
    for member, word, pause in steps:
        name = f"web/web{member}"
        before = truth.get(name, "up")
        truth[name] = word
        one.hear(notice(name, word, before), now)
        now += pause
        heard.update({told.name: told.after for told in one.take(now)})
    while (at := one.deadline()) is not None:
        heard.update({told.name: told.after for told in one.take(at)})
    for name, word in truth.items():
        assert heard.get(name, "up") == word
    assert {key[1] for key in one.told} == {name for name, word in truth.items() if word != "up"}


def test_failovers_of_one_step_do_not_melt_into_one() -> None:
    one = Collector(1.0, 5.0)
    one.hear(notice("web", "tier 2", "tier 1", "failover"), 0.0)
    one.hear(notice("web", "served by backup", "served by its own", "failover"), 0.0)
    one.hear(notice("web", "tier 3", "tier 2", "failover"), 0.5)
    assert {(told.before, told.after) for told in one.take(2.0)} == {
        ("tier 1", "tier 3"),
        ("served by its own", "served by backup"),
    }


# ---------------------------------------------------------------- the queue


def entry(number: int, made: float = 0.0, *some: Notice) -> Entry:
    return Entry(number, "ops", made, some or (notice(f"web/web{number}"),))


def test_back_off_doubles_to_a_bound() -> None:
    assert [backoff(number) for number in (0, 1, 2, 3, 7, 100)] == [0, FIRST_WAIT, 10, 20, LONGEST_WAIT, LONGEST_WAIT]


def test_what_waits_goes_out_as_one() -> None:
    queue = Queue(3600.0)
    queue.add(entry(1, 0.0, notice(after="down")))
    assert queue.deadline() == float("-inf")
    queue.failed("refused", 10.0)
    assert queue.deadline() == 15.0 and queue.failing_since == 10.0
    queue.add(entry(2, 12.0, notice(after="up", before="down")))
    queue.failed("timed out", 15.0)
    assert queue.deadline() == 25.0 and queue.why == "timed out" and queue.failing_since == 10.0
    (told,) = queue.notices()
    assert (told.before, told.after, told.changes) == ("up", "up", 2)
    queue.delivered(list(queue.entries), 25.0)
    assert queue.entries == [] and queue.failures == 0 and queue.failing_since is None and queue.sent == 1


def test_what_comes_during_a_delivery_stays() -> None:
    queue = Queue(3600.0)
    queue.add(entry(1))
    under_way = list(queue.entries)
    queue.add(entry(2))
    queue.delivered(under_way, 1.0)
    assert [one.id for one in queue.entries] == [2]


def test_old_and_too_many_are_dropped_and_counted() -> None:
    queue = Queue(100.0)
    queue.add(entry(1, 0.0))
    queue.add(entry(2, 50.0))
    assert [one.id for one in queue.expired(120.0)] == [1]
    for number in range(3, MOST + 10):
        queue.add(entry(number, 120.0))
    assert len(queue.entries) == MOST and queue.dropped == 9
    assert queue.untold == 9


def test_a_message_that_is_refused_again_and_again_is_given_up() -> None:
    queue = Queue(1e6)
    queue.add(entry(1))
    assert all(queue.failed("HTTP 400", float(number), refused=True) == [] for number in range(REFUSALS - 1))
    assert [one.id for one in queue.failed("HTTP 400", 100.0, refused=True)] == [1]
    assert queue.deadline() is None


def test_a_sink_that_asks_for_patience_gets_it_in_bounds() -> None:
    queue = Queue(1e6)
    queue.add(entry(1))
    queue.failed("HTTP 429", 0.0, after=60.0)
    assert queue.deadline() == 60.0
    queue.failed("HTTP 429", 60.0, after=1e9)
    assert queue.deadline() == 60.0 + LONGEST_WAIT


# ---------------------------------------------------------------- words


def message(*some: Notice, **more: object) -> Message:
    return Message("rrdns-1-1-1", 1e9, "ns1", tuple(some), **more)  # type: ignore[arg-type]


def test_the_title_says_the_worst_first() -> None:
    rack = [notice(f"web/web{number}") for number in range(40)]
    pool = notice("web", "down", "ok", "pool")
    assert wording.title(message(*rack, pool)) == "rrdns ns1: pool web down; 40 members down"
    assert wording.title(message(notice())) == "rrdns ns1: member web/web1 down"


def test_the_text_is_short_whatever_happens() -> None:
    rack = [notice(f"web/web{number}", why=f"refused by {number}") for number in range(1000)]
    text = wording.text(message(*rack, notice("web", "down", "ok", "pool", why="nobody left")))
    first, second = text.splitlines()
    assert "pool web  ok -> down: nobody left" in first
    assert "pool web: 1,000 members up -> down: web0, web1, " in second and "and 980 more" in second
    pools = [notice(f"pool{number}", "down", "ok", "pool") for number in range(500)]
    assert len(wording.text(message(*pools)).splitlines()) == wording.LINES + 1
    assert "3 earlier messages could not be delivered" in wording.text(message(dropped=3))


def test_alertmanager_hears_of_ends_too() -> None:
    (down,) = wording.alerts(message(notice("web", "degraded", "ok", "pool")))
    assert down["labels"] == {
        "alertname": "RrdnsPool",
        "instance": "ns1",
        "severity": "warning",
        "name": "web",
        "pool": "web",
    }
    assert down["endsAt"] > wording.iso(1e9)
    both = wording.alerts(message(notice("web", "down", "degraded", "pool")))
    ends = {one["labels"]["severity"]: one["endsAt"] for one in both}
    assert ends["warning"] == wording.iso(1e9) and ends["critical"] > wording.iso(1e9)
    assert all(
        one["endsAt"] == wording.iso(1e9) for one in wording.alerts(message(notice("web", "ok", "down", "pool")))
    )


def test_a_program_gets_texts_that_fit_an_environment() -> None:
    many = [notice(f"web/{'x' * 60}{number}", why="a\0b" + "y" * 300) for number in range(2000)]
    env = wording.environment(message(*many))
    assert all(len(value.encode()) < 120_000 and "\0" not in value for value in env.values())
    told = json.loads(env["RRDNS_EVENT_JSON"])
    assert len(told["events"]) + told["more"] == 2000
    assert env["RRDNS_EVENT_SUBJECT"] == "member" and env["RRDNS_EVENT_COUNT"] == "2000"


def test_the_worst_of_nothing() -> None:
    assert notices.worst(()) == notices.INFO
