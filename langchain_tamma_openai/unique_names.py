"""Names that no other process gives."""

from __future__ import annotations

import os
import secrets
from itertools import count

_numbers = count(1)
_process = (0, "")


def unique_name() -> str:
    """Give a name that was not given before, here or in any other process."""
    global _process  # noqa: PLW0603 - a forked child has to choose another name
    if _process[0] != os.getpid():
        _process = (os.getpid(), secrets.token_hex(12))
    return f"{_process[1]}-{next(_numbers)}"
