"""One example from nothing to a trained model, told as it goes: `make demo`.

On a cluster (`cluster.py`): images, chart, bucket, then the job of `examples/finetune-job.yaml`, one of whose workers
is killed on the way (`training.py`), and at the end what the model has learned (`result.py`). Where no cluster can be
had, the same job runs by `everstep run` (`local.py`). Start in `__main__.py`, which reads like the demo's output.

It may import devcluster and every package of the product; none of these imports it. Its `Stack` and `statuses` also
serve `tests/cluster` and `benchmarks/`, which install the release and follow jobs in the same way.
"""
