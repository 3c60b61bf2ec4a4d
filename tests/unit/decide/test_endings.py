"""When a job ends, and what is left to do then."""

from datetime import timedelta

import pytest

from everstep_api.conditions import ConditionType, Reason
from everstep_api.wire.sync import AgentState, Failure, FailureCause, Phase, Resumed
from everstep_operator.decide.facts import Ending, Refusal
from tests.builders import a_job
from tests.unit.decide.play import Play

READY, TRAINING, DONE = AgentState.READY, AgentState.TRAINING, AgentState.DONE


def test_a_job_is_complete_when_every_member_is_done() -> None:
    play = Play(a_job().workers(2)).training(step=100)
    play.reports_as(0, DONE, world=1, output="s3://team/runs/model")
    play.look()
    assert not play.status.endings, "the other one may still fail"
    play.reports_as(1, DONE, world=1)
    play.look()
    assert play.said(ConditionType.COMPLETE)[1:] == (
        Reason.MODEL_WRITTEN,
        "Trained 100 steps; the model is at s3://team/runs/model.",
    )
    assert play.status.phase == "Complete"
    assert play.status.output is not None
    play.look()
    assert play.actions() == {0: "finish", 1: "finish"}


def test_a_job_that_takes_up_a_finished_one_tells_the_steps_of_that_one() -> None:
    play = Play(a_job().workers(1)).warm()
    play.look()
    earlier = Resumed(world=0, step=100, tier="Durable")
    play.reports_as(0, DONE, world=1, resumed=earlier, output="s3://team/runs/model")
    play.look()
    assert play.said(ConditionType.COMPLETE)[2] == "Trained 100 steps; the model is at s3://team/runs/model."


def test_done_members_join_the_next_world_when_another_one_fails_at_the_end() -> None:
    play = Play(a_job().workers(2)).training(step=100)
    play.reports_as(0, DONE, world=1)
    play.fails()
    assert (play.world, play.members) == (2, [0, 1])


def test_a_refusal_of_the_trainer_fails_the_job_at_once_with_its_sentence() -> None:
    play = Play(a_job()).training()
    refused = Failure(world=1, cause=FailureCause.REFUSED, rank=0, message="data.jsonl is empty; write a record.")
    play.reports_as(0, TRAINING, world=1, failure=refused)
    play.look()
    assert play.said(ConditionType.FAILED) == ("True", Reason.RECIPE_REFUSED, "data.jsonl is empty; write a record.")
    play.look()
    assert set(play.actions().values()) == {"stop"}


def test_a_worker_out_of_memory_is_told_with_the_remedy() -> None:
    play = Play(a_job()).training()
    play.passing(1).pod(1, restarts=1, last_ending=Ending(exit_code=137, reason="OOMKilled"))
    play.reports_as(1, AgentState.STARTING, boot="second", world=1)
    play.look()
    assert play.status.recoveries is not None
    assert (play.status.recoveries.recent[0].cause, play.status.recoveries.recent[0].counted) == ("OutOfMemory", True)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        pytest.param("spec.activeDeadlineSeconds", Reason.DEADLINE_EXCEEDED, id="active"),
        pytest.param("spec.startupDeadlineSeconds", Reason.STARTUP_DEADLINE_EXCEEDED, id="startup"),
    ],
)
def test_a_deadline_fails_the_job_when_it_has_come(path: str, reason: Reason) -> None:
    play = Play(a_job().setting(path, 100))
    play.look()
    decision = play.passing(99).look()
    assert not play.status.endings
    assert decision.look_again_s is not None
    assert decision.look_again_s <= 1
    play.passing(1).look()
    assert play.said(ConditionType.FAILED)[1] is reason


def test_a_startup_deadline_says_nothing_once_there_was_a_step() -> None:
    play = Play(a_job().setting("spec.startupDeadlineSeconds", 100)).training()
    play.passing(1000).heartbeat().look()
    assert not play.status.endings


def test_a_finished_job_is_deleted_when_its_time_is_over() -> None:
    play = Play(a_job().setting("spec.ttlSecondsAfterFinished", 60)).training()
    play.all_report(DONE, world=1)
    play.look()
    for worker in (0, 1):
        play.ends(worker, "Succeeded")
    decision = play.look()
    assert (decision.delete_job, decision.look_again_s) == (False, 60)
    assert play.passing(60).look().delete_job


