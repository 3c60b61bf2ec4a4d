"""This machine as a cluster: a job is a file in a folder, and its pods are processes.

Start at `plane.py`, which puts an operator on top of it; `cluster.py` is what that operator acts on. A pod is started
from the very manifest that Kubernetes would get: `container.py` makes environment and command of it, `volumes.py` its
folders, and `process.py` keeps it running as a kubelet would.
"""
