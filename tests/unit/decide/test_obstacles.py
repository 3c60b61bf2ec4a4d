"""What is said of a job whose workers cannot start, and how soon another pod is tried."""

from typing import Any

import pytest

from everstep_api.conditions import ConditionType, Reason
from everstep_api.wire.sync import AgentState
from everstep_operator.decide.facts import Obstacle
from tests.builders import JobBuilder, a_job
from tests.unit.decide.play import Play

CREDENTIALS = a_job().setting("spec.credentials", [{"name": "bucket", "secretRef": {"name": "keys"}}])
TOKEN = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}
LEVEL = {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "levels", "key": "level"}}}


def an_obstacle(reason: str, message: str, container: str = "trainer") -> Obstacle:
    return Obstacle(reason=reason, message=message, container=container, image="ghcr.io/team/trainer:7")


def a_play_with(job: JobBuilder, obstacle: Obstacle, *workers: int) -> Play:
    play = Play(job)
    play.look()
    for worker in workers:
        play.pod(worker, node="node1", scheduled=play.now, obstacle=obstacle)
    play.look()
    return play


@pytest.mark.parametrize(
    ("job", "obstacle", "reason", "sentence"),
    [
        pytest.param(
            a_job(),
            an_obstacle("ErrImagePull", "pull access denied."),
            Reason.IMAGE_PULL_FAILED,
            "2 of 2 workers cannot get the image ghcr.io/team/trainer:7: pull access denied; correct"
            " spec.workers.image, or name the Secret of its registry in spec.workers.template.spec.imagePullSecrets.",
            id="the image is refused",
        ),
        pytest.param(
            a_job(),
            an_obstacle("ImagePullBackOff", "Back-off pulling image", "proxy"),
            Reason.IMAGE_PULL_FAILED,
            "2 of 2 workers cannot get the image ghcr.io/team/trainer:7: Back-off pulling image; correct the image of"
            " the container proxy in spec.workers.template, or name the Secret of its registry in"
            " spec.workers.template.spec.imagePullSecrets.",
            id="the image of a container beside ours",
        ),
        pytest.param(
            CREDENTIALS,
            an_obstacle("CreateContainerConfigError", 'secret "keys" not found'),
            Reason.REFERENCE_MISSING,
            "2 of 2 workers cannot start: there is no Secret keys, which spec.credentials[bucket].secretRef names;"
            " create it in the namespace of the job.",
            id="no such Secret of the credentials",
        ),
        pytest.param(
            a_job().setting("spec.workers.env", [TOKEN]),
            an_obstacle("CreateContainerConfigError", "couldn't find key token in Secret default/hub"),
            Reason.REFERENCE_MISSING,
            "2 of 2 workers cannot start: the Secret hub has no key token, which"
            " spec.workers.env[TOKEN].valueFrom.secretKeyRef names; add the key.",
            id="no such key in a Secret",
        ),
        pytest.param(
            a_job().setting("spec.workers.env", [LEVEL]),
            an_obstacle("CreateContainerConfigError", 'configmap "levels" not found'),
            Reason.REFERENCE_MISSING,
            "2 of 2 workers cannot start: there is no ConfigMap levels, which"
            " spec.workers.env[LEVEL].valueFrom.configMapKeyRef names; create it in the namespace of the job.",
            id="no such ConfigMap",
        ),
        pytest.param(
            a_job(),
            an_obstacle("CreateContainerConfigError", 'secret "proxy" not found', "proxy"),
            Reason.REFERENCE_MISSING,
            "2 of 2 workers cannot start: there is no Secret proxy, which spec.workers.template names; create it in the"
            " namespace of the job.",
            id="a Secret that the template names",
        ),
        pytest.param(
            a_job(),
            an_obstacle("CrashLoopBackOff", "back-off 10s restarting failed container", "proxy"),
            Reason.WORKER_CANNOT_START,
            "2 of 2 workers cannot start: CrashLoopBackOff: back-off 10s restarting failed container; `kubectl describe"
            " pod POD` shows more.",
            id="a container beside ours ends again and again",
        ),
        pytest.param(
            a_job(),
            an_obstacle("CreateContainerError", "failed to create containerd task"),
            Reason.WORKER_CANNOT_START,
            "2 of 2 workers cannot start: CreateContainerError: failed to create containerd task; `kubectl describe pod"
            " POD` shows more.",
            id="the node cannot make the container",
        ),
    ],
)
def test_a_worker_that_cannot_start_is_told_with_the_field_that_mends_it(
    job: JobBuilder, obstacle: Obstacle, reason: Reason, sentence: str
) -> None:
    play = a_play_with(job, obstacle, 0, 1)
    status, found, said = play.said(ConditionType.RUNNING)
    assert (status, found) == ("False", reason)
    assert said.replace(play.pods[play.uid(0)].name, "POD") == sentence
    assert play.status.reason == reason
    assert play.said(ConditionType.SCHEDULED)[0] == "True", "they have nodes"


