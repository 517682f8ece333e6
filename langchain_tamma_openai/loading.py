"""Loading large modules without the garbage collector in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the cyclic garbage collector rest while modules are loaded.

    LangChain's core and the SDK make some hundred thousand objects that all stay. The collector
    would look through them dozens of times, for a tenth of the time that loading takes, and find
    nothing. Afterwards they stand among the old objects, as they would have in the end, and are
    collected like any other. Whoever has switched the collector off finds it off.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        _grow_old()
        gc.enable()


def _grow_old() -> None:
    """Put all objects into the oldest generation without looking at them.

    Left alone where somebody has frozen objects, which are theirs to thaw.
    """
    if gc.get_freeze_count() == 0:
        gc.freeze()
        gc.unfreeze()
