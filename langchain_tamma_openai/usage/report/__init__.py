"""Reports of usage: what a ledger says, as charts and tables on one page.

`figures` is what a store reads, `data` what a report says, `sections` how it is told; pages,
images and Markdown are made of sections. Only `gather` asks a ledger.
"""
