"""The names of images: which one a node runs, by its digest, so that a moved tag changes no job that runs.

A name is `[registry/]repository[:tag][@digest]`; without a registry it is one of Docker Hub
(github.com/distribution/reference).
"""

_HUB = "docker.io"


def named_with_digest(named: str, image_id: str) -> str:
    """`named@sha256:…`, or nothing where the node's answer is no digest of this repository.

    An image that was loaded into a node rather than pulled has none that another node could pull by.

    Args:
        named: The image as the pod names it.
        image_id: What the kubelet says it runs: `repository@sha256:…`, or the image's id alone.
    """
    repository, at, digest = image_id.removeprefix("docker-pullable://").partition("@")
    if not at or "@" in named or repository != repository_of(named):
        return ""
    return f"{named}@{digest}"


def repository_of(named: str) -> str:
    """The repository with its registry, without tag and digest."""
    name = named.partition("@")[0]
    path, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:  # else the colon is that of a port
        name = path
    first, slash, rest = name.partition("/")
    if not slash:
        return f"{_HUB}/library/{name}"
    has_registry = "." in first or ":" in first or first == "localhost"
    return f"{first}/{rest}" if has_registry else f"{_HUB}/{name}"
