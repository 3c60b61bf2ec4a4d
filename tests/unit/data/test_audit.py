"""The audit finds each row that was lost, doubled or another, and nothing where all is well."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everstep_api.wire.sync import Resumed, StatePoint
from everstep_trainer.data.audit import audit, judge
from everstep_trainer.data.ledger import Line, name_of, read_ledger, to_text
from everstep_trainer.derived import Batches, Hyperparameters
from everstep_trainer.errors import DamagedError, StorageError
from everstep_trainer.model.assets import Sources
from everstep_trainer.model.source import ModelFolder
from everstep_trainer.objects import Store
from everstep_trainer.plan import PLAN, Plan, RowCounts
from everstep_trainer.state.fence import Fence, WorldRecord, is_valid
from everstep_trainer.step import digest_of

ROWS, BATCH = 38, 4


def a_plan() -> Plan:
    """A plan of ten steps, the last of which has two rows."""
    return Plan(
        format=1,
        recipe_hash="r",
        files=Sources(tokenizer=ModelFolder(address="file:///t", files=())),
        sha256={},
        sources=(),
        row_length=8,
        hyperparameters=Hyperparameters(learning_rate=0.1, betas=(0.9, 0.99), weight_decay=0.0),
        batches=Batches(size=BATCH, micro_size=2),
        recompute="none",
        training=RowCounts(windows=((ROWS,),), rows=ROWS, tokens=300, targets=200),
        total_steps=10,
    )


def a_line(step: int, world: int = 1) -> Line:
    """The line of a step that went well."""
    rows = range((step - 1) * BATCH, min(step * BATCH, ROWS))
    return Line(step=step, world=world, rows=(rows.start, rows.stop), targets=20, digest=digest_of(rows))


def all_lines() -> list[Line]:
    return [a_line(step) for step in range(1, 11)]


def always(_point: StatePoint) -> bool:
    return True


def test_a_job_without_faults_is_exact_and_complete() -> None:
    found = judge(a_plan(), all_lines(), always)
    assert found.is_exact
    assert found.is_complete
    assert found.sentences() == ["38 of 38 planned rows are committed, in 10 of 10 steps."]


def test_a_job_under_way_is_exact_but_not_complete() -> None:
    found = judge(a_plan(), all_lines()[:4], always)
    assert found.is_exact
    assert not found.is_complete
    assert (found.committed, found.steps) == (16, 4)


def test_a_missing_step_is_lost_rows() -> None:
    found = judge(a_plan(), [line for line in all_lines() if line.step != 3], always)
    assert (found.lost, found.is_exact) == (((8, 12),), False)
    assert found.sentences()[1] == "4 rows are lost: no committed step has them (8 to 11)."


def test_a_step_taken_twice_is_doubled_rows() -> None:
    found = judge(a_plan(), [*all_lines(), a_line(3, world=2)], always)
    assert (found.doubled, found.committed, found.is_exact) == (((8, 12),), 38, False)


def test_ranks_that_ate_other_rows_are_found() -> None:
    lines = all_lines()
    lines[4] = replace(lines[4], digest=lines[4].digest + 1)
    assert judge(a_plan(), lines, always).wrong == (5,)


def test_skipped_rows_are_listed_and_count_as_committed() -> None:
    lines = all_lines()
    lines[1] = replace(lines[1], is_skipped=True)
    found = judge(a_plan(), lines, always)
    assert found.is_complete
    assert found.skipped == ((4, 8),)


@given(resumes=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6)), max_size=6))
def test_any_sequence_of_worlds_that_resume_from_checkpoints_is_exact(resumes: Sequence[tuple[int, int]]) -> None:
    """Each world goes on from a step of the one before, takes some steps, and loses the last of them or none."""
    lines = []
    worlds = {}
    reached = 0
    for number, (lost, steps) in enumerate([*resumes, (0, 10)], start=1):
        begin = max(0, reached - lost)
        worlds[number] = WorldRecord(world=number, step=begin, author="a")
        reached = min(10, begin + steps)
        lines += [a_line(step, world=number) for step in range(begin + 1, reached + 1)]
    found = judge(a_plan(), lines, lambda point: is_valid(point, worlds))
    assert found.is_complete
    assert found.void == len(lines) - 10


def test_the_audit_reads_the_storage_alone(tmp_path: Path) -> None:
    run = Store.at(str(tmp_path))
    run.put_if_absent(PLAN, a_plan().to_json())
    Fence(run, 1).create(None)
    run.put_if_absent(name_of(StatePoint(world=1, step=6)), to_text([a_line(step) for step in range(1, 7)]))
    Fence(run, 2).create(Resumed(world=1, step=4, tier="Durable"))
    run.put_if_absent(name_of(StatePoint(world=2, step=10)), to_text([a_line(step, 2) for step in range(5, 11)]))
    found = audit(run)
    assert found.is_complete
    assert found.void == 2
    assert len(read_ledger(run)) == 12


def test_an_audit_without_a_plan_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"has no plan\.json"):
        audit(Store.at(str(tmp_path)))


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    run = Store.at(str(tmp_path))
    run.put_if_absent("ledger/1-2.jsonl", to_text([a_line(1)]) + b"{\n")
    with pytest.raises(DamagedError, match=r"Line 2 of .*ledger/1-2\.jsonl is damaged"):
        read_ledger(run)
