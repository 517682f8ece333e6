"""What a check of `doctor` says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing."""
    WARNING = "warn"
    """Works, and may not for long or not as meant."""
    BROKEN = "fail"
    SKIPPED = "skip"
    """Not looked at, because of what was found before."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: What was looked at.
        mark: How serious it is.
        found: What was found, without secrets.
        fix: What to do about it; empty when there is nothing to do.
    """

    check: str
    mark: Mark
    found: str
    fix: str = ""


Findings = Iterator[Finding]


def ok(check: str, found: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(check, Mark.OK, found)


def note(check: str, found: str, fix: str = "") -> Finding:
    """Say what is worth knowing."""
    return Finding(check, Mark.NOTE, found, fix)


def warning(check: str, found: str, fix: str) -> Finding:
    """Say what may go wrong, and the way out."""
    return Finding(check, Mark.WARNING, found, fix)


def broken(check: str, found: str, fix: str) -> Finding:
    """Say what does not work, and the way out."""
    return Finding(check, Mark.BROKEN, found, fix)


def skipped(check: str, found: str) -> Finding:
    """Say why something was not looked at."""
    return Finding(check, Mark.SKIPPED, found)
