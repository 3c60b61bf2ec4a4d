"""The newest and the best checkpoints stay; what no world may go on from goes."""

from pathlib import Path

import pytest

from everstep_api.recipe import Metric
from everstep_api.wire.decode import encode
from everstep_api.wire.sync import Evaluated
from everstep_trainer.objects import Store
from everstep_trainer.state.fence import WorldRecord
from everstep_trainer.state.manifest import Counters, Manifest
from everstep_trainer.state.retention import remove_old


def a_checkpoint(run: Store, world: int, step: int, *, loss: float | None = None, accuracy: float = 0.0) -> None:
    """Write a whole one; with a loss it was evaluated."""
    evaluation = Evaluated(step=step, metrics={"loss": loss, "tokenAccuracy": accuracy}) if loss is not None else None
    manifest = Manifest(
        format=1,
        world=world,
        step=step,
        parts=(),
        size_bytes=0,
        counters=Counters(step=step, updates=step, next_row=step, evaluation=evaluation),
        recipe_hash="r",
        plan_sha256="p",
        versions={},
    )
    run.put(f"ckpt/{world}-{step}/0.safetensors", b"tensors")
    run.put(f"ckpt/{world}-{step}/manifest.json", encode(manifest))


def kept(
    run: Store, *, last: int = 2, best: int = 1, metric: Metric = "loss", worlds: dict[int, int] | None = None
) -> set[str]:
    records = {
        number: WorldRecord(world=number, parent=None, step=step, author="a") for number, step in (worlds or {}).items()
    }
    remove_old(run, records, last=last, best=best, metric=metric)
    return set(run.folders("ckpt"))


def test_the_newest_stay(tmp_path: Path) -> None:
    run = Store.at(str(tmp_path))
    for world, step in ((1, 90), (2, 10), (2, 20), (2, 100)):
        a_checkpoint(run, world, step)

    assert kept(run) == {"2-20", "2-100"}
    assert [entry.name for entry in run.entries("ckpt/1-90")] == []


@pytest.mark.parametrize(
    ("metric", "expected"), [("loss", "1-20"), ("tokenAccuracy", "1-10")], ids=["least loss", "greatest accuracy"]
)
def test_the_best_stays_besides(tmp_path: Path, metric: Metric, expected: str) -> None:
    run = Store.at(str(tmp_path))
    a_checkpoint(run, 1, 5, loss=float("nan"))
    a_checkpoint(run, 1, 10, loss=3.0, accuracy=0.9)
    a_checkpoint(run, 1, 20, loss=1.0, accuracy=0.5)
    for step in (30, 40, 50):
        a_checkpoint(run, 1, step, loss=2.0, accuracy=0.1)

    assert kept(run, metric=metric) == {expected, "1-40", "1-50"}


def test_a_checkpoint_that_was_evaluated_by_other_metrics_counts_as_none(tmp_path: Path) -> None:
    """As after evaluation.best.metric was changed and the job applied again."""
    run = Store.at(str(tmp_path))
    for step in (10, 20, 30, 40):
        a_checkpoint(run, 1, step, loss=1.0)

    assert kept(run, metric="perplexity") == {"1-30", "1-40"}


def test_void_checkpoints_and_leftovers_go(tmp_path: Path) -> None:
    run = Store.at(str(tmp_path))
    for world, step in ((1, 10), (1, 20), (1, 30), (2, 25)):
        a_checkpoint(run, world, step)
    run.put("ckpt/1-15/0.safetensors", b"never committed")

    assert kept(run, worlds={1: 0, 2: 20}) == {"1-20", "2-25"}


def test_what_is_still_on_its_way_stays(tmp_path: Path) -> None:
    run = Store.at(str(tmp_path))
    for step in (1, 2, 3):
        a_checkpoint(run, 1, step)
    run.put("ckpt/1-4/0.safetensors", b"the others come")

    assert kept(run) == {"1-2", "1-3", "1-4"}
