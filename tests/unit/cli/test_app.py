"""What the command line says and returns where it starts nothing."""

from pathlib import Path

from typer.testing import CliRunner

from everstep_cli.app import app
from tests.paths import ROOT

PRETRAIN = str(ROOT / "examples" / "pretrain-job.yaml")


def test_a_job_that_is_none_ends_with_2_and_all_that_is_wrong_with_it(tmp_path: Path) -> None:
    wrong = ["--set", "recipe.data.maxLength=4096", "--set", "output.weights=both", "--home", str(tmp_path)]
    result = CliRunner().invoke(app, ["run", PRETRAIN, *wrong])
    assert result.exit_code == 2
    assert "spec.recipe.data.maxLength is 4096" in result.stderr
    assert "spec.output.weights is both" in result.stderr
    assert not list(tmp_path.iterdir())


def test_an_audit_of_a_folder_without_a_job_ends_with_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["audit", str(tmp_path)])
    assert result.exit_code == 2
    assert "has no plan.json" in result.stderr
