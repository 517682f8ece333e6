"""Prompts out of files and directories, read only where it is safe to."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from langchain_tamma_openai.prompts.fields import prompts_of_document
from langchain_tamma_openai.prompts.model import Prompt
from langchain_tamma_openai.prompts.parsing import (
    MAX_JSON_BYTES,
    MAX_YAML_BYTES,
    UnreadableTextError,
    parse_json,
    parse_yaml,
)
from langchain_tamma_openai.prompts.problems import PromptProblem

JSON_SUFFIXES = frozenset({".json"})
YAML_SUFFIXES = frozenset({".yaml", ".yml"})
PROMPT_SUFFIXES = JSON_SUFFIXES | YAML_SUFFIXES
MAX_FILES = 10_000
MAX_ENTRIES = 100_000
# A pipe called prompt.yaml would block a plain open for ever. Windows has neither flag.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_OPEN_FLAGS |= getattr(os, "O_BINARY", 0)


class UnreadableFileError(OSError):
    """A file that is not read; the message says why."""


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A file and the prompts in it.

    Attributes:
        path: Where it is.
        prompts: Its prompts, in order; without a version where it names none.
    """

    path: Path
    prompts: tuple[Prompt, ...]


def read_prompts(path: Path) -> tuple[list[PromptFile], list[PromptProblem]]:
    """Read a file, or all prompt files of a directory and those below it.

    Args:
        path: The file (`.json`, `.yaml`, `.yml`) or directory. Names that begin with a dot are
            passed over.

    Returns:
        The files in order of their names, and what is wrong with them.

    Raises:
        ConfigurationError: There is a YAML file, and PyYAML is missing.
    """
    problems: list[PromptProblem] = []
    try:
        paths = list(islice(_prompt_files(path, problems), MAX_FILES + 1))
    except (OSError, ValueError) as exc:  # no rights, or a name that no file can have
        reason = getattr(exc, "strerror", None) or str(exc)
        return [], [PromptProblem(f"cannot be read ({reason})", file=str(path))]
    if len(paths) > MAX_FILES:
        message = f"has more than {MAX_FILES:,} prompt files; is this the right directory?"
        return [], [PromptProblem(message, file=str(path))]
    files = [_read_file(file, problems) for file in paths]
    problems.extend(_repeated(files))
    return files, problems


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Read a regular file of limited size.

    Args:
        path: The file.
        max_bytes: Its largest size in bytes.

    Raises:
        OSError: It cannot be read, is no regular file, or is larger.
    """
    with open(path, "rb", opener=_open) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UnreadableFileError("is not a regular file")
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnreadableFileError(f"is larger than {max_bytes // 1024:,} KiB")
    return content


def _open(path: str, _: int) -> int:
    return os.open(path, _OPEN_FLAGS)


def _prompt_files(path: Path, problems: list[PromptProblem]) -> Iterator[Path]:
    if path.is_dir():
        root = os.path.realpath(path)
        for file in _files_below(path, problems):
            if file.is_symlink() and not Path(os.path.realpath(file)).is_relative_to(root):
                message = "is a link that leads out of the directory, and is not followed"
                problems.append(PromptProblem(message, file=str(file)))
            else:
                yield file
    elif not path.exists():
        problems.append(PromptProblem("there is no such file or directory", file=str(path)))
    elif path.suffix.lower() in PROMPT_SUFFIXES:
        yield path
    else:
        names = ", ".join(sorted(PROMPT_SUFFIXES))
        problems.append(PromptProblem(f"must be a directory or end in {names}", file=str(path)))


def _files_below(root: Path, problems: list[PromptProblem]) -> Iterator[Path]:
    waiting, looked_at = [root], 0
    while waiting:
        directory = waiting.pop()
        try:
            entries = sorted(directory.iterdir())
        except OSError as exc:
            problems.append(PromptProblem(f"cannot be read ({exc.strerror})", file=str(directory)))
            continue
        looked_at += len(entries)
        if looked_at > MAX_ENTRIES:
            message = f"holds more than {MAX_ENTRIES:,} files; is this the right directory?"
            problems.append(PromptProblem(message, file=str(root)))
            return
        visible = [entry for entry in entries if not entry.name.startswith(".")]
        for entry in visible:
            if entry.is_dir() and not entry.is_symlink():
                waiting.append(entry)
            elif entry.is_dir():  # it may lead to a directory above, and so round and round
                message = "is a link to a directory, and is not followed"
                problems.append(PromptProblem(message, file=str(entry)))
            elif entry.suffix.lower() in PROMPT_SUFFIXES:
                yield entry


def _read_file(path: Path, problems: list[PromptProblem]) -> PromptFile:
    try:
        document = _parse_file(path)
    except UnreadableFileError as exc:
        problems.append(PromptProblem(str(exc), file=str(path)))
    except OSError as exc:
        problems.append(PromptProblem(f"cannot be read ({exc.strerror})", file=str(path)))
    except UnicodeDecodeError:
        problems.append(PromptProblem("is not UTF-8 text; save it as UTF-8", file=str(path)))
    except UnreadableTextError as exc:
        problems.append(PromptProblem(str(exc), file=str(path)))
    else:
        if document is None:
            problems.append(PromptProblem("is empty", file=str(path)))
            return PromptFile(path, ())
        prompts, wrong = prompts_of_document(document, str(path))
        problems.extend(wrong)
        return PromptFile(path, tuple(prompts))
    return PromptFile(path, ())


def _parse_file(path: Path) -> object:
    if path.suffix.lower() in YAML_SUFFIXES:
        return parse_yaml(read_bounded(path, MAX_YAML_BYTES).decode("utf-8-sig"))
    return parse_json(read_bounded(path, MAX_JSON_BYTES).decode("utf-8-sig"))


def _repeated(files: list[PromptFile]) -> Iterator[PromptProblem]:
    """Find ids that stand in several places, unless each place names a version of its own."""
    places: dict[str, list[tuple[Path, int | None]]] = defaultdict(list)
    for file in files:
        for prompt in file.prompts:
            places[prompt.id].append((file.path, prompt.version))
    for prompt_id, found in places.items():
        versions = [version for _, version in found]
        if len(found) > 1 and (None in versions or len(set(versions)) < len(versions)):
            names = ", ".join(dict.fromkeys(str(path) for path, _ in found))
            message = f"stands {len(found)} times in {names}; give each its own version"
            yield PromptProblem(message, "id", prompt_id)
