"""The Batch API: many requests at half the price, answered within a day.

`job.py` is what users hold; `submitting.py`, `polling.py` and `fetching.py` are the three things a
job does, written once as steps without I/O; `steps.py` runs them in threads and event loops;
`journal.py` and `store.py` keep what must survive a kill.
"""
