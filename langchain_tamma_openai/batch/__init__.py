"""The Batch API: many requests at half the price, answered within a day.

`plan.py` makes the lines of the input files, `journal.py` keeps what was done on the disk,
`steps.py` decides what to ask the provider next, `status.py` and `answers.py` read what it says:
none of them does I/O with the provider. `driving.py` asks it, sync and async; `job.py` is what
users hold.
"""
