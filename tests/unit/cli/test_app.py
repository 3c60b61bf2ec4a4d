"""What the command line says and returns where it starts nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from everstep_cli.app import app, main
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


@pytest.mark.parametrize(
    ("program", "shown"),
    [("/usr/bin/everstep", "Usage: everstep "), ("/usr/bin/kubectl-everstep", "Usage: kubectl everstep ")],
)
def test_the_program_calls_itself_as_it_was_called(
    program: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [program, "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert shown in capsys.readouterr().out


def test_help_needs_none_of_the_packages_that_train() -> None:
    """The extra `cli` alone is enough to read it."""
    program = (
        "import sys\nfor name in ('torch', 'obstore', 'transformers', 'safetensors'):\n    sys.modules[name] = None\n"
        "from everstep_cli.app import app\nfrom typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0\n"
        "refused = CliRunner().invoke(app, ['audit', 'x'])\n"
        "assert (refused.exit_code, 'install everstep[cli,trainer]' in refused.stderr) == (2, True), refused.stderr\n"
    )
    subprocess.run([sys.executable, "-c", program], timeout=120, check=True)
