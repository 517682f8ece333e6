"""The command line: `python -m langchain_tamma_openai` and, once installed, `tamma-openai`."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

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
    return run(argv)


def _never_fail_to_print() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the program, as `>&-` does
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
