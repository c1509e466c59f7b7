"""What pools do for one another, each line of the truth tables; decided as the roster does it. Pretend time."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rrdns.failover import Asked, Selection, decide_all
from rrdns.hosts import Host, host, lent
from rrdns.model import Failover, Member, Pool, Standing, State, WhenDown
from rrdns.schemes import PATIENCE
from rrdns.substitutes import lenders

UP, DOWN, UNKNOWN = State.UP, State.DOWN, State.UNKNOWN
EMPTY = WhenDown("empty")


def pool(name: str, count: int = 1, **more: object) -> Pool:
    """Members are called by the pool's first letter: a1, a2."""
    members = tuple(Member(f"{name[0]}{at}", (f"192.0.2.{ord(name[0]) % 8 * 10 + at}",)) for at in range(1, count + 1))
    return Pool(name, members, **{"when_down": EMPTY, **more})  # type: ignore[arg-type]


def simple(backup: str, failback: float | None = 30.0) -> Failover:
    return Failover("simple-failover", failback, backup=backup)


def mutual(partner: str, failback: float | None = 30.0) -> Failover:
    return Failover("mutual-takeover", failback, partner=partner)


class Story:
    """Some pools through time. Members are told by name: `down="a1 b2"`; `fails`: borrowed ones that do not pass the
    borrower's checks, `web/r1`."""

    def __init__(self, *pools: Pool) -> None:
        self.pools = {one.name: one for one in pools}
        self.standings = {one.name: Standing() for one in pools}
        self.last: Mapping[str, Selection] = {}

    def at(self, now: float, down: str = "", *, drained: str = "", unknown: str = "", fails: str = "",
           recalled: str = "", held: bool = False) -> dict[str, str]:  # fmt: skip
        states = dict.fromkeys(down.split(), DOWN) | dict.fromkeys(unknown.split(), UNKNOWN)
        found = {
            name: [
                host(one, [states.get(one.name, UP)], override="drain" if one.name in drained.split() else None)
                for one in each.members
            ]
            for name, each in self.pools.items()
        }
        asked = {}
        for name, each in self.pools.items():
            others = {other: self._lent(name, other, found[other], fails) for _, other in lenders(each, self.pools)}
            standing = self.standings[name]
            asked[name] = Asked(each, found[name], (), standing, others, name in recalled.split(), held)
        self.last = decide_all(asked, now)
        self.standings = {name: one.standing for name, one in self.last.items()}
        again = decide_all({name: self._anew(one) for name, one in asked.items()}, now)
        assert again == self.last, "the same again changes nothing"
        return {name: " ".join(each.name for each in one.serving) for name, one in self.last.items()}

    def _anew(self, one: Asked) -> Asked:
        return Asked(one.pool, one.hosts, one.last, self.standings[one.pool.name], one.lent, False, one.held)

    def _lent(self, name: str, other: str, its: list[Host], fails: str) -> list[Host]:
        return [
            lent(one, other, [DOWN if f"{name}/{one.name}" in fails.split() else one.state] * len(one.addresses))
            for one in its
        ]


# ------------------------------------------------------------------ simple-failover


def test_the_backup_serves_us_alone_and_its_own_no_more() -> None:
    story = Story(pool("web", 2, failover=simple("reports")), pool("reports", 2))
    assert story.at(0) == {"web": "w1 w2", "reports": "r1 r2"}
    assert story.at(1, "w1") == {"web": "w2", "reports": "r1 r2"}
    assert story.at(2, "w1 w2") == {"web": "reports/r1 reports/r2", "reports": ""}
    web, reports = story.last["web"], story.last["reports"]
    assert (web.state, web.from_pool, web.how) == ("degraded", "reports", "backup")
    assert reports.shed == {"r1", "r2"} and reports.to_pools == ("web",) and "serve web instead" in reports.why
    assert story.at(10, "w2") == {"web": "reports/r1 reports/r2", "reports": ""}, "not before failback"
    assert story.last["web"].due == 40
    assert story.at(30, "w1 w2") == {"web": "reports/r1 reports/r2", "reports": ""}
    assert story.at(31)["web"] == "reports/r1 reports/r2" and story.last["web"].due == 61, "the time begins anew"
    assert story.at(61) == {"web": "w1 w2", "reports": "r1 r2"}, "both in one step"


def test_what_is_not_lent_goes_on() -> None:
    story = Story(pool("web", failover=simple("reports")), pool("reports", 3))
    assert story.at(0, "w1", fails="web/r2") == {"web": "reports/r1 reports/r3", "reports": "r2"}
    assert story.at(1, "w1", fails="web/r1 web/r2 web/r3") == {"web": "", "reports": "r1 r2 r3"}


def test_a_substitute_with_quorum_replaces_and_otherwise_joins() -> None:
    story = Story(pool("web", 3, quorum=2, failover=simple("reports")), pool("reports", 2))
    assert story.at(0, "w1 w2") == {"web": "reports/r1 reports/r2", "reports": ""}
    assert story.at(1, "w1 w2", fails="web/r1") == {"web": "w3 reports/r2", "reports": "r1"}


