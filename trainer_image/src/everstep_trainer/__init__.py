"""What trains: the fork server, the ranks that it forks, and all that a rank does from entering a world to leaving it.

Start at `rank.py`, a rank's life, and `loop.py`, the training on one screen. `parallel/` alone knows
torch.distributed, `objects.py` alone the object store. It must not import operator or agent.
"""
