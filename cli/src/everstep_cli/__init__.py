"""The command line `everstep`: jobs without a cluster, plans before they cost anything, proofs afterwards.

Start at `app.py`. It may import every other package; nobody imports it.
"""