def test_shed_hosts_are_not_answered_when_all_is_down() -> None:
    story = Story(pool("web", failover=simple("reports")), pool("reports", 2, when_down=WhenDown("all")))
    assert story.at(0, "w1 r2") == {"web": "reports/r1", "reports": "r2"}, "all: neither disabled nor shed"


def test_a_backup_that_fails_gives_them_back_to_nobody_else() -> None:
    story = Story(pool("web", failover=simple("reports"), when_down=WhenDown("all")), pool("reports", 1))
    assert story.at(0, "w1") == {"web": "reports/r1", "reports": ""}
    assert story.at(1, "w1 r1") == {"web": "w1", "reports": ""}
    assert story.at(2, "r1") == {"web": "w1", "reports": ""}, "failback does not wait for a dead substitute"
    assert story.at(3) == {"web": "w1", "reports": "r1"}


def test_a_backup_below_quorum_lends_nothing() -> None:
    story = Story(pool("web", failover=simple("reports")), pool("reports", 2, quorum=2))
    assert story.at(0, "w1 r1") == {"web": "", "reports": "r2"}


def test_two_pools_with_one_backup() -> None:
    story = Story(pool("a", failover=simple("c")), pool("b", failover=simple("c")), pool("c", 2))
    assert story.at(0, "a1 b1", fails="b/c1") == {"a": "c/c1 c/c2", "b": "c/c2", "c": ""}
    assert story.last["c"].to_pools == ("a", "b")
    assert story.at(1, "a1 b1", fails="a/c2 b/c1") == {"a": "c/c1", "b": "c/c2", "c": ""}


def test_by_hand() -> None:
    story = Story(pool("web", failover=simple("reports", None)), pool("reports"))
    story.at(0, "w1")
    assert story.at(1e6) == {"web": "reports/r1", "reports": ""} and "by hand" in story.last["web"].why
    assert story.at(1e6 + 1, recalled="web") == {"web": "w1", "reports": "r1"}
    assert story.at(1e6 + 2) == {"web": "w1", "reports": "r1"}


def test_nothing_returns_by_time_while_we_may_be_cut_off() -> None:
    story = Story(pool("web", failover=simple("reports")), pool("reports"))
    story.at(0, "w1")
    story.at(1)
    assert story.at(50, held=True)["web"] == "reports/r1" and story.last["web"].due is None
    assert story.at(51)["web"] == "w1"


def test_who_is_not_known_yet_is_not_replaced() -> None:
    story = Story(pool("web", failover=simple("reports")), pool("reports"))
    assert story.at(0, unknown="w1") == {"web": "w1", "reports": "r1"}, "a start: reports has answered first"
    assert story.at(PATIENCE, unknown="w1") == {"web": "reports/r1", "reports": ""}


# ------------------------------------------------------------------ mutual takeover


def test_partners_take_over_from_one_another() -> None:
    story = Story(pool("a", failover=mutual("b")), pool("b", failover=mutual("a")))
    assert story.at(0) == {"a": "a1", "b": "b1"}
    assert story.at(1, "a1") == {"a": "b/b1", "b": "b1"}, "b goes on with its own"
    assert story.at(2) == {"a": "a1 b/b1", "b": "b1"}, "b joins for failback"
    assert story.at(32) == {"a": "a1", "b": "b1"}
    assert story.at(33, "b1") == {"a": "a1", "b": "a/a1"}


def test_no_ping_pong_when_the_second_breaks_under_the_load_of_both() -> None:
    story = Story(pool("a", failover=mutual("b")), pool("b", failover=mutual("a")))
    story.at(0, "a1")
    assert story.at(1, "a1 b1") == {"a": "", "b": ""}, "when_down only if neither has anybody"
    assert story.at(2, "a1") == {"a": "b/b1", "b": "b1"}
    assert story.at(3) == {"a": "a1", "b": "b1"}, "b has broken under both: it is relieved at once"
    assert story.at(4, "b1") == {"a": "a1", "b": "a/a1"}, "a carries both, and its own are well"
    assert story.at(5) == {"a": "a1", "b": "b1"}, "a's names never went back to b, nor b's to a for longer than need be"
    assert story.at(40, "b1") == {"a": "a1", "b": "a/a1"} and story.at(41) == {"a": "a1", "b": "b1 a/a1"}


def test_who_broke_under_both_helps_again_only_when_it_has_been_well() -> None:
    story = Story(pool("a", 3, quorum=2, failover=mutual("b")), pool("b", 3, quorum=2, failover=mutual("a")))
    assert story.at(0, "a1 a2") == {"a": "a3 b/b1 b/b2 b/b3", "b": "b1 b2 b3"}
    assert story.at(1, "a1 a2 b1 b2") == {"a": "a3", "b": "b3"}, "both are below quorum: nobody lends"
    assert story.at(2, "a1 a2") == {"a": "a3", "b": "b1 b2 b3"}, "b is relieved, and not loaded at once again"
    assert story.at(31, "a1 a2")["a"] == "a3"
    assert story.last["b"].look == 32
    assert story.at(32, "a1 a2")["a"] == "a3 b/b1 b/b2 b/b3"


