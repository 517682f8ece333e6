"""The command line `tamma-openai` (extra `cli`).

One file per command, thin over the library. To add one:

1. `cli/NAME.py` with a function `command`: its arguments are the options, its docstring is the
   help. What is heavy is imported inside it. It prints through `_output`, and lets errors rise:
   `_errors` turns them into one line and an exit code. It returns None, or a code of its own.
2. A line in the table of `app.py`.

Options that several commands share are in `_options`.
"""
