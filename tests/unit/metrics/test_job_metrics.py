"""What Prometheus sees of jobs, from what the operator writes into their status."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry

from everstep_api.wire.sync import AgentState, DurableCheckpoint, Failure, FailureCause, Phase, Progress, Resumed
from everstep_operator.decide.facts import JobKey
from everstep_operator.job_metrics import JobMetrics
from tests.builders import a_job
from tests.unit.decide.play import Play

KEY = JobKey("team", "chat")
LABELS = {"training_namespace": "team", "training_job": "chat"}
TRAINING = AgentState.TRAINING
STEPPED = Progress(step=5, total_steps=10)


class Shown:
    """A job whose every look is shown, and the series of it."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.registry = CollectorRegistry()
        self.metrics = JobMetrics(self.registry)

    def look(self, seconds: float = 0) -> None:
        before = self.play.status
        self.play.passing(seconds).heartbeat().look()
        self.metrics.follow(KEY, before, self.play.status)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"everstep_{name}", {**LABELS, **labels})

    def of_job(self) -> Iterator[str]:
        return (
            sample.name
            for family in self.registry.collect()
            for sample in family.samples
            if sample.labels.get("training_job") == "chat"
        )


def training(step: int = 7) -> Shown:
    shown = Shown(Play(a_job().workers(2)).training(step))
    shown.look()
    return shown


def lose(shown: Shown) -> None:
    """A rank dies at step 7; the next world begins 2 s later at step 4, and steps 3 s after that."""
    play, world = shown.play, shown.play.world
    assert world is not None
    failure = Failure(world=world, cause=FailureCause.RANK_KILLED, rank=1, signal=9)
    play.reports_as(1, TRAINING, world=world, phase=Phase.TRAIN, progress=STEPPED, failure=failure)
    shown.look(2)
    resumed = Resumed(world=world, step=4, tier="Durable")
    play.all_report(TRAINING, world=world + 1, phase=Phase.TRAIN, resumed=resumed)
    shown.look(1)
    play.all_report(TRAINING, world=world + 1, phase=Phase.TRAIN, resumed=resumed, progress=STEPPED)
    shown.look(2)


def test_a_loss_is_counted_once_by_its_cause_with_seconds_and_steps() -> None:
    shown = training()
    assert shown.value("recoveries_total", cause="RankKilled") == 0, "an increase from nothing would not be seen"
    lose(shown)
    shown.look(20)
    assert shown.value("recoveries_total", cause="RankKilled") == 1
    assert shown.value("recoveries_total", cause="WorkerLost") == 0
    stages = {stage: shown.value("recovery_seconds_total", stage=stage) for stage in ("agree", "restore", "first_step")}
    assert stages == {"agree": 2, "restore": 1, "first_step": 2}
    assert shown.value("lost_steps_total") == 3
    lose(shown)
    assert shown.value("recoveries_total", cause="RankKilled") == 2
    assert shown.value("recovery_seconds_total", stage="agree") == 4


def test_a_new_leader_does_not_count_what_the_one_before_counted() -> None:
    before = training()
    lose(before)
    after = Shown(before.play)
    after.look()
    assert after.value("recoveries_total", cause="RankKilled") == 0
    assert after.value("recovery_seconds_total", stage="agree") == 0


def test_a_launch_is_observed_once_when_its_last_stage_is_over() -> None:
    def launches(shown: Shown) -> float | None:
        return shown.registry.get_sample_value("everstep_launch_seconds_count", {"stage": "first_step"})

    shown = Shown(Play(a_job().workers(2)))
    shown.look()
    shown.play.all_pods_run().all_report(AgentState.READY)
    shown.look(3)
    assert shown.value("job_launch_seconds", stage="scheduling") is not None
    assert launches(shown) is None
    shown.play.all_report(TRAINING, world=1, phase=Phase.TRAIN, progress=STEPPED)
    shown.look(4)
    shown.look(4)
    assert launches(shown) == 1
    assert shown.value("job_launch_seconds", stage="entering") == 4
    shown.play.change(a_job().workers(2).suspended())
    shown.look()
    assert shown.value("job_launch_seconds", stage="entering") is None


def test_phase_workers_world_and_checkpoint_are_shown_as_they_are() -> None:
    shown = training()
    assert shown.value("job_phase", phase="Running") == 1
    assert shown.value("job_phase", phase="Pending") == 0
    assert shown.value("job_workers", state="training") == 2
    assert shown.value("job_world") == 1
    assert shown.value("durable_step") is None
    checkpoint = DurableCheckpoint(world=1, step=5, uri="s3://team/5", commit_time="2026-01-01T00:00:00Z")
    shown.play.reports_as(0, TRAINING, world=1, phase=Phase.TRAIN, progress=STEPPED, durable=checkpoint)
    shown.look()
    assert shown.value("durable_step") == 5


def test_all_series_of_a_job_go_with_it() -> None:
    shown = training()
    lose(shown)
    other = JobKey("team", "other")
    shown.metrics.follow(other, shown.play.status, shown.play.status)
    assert set(shown.of_job())
    shown.metrics.forget(KEY)
    assert not set(shown.of_job())
    phase = {"training_namespace": "team", "training_job": "other", "phase": "Running"}
    assert shown.registry.get_sample_value("everstep_job_phase", phase) == 1
