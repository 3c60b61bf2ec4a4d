"""The values: each is described, and what is none is refused by its name."""

import re

import pytest
import yaml

from tests.builders import Manifest
from tests.unit.chart.charts import CHART, NAMESPACE, ChartRefused, helm, notes, rendered
from tests.unit.chart.schemas import schemas

TEXT = (CHART / "values.yaml").read_text()
VALUES: Manifest = yaml.safe_load(TEXT)

OPEN = {
    "global": "belongs to a parent chart",
    "profiles[].recipe": "checked with each job",
    "profiles[].workers": "checked with each job",
    "profiles[].checkpoint": "checked with each job",
    "profiles[].output": "checked with each job",
    "profiles[].recovery": "checked with each job",
    "affinity.nodeAffinity": "checked by the API server",
    "affinity.podAffinity": "checked by the API server",
    "affinity.podAntiAffinity": "checked by the API server",
}
"""Objects of the schema that take any key, and who looks at them instead."""

WRONG: dict[str, tuple[Manifest, str]] = {
    "a key of the chart": ({"replica": 2}, "'replica' not allowed"),
    "a key of an image": ({"image": {"tagg": "1"}}, "'tagg' not allowed"),
    "a key of the trainer's image": ({"trainer": {"image": {"pullPolicy": "Never"}}}, "'pullPolicy' not allowed"),
    "a key of the CRDs": ({"crds": {"enable": False}}, "'enable' not allowed"),
    "a key of the roles for people": ({"access": {"create": True}}, "'create' not allowed"),
    "a key of the resources": ({"resources": {"limit": {}}}, "'limit' not allowed"),
    "a key of a toleration": ({"tolerations": [{"keys": "a"}]}, "'keys' not allowed"),
    "a key of a pull secret": ({"imagePullSecrets": [{"name": "a", "nam": "a"}]}, "'nam' not allowed"),
    "a key of the affinity": ({"affinity": {"nodeAfinity": {}}}, "'nodeAfinity' not allowed"),
    "a part of a profile": ({"profiles": {"h100": {"wokers": {}}}}, "'wokers' not allowed"),
    "what only a job may say": ({"profiles": {"h100": {"storage": {}}}}, "'storage' not allowed"),
    "the name of a profile": ({"profiles": {"H100": {}}}, "invalid propertyName 'H100'"),
    "no operator at all": ({"replicas": 0}, "/replicas"),
    "a tag in the repository": ({"image": {"repository": "a/b:1"}}, "/image/repository"),
    "a number as a tag": ({"image": {"tag": 1.2}}, "/image/tag"),
    "half a digest": ({"image": {"digest": "sha256:12"}}, "/image/digest"),
    "a pull policy that is none": ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
    "a namespace that is none": ({"watchNamespaces": ["Team A"]}, "/watchNamespaces/0"),
    "a namespace twice": ({"watchNamespaces": ["a", "a"]}, "/watchNamespaces"),
    "a controller without a domain": ({"controllerName": "operator"}, "/controllerName"),
    "a quantity that is none": ({"resources": {"limits": {"memory": "1 GB"}}}, "/resources/limits/memory"),
}


@pytest.mark.parametrize(("values", "words"), WRONG.values(), ids=WRONG)
def test_what_is_no_value_is_refused_by_its_name(values: Manifest, words: str) -> None:
    with pytest.raises(ChartRefused, match=re.escape(words)):
        rendered(values)


def test_every_object_of_the_schema_is_closed() -> None:
    """Or is named here with the reason why not."""
    open_ones = {
        path
        for path, schema in schemas()
        if "object" in schema["type"] and not isinstance(schema.get("additionalProperties"), (bool, dict))
    }
    assert open_ones == OPEN.keys()
    assert [path for path, schema in schemas() if schema.get("additionalProperties") is True] == []


def test_every_value_has_a_description_and_a_type() -> None:
    assert [path for path, schema in schemas() if not schema.get("description") or not schema.get("type")] == []


def test_the_schema_and_the_values_know_the_same_keys() -> None:
    """Each value has its default in values.yaml, but for what a parent chart brings."""
    for path, schema in schemas():
        known = set(schema.get("properties", {})) - {"global"}
        if schema.get("additionalProperties") is not False or "[]" in path or path in {"resources", "affinity"}:
            continue
        given = VALUES
        for part in filter(None, path.split(".")):
            given = given[part]
        assert set(given) == known, path


def test_every_value_has_a_comment_or_belongs_to_one_that_has() -> None:
    """A block of lines begins with a comment; what stands in it is a part of it."""
    blocks = re.split(r"\n\n+", TEXT.strip())
    assert [block for block in blocks if not re.search(r"^\s*# \S", block, re.MULTILINE)] == []
    assert len(blocks) > 10


def test_the_keys_of_a_parent_chart_are_let_through() -> None:
    """helm gives `global` to each part of a chart; a schema without it could be no part of any."""
    assert rendered({"global": {"region": "here"}}).all("Deployment")


def test_helm_has_nothing_to_say_against_the_chart() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


def test_every_object_says_what_it_belongs_to() -> None:
    chart = rendered({"profiles": {"default": {}}, "watchNamespaces": ["a"]})
    wanted = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"}
    assert [found["kind"] for found in chart.objects if not wanted <= found["metadata"]["labels"].keys()] == []


def test_the_notes_say_what_to_type_next() -> None:
    said = notes()
    assert "jobs of all namespaces." in said
    assert f"kubectl -n {NAMESPACE} rollout status deployment/everstep-operator" in said
    assert "crds.enabled=false" not in said


def test_the_notes_name_the_namespaces_and_what_is_missing() -> None:
    said = notes({"watchNamespaces": ["a", "b"], "crds": {"enabled": False}})
    assert "jobs of the namespaces a, b." in said
    assert "holds no CustomResourceDefinitions (crds.enabled=false)" in said
