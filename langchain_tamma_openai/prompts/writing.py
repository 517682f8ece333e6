"""Prompts into files that load to the same prompts, each file replaced as a whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.errors import StorageError
from langchain_tamma_openai.prompts.fields import fields_of, prompts_of_document
from langchain_tamma_openai.prompts.model import Prompt
from langchain_tamma_openai.prompts.parsing import (
    MAX_JSON_BYTES,
    MAX_YAML_BYTES,
    import_yaml,
    parse_json,
    parse_yaml,
)
from langchain_tamma_openai.prompts.problems import InvalidPromptError
from langchain_tamma_openai.prompts.reading import (
    PROMPT_SUFFIXES,
    YAML_SUFFIXES,
    PromptFile,
    read_prompts,
)
from langchain_tamma_openai.resilience.bounds import check_choice

FileFormat = Literal["json", "yaml"]


@dataclass(frozen=True, slots=True)
class _Change:
    """What a file is to hold; None removes it."""

    path: Path
    content: bytes | None


def save_prompts(prompts: Iterable[Prompt], path: Path, file_format: FileFormat) -> list[Path]:
    """Write prompts to one file, or to a directory with a file for each.

    Files of the directory that hold these prompts already stay as they are; prompts in it that are
    not among these are removed from it.

    Args:
        prompts: Prompts with versions.
        path: A file name that ends in `.json`, `.yaml` or `.yml`, or a directory.
        file_format: Format of new files in a directory.

    Returns:
        The files that were written or removed.

    Raises:
        InvalidPromptError: The directory holds files that cannot be read; nothing was written.
        StorageError: A file cannot be written; the files are as they were.
        ConfigurationError: YAML is asked for, and PyYAML is missing.
    """
    check_choice(file_format, "file_format", get_args(FileFormat))
    shelf = {prompt.reference: prompt for prompt in prompts}
    try:
        changes = _changes(shelf, path, file_format)
        _carry_out(changes)
    except OSError as exc:
        place = exc.filename or path
        raise StorageError(f"{place}: prompts were not saved ({exc.strerror})") from exc
    return [change.path for change in changes]


def _changes(shelf: Mapping[str, Prompt], path: Path, file_format: FileFormat) -> list[_Change]:
    if "\0" in str(path):
        raise StorageError(f"{shown(str(path))}: prompts were not saved (a name cannot hold a NUL)")
    if path.suffix.lower() in PROMPT_SUFFIXES and not path.is_dir():
        document = {"prompts": list(map(fields_of, shelf.values()))}
        return [_Change(_behind_links(path), _document(document, path, shelf))]
    return _directory_changes(shelf, path, file_format)


def _behind_links(path: Path) -> Path:
    """Find the file that is replaced, so that a link to it stays one."""
    return Path(os.path.realpath(path))


def _directory_changes(
    shelf: Mapping[str, Prompt], directory: Path, file_format: FileFormat
) -> list[_Change]:
    files, problems = read_prompts(directory) if directory.exists() else ([], [])
    if problems:
        raise InvalidPromptError(problems)
    changes: list[_Change] = []
    placed: set[str] = set()
    for file in files:
        standing = [_standing(shelf, prompt) for prompt in file.prompts]
        kept = [prompt for prompt, _ in standing if prompt is not None]
        placed.update(prompt.reference for prompt in kept)
        if not all(as_it_is for _, as_it_is in standing):
            changes.append(_rewritten(file, kept))
    taken = {str(file.path).casefold() for file in files}
    for reference, prompt in shelf.items():
        if reference not in placed:
            path = _free_path(directory, reference, file_format, taken)
            content = _document(fields_of(prompt), path, {reference: prompt})
            changes.append(_Change(path, content))
    # Removing comes last: a crash in between leaves a prompt twice, which loading names.
    return sorted(changes, key=lambda change: change.content is None)


def _standing(shelf: Mapping[str, Prompt], prompt: Prompt) -> tuple[Prompt | None, bool]:
    """Find the prompt of a file on the shelf, and say whether the file may stay as it is."""
    if prompt.version is not None:
        found = shelf.get(prompt.reference)
        return (found, True) if found == prompt else (None, False)
    versions = [one for one in shelf.values() if one.id == prompt.id]
    same = [one for one in versions if replace(one, version=None) == prompt]
    # Without a version it is the first one when it is loaded, if it is the only one.
    as_it_is = len(versions) == 1 and versions[0].version == 1
    return (same[-1], as_it_is) if same else (None, False)


def _rewritten(file: PromptFile, kept: list[Prompt]) -> _Change:
    """Leave only these prompts in a file, or remove it when there are none."""
    if not kept:
        return _Change(file.path, None)
    shelf = {prompt.reference: prompt for prompt in kept}
    content = _document({"prompts": list(map(fields_of, kept))}, file.path, shelf)
    return _Change(_behind_links(file.path), content)


def _free_path(directory: Path, reference: str, file_format: FileFormat, taken: set[str]) -> Path:
    """Name a file; on some systems `A.json` and `a.json` are the same one."""
    number = 1
    while True:
        suffix = "" if number == 1 else f"~{number}"
        path = directory / f"{reference}{suffix}.{file_format}"
        if str(path).casefold() not in taken:
            taken.add(str(path).casefold())
            return path
        number += 1


def _document(document: dict[str, Any], path: Path, shelf: Mapping[str, Prompt]) -> bytes:
    """Write a document, and read it back before anything is stored."""
    is_yaml = path.suffix.lower() in YAML_SUFFIXES
    text = _yaml_text(document) if is_yaml else _json_text(document)
    content = text.encode()
    limit = MAX_YAML_BYTES if is_yaml else MAX_JSON_BYTES
    if len(content) > limit:
        way_out = "save as JSON" if is_yaml else "save to a directory"
        size = f"{len(content) // 1024:,} KiB, more than the {limit // 1024:,} that are read back"
        raise StorageError(f"{path}: would have {size}; {way_out}")
    found, problems = prompts_of_document(parse_yaml(text) if is_yaml else parse_json(text))
    if problems or found != list(shelf.values()):
        raise StorageError(f"{path}: would not load to the same prompts; save as JSON")
    return content


def _json_text(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _yaml_text(document: object) -> str:
    yaml = import_yaml()

    class Dumper(yaml.SafeDumper):  # type: ignore[misc, name-defined]  # loaded at first use
        """Writes texts of several lines as blocks that people can read."""

    Dumper.add_representer(str, partial(_represent_text))
    text: str = yaml.dump(document, Dumper=Dumper, allow_unicode=True, sort_keys=False, width=100)
    return text


def _represent_text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


def _style(text: str) -> str | None:
    lines = text.split("\n")
    if not all(line.isprintable() for line in lines):
        return '"'
    if len(lines) == 1:
        return None
    readable = not text[0].isspace() and all(line == line.rstrip() for line in lines)
    return "|" if readable else '"'


def _carry_out(changes: list[_Change]) -> None:
    """Prepare all files, then swap them in; undo what was swapped when one cannot be."""
    ready: dict[_Change, Path] = {}
    before: list[_Change] = []
    try:
        for change in changes:
            if change.content is not None:
                ready[change] = _prepare(change.path, change.content)
        for change in changes:
            old = change.path.read_bytes() if change.path.exists() else None
            before.append(_Change(change.path, old))
            _swap(change.path, ready.get(change))
    except BaseException:  # an interrupt in the middle is undone as well
        _undo(before)
        raise
    finally:
        for path in ready.values():
            path.unlink(missing_ok=True)


def _prepare(path: Path, content: bytes) -> Path:
    """Write the content beside its place; the leading dot keeps it out of what is loaded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ready = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with ready.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        ready.unlink(missing_ok=True)
        raise
    return ready


def _swap(path: Path, ready: Path | None) -> None:
    if ready is None:
        path.unlink()
    else:
        ready.replace(path)


def _undo(before: list[_Change]) -> None:
    for change in reversed(before):
        with suppress(OSError):
            if change.content is None:
                change.path.unlink()
            else:
                change.path.write_bytes(change.content)
