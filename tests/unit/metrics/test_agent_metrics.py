"""What a worker shows to Prometheus."""

import os
import subprocess
import sys
from dataclasses import replace

from everstep_agent.events import Event
from everstep_agent.metrics import Metrics
from everstep_agent.state import Worker, advance
from everstep_api.wire.ranks import EvaluationMade, Planned, Stepped
from everstep_api.wire.sync import Wait
from tests.unit.agent.story import ME, WARM, YOU, end, hear, run, say
from tests.unit.metrics.exported import SAVED, SETTINGS, STEPPED


class Shown:
    """A worker that lives through events, and its series."""

    def __init__(self, *events: Event) -> None:
        self.metrics = Metrics(SETTINGS)
        self.worker = Worker(pod_uid="me", host="10.0.0.2", devices=0)
        self.then(hear(Wait()), WARM, *events)

    def then(self, *events: Event) -> "Shown":
        for event in events:
            before = self.worker
            self.worker, _ = advance(before, event)
            self.metrics.follow(before, event, self.worker)
        return self

    def value(self, name: str, **labels: str) -> float | None:
        own = {"training_namespace": "team", "training_job": "chat", "worker": "1"}
        return self.metrics.registry.get_sample_value(f"everstep_{name}", {**own, **labels})


def test_the_first_rank_shows_the_world_and_each_rank_its_own_step() -> None:
    other = Stepped(step=3, seconds=0.4, data_wait_seconds=0.2)
    shown = Shown(run(1, ME), say(0, Planned(total_steps=9, most_ranks=4)), say(0, STEPPED), say(1, other))
    world = {name: shown.value(name) for name in ("planned_steps", "loss", "learning_rate", "gradient_norm")}
    assert world == {"planned_steps": 9, "loss": 2.0, "learning_rate": 1e-3, "gradient_norm": 0.7}
    assert shown.value("tokens_total") == 9
    assert [shown.value("step_seconds_sum", local_rank=rank) for rank in "01"] == [0.5, 0.4]
    assert [shown.value("data_wait_seconds_total", local_rank=rank) for rank in "01"] == [0.1, 0.2]
    assert [shown.value("device_memory_bytes", local_rank=rank) for rank in "01"] == [7, None]


def test_a_worker_without_the_first_rank_shows_no_loss_of_a_world_before() -> None:
    """Two workers that show a loss of one job would be two lines, one of which never moves."""
    shown = Shown(run(1, ME), say(0, STEPPED), say(0, EvaluationMade(step=3, metrics={"loss": 2.5})))
    assert shown.value("evaluation", metric="loss") == 2.5
    shown.then(run(2, ME), WARM, say(0, replace(STEPPED, step=4, loss=1.9), 2))
    assert shown.value("loss") == 1.9
    shown.then(run(3, YOU, ME), WARM)
    gone = ("loss", "learning_rate", "gradient_norm", "planned_steps")
    assert [shown.value(name) for name in gone] == [None] * len(gone)
    assert shown.value("evaluation", metric="loss") is None
    assert shown.value("step", local_rank="0") is None
    assert shown.value("tokens_total") == 18, "what was counted stays counted"


def test_lost_ranks_and_checkpoints_are_counted() -> None:
    shown = Shown(run(1, ME), say(0, SAVED), say(1, SAVED), end(1, signal=9), end(0, signal=15))
    assert shown.value("checkpoint_bytes_total") == 20
    assert shown.value("checkpoint_seconds_sum") == 4
    assert shown.value("ranks_lost_total", cause="RankKilled") == 1, "what follows from a loss is not another one"


def test_memory_is_that_of_the_ranks_that_live_and_their_start_is_timed() -> None:
    shown = Shown(run(1, ME))
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait(timeout=30)
    shown.metrics.render({0: os.getpid(), 1: gone.pid}, {"imports": 2.5})
    assert shown.value("start_seconds", stage="imports") == 2.5
    assert (shown.value("resident_memory_bytes", local_rank="0") or 0) > 10_000_000
    assert shown.value("resident_memory_bytes", local_rank="1") is None
    shown.metrics.render({}, {})
    assert shown.value("resident_memory_bytes", local_rank="0") is None


def test_lost_seconds_move_while_nothing_happens() -> None:
    shown = Shown()
    shown.metrics.render({}, {})
    first = shown.value("lost_seconds_total", cause="startup") or 0.0
    shown.metrics.render({}, {})
    assert (shown.value("lost_seconds_total", cause="startup") or 0.0) > first > 0
    assert shown.value("lost_seconds_total", cause="recovery") == 0
