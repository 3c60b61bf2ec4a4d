"""What must hold of the repository itself."""

import operator
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def test_nothing_shadows_the_standard_librarys_operator() -> None:
    """The room `operator/` lies where `python` looks first: as a package it would take the module's place."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not (ROOT / "tests" / "operator").exists()
    assert not (ROOT / "tests" / "unit" / "operator").exists()
    program = "import operator; print(operator.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert found.stdout.strip() == operator.__file__


def test_the_contract_imports_nothing_by_itself() -> None:
    """`everstep_api.wire` is read by agents that start without pydantic."""
    program = "import sys; before = set(sys.modules); import everstep_api; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "['everstep_api']"


def test_every_requirement_is_pinned_with_hashes_and_no_index_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    assert len(entries) > 50
    assert [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert not re.search(r"\w+://|--(extra-)?index-url|--find-links", text)


def test_the_lock_names_every_direct_requirement() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    for group in project["dependency-groups"].values():
        wanted += [item for item in group if isinstance(item, str)]
    names = {re.split(r"[<>=;\[ ]", item, maxsplit=1)[0].lower().replace("_", "-") for item in wanted}
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert names - locked == set()


def test_no_file_names_a_folder_of_one_machine() -> None:
    """Neither a home folder nor a checkout: what is tracked works anywhere."""
    pattern = re.compile(r"(?<![\w.$}])/(?:home|work|Users)/\w+")
    named = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in tracked()
        if path.suffix in {".py", ".go", ".md", ".toml", ".yaml", ".lock", ".json", ""}
        for found in [pattern.search(path.read_text(errors="ignore"))]
        if found and path != Path(__file__)
    ]
    assert named == []


def test_every_module_and_package_of_ours_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix == ".py" and not path.read_text().startswith('"""')
    ]
    assert silent == []
