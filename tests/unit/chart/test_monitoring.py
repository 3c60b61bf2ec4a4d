"""How Prometheus and Grafana hear of a release."""

import json

import pytest

from everstep_operator.podspec import LABEL
from tests.builders import Manifest
from tests.unit.chart.charts import NAMESPACE, rendered

SCRAPED: Manifest = {"monitoring": {"podMonitors": {"enabled": True}}}
SHOWN: Manifest = {"monitoring": {"dashboards": {"enabled": True}}}


def monitors(values: Manifest) -> dict[str, Manifest]:
    """The PodMonitors by what they are about."""
    found = rendered(values).all("PodMonitor")
    return {monitor["metadata"]["name"].removeprefix("everstep-"): monitor for monitor in found}


def test_a_plain_release_asks_for_no_prometheus_and_no_grafana() -> None:
    kinds = {found["kind"] for found in rendered().objects}
    assert "PodMonitor" not in kinds
    assert not [found for found in rendered().all("ConfigMap") if found["metadata"]["name"].endswith("dashboards")]


def test_operator_and_workers_are_scraped_at_the_ports_that_they_have() -> None:
    release, found = rendered(SCRAPED), monitors(SCRAPED)
    assert found.keys() == {"operator", "workers"}
    [endpoint] = found["operator"]["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in release.container["ports"]}
    wanted = found["operator"]["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= release.pod["metadata"]["labels"].items()
    [endpoint] = found["workers"]["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == "agent"
    [wanted] = found["workers"]["spec"]["selector"]["matchExpressions"]
    assert wanted == {"key": f"{LABEL}/job-uid", "operator": "Exists"}


def test_no_label_of_ours_collides_with_one_of_prometheus() -> None:
    """`job` says which program, `instance` which pod; whose training it is stands in labels of other names."""
    for name, monitor in monitors(SCRAPED).items():
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        written = {rule["targetLabel"]: rule.get("replacement") for rule in endpoint["relabelings"]}
        assert written == {"job": f"everstep-{name.removesuffix('s')}", "instance": None}
        assert "honorLabels" not in endpoint


@pytest.mark.parametrize(
    ("namespaces", "selected"),
    [
        pytest.param([], {"any": True}, id="jobs of all namespaces"),
        pytest.param(["a", "b"], {"matchNames": ["a", "b"]}, id="jobs of some namespaces"),
    ],
)
def test_workers_are_scraped_where_jobs_are_run(namespaces: list[str], selected: Manifest) -> None:
    found = monitors({**SCRAPED, "watchNamespaces": namespaces})
    assert found["workers"]["spec"]["namespaceSelector"] == selected
    assert "namespaceSelector" not in found["operator"]["spec"]


def test_prometheus_finds_the_monitors_by_labels_of_its_own() -> None:
    values = {"monitoring": {"podMonitors": {"enabled": True, "interval": "30s", "labels": {"release": "watching"}}}}
    for monitor in monitors(values).values():
        assert monitor["metadata"]["labels"]["release"] == "watching"
        assert monitor["metadata"]["namespace"] == NAMESPACE
        assert monitor["spec"]["podMetricsEndpoints"][0]["interval"] == "30s"


def test_the_sidecar_of_grafana_finds_the_dashboards() -> None:
    found = rendered(SHOWN).one("ConfigMap", "everstep-dashboards")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert "annotations" not in found["metadata"]
    assert json.loads(found["data"]["everstep-job.json"])["uid"] == "everstep-job"
    annotated = {"monitoring": {"dashboards": {"enabled": True, "annotations": {"grafana_folder": "Training"}}}}
    assert rendered(annotated).one("ConfigMap", "everstep-dashboards")["metadata"]["annotations"]
