"""A report of what was used: one page to look at, to print or to mail.

`gather.py` asks the ledger, `data.py` holds the answers, `charts.py` makes charts of them with
Altair, `tables.py` tables; `page.py` and `making.py` put both together. `forecast.py` is the one
place where something is guessed, and says how.
"""
