"""Tools: their definitions and arguments checked, their handlers run, and the loop around both."""
