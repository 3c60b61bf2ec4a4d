"""The release of Everstep that the cluster's tests run jobs on, and namespaces for these jobs."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from examples.demo.cluster import Stack


@contextmanager
def a_namespace(release: Stack) -> Iterator[Stack]:
    """Yield the release with a namespace of its own for jobs, which goes with all that is in it."""
    stack = replace(release, namespace=f"jobs-{uuid.uuid4().hex[:8]}")
    stack.make_room()
    stack.kubectl.wait("--for=create", "serviceaccount/default", f"--namespace={stack.namespace}", timeout_s=60)
    yield stack
    stack.kubectl.run("delete", "namespace", stack.namespace, "--wait=false")
