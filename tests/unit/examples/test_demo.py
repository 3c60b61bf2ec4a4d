"""What the demo says, and how it ends when it cannot go on."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from devcluster import provider
from devcluster.problem import DevclusterError
from everstep_api.progress import Checkpoints, DurableCheckpoint
from everstep_api.status import Member, TrainingJobStatus, World
from examples.demo import __main__ as demo
from examples.demo.problem import DemoError
from examples.demo.stages import Stages
from examples.demo.training import is_time_to_kill
from examples.prepare import PrepareError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_world(*, ended: bool = False) -> World:
    return World(
        number=1,
        size=1,
        start_time=NOON,
        end_time=NOON if ended else None,
        members=(Member(worker=0, pod_uid="a"),),
    )


def a_checkpoint(step: int) -> Checkpoints:
    return Checkpoints(durable=DurableCheckpoint(step=step, uri="s3://b/c", commit_time=NOON))


def test_a_stage_is_announced_with_its_number_and_told_with_its_seconds() -> None:
    console = Console(file=io.StringIO())
    stages = Stages(console=console, count=2)
    with stages.stage("Cluster", "15 s"):
        stages.say("here")
    with stages.stage("Images", "5 s"):
        pass
    stages.conclude()
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "1/2 Cluster (15 s)\n  here\n  done in 0 s\n" in said
    assert "2/2 Images (5 s)" in said
    assert said.endswith("0 s in all: cluster 0, images 0.\n")


@pytest.mark.parametrize("problem", [DevclusterError("No Go."), PrepareError("No Go."), DemoError("No Go.", "look")])
def test_whatever_ends_the_demo_early_is_told_with_a_command_that_shows_more(
    problem: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise problem

    monkeypatch.setattr(demo, "is_cluster_possible", lambda: True)
    monkeypatch.setattr(provider, "choose", lambda: None)
    monkeypatch.setattr(demo, "run_on_cluster", fail)
    with pytest.raises(SystemExit) as ended:
        demo.main()
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert "demo: No Go." in said
    assert "More: " in said


def test_without_a_cluster_the_job_runs_on_this_machine_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(demo, "is_cluster_possible", lambda: False)
    monkeypatch.setattr(demo, "run_without_cluster", lambda: ran.append("everstep run"))
    demo.main()
    assert ran == ["everstep run"]
    assert "runs by `everstep run` instead" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("status", "is_time"),
    [
        pytest.param(TrainingJobStatus(world=a_world()), False, id="no checkpoint yet"),
        pytest.param(TrainingJobStatus(world=a_world(), checkpoints=a_checkpoint(10)), True, id="one to take up"),
        pytest.param(
            TrainingJobStatus(world=a_world(ended=True), checkpoints=a_checkpoint(10)), False, id="nobody trains"
        ),
    ],
)
def test_a_worker_is_killed_while_it_trains_and_can_be_taken_up(status: TrainingJobStatus, *, is_time: bool) -> None:
    assert is_time_to_kill(status) == is_time
