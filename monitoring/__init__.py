"""Dashboards of Grafana, built in code: `python -m monitoring` writes them as JSON to where the chart takes them from.

Start at `job.py`, the dashboard of one job. Its queries are data (`queries.py`), so that a test can ask a real
Prometheus each of them. It imports nothing of the product: what it knows of it is the names of metrics.
"""
