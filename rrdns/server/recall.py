"""Recall: what a worker remembers of packets, so that most need no parser. The workers' half; needs only floor 0.

Pure. Two ways past the parser, both by exact bytes, so that neither can take a packet for what it is not:

  memo     all of the packet behind its id was seen before
  quick    its *shell* was seen before (all but the question's name and type: header, class, what follows), and
           the name with its type has a ring, or is the direct child of a name below which that type was asked before

A flood of names that never come again costs `quick` alone: once the memo is no longer small, only one packet in
`SPARING` enters it. Must not know: what is in a packet but where its question's name ends; sockets.
"""

from __future__ import annotations

from rrdns import wire
from rrdns.server.edns import Policy
from rrdns.server.rings import Entry, Ring
from rrdns.server.table import Table

MEMO_SIZE = 131072  # of about 250 bytes; a name found by `quick` among 100,000 costs twice what it does here
SMALL = 4096
FREED = 4  # more than one, so that what is old can't add up
SPARING = 8  # a name that is asked often enters soon; one that is not pays no insertion
SHELLS = 256  # a resolver has a handful
BELOW = 4096
LONGEST = 512  # a query is far shorter; what is remembered is bounded in bytes too
BARE = 11  # an OPT without options

_IN = b"\0\1"
_NAME_AT = 10  # in a packet without its id
_LAST_END = _NAME_AT + wire.MAX_NAME - 1


class Recall:
    """Of packets of one kind. All offsets in it are of packets without their id; `end` of an Entry is not."""

    def __init__(self, table: Table, tail: int = BARE, policy: Policy = Policy()) -> None:  # noqa: B008 - frozen
        """`tail`: how many bytes may follow the question, for the packets this is about; longer ones are let go by
        at once. `policy`: how long replies may be to clients that proved nothing."""
        self.memo: dict[bytes, Entry] = {}
        self._table = table
        self._tail = 5 + tail  # with the name's last byte, type and class
        self._policy, self._ratio, self._all = policy, policy.ratio, policy.ratio_all
        self._shells: dict[bytes, tuple[int, int]] = {}
        """View, and the longest reply: with all bytes but name and type given."""
        self._below: dict[bytes, Ring] = {}
        """An existing name and a type: what is answered for its children that are not there."""
        self._found = 0
        self._old: list[dict[bytes, Entry]] = []

    def forget(self) -> None:
        self._begin_anew()
        self._shells.clear()
        self._below.clear()

    def _begin_anew(self) -> None:
        """An empty memo. Freeing 100,000 entries at once would be a pause of 20 ms, so the old one goes bit by bit:
        each packet that enters the new one takes some of it away."""
        if self.memo:
            self._old.append(self.memo)
            self.memo = {}

    def quick(self, rest: bytes) -> Entry | None:
        """The Entry of a packet the memo does not know, if its shell and its name are known.

        The name ends at the first zero byte, or there is one inside a label: then neither the whole is a known name
        nor what follows its first label, and the parser has it.
        """
        at = rest.find(0, _NAME_AT)
        if len(rest) - at > self._tail or at < 0:
            return None
        shell = self._shells.get(rest[:_NAME_AT] + rest[at + 3 :])
        if shell is None:
            return None
        written = rest[_NAME_AT : at + 1]
        name = written.lower()
        kind = rest[at + 1 : at + 3]
        table = self._table
        ring = table.sets.get(name + kind)
        if ring is None:
            label = name[0]
            if label > wire.MAX_LABEL or at > _LAST_END or name in table.nodes:
                return None
            ring = self._below.get(name[label + 1 :] + kind)
            if ring is None:
                return None
        if not ring.plain:
            return None
        view, limit = shell
        end = at + 7
        if self._ratio and (
            ring.counted or self._all
        ):  # as Policy.longest and Ring.entry, whose calls cost a tenth of it
            most = self._ratio * (len(rest) + 2)
            limit = limit if limit < most else most
        entry = None if ring.still else ring, ring.views[view] or ring.items(view), end, limit - end
        self._found = found = self._found + 1
        if not found % SPARING or len(self.memo) < SMALL:
            self._keep(rest, written == name, entry)
        return entry

    def learn(self, rest: bytes, query: wire.Query, ring: Ring, view: int, limit: int) -> Entry:
        """What the parser found for a packet, kept for the next; `ring` is plain."""
        end = query.question_end
        entry = ring.entry(view, end, self._policy.longest(limit, len(rest) + 2, ring.counted) - end)
        name, type_class = query.name, query.type_class
        if len(rest) > LONGEST:
            return entry
        if type_class[2:] == _IN and not self._table.failing:
            if len(self._shells) >= SHELLS:
                self._shells.clear()
            self._shells[rest[:_NAME_AT] + rest[end - 4 :]] = view, limit
            above = wire.parent(name)
            sets, nodes = self._table.sets, self._table.nodes
            if name not in nodes and above in nodes and sets.get(name + type_class[:2]) is not ring:
                if len(self._below) >= BELOW:
                    self._below.clear()
                self._below[above + type_class[:2]] = ring
        self._keep(rest, rest[_NAME_AT : end - 6] == name, entry)
        return entry

    def _keep(self, rest: bytes, lower: bool, entry: Entry) -> None:
        if lower:  # mixed case never repeats
            if len(self.memo) >= MEMO_SIZE:
                self._begin_anew()
            self.memo[rest] = entry
            if self._old:
                self._free()

    def _free(self) -> None:
        old = self._old[-1]
        for _ in range(min(FREED, len(old))):
            old.popitem()
        if not old:
            self._old.pop()
