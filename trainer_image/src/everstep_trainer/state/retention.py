"""Which checkpoints stay: the newest, the best, and nothing that no world may go on from."""

from collections.abc import Sequence

from everstep_api.recipe import Metric
from everstep_api.wire.sync import StatePoint
from everstep_trainer.errors import DamagedError
from everstep_trainer.evaluate import penalty
from everstep_trainer.objects import Store
from everstep_trainer.state.fence import WorldRecord, is_valid
from everstep_trainer.state.manifest import Manifest, folder_of, points_in, read_manifest


def remove_old(run: Store, worlds: dict[int, WorldRecord], *, last: int, best: int, metric: Metric) -> None:
    """Delete the checkpoints that are neither among the `last` newest nor the `best` by the metric.

    What is newer than the newest whole checkpoint may still be on its way and stays. A manifest goes before its
    tensors, so that a checkpoint ends as it began: without one it does not exist.
    """
    points = points_in(run)
    manifests = [manifest for point in points if (manifest := _read(run, point))]
    valid = [manifest for manifest in manifests if is_valid(manifest.point, worlds)]
    kept = {_key(manifest.point) for manifest in (*valid[:last], *best_of(valid, metric)[:best])}
    newest = max(kept, default=(0, 0))
    for point in points:
        if _key(point) not in kept and _key(point) < newest:
            _delete(run, point)


def best_of(manifests: Sequence[Manifest], metric: Metric) -> list[Manifest]:
    """The checkpoints that were evaluated by the metric, the best first; a job may choose another one later."""
    penalties = [
        (penalty(metric, value), number)
        for number, manifest in enumerate(manifests)
        if (evaluation := manifest.counters.evaluation) and evaluation.step == manifest.step
        if (value := evaluation.metrics.get(metric)) is not None
    ]
    return [manifests[number] for _, number in sorted(penalties)]


def _read(run: Store, point: StatePoint) -> Manifest | None:
    try:
        return read_manifest(run, point)
    except DamagedError:
        return None  # told when somebody tries to restore it


def _delete(run: Store, point: StatePoint) -> None:
    folder = folder_of(point)
    run.delete([f"{folder}/manifest.json"])
    run.delete([entry.name for entry in run.entries(folder)])


def _key(point: StatePoint) -> tuple[int, int]:
    return point.world, point.step
