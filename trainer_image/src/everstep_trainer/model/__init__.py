"""The model: where it comes from, how it is built, what fills its weights, and how it leaves.

`source.py` fetches its files (`hub.py` those of the hub), `trial.py` tries whether its kind can be computed here,
`build.py` makes it on the meta device (`lora.py` adds adapters, `recompute.py` saves memory), `weights.py` fills
whatever part of it a rank holds, `export.py` writes it for transformers with a `card.py`.
How a model is spread over ranks is known in `parallel/shard.py` alone.
"""
