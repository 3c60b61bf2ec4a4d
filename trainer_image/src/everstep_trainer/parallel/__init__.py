"""The ranks of a world and how their numbers come together: the only package that knows torch.distributed.

`world.py` opens the store and the group of a world, `shard.py` spreads a model over it, `reduction.py` is the one
all-reduce of a step. A process enters one world, once, and leaves it by dying.
"""
