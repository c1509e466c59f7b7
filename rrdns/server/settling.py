"""Settling: a commit of any size in one step, its work done bit by bit afterwards. Needs only floor 0. Pure.

A commit of a hundred thousand rings takes a tenth of a second; queries must not wait for it, and none may see half of
it. So what was staged stands beside the table, and the commit only puts a `Late` in the place of each dict: whoever
looks a key up finds it as the commit left it, since it is settled on the way. The rest is settled between batches.
Must not know: what a ring is, how a question finds its ring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

V = TypeVar("V")

_NOTHING: Any = object()
_DONE: Any = object()


class Late(Mapping[bytes, V], Generic[V]):
    """`table` while `late` (None: to be removed) is being put into it; `fresh`: what is not in `late` goes too.

    `settle(key, value)` puts one key in force in `table`. Keys stay in `late` when they are done, so that it can be
    walked meanwhile, and tells what stays.
    """

    def __init__(
        self, table: dict[bytes, V], late: dict[bytes, Any], fresh: bool, settle: Callable[[bytes, Any], None]
    ) -> None:
        self.table = table
        self._late = late
        self._fresh = fresh
        self._settle = settle
        self._todo: Iterator[bytes] = iter(late)
        self._swept = not fresh

    def get(self, key: bytes, default: Any = None) -> Any:
        one = self._late.get(key, _NOTHING)
        if one is _NOTHING:
            if self._fresh and key in self.table:
                self._settle(key, None)
        elif one is not _DONE:
            self._late[key] = _DONE
            self._settle(key, one)
        return self.table.get(key, default)

    def go_on(self, count: int) -> int:
        """Settles so many keys; what is left of `count` when all are settled."""
        while count > 0:
            key = next(self._todo, None)
            if key is not None:
                self.get(key)
                count -= 1
            elif self._swept:
                return count
            else:
                self._swept = True
                self._todo = iter(list(self.table))
                count -= len(self.table) // 100  # a long list takes a moment too
        return 0

    def __contains__(self, key: object) -> bool:
        return isinstance(key, bytes) and self.get(key) is not None

    def __getitem__(self, key: bytes) -> V:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def _whole(self) -> dict[bytes, V]:
        while not self.go_on(1 << 30):
            pass
        return self.table
