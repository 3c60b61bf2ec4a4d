"""A real Kubernetes on one Linux machine, for `make demo` and the cluster tests (`python -m devcluster --help`).

Start at `cluster.py`: it brings up a control plane (`control_plane.py`), nodes (`node.py`, whose first process is
`machine.py`), the object store (`addons.py`) and fake nodes (`kwok.py`), on a bridge of their own (`network.py`). A
node is what kind makes of a container: its own network, mount, process and host-name namespace with containerd,
kubelet and kube-proxy in it, so it can crash, fall silent and be cut off like a machine. What runs is built from `go/`
by `build.py`, and put into images by `images.py`. `existing.py` is the same interface over a cluster that somebody has.

What runs is found by a mark in each process's environment (`processes.py`), never by a file that could be stale.
This package knows nothing of Everstep itself and must not import it.
"""
