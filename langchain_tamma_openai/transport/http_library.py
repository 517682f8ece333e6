"""The HTTP library under the OpenAI SDK: `httpx2` for the 3.x line, `httpx` before it."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType


@cache
def http_library() -> ModuleType:
    """Return the module whose classes the installed SDK uses."""
    import openai

    bases = (base.__module__.partition(".")[0] for base in openai.DefaultHttpxClient.__mro__)
    return importlib.import_module(next(name for name in bases if name != "openai"))


def transport_errors() -> tuple[type[Exception], ...]:
    """Return what the loaded HTTP libraries raise when a connection fails or stalls.

    SDK 3.x also takes a client of the older library, so both count once they are loaded.
    """
    loaded = (sys.modules.get(name) for name in ("httpx2", "httpx"))
    return tuple(module.TransportError for module in loaded if module is not None)
