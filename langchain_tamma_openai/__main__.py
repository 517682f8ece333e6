"""The command line: `python -m langchain_tamma_openai` and, once installed, `tamma-openai`."""

from __future__ import annotations

import atexit
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

_INTERRUPTED = 130
_PACKAGES_OF_THE_EXTRA = {"typer", "rich"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the program's name; those of the process when None.

    Returns:
        The exit status; see `langchain_tamma_openai.cli.app.run`.
    """
    _never_fail_to_print()
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


def _never_fail_to_print() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the program, as `>&-` does
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
