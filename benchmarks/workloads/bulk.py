"""Large requests: a long history with many tools, and a large image."""

from __future__ import annotations

import base64
import random
from typing import Final

from workloads import Bench, Operation

_MESSAGES: Final = 1000
_TOOLS: Final = 200
_IMAGE_BYTES: Final = 10_000_000


def _history(bench: Bench) -> Operation:
    return bench.client().long_history(_MESSAGES, _TOOLS)


def _image(bench: Bench) -> Operation:
    pixels = random.Random(1).randbytes(_IMAGE_BYTES * 3 // 4)  # noqa: S311 - bytes, no secret
    return bench.client().picture(base64.b64encode(pixels).decode())


CASES: Final = {"history": _history, "image": _image}
