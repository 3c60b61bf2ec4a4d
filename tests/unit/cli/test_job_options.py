"""A file and its options become the job that is run."""

from pathlib import Path
from typing import Any

import pytest

from everstep_cli.job_options import (
    JobError,
    buckets_of,
    check,
    read_job,
    with_folders,
    with_settings,
    with_steps,
    with_workers,
)
from tests.builders import a_job
from tests.paths import EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_example_is_read(path: Path) -> None:
    assert read_job(path)["kind"] == "TrainingJob"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("kind: Pod", "has 0 objects of kind TrainingJob", id="no job"),
        pytest.param("kind: TrainingJob\n---\nkind: TrainingJob\n", "has 2 objects", id="two jobs"),
        pytest.param("kind: TrainingJob\nmetadata: {}\n", "without metadata.name", id="no name"),
        pytest.param("a: [", "line 1", id="no YAML"),
    ],
)
def test_a_file_without_exactly_one_job_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(JobError, match=sentence):
        read_job(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"missing.yaml cannot be read: No such file"):
        read_job(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        pytest.param("recipe.seed=7", ["recipe", "seed"], 7, id="a number"),
        pytest.param("spec.recipe.seed=7", ["recipe", "seed"], 7, id="with spec in front"),
        pytest.param(
            "recipe.optimizer.learningRate=2e-4",
            ["recipe", "optimizer", "learningRate"],
            2e-4,
            id="as kubectl reads it",
        ),
        pytest.param("recipe.duration={steps: 5}", ["recipe", "duration"], {"steps": 5}, id="a mapping"),
        pytest.param("recipe.data.train.0.source=/x", ["recipe", "data", "train", 0, "source"], "/x", id="in a list"),
        pytest.param("output.uri=s3://a/b=c", ["output", "uri"], "s3://a/b=c", id="with an equals sign in it"),
    ],
)
def test_a_setting_is_set_under_the_spec(setting: str, path: list[Any], value: Any) -> None:
    found: Any = with_settings(a_job().manifest, [setting])["spec"]
    for name in path:
        found = found[name]
    assert found == value


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        pytest.param("recipe.seed", "has no value", id="no value"),
        pytest.param("workers.replicas.x=1", "goes on after 2", id="through a number"),
        pytest.param("recipe.data.train.5.source=x", "none of the 1 entries", id="beyond a list"),
    ],
)
def test_a_setting_that_is_none_is_refused(setting: str, sentence: str) -> None:
    with pytest.raises(JobError, match=sentence):
        with_settings(a_job().manifest, [setting])


def test_fewer_workers_than_the_job_needs_are_enough_when_asked_for() -> None:
    job = with_workers(a_job().workers(8, at_least=4).manifest, 2)
    assert job["spec"]["workers"] == {"replicas": 2, "minReplicas": 2}


def test_steps_replace_the_duration() -> None:
    job = with_steps(a_job().setting("spec.recipe.duration", {"epochs": 3}).manifest, 5)
    assert job["spec"]["recipe"]["duration"] == {"steps": 5}


def test_folders_stand_for_buckets_and_bare_paths_become_addresses(tmp_path: Path) -> None:
    job = (
        a_job()
        .setting("spec.storage.uri", str(tmp_path / "runs"))
        .setting("spec.recipe.model.source", "org/name")
        .setting("spec.recipe.data.train", [{"source": "s3://team/data/*.jsonl"}, {"source": "s3://other/x"}])
    )
    spec = with_folders(job.manifest, buckets_of([f"team={tmp_path}"]))["spec"]
    assert spec["storage"]["uri"] == f"file://{tmp_path}/runs"
    assert spec["recipe"]["model"]["source"] == "org/name", "a name of the hub is no path"
    assert [entry["source"] for entry in spec["recipe"]["data"]["train"]] == [
        f"file://{tmp_path}/data/*.jsonl",
        "s3://other/x",
    ]


@pytest.mark.parametrize("option", ["team", "=x", "team=", "team=/nowhere/at/all"])
def test_a_bucket_without_a_folder_is_refused(option: str) -> None:
    with pytest.raises(JobError, match="--bucket"):
        buckets_of([option])


def test_a_template_of_a_config_map_is_refused_where_there_are_none() -> None:
    job = a_job().setting("spec.recipe.model.chatTemplate", {"configMapKeyRef": {"name": "templates", "key": "chat"}})
    with pytest.raises(JobError, match="which only a cluster has; write the template itself"):
        check(job.manifest)
