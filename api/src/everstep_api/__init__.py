"""The contract of Everstep: what people write, what the cluster stores, what the parts say to each other.

Nothing here talks to a cluster, a network or a disk, and nothing here imports another package of Everstep.
This module imports nothing at all, so that the agent can read `everstep_api.wire` without pydantic.
"""
