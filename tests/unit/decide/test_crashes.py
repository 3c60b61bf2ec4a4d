"""An operator may die at any moment: the next one brings the job to the same end."""

import asyncio

from everstep_api.status import TrainingJobStatus
from tests.unit.decide.cut import Life


def lived(*, cut_at: int = 0) -> Life:
    life = Life(cut_at=cut_at)
    asyncio.run(life.to_its_end())
    return life


def end_of(status: TrainingJobStatus) -> dict[str, object]:
    """What of the job's end does not depend on the clock."""
    recoveries = status.recoveries
    assert recoveries is not None
    return {
        "phase": status.phase,
        "output": status.output,
        "conditions": [(item.type, item.status, item.reason, item.message) for item in status.conditions],
        "losses": (recoveries.total, recoveries.window.counted if recoveries.window else 0),
        "world": status.world.number if status.world else None,
        "image": status.trainer_image,
    }


def test_a_reconcile_that_is_cut_off_at_any_call_changes_nothing_about_the_end() -> None:
    """No pod is made twice, no world number is lost or given twice, no loss is counted twice."""
    whole = lived()
    assert whole.worlds == [1, 2, 3]
    assert len(whole.pods_made) == 2
    points = whole.knife.points
    assert {"before write_status", "after write_status", "after create_pod", "after delete_pod"} <= set(points)
    for number, place in enumerate(points, start=1):
        cut = lived(cut_at=number)
        assert cut.knife.points[number - 1] == place, "up to there it was the same life"
        assert end_of(cut.job.status) == end_of(whole.job.status), f"cut {place}, call {number}"
        assert (cut.worlds, cut.pods_made) == (whole.worlds, whole.pods_made), f"cut {place}, call {number}"
