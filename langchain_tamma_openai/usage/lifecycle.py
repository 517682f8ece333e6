"""What happens to writers when the process forks or ends."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import weakref
from typing import Protocol

from langchain_tamma_openai.errors import StorageError

logger = logging.getLogger(__name__)


class Writer(Protocol):
    """What has something to bring home before the process ends."""

    def finish(self) -> None:
        """Write what is left."""

    def before_fork(self) -> None:
        """Let go of what a child must not inherit."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork(self) -> None:
        """Start anew in the child."""


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()
_hooked_workers: set[int] = set()


def register(writer: Writer) -> None:
    """Have a writer finish when the process ends, and start anew where it forks."""
    _writers.add(writer)


def hook_into_worker() -> None:
    """Finish writers in a worker of `multiprocessing` as well, which may end without `atexit`."""
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None or os.getpid() in _hooked_workers:
        return
    from multiprocessing.util import Finalize

    _hooked_workers.add(os.getpid())
    Finalize(None, finish_all, exitpriority=1)


def finish_all() -> None:
    """Write what is left everywhere; a failure is logged, for nobody is left to catch it."""
    for writer in list(_writers):
        try:
            writer.finish()
        except StorageError as exc:
            logger.error("Usage records are lost at exit: %s", exc.message)  # noqa: TRY400 - our own message says it all


def _before_fork() -> None:
    for writer in list(_writers):
        writer.before_fork()


def _after_fork_in_parent() -> None:
    for writer in list(_writers):
        writer.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for writer in list(_writers):
        writer.after_fork()


atexit.register(finish_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
