"""The operator's Deployment and what stands around it."""

import tomllib

import pytest

from everstep_api.job import DEFAULT_CONTROLLER
from everstep_operator.kube.endpoint import PORT_NAME
from everstep_operator.kube.settings import KubeSettings, read
from tests.builders import Manifest
from tests.paths import ROOT
from tests.unit.chart.charts import NAMESPACE, Rendered, rendered

FIELDS = {"metadata.name": "operator-1", "metadata.namespace": NAMESPACE, "status.podIP": "10.0.0.7"}
"""What the kubelet puts in for the fields of a pod."""

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def settings_of(chart: Rendered) -> KubeSettings:
    """The operator's own reading of the flags and the environment that its container is given."""
    told = {item["name"]: FIELDS[item["valueFrom"]["fieldRef"]["fieldPath"]] for item in chart.container["env"]}
    return read(chart.container["args"], told)


def test_the_operator_takes_the_flags_and_knows_its_pod() -> None:
    settings = settings_of(rendered({"controllerName": "team.example/operator"}))
    assert (settings.instance, settings.namespace, settings.address) == ("operator-1", NAMESPACE, "10.0.0.7")
    assert settings.controller == "team.example/operator"
    assert settings.namespaces == ()


def test_jobs_that_name_no_controller_are_those_of_a_plain_release() -> None:
    assert settings_of(rendered()).controller == DEFAULT_CONTROLLER


def test_the_operator_is_told_each_namespace_to_watch() -> None:
    assert settings_of(rendered({"watchNamespaces": ["a", "b"]})).namespaces == ("a", "b")


@pytest.mark.parametrize("wanted", [True, False])
def test_jobs_get_network_policies_unless_the_release_is_without(*, wanted: bool) -> None:
    settings = settings_of(rendered({"networkPolicies": {"enabled": wanted}}))
    assert settings.operator.network_policies == wanted


