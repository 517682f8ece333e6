"""Reservations in use: each lives for as long as somebody has its hold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from weakref import ref

from langchain_tamma_openai.unique_names import unique_name
from langchain_tamma_openai.usage.budget_state import LineKey


@dataclass(eq=False, slots=True, weakref_slot=True)
class Hold:
    """A reservation in use; it is renewed for as long as somebody has this object.

    Attributes:
        ident: Unique among all processes.
        key: Its line.
    """

    ident: str
    key: LineKey


def new_hold(key: LineKey) -> Hold:
    """Name a reservation as no other process does.

    Args:
        key: Its line.
    """
    return Hold(unique_name(), key)


class LiveHolds:
    """The holds of this process that somebody still has; it has none of them itself."""

    def __init__(self) -> None:
        """Know none."""
        self._known: dict[str, ref[Hold]] = {}

    def __contains__(self, ident: object) -> bool:
        """Say whether somebody has a hold; one that nobody has is forgotten."""
        known = self._known.get(ident)  # type: ignore[call-overload]  # any key may be looked for
        if known is None:
            return False
        if known() is None:
            self._known.pop(ident, None)  # type: ignore[call-overload]  # as above
            return False
        return True

    def add(self, hold: Hold) -> None:
        """Know a hold for as long as somebody has it.

        Args:
            hold: The hold.
        """
        self._known[hold.ident] = ref(hold)

    def drop(self, ident: str) -> None:
        """Forget a hold.

        Args:
            ident: Its name.
        """
        self._known.pop(ident, None)

    def by_line(self) -> dict[LineKey, list[str]]:
        """Name those that somebody has, by their lines."""
        found: defaultdict[LineKey, list[str]] = defaultdict(list)
        for ident, known in list(self._known.items()):
            if (hold := known()) is not None:
                found[hold.key].append(ident)
            else:
                self._known.pop(ident, None)
        return found
