"""A Kubernetes cluster: the only place that speaks to an API server, but for the trigger in `watch.py`.

Start at `cluster.py`, which is a `Cluster` of the reconciler, on top of `client.py` (raw JSON, in our pace, with our
errors) and `reflector.py` (the pods, from memory; `pod_facts.py` reads one). `lease.py` says who leads, `endpoint.py`
tells agents where, `secrets.py` and `signers.py` hold what makes them trust one another. It must not import `decide`
beyond its facts and decisions, nor `sync` beyond its keys and tokens.
"""
