"""Where a worker's time goes."""

from collections import Counter

import pytest

from everstep_agent.events import Event
from everstep_agent.state import Worker, advance
from everstep_agent.time_account import Lost, TimeAccount
from everstep_api.wire.ranks import Done, Left, PhaseBegun, Stepped
from everstep_api.wire.sync import Finish, Pause, Phase, Wait
from tests.unit.agent.story import ME, WARM, end, hear, run, say


class Booked:
    """A worker that lives through events at given seconds, and where its time went."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.worker = Worker(pod_uid="me", host="10.0.0.2", devices=0)
        self.account = TimeAccount(self._book, now_s=0.0)
        self.now_s = 0.0

    def _book(self, cause: Lost | None, seconds: float) -> None:
        self.seconds[cause or "steps"] += seconds  # type: ignore[assignment]  # a Counter of seconds

    def at(self, now_s: float, *events: Event) -> "Booked":
        for event in events:
            before = self.worker
            self.worker, _ = advance(before, event)
            self.account.follow(before, event, self.worker, now_s=now_s)
        self.now_s = now_s
        return self

    def settled(self, now_s: float) -> dict[str, float]:
        self.account.settle(now_s=now_s)
        return {cause: seconds for cause, seconds in self.seconds.items() if seconds}


def step(number: int, world: int = 1) -> Event:
    return say(0, Stepped(step=number, seconds=1), world)


def phase(name: Phase, world: int = 1) -> Event:
    return say(0, PhaseBegun(phase=name), world)


def training() -> Booked:
    """Two steps of a second, after ten seconds until the end of the first."""
    booked = Booked().at(4, hear(Wait()), WARM).at(6, run(1, ME)).at(8, phase(Phase.LOAD)).at(9, phase(Phase.TRAIN))
    return booked.at(10, step(1)).at(11, step(2)).at(12, step(3))


def test_all_until_the_end_of_the_first_step_is_startup() -> None:
    assert training().settled(12.5) == {"startup": 10, "steps": 2}, "a step that is under way may come to nothing"


def test_a_worker_that_waits_shows_what_it_has_lost_so_far() -> None:
    booked = Booked().at(4, hear(Wait()), WARM)
    assert booked.settled(7) == {"startup": 7}
    assert booked.settled(9) == {"startup": 9}


@pytest.mark.parametrize(
    ("name", "cause"),
    [(Phase.SAVE, "checkpoint"), (Phase.EVALUATE, "evaluation"), (Phase.EXPORT, "export")],
)
def test_a_phase_without_steps_is_lost_to_what_it_is_for(name: Phase, cause: str) -> None:
    booked = training().at(12, phase(name))
    assert booked.settled(15)[cause] == 3
    assert booked.at(16, phase(Phase.TRAIN)).at(17, step(4)).settled(17) == {"startup": 10, "steps": 3, cause: 4}


def test_an_evaluation_before_the_first_step_is_no_startup() -> None:
    booked = Booked().at(4, hear(Wait()), WARM, run(1, ME)).at(5, phase(Phase.EVALUATE)).at(7, phase(Phase.TRAIN))
    assert booked.at(8, step(1)).settled(8) == {"startup": 6, "evaluation": 2}


def test_a_loss_costs_from_the_last_step_to_the_first_new_one_and_then_the_steps_done_again() -> None:
    booked = training().at(12.5, end(1, signal=9)).at(13, run(2, ME)).at(14, WARM)
    assert booked.settled(15) == {"startup": 10, "steps": 2, "recovery": 3}
    booked.at(16, step(2, 2)).at(17, step(3, 2)).at(18, step(4, 2))
    assert booked.settled(18) == {"startup": 10, "steps": 3, "recovery": 4, "rework": 1}


def test_a_world_that_another_worker_ended_is_a_recovery_too() -> None:
    booked = training().at(12.5, run(2, ME)).at(13, WARM).at(14, step(4, 2))
    assert booked.settled(14) == {"startup": 10, "steps": 2, "recovery": 2}


def test_a_planned_pause_is_a_checkpoint_and_a_resize() -> None:
    booked = training().at(12, hear(Pause(world=1, durable=True))).at(13, step(4)).at(13, phase(Phase.SAVE))
    booked.at(15, say(0, Left(step=4)), say(1, Left(step=4))).at(16, run(2, ME)).at(17, WARM).at(18, step(5, 2))
    assert booked.settled(18) == {"startup": 10, "steps": 3, "checkpoint": 2, "resize": 3}


def test_after_the_end_nothing_is_lost() -> None:
    booked = training().at(12, phase(Phase.EXPORT)).at(14, say(0, Done()), say(1, Done()))
    booked.at(20, hear(Finish()))
    assert booked.settled(30) == {"startup": 10, "steps": 2, "export": 2}
