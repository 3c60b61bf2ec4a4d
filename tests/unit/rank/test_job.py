"""A job from the first world to the model, by real processes, whatever becomes of its ranks."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from everstep_api.wire.decode import decode
from everstep_api.wire.ranks import (
    EvaluationMade,
    Fenced,
    Left,
    Planned,
    Saved,
    Stepped,
    StopAfterStep,
    StoreOpened,
)
from everstep_api.wire.sync import Resumed
from everstep_trainer.data.audit import audit
from everstep_trainer.entry import RESULT, Result
from tests.unit.rank.agents import JOB, Agent, a_warm_rank, an_enter
from tests.unit.rank.jobs import a_spec
from tests.unit.rank.running import a_world, run_of, until_saved


def test_an_undisturbed_job_ends_with_a_model_and_an_exact_ledger(agent: Agent, tmp_path: Path) -> None:
    world = a_world(agent, a_spec(tmp_path), number=1, size=2)
    output = world.finish()

    assert world.opened.resume is None
    losses = world.steps()
    assert list(losses) == list(range(1, 13))
    assert (losses[12] or 9) < (losses[1] or 0)
    (planned,) = (message for message in world.ranks[0].heard if isinstance(message, Planned))
    assert (planned.total_steps, planned.most_ranks) == (12, 4)
    evaluated = [message.step for message in world.ranks[0].heard if isinstance(message, EvaluationMade)]
    assert evaluated == [0, 5, 10, 12], "before, on the way and after"
    result = decode(run_of(tmp_path).get(RESULT), Result)
    assert (result.before.step, result.after.step) == (0, 12)
    assert result.after.metrics["loss"] < result.before.metrics["loss"]
    saved = {message.point.step for rank in world.ranks for message in rank.heard if isinstance(message, Saved)}
    assert saved >= {4, 8, 12}
    assert output is not None
    model = AutoModelForCausalLM.from_pretrained(output.removeprefix("file://"))
    assert model.num_parameters() > 0
    assert audit(run_of(tmp_path)).is_complete


def test_a_model_is_exported_with_the_bits_that_were_trained_whatever_was_computed_in(
    agent: Agent, tmp_path: Path
) -> None:
    """Also right after an evaluation, which a world of one makes with whole copies of the weights in bf16."""
    spec = a_spec(tmp_path, steps=4, replicas=1, recipe={"precision": "bf16"}, output={"dtype": "fp32"})
    a_world(agent, spec, number=1, size=1).finish()

    run = tmp_path / "store" / JOB.namespace / JOB.name / JOB.uid
    masters = load_file(run / "ckpt" / "1-4" / "0.safetensors")
    exported = load_file(run / "model" / "model.safetensors")
    for name, weight in exported.items():
        assert torch.equal(weight, masters[f"weight.network.{name}"]), name
    assert len(exported) > 10


def test_a_world_that_finds_the_job_finished_is_done_at_once(agent: Agent, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, steps=2, replicas=1)
    output = a_world(agent, spec, number=1, size=1).finish()

    again = a_world(agent, spec, number=2, size=1)

    assert again.finish() == output
    assert again.steps() == {}


def test_a_killed_world_goes_on_from_its_last_checkpoint_with_the_same_numbers(agent: Agent, tmp_path: Path) -> None:
    """Worlds of 2, 1 and 2 ranks: each planned row is committed once, and the same world computes the same bits."""
    undisturbed = a_world(agent, a_spec(tmp_path / "undisturbed", steps=16), number=1, size=2)
    undisturbed.finish()
    expected = undisturbed.steps()

    spec = a_spec(tmp_path / "killed", steps=16)
    first = a_world(agent, spec, number=1, size=2)
    until_saved(first, 4)
    first.kill()
    second = a_world(agent, spec, number=2, size=2)
    until_saved(second, 8)
    second.kill()
    third = a_world(agent, spec, number=3, size=1)
    until_saved(third, 12)
    third.kill()
    fourth = a_world(agent, spec, number=4, size=2)
    fourth.finish()

    assert second.opened.resume is not None
    assert second.opened.resume.world == 1
    evaluated = {message.step for message in fourth.ranks[0].heard if isinstance(message, EvaluationMade)}
    assert 0 not in evaluated, "the evaluation before the first step is made once"
    result = decode(run_of(tmp_path / "killed").get(RESULT), Result)
    assert result.before.step == 0, "and told by the world that ends the job"
    assert second.steps() == {step: expected[step] for step in second.steps()}, (
        "the same world, deterministic: the same bits"
    )
    for step, loss in (third.steps() | fourth.steps()).items():
        assert loss == pytest.approx(expected[step], rel=1e-4)
    found = audit(run_of(tmp_path / "killed"))
    assert found.is_complete, found.sentences()


def test_a_world_that_is_asked_to_stop_leaves_after_one_step_and_the_next_begins_with_the_next(
    agent: Agent, tmp_path: Path
) -> None:
    spec = a_spec(tmp_path, steps=200, checkpoint={"everySteps": 1000})
    first = a_world(agent, spec, number=1, size=2)
    first.ranks[1].hear_until(Stepped)
    first.ranks[1].tell(StopAfterStep(durable=True))

    left = {rank.hear_until(Left).step for rank in first.ranks}
    assert [agent.exit_of(pid).exit_code for pid in first.pids] == [0, 0]
    (step,) = left
    second = a_world(agent, spec, number=2, size=1)
    stepped = second.ranks[0].hear_until(Stepped)
    second.kill()

    assert second.opened.resume == Resumed(world=1, step=step, tier="Durable")
    assert stepped.step == step + 1


def test_a_world_whose_number_is_taken_says_so(agent: Agent, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, steps=1000, replicas=1)
    later = a_world(agent, spec, number=5, size=1)
    later.ranks[0].hear_until(Stepped)

    pid, rank = a_warm_rank(agent)
    rank.tell(an_enter(spec, world=5))

    assert rank.hear_until(Fenced).world_seen == 5
    assert agent.exit_of(pid).exit_code == 1
    later.kill()


def test_a_world_with_a_successor_ends_at_its_next_commit(agent: Agent, tmp_path: Path) -> None:
    """As two parts of a network do: the newer world begins from nothing, since it saw no checkpoint."""
    spec = a_spec(tmp_path, steps=1000, replicas=1, checkpoint={"everySteps": 40})
    older = a_world(agent, spec, number=1, size=1)
    older.ranks[0].hear_until(Stepped)
    newer = a_world(agent, spec, number=2, size=1)
    newer.ranks[0].hear_until(Stepped)

    assert older.ranks[0].hear_until(Fenced).world_seen == 2
    newer.kill()
    assert run_of(tmp_path).head("ckpt/1-40/manifest.json") is None


def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(agent: Agent, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, steps=10, replicas=1, checkpoint={"everySteps": 2})
    first = a_world(agent, spec, number=1, size=1)
    until_saved(first, 4)
    first.kill()
    newest = max(int(name.removeprefix("1-")) for name in run_of(tmp_path).folders("ckpt"))
    path = tmp_path / "store" / JOB.namespace / JOB.name / JOB.uid / "ckpt" / f"1-{newest}" / "0.safetensors"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)

    second = a_world(agent, spec, number=2, size=1)
    corrected = second.ranks[0].hear_until(StoreOpened)
    second.finish()

    assert corrected.port == second.opened.port
    assert corrected.resume is not None
    assert corrected.resume.step < newest
    assert "is damaged" in agent.output()
    assert audit(run_of(tmp_path)).is_complete
