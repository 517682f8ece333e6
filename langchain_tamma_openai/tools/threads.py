"""Runs functions in threads that may be left behind, and coroutines from sync code."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], name: str) -> T:
    """Run a function in a daemon thread of its own, with the context variables of the caller.

    A thread cannot be stopped: when this is cancelled the function runs on and its result is
    dropped. Being a daemon, it does not keep the process from ending.

    Args:
        work: What to run.
        name: Name of the thread.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            result = context.run(work)
        except BaseException as error:  # noqa: BLE001 - handed on to the waiting coroutine
            _tell(loop, outcome, error=_raisable(error))
        else:
            _tell(loop, outcome, result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await outcome


def run_here(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end from sync code, whether or not an event loop is running here.

    Args:
        work: Makes the coroutine.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _in_new_loop(work)
    outcome: list[T] = []
    failed: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            outcome.append(context.run(_in_new_loop, work))
        except BaseException as error:  # noqa: BLE001 - raised again where it belongs
            failed.append(error)

    thread = threading.Thread(target=run, name="tamma-tools", daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return outcome[0]


def _in_new_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    # With a factory the runner leaves the thread's current loop, which may be someone's, alone.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(work())


def _tell(
    loop: asyncio.AbstractEventLoop,
    outcome: asyncio.Future[T],
    result: Any = None,
    error: BaseException | None = None,
) -> None:
    def settle() -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)
        else:
            outcome.set_exception(error)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(settle)


def _raisable(error: BaseException) -> BaseException:
    """A future refuses a StopIteration."""
    if isinstance(error, StopIteration):
        wrapped = RuntimeError("the tool raised StopIteration")
        wrapped.__cause__ = error
        return wrapped
    return error
