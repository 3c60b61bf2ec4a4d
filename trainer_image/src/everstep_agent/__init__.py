"""The first process of a worker: it reports to the operator, keeps spares warm, and puts ranks into worlds.

Start at `main.py`, one task group, and `state.py`, which says what it does in which state. It never imports torch,
pydantic or obstore: its first report leaves half a second after its start. It must not import operator or trainer.
"""
