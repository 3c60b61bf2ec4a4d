"""The learning rate is a function of the step."""

import pytest

from everstep_api.recipe import Schedule, Warmup
from everstep_trainer.schedule import LearningRate


def rates(schedule: Schedule, total_steps: int = 10) -> list[float]:
    rate = LearningRate(greatest=1.0, schedule=schedule, total_steps=total_steps)
    return [rate.at(step) for step in range(1, total_steps + 1)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        pytest.param(
            Schedule(type="constant", warmup=Warmup(steps=4)),
            [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1],
            id="constant after a warmup of four steps",
        ),
        pytest.param(
            Schedule(type="linear", warmup=Warmup(steps=0), min_learning_rate_ratio=0.0),
            [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0],
            id="linear to nothing",
        ),
        pytest.param(
            Schedule(type="cosine", warmup=Warmup(ratio=0.2), min_learning_rate_ratio=0.1),
            [0.5, 1.0, 0.965746, 0.868198, 0.722208, 0.55, 0.377792, 0.231802, 0.134254, 0.1],
            id="cosine to a tenth after a warmup of a fifth",
        ),
        pytest.param(
            Schedule(type="linear", warmup=Warmup(steps=100)),
            [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
            id="a warmup that is longer than the training",
        ),
    ],
)
def test_the_rate_rises_and_falls_as_the_schedule_says(schedule: Schedule, expected: list[float]) -> None:
    assert rates(schedule) == pytest.approx(expected, abs=1e-6)
