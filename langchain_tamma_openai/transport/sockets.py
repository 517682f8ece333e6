"""TCP options that find dead peers in about two minutes, so that a silent connection cannot hang.

The environment variables and defaults are those of `ChatOpenAI`.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Sequence
from functools import cache

SocketOptions = tuple[tuple[int, int, int], ...]

_PREFIX = "LANGCHAIN_OPENAI_TCP_"
_DEFAULTS = {"KEEPIDLE": 60, "KEEPINTVL": 10, "KEEPCNT": 3, "USER_TIMEOUT_MS": 120_000}
_OPTION_NAMES = {
    "KEEPIDLE": "TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE",
    "KEEPINTVL": "TCP_KEEPINTVL",
    "KEEPCNT": "TCP_KEEPCNT",
    "USER_TIMEOUT_MS": "TCP_USER_TIMEOUT",
}

logger = logging.getLogger(__name__)


def socket_options(given: Sequence[tuple[int, int, int]] | None) -> SocketOptions:
    """Return the options for new sockets.

    Args:
        given: The user's own, used as they are; empty for none; None for the defaults.
    """
    if given is not None:
        return tuple(given)
    if os.environ.get(f"{_PREFIX}KEEPALIVE", "1") == "0":
        return ()
    return _keepalive(tuple(_from_environment(name) for name in _DEFAULTS))


def _from_environment(name: str) -> int:
    raw = os.environ.get(_PREFIX + name)
    if raw is None:
        return _DEFAULTS[name]
    if raw.strip().isascii() and raw.strip().isdigit():
        return int(raw)
    logger.warning(
        "%s%s is %r, not a whole number of 0 or more; using %d.",
        _PREFIX,
        name,
        raw,
        _DEFAULTS[name],
    )
    return _DEFAULTS[name]


@cache
def _keepalive(values: tuple[int, ...]) -> SocketOptions:
    """Name the options this platform has; those it lacks are left out."""
    named = zip(_OPTION_NAMES.values(), values, strict=True)
    known = [
        (socket.IPPROTO_TCP, int(getattr(socket, name)), value)
        for name, value in named
        if hasattr(socket, name)
    ]
    return ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *known)
