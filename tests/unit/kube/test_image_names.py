"""Which image a node runs."""

import pytest

from everstep_operator.kube.image_names import named_with_digest, repository_of


@pytest.mark.parametrize(
    ("named", "repository"),
    [
        ("trainer", "docker.io/library/trainer"),
        ("trainer:1", "docker.io/library/trainer"),
        ("everstep/trainer:1", "docker.io/everstep/trainer"),
        ("ghcr.io/everstep/trainer:1@sha256:0a", "ghcr.io/everstep/trainer"),
        ("localhost/trainer:1", "localhost/trainer"),
        ("registry:5000/team/trainer", "registry:5000/team/trainer"),
    ],
)
def test_a_repository_has_its_registry_and_no_tag(named: str, repository: str) -> None:
    assert repository_of(named) == repository


@pytest.mark.parametrize(
    ("image_id", "pinned"),
    [
        pytest.param("docker.io/everstep/trainer@sha256:0a", "everstep/trainer:1@sha256:0a", id="pulled"),
        pytest.param(
            "docker-pullable://docker.io/everstep/trainer@sha256:0a", "everstep/trainer:1@sha256:0a", id="by dockershim"
        ),
        pytest.param("sha256:0a", "", id="loaded into the node"),
        pytest.param("docker.io/library/import-2026-01-01@sha256:0a", "", id="loaded under a name of the moment"),
        pytest.param("", "", id="not known yet"),
    ],
)
def test_a_digest_is_only_taken_where_another_node_can_pull_by_it(image_id: str, pinned: str) -> None:
    assert named_with_digest("everstep/trainer:1", image_id) == pinned