@pytest.mark.parametrize(
    ("release", "name"), [("everstep", "everstep"), ("lab", "everstep-lab"), ("my-everstep", "my-everstep")]
)
def test_the_service_is_the_one_that_workers_are_sent_to(release: str, name: str) -> None:
    """Its name stands in the URL of each worker and in the certificate, and the leader writes a slice for it."""
    chart = rendered(release=release)
    service, settings = chart.one("Service"), settings_of(chart)
    assert service["metadata"]["name"] == settings.service == f"{name}-operator"
    assert service["metadata"]["namespace"] == settings.namespace
    (port,) = service["spec"]["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == (PORT_NAME, settings.sync_port, settings.sync_port)
    assert settings.operator.sync_url == f"https://{name}-operator.{NAMESPACE}.svc:{port['port']}"
    assert "selector" not in service["spec"]


def test_the_ports_of_the_container_are_those_that_the_operator_opens() -> None:
    chart = rendered()
    settings = settings_of(chart)
    ports = {port["name"]: port["containerPort"] for port in chart.container["ports"]}
    assert ports == {"sync": settings.sync_port, "metrics": settings.probe_port}


def test_the_kubelet_asks_where_the_operator_answers() -> None:
    container = rendered().container
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    liveness = container["livenessProbe"]
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 60


def test_images_are_those_of_the_release() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = rendered()
    assert chart.container["image"] == f"ghcr.io/everstep/operator:{version}"
    assert settings_of(chart).operator.image == f"ghcr.io/everstep/trainer:{version}"


def test_another_tag_is_taken() -> None:
    chart = rendered({"image": {"tag": "1.2.3"}, "trainer": {"image": {"repository": "mine/trainer", "tag": "4"}}})
    assert chart.container["image"] == "ghcr.io/everstep/operator:1.2.3"
    assert settings_of(chart).operator.image == "mine/trainer:4"


def test_images_are_pulled_when_the_values_say_so() -> None:
    assert rendered().container["imagePullPolicy"] == "IfNotPresent"
    assert rendered({"image": {"pullPolicy": "Always"}}).container["imagePullPolicy"] == "Always"


def test_a_digest_stands_above_the_tag() -> None:
    chart = rendered({"image": {"tag": "1", "digest": DIGEST}, "trainer": {"image": {"tag": "1", "digest": DIGEST}}})
    assert chart.container["image"] == f"ghcr.io/everstep/operator@{DIGEST}"
    assert settings_of(chart).operator.image == f"ghcr.io/everstep/trainer@{DIGEST}"


def test_an_upgrade_ends_no_old_pod_before_a_new_one_is_ready() -> None:
    deployment = rendered().one("Deployment")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert rendered({"replicas": 3}).one("Deployment")["spec"]["replicas"] == 3


def test_selectors_find_the_pods_and_hold_nothing_that_a_release_changes() -> None:
    """A selector never changes: with a version in it, the next release could not be installed over this one."""
    chart = rendered()
    labels = chart.pod["metadata"]["labels"]
    spreads = chart.pod["spec"]["topologySpreadConstraints"]
    for holder in (chart.one("Deployment")["spec"], chart.one("PodDisruptionBudget")["spec"], *spreads):
        key = "labelSelector" if "labelSelector" in holder else "selector"
        selector = holder[key]["matchLabels"]
        assert selector.items() <= labels.items()
        assert {name.partition("/")[2] for name in selector} == {"name", "instance", "component"}


def test_labels_of_the_user_are_added_and_never_replace_those_of_selectors() -> None:
    labels = rendered({"podLabels": {"team": "a", "app.kubernetes.io/component": "mine"}}).pod["metadata"]["labels"]
    assert labels["team"] == "a"
    assert labels["app.kubernetes.io/component"] == "operator"


def test_a_drain_takes_one_pod_at_a_time_and_is_never_blocked() -> None:
    budget = rendered().one("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert "minAvailable" not in budget


def test_pods_spread_over_nodes_where_they_can() -> None:
    (spread,) = rendered().pod["spec"]["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")


def test_the_container_can_change_nothing_but_its_scratch() -> None:
    chart = rendered()
    assert chart.pod["spec"]["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert chart.container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    (mount,), (volume,) = chart.container["volumeMounts"], chart.pod["spec"]["volumes"]
    assert mount == {"name": volume["name"], "mountPath": "/tmp"}  # noqa: S108 - where Python puts temporary files
    assert volume["emptyDir"] == {"sizeLimit": "16Mi"}


def test_the_account_of_the_pod_is_that_of_the_release() -> None:
    chart = rendered()
    account = chart.one("ServiceAccount")
    assert chart.pod["spec"]["serviceAccountName"] == account["metadata"]["name"]
    assert chart.pod["spec"]["automountServiceAccountToken"] is True
    assert account["automountServiceAccountToken"] is False


PLACES: dict[str, Manifest] = {
    "imagePullSecrets": {"imagePullSecrets": [{"name": "registry"}]},
    "priorityClassName": {"priorityClassName": "high"},
    "nodeSelector": {"nodeSelector": {"pool": "system"}},
    "tolerations": {"tolerations": [{"key": "system", "operator": "Exists", "effect": "NoSchedule"}]},
    "affinity": {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}},
}


@pytest.mark.parametrize(("field", "values"), PLACES.items(), ids=PLACES)
def test_a_field_of_the_pod_is_there_only_if_it_is_given(field: str, values: Manifest) -> None:
    assert field not in rendered().pod["spec"]
    assert rendered(values).pod["spec"][field] == values[field]


def test_annotations_of_the_pod_are_there_only_if_they_are_given() -> None:
    assert "annotations" not in rendered().pod["metadata"]
    assert rendered({"podAnnotations": {"a": "b"}}).pod["metadata"]["annotations"] == {"a": "b"}


def test_the_cpu_is_not_limited() -> None:
    """A leader that is throttled would lose its Lease."""
    resources = rendered().container["resources"]
    assert set(resources["limits"]) == {"memory"}
    assert set(resources["requests"]) == {"cpu", "memory"}


def test_resources_can_be_left_out() -> None:
    assert "resources" not in rendered({"resources": None}).container
