"""Writes files whole or not at all."""

from __future__ import annotations

from pathlib import Path

from langchain_tamma_openai.errors import StorageError
from langchain_tamma_openai.whole_files import replaced


def write_file(path: Path, content: bytes) -> None:
    """Write a file, which takes its place only once it is complete.

    Args:
        path: Where to; a pipe or a device is written to as it is.
        content: All of it.

    Raises:
        StorageError: It cannot be written; what was there is as it was.
    """
    try:
        with replaced(path) as stream:
            stream.write(content)
    except OSError as exc:
        raise StorageError(
            f"{path} cannot be written ({exc.strerror or exc}); nothing there was changed. Choose "
            "a folder that exists and can be written to"
        ) from exc
