"""Dashboards of Grafana, built in code: `python -m monitoring` writes them as JSON to where the chart takes them from.

Start at `job.py`, the dashboard of one job: rows of panels with their queries, as data (`panels.py`), of which
`grafana.py` makes what Grafana reads. It imports nothing of the product: all that it knows of it is names of metrics.
"""
