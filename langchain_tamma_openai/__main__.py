"""The command line: `python -m langchain_tamma_openai` and, once installed, `tamma-openai`."""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

_INTERRUPTED = 130
_SOON_S = 0.01
_PACKAGES_OF_THE_EXTRA = {"typer", "rich"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the program's name; those of the process when None.

    Returns:
        The exit status; see `langchain_tamma_openai.cli.app.run`.
    """
    _mend_streams()
    sys.unraisablehook = _never_lose_ctrl_c
    try:
        from langchain_tamma_openai.cli.app import run
    except KeyboardInterrupt:
        return _INTERRUPTED
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES_OF_THE_EXTRA:
            raise
        print(
            "error: the command line needs a few more packages: "
            "pip install 'langchain-tamma-openai[cli]'",
            file=sys.stderr,
        )
        return 1
    status = run(argv)
    if argv is None and status == _INTERRUPTED:
        _leave(status)
    return status


def _leave(status: int) -> NoReturn:
    """End the process now: threads that Ctrl-C left at work are not waited for.

    Python itself would also end by the signal, with no exit code of its own, where Ctrl-C came
    while a module was being imported.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - what was registered has to run all the same
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _mend_streams() -> None:
    """Let printing never fail, nor reading fail in another way than for what is no text."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the program, as `>&-` does
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, mode), encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="strict" if mode == "r" else "replace")


def _never_lose_ctrl_c(unraisable: sys.UnraisableHookArgs) -> None:
    """Press Ctrl-C again where it came while Python could not stop, as in the end of an import."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    again = threading.Timer(_SOON_S, _press_ctrl_c)  # now, it would end nothing but this function
    again.daemon = True
    again.start()


def _press_ctrl_c() -> None:
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGINT)
    else:
        os.kill(os.getpid(), signal.SIGINT)  # also wakes the main thread where it waits


if __name__ == "__main__":
    sys.exit(main())
