"""What the recipe leaves open follows from model, data and workers, by the rules of the resource's description."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everstep_trainer import derived
from everstep_trainer.derived import (
    Hyperparameters,
    Recompute,
    batches,
    hyperparameters,
    memory_of_rank,
    recompute,
    row_length,
    rows_that_fit,
)
from everstep_trainer.errors import RefusedError
from tests.unit.model.models_made_here import a_config, a_recipe

FILES = {"config": None, "source": "file:///m"}


@pytest.mark.parametrize(
    ("model", "written", "expected"),
    [
        pytest.param({}, {}, (3e-4, (0.9, 0.95), 0.1), id="random weights"),
        pytest.param(FILES, {}, (2e-5, (0.9, 0.999), 0.0), id="trained in full"),
        pytest.param({**FILES, "lora": {}}, {}, (2e-4, (0.9, 0.999), 0.0), id="adapters"),
        pytest.param(
            {},
            {"learningRate": 0.1, "betas": [0.5, 0.6], "weightDecay": 0.0},
            (0.1, (0.5, 0.6), 0.0),
            id="as it is written, also nothing",
        ),
    ],
)
def test_the_optimizers_numbers_follow_from_the_kind_of_training(
    model: dict[str, Any], written: dict[str, Any], expected: tuple[float, tuple[float, ...], float]
) -> None:
    rate, betas, decay = expected
    found = hyperparameters(a_recipe(model=model, optimizer=written))
    assert found == Hyperparameters(learning_rate=rate, betas=betas, weight_decay=decay)


@pytest.mark.parametrize(
    ("written", "positions", "expected"),
    [(None, 8192, 2048), (None, 512, 512), (None, None, 2048), (1000, 8192, 1000), (1000, None, 1000)],
)
def test_a_row_has_as_many_tokens_as_the_model_bears(written: int | None, positions: int | None, expected: int) -> None:
    assert row_length(_with_data(maxLength=written), positions) == expected


def test_a_row_longer_than_the_models_positions_is_refused() -> None:
    with pytest.raises(RefusedError, match="maxLength is 1000 but the model has 512 positions; use 512 or less"):
        row_length(_with_data(maxLength=1000), 512)


def _with_data(**changes: Any) -> Any:
    return a_recipe(data={"train": [{"source": "file:///a"}], **changes})


@pytest.mark.parametrize(
    ("written", "rows", "ranks", "fitting", "expected"),
    [
        pytest.param({}, 100_000, 1, 8, (64, 8), id="much data"),
        pytest.param({}, 1600, 1, 8, (16, 8), id="halved until an epoch has 100 steps"),
        pytest.param({}, 100, 4, 8, (4, 1), id="never fewer than ranks"),
        pytest.param({}, 10, 100, 8, (100, 1), id="more ranks than the usual rows"),
        pytest.param({"size": 12}, 10, 2, 100, (12, 6), id="a micro-batch for each rank"),
        pytest.param({"size": 12}, 10, 2, 5, (12, 4), id="as many as fit, and divide"),
        pytest.param({"microSize": 3}, 100_000, 1, 8, (63, 3), id="micro-batches as they are written"),
        pytest.param({"size": 8, "microSize": 2}, 10, 4, 1, (8, 2), id="all as it is written"),
    ],
)
def test_batches_follow_from_rows_ranks_and_memory(
    written: dict[str, int], rows: int, ranks: int, fitting: int, expected: tuple[int, int]
) -> None:
    found = batches(a_recipe(batch=written), rows_in_epoch=rows, ranks=ranks, rows_that_fit=fitting)
    assert (found.size, found.micro_size) == expected


@given(
    rows=st.integers(1, 100_000),
    ranks=st.integers(1, 200),
    fitting=st.integers(1, 100),
    micro=st.one_of(st.just("auto"), st.integers(1, 80)),
)
def test_derived_batches_leave_a_micro_batch_for_each_rank(
    rows: int, ranks: int, fitting: int, micro: int | str
) -> None:
    found = batches(a_recipe(batch={"microSize": micro}), rows_in_epoch=rows, ranks=ranks, rows_that_fit=fitting)
    assert found.size % found.micro_size == 0
    assert found.size // found.micro_size >= ranks
    assert micro in {"auto", found.micro_size}


def test_too_few_rows_for_the_ranks_are_refused() -> None:
    with pytest.raises(
        RefusedError, match="size 8 makes 2 micro-batches of 4 rows, too few for 3 ranks; use 12 or more"
    ):
        batches(a_recipe(batch={"size": 8, "microSize": 4}), rows_in_epoch=9, ranks=3, rows_that_fit=9)


def test_rows_fit_by_memory_but_never_more_than_keep_a_device_busy() -> None:
    def fitting(gibibytes: float, what: Recompute = "selective") -> int:
        memory = int(gibibytes * 1024**3)
        return rows_that_fit(a_recipe(), a_config(), what, row_length=64, ranks_memory_bytes=memory)

    assert fitting(0.00001) == 1
    assert fitting(1000) == derived.ENOUGH_TOKENS // 64
    assert fitting(0.01, "full") > fitting(0.01) > fitting(0.01, "none")


def test_nothing_is_computed_again_where_memory_suffices() -> None:
    def found(rows: int, memory: int, **changes: Any) -> Recompute:
        return recompute(a_recipe(**changes), a_config(), rows=rows, row_length=64, ranks_memory_bytes=memory)

    enough = next(size for size in range(10**5, 10**9, 10**5) if found(4, size) == "none")
    assert found(8, enough) == "selective"
    assert found(8, 2 * enough) == "none"
    assert found(1, 10**12, activationCheckpointing="full") == "full", "what is written counts"


def test_a_containers_limit_is_shared_by_its_ranks_and_a_machine_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(derived, "_MEMORY_LIMIT", limit)
    machine = memory_of_rank(ranks_per_worker=1, ranks=1)
    assert memory_of_rank(ranks_per_worker=2, ranks=8) == machine // 8
    limit.write_text("max\n")
    assert memory_of_rank(ranks_per_worker=2, ranks=8) == machine // 8
    limit.write_text("8000000000\n")
    assert memory_of_rank(ranks_per_worker=2, ranks=8) == 4_000_000_000