@pytest.mark.parametrize(
    ("policy", "deleted"),
    [
        pytest.param("Running", [1], id="Running"),
        pytest.param("All", [0, 1], id="All"),
        pytest.param("None", [], id="None"),
    ],
)
def test_the_policy_says_which_pods_are_cleaned_up(policy: str, deleted: list[int]) -> None:
    play = Play(a_job().setting("spec.cleanPodPolicy", policy)).training()
    play.all_report(DONE, world=1)
    play.look()
    play.ends(0, "Succeeded")
    assert not play.look().delete, "the other one still has time to go by itself"
    decision = play.passing(30).look()
    assert sorted(play.pods[pod.uid].worker for pod in decision.delete) == deleted


def test_a_finished_job_never_gets_pods_again() -> None:
    play = Play(a_job()).training()
    play.all_report(DONE, world=1)
    play.look()
    play.vanish(0).vanish(1)
    decision = play.passing(3600).look()
    assert (decision.create, play.status.phase) == ((), "Complete")


def test_suspending_makes_the_work_durable_then_ends_the_pods_and_resets_the_clock() -> None:
    job = a_job().setting("spec.activeDeadlineSeconds", 100)
    play = Play(job).training()
    play.change(job.suspended())
    play.look()
    assert [getattr(action, "durable", None) for action in play.told.values()] == [True, True]
    assert play.said(ConditionType.SUSPENDED)[:2] == ("False", Reason.SUSPEND_WANTED)
    play.all_report(READY, world=1).look()
    assert len(play.look().delete) == 2
    play.vanish(0)
    play.look()
    play.vanish(1)
    play.look()
    assert play.said(ConditionType.SUSPENDED)[:2] == ("True", Reason.SUSPEND_REACHED)
    assert play.status.recoveries is None, "a planned stop is no loss"
    assert (play.status.phase, play.status.start_time) == ("Suspended", None)
    play.passing(1000).change(job)
    assert len(play.look().create) == 2
    play.all_pods_run().all_report(READY).look()
    assert (play.world, play.said(ConditionType.SUSPENDED)[1]) == (2, Reason.RESUMED)


def test_a_pause_that_takes_longer_than_pods_have_is_a_loss() -> None:
    job = a_job()
    play = Play(job).training()
    play.change(job.suspended())
    play.look()
    play.passing(51).heartbeat().look()
    assert play.status.recoveries is not None
    assert play.status.recoveries.recent[0].cause == "PauseTimedOut"
    assert len(play.look().delete) == 2


def test_the_clock_of_a_pause_begins_with_the_pause() -> None:
    """The condition was false for minutes before, since the model was loaded."""
    job = a_job()
    play = Play(job).warm()
    play.look()
    for worker in (0, 1):
        play.reports_as(worker, TRAINING, world=1, phase=Phase.LOAD)
    play.passing(300).heartbeat().look()
    play.change(job.suspended()).look()
    assert set(play.actions().values()) == {"pause"}
    play.passing(40).heartbeat().look()
    assert play.status.recoveries is None
    play.all_report(READY, world=1).look()
    assert len(play.look().delete) == 2


def test_a_pause_that_was_asked_for_is_not_taken_back() -> None:
    job = a_job()
    play = Play(job).training()
    play.change(job.suspended()).look()
    play.change(job).look()
    assert set(play.actions().values()) == {"pause"}
    play.all_report(READY, world=1).look()
    assert (play.world, play.status.recoveries) == (2, None)


def test_an_invalid_spec_gets_no_pods_and_all_its_problems_at_once() -> None:
    play = Play(a_job().setting("spec.output.weights", "adapter").setting("spec.profile", "h100"))
    decision = play.look()
    assert not decision.create
    status, reason, sentence = play.said(ConditionType.ACCEPTED)
    assert (status, reason) == ("False", Reason.SPEC_INVALID)
    assert "spec.profile is h100" in sentence
    assert "output.weights" in sentence


def test_a_refusal_of_the_cluster_waits_and_says_so() -> None:
    play = Play(a_job())
    play.refusal = Refusal(sentence="exceeded quota", generation=1, retry_at=play.now + timedelta(seconds=30))
    decision = play.look()
    assert (decision.create, decision.look_again_s) == ((), 30)
    assert play.said(ConditionType.ACCEPTED)[1] is Reason.POD_REFUSED
    assert play.passing(30).look().create
