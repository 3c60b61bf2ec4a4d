"""What the examples train on, made from two packages of Python and from Python itself.

`python -m examples.prepare TARGET` puts a small chat model and three files of text into a folder or a bucket, where the
jobs of this folder look for them. Start in `delivery.py`; `corpora.py` says what the texts are, and `model.py` where
the model comes from. Nothing here imports torch except `conversion.py`, which runs in a process of its own.
"""

from examples.prepare.delivery import prepare
from examples.prepare.problem import PrepareError

__all__ = ["PrepareError", "prepare"]
