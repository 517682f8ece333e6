"""Loading large modules without the garbage collector in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the cyclic garbage collector rest while modules are loaded.

    LangChain's core and the SDK make some hundred thousand objects that all stay; the collector
    would look through them dozens of times, for a tenth of the time that loading takes, and find
    nothing. Whoever has switched it off finds it off afterwards.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
