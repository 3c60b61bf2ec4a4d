"""The compiler, and what must hold of every field of the schema that it writes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field

from everstep_api import crd
from everstep_api.layers import built_in_defaults
from everstep_api.resource import Resource
from everstep_api.structural import SchemaError, structural
from tests.paths import CRDS
from tests.unit.api.remedy import lacks

(VERSION,) = crd.custom_resource_definition()["spec"]["versions"]
ROOT = VERSION["schema"]["openAPIV3Schema"]
SPEC, STATUS = ROOT["properties"]["spec"], ROOT["properties"]["status"]


def _fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Each field with its dotted path, its schema, and whether it is required."""
    schema = schema.get("items", schema)
    for name, field in schema.get("properties", {}).items():
        below = f"{path}.{name}".removeprefix(".")
        yield below, field, name in schema.get("required", [])
        yield from _fields(field, f"{below}[]" if field.get("type") == "array" else below)


def _schemas(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from _schemas(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from _schemas(schema[key], f"{path}[]")


SPEC_FIELDS = list(_fields(SPEC))
each_spec_field = pytest.mark.parametrize(
    ("field", "required"), [pytest.param(field, required, id=path) for path, field, required in SPEC_FIELDS]
)


@each_spec_field
def test_every_field_says_what_it_is_and_what_holds_without_it(field: dict[str, Any], *, required: bool) -> None:
    description = field["description"]
    statement = "Required." if required else next(word for word in ("Default: ", "Absent: ") if word in description)
    what, _, rest = description.partition(statement)
    assert len(what.split()) >= 2
    assert what.rstrip().endswith((".", "`"))
    assert required or len(rest) > 1
    assert description.rstrip().endswith(".")


def test_every_field_of_the_status_says_what_it_is() -> None:
    assert [path for path, field, _ in _fields(STATUS) if len(field.get("description", "").split()) < 2] == []


def test_no_field_of_the_schema_has_a_default() -> None:
    """A profile stands between the job and the built-in default, so the API server must not write the latter."""
    assert [path for path, schema in _schemas(ROOT) if "default" in schema] == []


def test_each_description_names_the_default_that_resolve_takes() -> None:
    described = {path: field["description"] for path, field, _ in SPEC_FIELDS}
    defaults = built_in_defaults()
    assert len(defaults) > 40
    for path, value in defaults.items():
        text = yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()
        assert f"Default: {text}." in described[path], path


def test_what_kubectl_explain_shows_as_an_object_says_what_to_write() -> None:
    """kubectl knows no type for a number or a text, and calls it an object."""
    twofold = {path: field for path, field, _ in SPEC_FIELDS if "x-kubernetes-int-or-string" in field}
    assert len(twofold) >= 4
    silent = [path for path, field in twofold.items() if "a whole number" not in field["description"].lower()]
    assert silent == []


def _required_of_each_job(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """The innermost fields that no job can leave out."""
    required = [f"{path}.{name}".removeprefix(".") for name in schema.get("required", [])]
    if not required:
        yield path
    for below in required:
        yield from _required_of_each_job(schema["properties"][below.rpartition(".")[2]], below)


def test_what_the_schema_requires_no_profile_can_set() -> None:
    """The API server would refuse a job that left it to its profile, so no profile should hold it."""
    own = {path for path, field, _ in SPEC_FIELDS if "No profile can set it." in field["description"]}
    required = set(_required_of_each_job(SPEC))
    assert required == {"recipe.model", "recipe.data.train", "storage.uri", "workers.replicas"}
    assert {path for path in required if not any(path in mark or mark in path for mark in own)} == set()


def test_the_status_has_no_number_that_could_be_nan() -> None:
    assert [path for path, schema in _schemas(STATUS) if schema.get("type") == "number"] == []


def test_every_text_list_and_map_has_an_end() -> None:
    """Without a bound the API server expects the worst of it and refuses the rules as too costly."""
    bounds = {"string": ("maxLength", "enum", "format"), "array": ("maxItems",)}
    unbounded = [
        path
        for path, schema in _schemas(ROOT)
        if schema.get("type") in bounds and not any(bound in schema for bound in bounds[schema["type"]])
    ]
    maps = [
        path for path, schema in _schemas(ROOT) if "additionalProperties" in schema and "maxProperties" not in schema
    ]
    free = {".apiVersion", ".kind", ".spec.workers.template.spec.containers[].command[]"}
    assert set(unbounded) - free == {".spec.workers.template.spec.containers[].args[]"}
    assert maps == []


def _spoken(expression: str) -> list[str]:
    """The sentences in a CEL expression: its text literals, without words such as names of conditions."""
    literals = [json.loads(literal) for literal in re.findall(r'"(?:[^"\\]|\\.)*"', expression)]
    return [text for text in literals if " " in text]


RULES = [
    (path, rule, {*schema.get("properties", {}), *rule.get("fieldPath", "").split(".")} - {""})
    for path, schema in _schemas(ROOT)
    for rule in schema.get("x-kubernetes-validations", [])
]


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        pytest.param(rule, names, id=f"{path}{rule.get('fieldPath', '')} {index}")
        for index, (path, rule, names) in enumerate(RULES)
    ],
)
def test_every_rule_says_what_is_wrong_and_what_to_do(rule: dict[str, Any], names: set[str]) -> None:
    spoken = _spoken(rule["messageExpression"])
    assert spoken
    assert {sentence: lacks(sentence, names) for sentence in spoken} == dict.fromkeys(spoken)


@pytest.mark.parametrize(
    ("sentence", "lack"),
    [
        ("replicas is wrong", "a semicolon with words on both sides"),
        ("replicas is %d; oops", "a semicolon with words on both sides"),
        ("replicas is %d; that is too much", "a verb of advice in place of 'that'"),
        ("that is too much; use less", "the value, or the name of the field"),
        ("replicas is too large; use 3 or less", None),
        ("%d is too large; use 3 or less", None),
    ],
)
def test_a_sentence_that_helps_nobody_is_found(sentence: str, lack: str | None) -> None:
    assert lacks(sentence, {"replicas"}) == lack


def test_the_checked_in_file_is_what_the_models_say() -> None:
    assert crd.main([str(CRDS), "--check"]) == 0


def test_an_outdated_file_is_named_and_ends_the_check_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crd.main([str(tmp_path / "new")]) == 0
    assert crd.main([str(tmp_path / "new"), "--check"]) == 0
    written = tmp_path / "new" / crd.FILE_NAME
    written.write_text(written.read_text() + "# mine\n")
    assert crd.main([str(CRDS), str(tmp_path / "new"), "--check"]) == 1
    assert capsys.readouterr().err == f"{written} is not what the models say; run `make crds` and commit it.\n"


def test_a_construct_that_is_not_structural_is_refused() -> None:
    class Twofold(Resource):
        value: int | bool

    class Keyed(Resource):
        value: dict[Annotated[str, Field(max_length=3)], str]

    with pytest.raises(SchemaError, match="has one type a field"):
        structural(Twofold.model_json_schema())
    with pytest.raises(SchemaError, match="propertyNames has no counterpart"):
        structural(Keyed.model_json_schema())
