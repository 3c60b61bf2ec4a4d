"""What is read from a pod."""

from datetime import UTC, datetime
from typing import Any

import pytest

from everstep_operator.decide.facts import Ending, Obstacle
from everstep_operator.kube.pod_facts import owned_pod
from tests.unit.kube.pods import a_pod

IMAGES = {
    "initContainers": [{"name": "fetch", "image": "tools:1"}],
    "containers": [{"name": "trainer", "image": "t:1"}],
}


def facts(**status: Any) -> Any:
    owned = owned_pod({**a_pod(**status), "spec": IMAGES})
    assert owned is not None
    return owned.pod


def trainer(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "sidecar", "restartCount": 9}, {"name": "trainer", **state}]}


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": message}]}


@pytest.mark.parametrize(
    ("status", "obstacle"),
    [
        ({}, None),
        (condition("PodScheduled", "True", "", ""), None),
        (
            condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available"),
            Obstacle(reason="Unschedulable", message="0/3 nodes are available"),
        ),
        (
            condition("DisruptionTarget", "True", "DeletionByTaintManager", ""),
            Obstacle(reason="DeletionByTaintManager"),
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "low on memory"},
            Obstacle(reason="Evicted", message="low on memory"),
        ),
        (trainer(state={"waiting": {"reason": "ContainerCreating"}}), None),
        (
            trainer(state={"waiting": {"reason": "ErrImagePull", "message": "no such host"}}),
            Obstacle(reason="ErrImagePull", message="no such host", container="trainer", image="t:1"),
        ),
        (
            {"initContainerStatuses": [{"name": "fetch", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
            Obstacle(reason="ImagePullBackOff", container="fetch", image="tools:1"),
        ),
    ],
)
def test_an_obstacle_is_told_in_the_words_of_who_sees_it(status: dict[str, Any], obstacle: Obstacle | None) -> None:
    assert facts(**status).obstacle == obstacle


def test_the_moment_at_which_a_pod_got_its_node_is_known() -> None:
    moment = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"}
    assert facts(conditions=[moment]).scheduled == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert facts(conditions=[{**moment, "status": "False"}]).scheduled is None


def test_the_disruption_of_a_pod_explains_more_than_what_follows_from_it() -> None:
    pod = facts(
        phase="Failed",
        reason="Evicted",
        **condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "the node is drained"),
    )
    assert str(pod.obstacle) == "EvictionByEvictionAPI: the node is drained"


def test_restarts_and_the_last_ending_are_those_of_the_trainer() -> None:
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    running = {"running": {"startedAt": "2026-01-01T00:01:00Z"}}
    again = facts(phase="Running", **trainer(restartCount=2, state=running, lastState=killed))
    assert (again.restarts, again.last_ending) == (2, Ending(exit_code=137, reason="OOMKilled"))
    assert again.started == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    ended = facts(phase="Failed", **trainer(restartCount=0, state={"terminated": {"exitCode": 1}}))
    assert (ended.last_ending, ended.started) == (Ending(exit_code=1, reason="Error"), None)


@pytest.mark.parametrize(
    ("phase", "read"), [("Pending", "Pending"), ("Succeeded", "Succeeded"), ("Unknown", "Running")]
)
def test_a_phase_that_is_not_known_may_well_be_a_pod_that_runs(phase: str, read: str) -> None:
    assert facts(phase=phase).phase == read


def test_a_pod_whose_deletion_has_begun_says_so() -> None:
    pod = a_pod()
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:02:00Z"
    owned = owned_pod(pod)
    assert owned is not None
    assert owned.pod.is_deleted
    assert not owned.pod.is_live


def test_a_pod_without_a_workers_index_is_none_of_ours() -> None:
    pod = a_pod()
    pod["metadata"]["labels"]["everstep.dev/worker-index"] = "first"
    assert owned_pod(pod) is None
