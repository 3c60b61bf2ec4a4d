"""Measurements against peers and against ourselves: they print tables and assert nothing.

Each module is one measurement with its own `--help`; they may import everything, and nothing imports them.
"""
