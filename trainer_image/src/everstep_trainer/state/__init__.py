"""What outlives a world: the training state in the storage, and which of its versions may be gone on from.

Start at `manifest.py`, what a checkpoint is made of. `save.py` writes one, `restore.py` reads it into a world of any
size, `fence.py` says which are valid, `retention.py` which stay. Tensors and JSON only: nothing here is ever unpickled.
"""
