"""Measurements against peers and against ourselves: they print tables and assert nothing."""
