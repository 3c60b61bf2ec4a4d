"""An example runs by its file alone; whoever names a bucket, by a folder or by keys, gets that one."""

from pathlib import Path

import pytest

from everstep_cli import example_bucket
from everstep_cli.job_options import JobError
from everstep_cli.request import JobRequest
from tests.builders import a_job
from tests.paths import EXAMPLES, ROOT

AN_EXAMPLE = a_job().setting("spec.recipe.model.source", "s3://everstep/models/small").manifest


def a_checkout(folder: Path, program: str) -> Path:
    """A folder with a program in the place of the one that prepares."""
    package = folder / "examples" / "prepare"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(program)
    return folder


@pytest.mark.parametrize(
    ("buckets", "environment", "is_needed"),
    [
        pytest.param({}, {}, True, id="nobody says which bucket is meant"),
        pytest.param({}, {"AWS_CA_BUNDLE": "/certs"}, True, id="a variable that names no bucket"),
        pytest.param({}, {"AWS_ACCESS_KEY_ID": ""}, True, id="an empty key"),
        pytest.param({}, {"AWS_ACCESS_KEY_ID": "key"}, False, id="a key"),
        pytest.param({}, {"AWS_ENDPOINT_URL": "http://here"}, False, id="an endpoint"),
        pytest.param({"everstep": Path("/x")}, {}, False, id="a folder that was named"),
        pytest.param({"other": Path("/x")}, {}, True, id="a folder for another bucket"),
    ],
)
def test_the_folder_stands_in_only_where_nobody_says_which_bucket_is_meant(
    buckets: dict[str, Path], environment: dict[str, str], *, is_needed: bool
) -> None:
    assert example_bucket.is_needed(AN_EXAMPLE, buckets, environment) is is_needed


def test_a_job_of_another_bucket_needs_no_folder() -> None:
    assert not example_bucket.is_needed(a_job().manifest, {}, {})
    assert not example_bucket.is_needed(a_job().setting("spec.storage.uri", "s3://everstep2/runs").manifest, {}, {})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_example_names_the_bucket_that_is_prepared(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[Path] = []
    monkeypatch.setattr(example_bucket, "fill", filled.append)
    lines: list[str] = []

    job = JobRequest(file=path).job({"XDG_CACHE_HOME": str(tmp_path)}, lines.append)

    folder = tmp_path / "everstep" / "examples"
    assert filled == [folder]
    assert lines == [f"The folder {folder} stands for the examples' bucket everstep."]
    assert job["spec"]["storage"]["uri"] == f"file://{folder}/runs"


def test_a_job_with_a_mistake_is_refused_before_anything_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[Path] = []
    monkeypatch.setattr(example_bucket, "fill", filled.append)
    wrong = JobRequest(file=ROOT / "examples" / "finetune-job.yaml", settings=["recipe.batch.size=0"])

    with pytest.raises(JobError, match=r"spec\.recipe\.batch\.size"):
        wrong.job({"XDG_CACHE_HOME": str(tmp_path)}, lambda _line: None)
    assert not filled


def test_the_folder_lies_in_the_users_cache() -> None:
    assert example_bucket.folder({}) == Path.home() / ".cache" / "everstep" / "examples"
    assert example_bucket.folder({"XDG_CACHE_HOME": "/var/cache"}) == Path("/var/cache/everstep/examples")


def test_this_checkout_can_fill_the_folder() -> None:
    assert (example_bucket.CHECKOUT / "examples" / "prepare" / "__main__.py").is_file()
    assert example_bucket.CHECKOUT.samefile(ROOT)


def test_the_folder_is_filled_by_the_program_of_the_checkout(tmp_path: Path) -> None:
    program = "import pathlib, sys\nfolder = pathlib.Path(sys.argv[1])\nfolder.mkdir()\n(folder / 'model').touch()\n"

    example_bucket.fill(tmp_path / "bucket", checkout=a_checkout(tmp_path, program))

    assert [path.name for path in (tmp_path / "bucket").iterdir()] == ["model"]


def test_what_hinders_the_preparation_is_said_as_it_was_said(tmp_path: Path) -> None:
    program = "import sys\nsys.exit('prepare: The disk is full; name another one.')\n"

    with pytest.raises(JobError, match=r"^prepare: The disk is full; name another one\.$"):
        example_bucket.fill(tmp_path / "bucket", checkout=a_checkout(tmp_path, program))


def test_an_installation_without_examples_says_how_to_name_a_bucket(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"no examples/prepare .* --bucket everstep=DIR, or .* AWS_ACCESS_KEY_ID"):
        example_bucket.fill(tmp_path / "bucket", checkout=tmp_path)


def test_a_preparation_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example_bucket, "TIMEOUT_S", 0.5)
    program = "import threading\nthreading.Event().wait()\n"

    with pytest.raises(JobError, match="was ended after"):
        example_bucket.fill(tmp_path / "bucket", checkout=a_checkout(tmp_path, program))
