"""A job that is applied again goes on with the work of the earlier one, or begins afresh beside it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from everstep_api.job import TrainingJobSpec
from everstep_api.wire.decode import decode
from everstep_api.wire.ranks import EvaluationMade
from everstep_api.wire.sync import Resumed, StatePoint
from everstep_trainer.data.audit import audit
from everstep_trainer.entry import RESULT, Result
from everstep_trainer.objects import Store
from everstep_trainer.predecessor import Predecessor, have_predecessor
from tests.unit.rank.agents import JOB, Agent
from tests.unit.rank.jobs import a_spec
from tests.unit.rank.running import a_world, run_of, until_saved


def taken_up(folder: Path, spec: dict[str, Any], *, uid: str = "u9", name: str = JOB.name) -> Predecessor | None:
    """Whose work a new job of this spec would go on with."""
    job = replace(JOB, uid=uid, name=name)
    return have_predecessor(Store.at(str(folder / "store")), job, TrainingJobSpec.model_validate_json(json.dumps(spec)))


def test_a_job_that_is_applied_again_goes_on_from_the_earlier_ones_checkpoint(agent: Agent, tmp_path: Path) -> None:
    """With its numbers, its plan and its ledger; and once more, from a world that was killed before it saved."""
    undisturbed = a_world(agent, a_spec(tmp_path / "undisturbed", steps=16), number=1, size=2)
    undisturbed.finish()
    spec = a_spec(tmp_path / "again", steps=16)
    deleted = a_world(agent, spec, number=3, size=2)
    until_saved(deleted, 8)
    deleted.kill()

    first = a_world(agent, spec, number=1, size=2, uid="u2")
    first.kill()
    second = a_world(agent, spec, number=2, size=2, uid="u2")
    second.finish()

    assert first.opened.resume is not None
    assert (
        first.opened.resume == second.opened.resume == Resumed(world=0, step=first.opened.resume.step, tier="Durable")
    )
    assert first.opened.resume.step >= 8
    expected = undisturbed.steps()
    assert second.steps() == {step: expected[step] for step in range(first.opened.resume.step + 1, 17)}
    run = run_of(tmp_path / "again", "u2")
    assert run.get("plan.json") == run_of(tmp_path / "again").get("plan.json")
    assert audit(run).is_complete, audit(run).sentences()
    assert 0 not in {message.step for message in second.ranks[0].heard if isinstance(message, EvaluationMade)}
    result = decode(run.get(RESULT), Result)
    assert result.before.step == 0, "the first evaluation is that of the earlier job"


def test_a_finished_job_that_is_applied_again_has_its_model_written_again(agent: Agent, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, steps=4)
    a_world(agent, spec, number=1, size=1).finish()

    again = a_world(agent, spec, number=1, size=1, uid="u2")

    output = again.finish()
    assert output is not None
    assert output.endswith(f"{JOB.name}/u2/model")
    assert again.steps() == {}
    assert audit(run_of(tmp_path, "u2")).is_complete
    assert run_of(tmp_path, "u2").folders("ckpt") == ["1-4"], "it needs the earlier one's folder no more"


Trained = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def trained(agent: Agent, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A job that was finished: its folder and its spec."""
    return a_finished_job(agent, tmp_path_factory.mktemp("trained"))


def a_finished_job(agent: Agent, folder: Path) -> Trained:
    spec = a_spec(folder, steps=2)
    a_world(agent, spec, number=1, size=1).finish()
    return folder, spec


def test_a_job_that_is_applied_again_may_judge_by_another_metric(agent: Agent, tmp_path: Path) -> None:
    """What the earlier one evaluated does not tell of it, so the first evaluation by it is the best."""
    spec = a_spec(tmp_path, steps=16, recipe={"evaluation": {"everySteps": 5, "metrics": ["loss"]}})
    deleted = a_world(agent, spec, number=1, size=1)
    until_saved(deleted, 8)
    deleted.kill()
    judged = {"everySteps": 5, "metrics": ["loss", "tokenAccuracy"], "best": {"metric": "tokenAccuracy"}}

    again = a_world(agent, {**spec, "recipe": {**spec["recipe"], "evaluation": judged}}, number=1, size=1, uid="u2")
    again.finish()

    assert again.opened.resume is not None
    made = [message.metrics for message in again.ranks[0].heard if isinstance(message, EvaluationMade)]
    assert made
    assert all("tokenAccuracy" in metrics for metrics in made)


def test_a_job_that_is_applied_again_recomputes_as_it_says_now(agent: Agent, tmp_path: Path) -> None:
    """The plan that it takes over has what the earlier one said, or what was derived for it."""
    _, spec = a_finished_job(agent, tmp_path)
    changed = {**spec, "recipe": {**spec["recipe"], "activationCheckpointing": "full"}}

    again = a_world(agent, changed, number=1, size=1, uid="u2")
    again.finish()

    assert again.opened.resume is not None
    assert "recomputes=full" in agent.output()


EARLIER = Predecessor(uid=JOB.uid, points=(StatePoint(world=1, step=2),))


@pytest.mark.parametrize(
    ("part", "change", "expected"),
    [
        pytest.param("recipe", {}, EARLIER, id="the same recipe"),
        pytest.param("recipe", {"logEverySteps": 7}, EARLIER, id="what changes no weights"),
        pytest.param("workers", {"replicas": 1}, EARLIER, id="fewer workers"),
        pytest.param("recipe", {"seed": 8}, None, id="another recipe"),
        pytest.param("checkpoint", {"resumePolicy": "Never"}, None, id="never"),
    ],
)
def test_whose_work_is_taken_up_follows_from_recipe_and_policy(
    trained: Trained, part: str, change: dict[str, Any], expected: Predecessor | None
) -> None:
    folder, spec = trained
    uid = f"u-{part}-{'-'.join(change)}"

    assert taken_up(folder, {**spec, part: {**spec[part], **change}}, uid=uid) == expected
    assert (run_of(folder, uid).head("plan.json") is not None) is (expected is not None)


def test_a_job_of_another_name_is_not_taken_up(trained: Trained) -> None:
    folder, spec = trained

    assert taken_up(folder, spec, name="other") is None


def _change_data(folder: Path) -> None:
    with (folder / "text.jsonl").open("a") as file:
        file.write('{"text": "one more"}\n')


def _change_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer" / "tokenizer_config.json"
    path.write_text(path.read_text() + "\n")


def _remove_checkpoints(folder: Path) -> None:
    shutil.rmtree(folder / "store" / JOB.namespace / JOB.name / JOB.uid / "ckpt")


@pytest.mark.parametrize("change", [_change_data, _change_tokenizer, _remove_checkpoints])
def test_nothing_is_taken_up_of_other_data_or_files_or_without_a_checkpoint(
    agent: Agent, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder, spec = a_finished_job(agent, tmp_path)
    assert taken_up(folder, spec, uid="before") == EARLIER

    change(folder)

    shutil.rmtree(folder / "store" / JOB.namespace / JOB.name / "before")
    assert taken_up(folder, spec, uid="after") is None
