"""Many requests from a file of JSON lines into another, through interruptions.

`lines` reads one line of input, `journal` and `plan` decide from the bytes of journal and output
what is left to do, `results` writes one line of output: none of them does any I/O. `files` and
`scribe` read and write, `asking` asks the model, `run.BatchRun` drives it all.
"""
