"""The command line `tamma-openai` (extra `cli`).

One file per command, thin over the library. To add one:

1. `cli/NAME.py` with a function `command`: its arguments are the options, its docstring is the
   help. What is heavy is imported inside it. It prints through `_output` (`--json` prints one JSON
   document, or JSON lines where an answer streams; nothing else goes to standard output), and lets
   errors rise: `_errors` turns them into one line and an exit code. It returns None, or a code of
   its own. What only a part of the command needs goes to `cli/_NAME_part.py`.
2. A line in a table of `app.py`: `COMMANDS` for `tamma-openai NAME`, `USAGE` and its like for
   `tamma-openai usage NAME`.
3. An example in `docs/cli.md`, which the tests run. They also call every command of the tables
   with `--help`, wrong options, missing files, no key, no network and a closed pipe.

Exit codes: 0 done, 1 failed with a message, 2 wrong arguments, 130 Ctrl-C, 141 closed pipe. Raise
`_errors.CommandError` for what a command finds wrong itself. Options that several commands share
are in `_options`.
"""
