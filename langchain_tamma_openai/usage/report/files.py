"""Writes files whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from langchain_tamma_openai.errors import StorageError


def write_file(path: Path, content: bytes) -> None:
    """Write a file, which takes its place only once it is complete.

    Args:
        path: Where to; a pipe or a device is written to as it is.
        content: All of it.

    Raises:
        StorageError: It cannot be written; what was there is as it was.
    """
    try:
        place = path.resolve()
        if place.exists() and not place.is_file() and not place.is_dir():
            place.write_bytes(content)
        else:
            _replace(place, content)
    except OSError as exc:
        raise StorageError(
            f"{path} cannot be written ({exc.strerror or exc}); nothing there was changed. Choose "
            "a folder that exists and can be written to"
        ) from exc


def _replace(place: Path, content: bytes) -> None:
    draft = place.with_name(f".{place.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        with draft.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if place.exists():
            shutil.copymode(place, draft)
        draft.replace(place)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
