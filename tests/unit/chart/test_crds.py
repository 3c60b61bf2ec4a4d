"""The CustomResourceDefinitions of the chart."""

from everstep_api.crd import custom_resource_definition, main
from tests.builders import Manifest
from tests.unit.chart.charts import CHART, rendered

KEEP = {"helm.sh/resource-policy": "keep"}


def spec_of(found: Manifest) -> Manifest:
    spec: Manifest = found["spec"]
    return spec


def test_they_are_those_of_the_models_to_the_last_number() -> None:
    """helm reads and writes them anew, and its YAML knows no whole numbers."""
    found = rendered().one("CustomResourceDefinition")
    wanted = custom_resource_definition()
    assert found["metadata"]["name"] == wanted["metadata"]["name"]
    assert spec_of(found) == spec_of(wanted)


def test_the_copy_in_the_chart_is_up_to_date() -> None:
    assert main(["--check", str(CHART / "files")]) == 0


def test_they_and_the_jobs_outlive_the_release() -> None:
    assert rendered().one("CustomResourceDefinition")["metadata"]["annotations"] == KEEP


def test_they_go_with_the_release_where_that_is_wanted() -> None:
    found = rendered({"crds": {"keep": False}}).one("CustomResourceDefinition")
    assert "annotations" not in found["metadata"]


def test_they_can_be_left_out() -> None:
    assert rendered({"crds": {"enabled": False}}).all("CustomResourceDefinition") == []