def test_trouble_of_some_workers_is_counted_and_a_warning_once() -> None:
    play = Play(a_job().workers(3))
    play.look()
    play.pod(2, node="node1", obstacle=an_obstacle("ErrImagePull", "no such host"))
    told = [event for event in play.look().events if event.reason is Reason.IMAGE_PULL_FAILED]
    assert [(event.type, event.message[:15]) for event in told] == [("Warning", "1 of 3 workers ")]
    play.pod(2, obstacle=an_obstacle("ImagePullBackOff", "Back-off"))
    assert not play.look().events


def test_a_world_trains_on_beside_a_worker_that_cannot_start_and_says_so() -> None:
    play = Play(a_job().workers(2, at_least=1)).training()
    play.vanish(1)
    play.look()
    play.steps(8).pod(1, node="node1", obstacle=an_obstacle("ErrImagePull", "no such host")).look()
    status, reason, said = play.said(ConditionType.RUNNING)
    assert (status, reason) == ("True", Reason.TRAINING)
    assert said.startswith("World 2 trains with 1 worker. 1 of 2 workers cannot get the image")


def test_a_recovery_that_an_image_holds_up_is_a_recovery_afterwards() -> None:
    play = Play(a_job()).training()
    play.vanish(1)
    play.look()
    play.pod(1, node="node1", obstacle=an_obstacle("ErrImagePull", "no such host")).look()
    assert play.said(ConditionType.RUNNING)[1] is Reason.IMAGE_PULL_FAILED
    play.pod(1, obstacle=None).look()
    assert play.said(ConditionType.RUNNING)[1] is Reason.RECOVERING


def test_workers_without_a_node_are_told_in_numbers_with_the_schedulers_words() -> None:
    play = Play(a_job().workers(3, at_least=2))
    play.look()
    play.pod(0, node="node1", phase="Running", started=play.now)
    for worker in (1, 2):
        play.pod(
            worker, obstacle=Obstacle(reason="Unschedulable", message="0/3 nodes are available: 3 Insufficient gpu.")
        )
    play.look()
    assert play.said(ConditionType.SCHEDULED) == (
        "False",
        Reason.WAITING_FOR_WORKERS,
        "1 of 3 workers scheduled, 2 are enough to train: 0/3 nodes are available: 3 Insufficient gpu.",
    )


def test_a_container_that_is_not_made_for_long_is_told_of() -> None:
    play = Play(a_job().workers(1))
    play.look()
    play.pod(0, node="node1", scheduled=play.now).passing(59).look()
    assert "node1" not in play.said(ConditionType.RUNNING)[2]
    assert play.passing(1).look().prepares, "it may lack the job's own ConfigMap"
    _, reason, said = play.said(ConditionType.RUNNING)
    assert reason is Reason.STARTING
    assert "Worker 0 has waited on the node node1 for more than a minute" in said


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        pytest.param({}, "cannot get the image", id="an image"),
        pytest.param(
            {"node": "", "obstacle": Obstacle(reason="Unschedulable", message="0/3 nodes")}, "0/3 nodes", id="a node"
        ),
    ],
)
def test_a_startup_deadline_says_what_the_job_waited_for(facts: dict[str, Any], words: str) -> None:
    play = a_play_with(a_job().setting("spec.startupDeadlineSeconds", 100), an_obstacle("ErrImagePull", "no"), 0, 1)
    play.pod(0, **facts).look()
    play.passing(100).look()
    _, reason, said = play.said(ConditionType.FAILED)
    assert reason is Reason.STARTUP_DEADLINE_EXCEEDED
    assert words in said


def test_a_pod_that_its_node_ended_is_told_by_the_nodes_words() -> None:
    play = Play(a_job()).training()
    play.pod(1, obstacle=Obstacle(reason="Evicted", message="The node was low on memory")).ends(1, "Failed")
    play.look()
    assert (
        "The pod of worker 1 ended as Failed (Evicted: The node was low on memory)."
        in play.said(ConditionType.RUNNING)[2]
    )


def test_where_nodes_refuse_one_pod_after_the_other_each_further_one_comes_later() -> None:
    """A kubelet that refuses a pod at its door makes it Failed at once, and so it would the next thousand."""
    play = Play(a_job().workers(1))
    play.look()
    waits = []
    for _ in range(9):
        play.ends(0, "Failed")
        decision = play.look()
        if not decision.create:
            assert decision.look_again_s is not None
            waits.append(round(decision.look_again_s))
            play.passing(decision.look_again_s)
            assert play.look().create
    assert waits == [2, 4, 8, 16, 32, 32, 32, 32]
    failed = [pod for pod in play.pods.values() if pod.phase == "Failed" and not pod.is_deleted]
    assert len(failed) == 6


def test_a_worker_that_was_evicted_long_ago_is_replaced_at_once() -> None:
    play = Play(a_job()).training()
    for _ in range(4):
        play.passing(3600).heartbeat()
        play.ends(1, "Failed")
        assert play.look().create
        play.all_pods_run().all_report(AgentState.READY)
        play.look()
