"""The control plane: it reads TrainingJobs and their pods, decides, and acts.

Start at `reconcile.py`, one screen: observe, decide, act, write the status, release directives. All that it knows is in
`decide/`, which is pure; `kube/` and `local/` are the clusters that it acts on, `sync/` is where agents report. It must
not import the agent, the trainer or the command line.
"""
