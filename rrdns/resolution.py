"""What a resolver said of a member's host name. Floor 0: plain frozen data. Must not know: who asked, what follows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resolution:
    """One look at a name, by family: its addresses, () where it has none of that family; a text where there was no
    answer, and why."""

    v4: tuple[str, ...] | str
    v6: tuple[str, ...] | str

    @classmethod
    def failed(cls, reason: str) -> Resolution:
        """Nothing was learned."""
        return cls(reason, reason)
