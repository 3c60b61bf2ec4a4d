"""A trial is small, of the same kind as the job, and away from the job's own results."""

import json
from pathlib import Path
from typing import Any

import pytest

from everstep_cli import example_bucket
from everstep_cli.job_options import JobError, check
from everstep_cli.request import JobRequest
from everstep_cli.tiny import HELD_OUT_DOCUMENTS, LONGEST_ROW, STEPS, TRAINED_DOCUMENTS, cut, shrunk
from tests.builders import JobBuilder, a_job
from tests.paths import EXAMPLES

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "dtype": "bfloat16",
    "hidden_size": 64,
    "num_hidden_layers": 30,
    "max_position_embeddings": 8192,
    "sliding_window": None,
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that looks like a model's."""
    folder = tmp_path / "models" / "smollm2-135m-instruct"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").touch()
    return folder


def a_job_of(folder: Path) -> JobBuilder:
    return a_job().setting("spec.recipe.model.source", f"file://{folder}")


def trial_of(builder: JobBuilder, *, steps: int | None = None) -> Any:
    trial = shrunk(builder.manifest, steps=steps)
    check(trial)
    return trial


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({"num_hidden_layers": 30}, {"num_hidden_layers": 2}, id="many layers"),
        pytest.param({"num_hidden_layers": 1}, {"num_hidden_layers": 1}, id="fewer than two"),
        pytest.param({"n_layer": 12, "n_head": 12}, {"n_layer": 2, "n_head": 12}, id="another name"),
        pytest.param(
            {"num_hidden_layers": 4, "layer_types": ["full", "sliding"] * 2, "sizes": [1, 2, 3]},
            {"num_hidden_layers": 2, "layer_types": ["full", "sliding"], "sizes": [1, 2, 3]},
            id="a list with an entry for each layer",
        ),
        pytest.param(
            {"text_config": {"num_hidden_layers": 9}}, {"text_config": {"num_hidden_layers": 2}}, id="a part for text"
        ),
        pytest.param({"architectures": ["L"], "dtype": "bfloat16", "x": None}, {"x": None}, id="what is of weights"),
    ],
)
def test_a_configuration_is_cut_to_two_layers(config: dict[str, Any], expected: dict[str, Any]) -> None:
    assert cut(config) == expected


def test_a_finished_model_becomes_two_layers_of_random_weights_with_its_own_tokenizer(model: Path) -> None:
    recipe = trial_of(a_job_of(model).setting("spec.recipe.model.lora", {}))["spec"]["recipe"]
    assert recipe["model"] == {
        "config": {
            "model_type": "llama",
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "max_position_embeddings": 8192,
            "sliding_window": None,
        },
        "tokenizer": {"source": f"file://{model}"},
    }


def test_tokenizer_and_template_of_the_job_stay(model: Path) -> None:
    job = (
        a_job_of(model)
        .setting("spec.recipe.model.tokenizer", {"source": "s3://team/tokenizer"})
        .setting("spec.recipe.model.chatTemplate", {"inline": "{{ messages }}"})
    )
    trial = trial_of(job)["spec"]["recipe"]["model"]
    assert trial["tokenizer"] == {"source": "s3://team/tokenizer"}
    assert trial["chatTemplate"] == {"inline": "{{ messages }}"}


def test_data_steps_and_rows_are_few(model: Path) -> None:
    data = {
        "train": [{"source": "s3://team/a"}, {"source": "s3://team/b", "maxSamples": 7}],
        "validation": {"sources": [{"source": "s3://team/c"}]},
        "maxLength": 4096,
    }
    job = a_job_of(model).setting("spec.recipe.data", data).setting("spec.recipe.schedule.warmup", {"steps": 500})
    recipe = trial_of(job)["spec"]["recipe"]
    assert [source["maxSamples"] for source in recipe["data"]["train"]] == [TRAINED_DOCUMENTS, 7]
    assert recipe["data"]["validation"]["sources"][0]["maxSamples"] == HELD_OUT_DOCUMENTS
    assert recipe["data"]["maxLength"] == LONGEST_ROW
    assert recipe["duration"] == {"steps": STEPS}
    assert trial_of(job, steps=3)["spec"]["recipe"]["duration"] == {"steps": 3}


def test_rows_are_no_longer_than_the_models_positions(model: Path) -> None:
    (model / "config.json").write_text(json.dumps({**CONFIG, "max_position_embeddings": 32}))
    assert trial_of(a_job_of(model))["spec"]["recipe"]["data"]["maxLength"] == 32


def test_the_trial_has_a_name_and_a_result_of_its_own(model: Path) -> None:
    job = a_job_of(model).named("n" * 42).setting("spec.output", {"uri": "s3://team/released"})
    trial = trial_of(job)
    assert trial["metadata"]["name"] == f"{'n' * 37}-tiny"
    assert "output" not in trial["spec"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(None, "holds no config.json", id="none"),
        pytest.param("{", "cannot be read", id="no JSON"),
        pytest.param("[]", "is no configuration", id="no mapping"),
    ],
)
def test_a_model_without_a_configuration_is_refused(model: Path, content: str | None, sentence: str) -> None:
    (model / "config.json").unlink()
    if content is not None:
        (model / "config.json").write_text(content)
    with pytest.raises(JobError, match=sentence):
        shrunk(a_job_of(model).manifest, steps=None)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_example_can_be_tried(path: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example_bucket, "folder", lambda _environment: tmp_path)
    monkeypatch.setattr(example_bucket, "fill", lambda folder: folder)
    said: list[str] = []
    job = JobRequest(file=path, is_tiny=True).job({}, said.append)
    assert job["spec"]["recipe"]["model"]["config"]["num_hidden_layers"] == 2
    assert job["spec"]["recipe"]["model"]["tokenizer"] == {"source": f"file://{model}"}
    assert said[-1].startswith(f"A trial, {job['metadata']['name']}: 2 layers of random weights")
