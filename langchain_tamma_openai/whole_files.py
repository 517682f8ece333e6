"""Files that take their place only when they are complete, and names that survive a power cut."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside the target that takes its place at the end, or else vanishes.

    Args:
        path: The target; a pipe or a device cannot be replaced, and is written to as it is.

    Raises:
        OSError: It cannot be written; what was there is as it was.
    """
    place = path.resolve()
    if place.exists() and not place.is_file() and not place.is_dir():
        with place.open("wb") as device:
            yield device
        return
    draft = place.with_name(f".{place.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        with draft.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if place.exists():
            shutil.copymode(place, draft)
        draft.replace(place)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def sync_directory(directory: Path) -> None:
    """Have the names of new files survive a power cut, where directories can be flushed.

    Args:
        directory: Where the files are.
    """
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
