"""The command line: `python -m langchain_tamma_openai` and, once installed, `tamma-openai`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from langchain_tamma_openai._version import __version__
from langchain_tamma_openai.cli import demo

_INTERRUPTED = 130
"""What shells report for a program stopped by Ctrl-C: 128 + SIGINT."""

_BROKEN_PIPE = 141
"""The same for a reader that went away, as `head` does: 128 + SIGPIPE."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the program's name; those of the process when None.

    Returns:
        The exit status: 0 done, 1 failed with a message, 2 wrong arguments, 130 stopped by Ctrl-C.
    """
    options = _parser().parse_args(argv)
    _never_fail_to_print()
    try:
        return demo.run(options)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Python flushes standard output once more at exit; let that go nowhere instead of failing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tamma-openai",
        description="ChatTammaOpenAI: the OpenAI chat model for LangChain that knows what it cost.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    demo.add_command(commands)
    return parser


def _never_fail_to_print() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