def test_to_one_that_has_nobody_a_partner_lends_what_it_has() -> None:
    story = Story(pool("a", 2, quorum=2, failover=mutual("b")), pool("b", 3, quorum=2, failover=mutual("a")))
    assert story.at(0, "a1 a2 b1 b2") == {"a": "b/b3", "b": "b3"}, "below quorum, but better than nobody"
    assert story.at(1, "a2 b1 b2") == {"a": "a1", "b": "b3"}, "both have somebody: neither lends"


# ------------------------------------------------------------------ fallback


def test_a_chain_of_fallbacks() -> None:
    story = Story(pool("a", fallback="b"), pool("b", fallback="c"), pool("c"))
    assert story.at(0) == {"a": "a1", "b": "b1", "c": "c1"}
    assert story.at(1, "a1") == {"a": "b/b1", "b": "b1", "c": "c1"}, "lends without shedding"
    assert story.at(2, "a1 b1") == {"a": "c/c1", "b": "c/c1", "c": "c1"}, "b lends nothing on, but the chain goes on"
    assert story.at(3, "a1 b1 c1") == {"a": "", "b": "", "c": ""}
    assert story.at(4, "a1 c1") == {"a": "b/b1", "b": "b1", "c": ""}


def test_a_fallback_comes_after_backup_and_partner() -> None:
    story = Story(pool("a", failover=simple("b"), fallback="c"), pool("b"), pool("c"))
    assert story.at(0, "a1")["a"] == "b/b1"
    assert story.at(1, "a1 b1")["a"] == "c/c1"


def test_what_is_shed_to_one_is_not_lent_to_another() -> None:
    story = Story(pool("a", failover=simple("c")), pool("b", fallback="c"), pool("c", 2))
    assert story.at(0, "b1") == {"a": "a1", "b": "c/c1 c/c2", "c": "c1 c2"}
    assert story.at(1, "a1 b1") == {"a": "c/c1 c/c2", "b": "", "c": ""}, "the backup carries the critical one only"


def test_a_scheme_inside_a_fallback_lends_what_it_picks() -> None:
    members = (Member("b1", ("192.0.2.1",)), Member("b2", ("192.0.2.2",), priority=2))
    inside = Pool("b", members, failover=Failover("idle-standby"))
    story = Story(pool("a", fallback="b"), inside)
    assert story.at(0, "a1") == {"a": "b/b1", "b": "b1"}
    assert story.at(1, "a1 b1") == {"a": "b/b2", "b": "b2"}


def test_a_scheme_and_a_fallback_each_keep_their_time() -> None:
    members = (Member("a1", ("192.0.2.1",)), Member("a2", ("192.0.2.2",), priority=2))
    story = Story(Pool("a", members, failover=Failover("idle-standby", 30.0), fallback="b"), pool("b"))
    assert story.at(0)["a"] == "a1" and story.at(1, "a1")["a"] == "a2"
    assert story.at(2, "a1 a2")["a"] == "b/b1"
    assert story.at(10, "a1")["a"] == "b/b1" and story.last["a"].due == 40
    assert story.at(40, "a1")["a"] == "a2"
    assert story.at(50)["a"] == "a2" and story.last["a"].due == 80
    assert story.at(80)["a"] == "a1"


@pytest.mark.parametrize("drained, serving", [("", "b/b1"), ("b1", "a1")])
def test_who_is_drained_is_not_lent(drained: str, serving: str) -> None:
    story = Story(pool("a", fallback="b", when_down=WhenDown("all")), pool("b"))
    assert story.at(0, "a1", drained=drained)["a"] == serving


def test_quorum_by_weight() -> None:
    members = (Member("a1", ("192.0.2.1",), 30), Member("a2", ("192.0.2.2",), 10))
    story = Story(Pool("a", members, quorum_weight=20, fallback="b"), pool("b", 20))
    assert story.at(0, "a2")["a"] == "a1"
    assert story.at(1, "a1")["a"].startswith("b/b1 b/b2"), "weight 10 is less than 20"
    assert story.last["a"].state == "degraded"


def test_two_families() -> None:
    """Hosts are chosen once; the lent one's broken family is not answered."""
    a = Pool("a", (Member("a1", ("192.0.2.1", "2001:db8::1")),), fallback="b")
    b = Pool("b", (Member("b1", ("192.0.2.2", "2001:db8::2")),))
    its = host(b.members[0], [UP, UP])
    asked = {
        "a": Asked(a, [host(a.members[0], [DOWN, DOWN])], lent={"b": [lent(its, "b", [UP, DOWN])]}),
        "b": Asked(b, [its]),
    }
    found = decide_all(asked)
    assert [one.name for one in found["a"].serving] == ["b/b1"]
    assert [len(packed) for packed in found["a"].serving[0].addresses] == [4]
