"""A release of the chart on a real API server, and an operator that has the rights of its account and no others."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubernetes import client

from devcluster.control_plane import LocalControlPlane
from devcluster.kubectl import Kubectl
from devcluster.problem import DevclusterError
from devcluster.waiting import wait_until
from tests.api.kube.agents import PretendingAgent
from tests.api.kube.conftest import make_workplace
from tests.api.kube.loops import run_to_its_end
from tests.api.kube.operators import Operator
from tests.api.kube.workplace import Workplace
from tests.builders import Manifest, a_job
from tests.unit.chart.charts import CHART, helm, rendered

RESTRICTED = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
CONTROLLER = "chart.test/operator"
"""The jobs of other tests are on the same API server; a release that looks at all namespaces leaves them alone."""

Install = Callable[[Manifest], Workplace]


@pytest.fixture
def home(plane: LocalControlPlane, api: client.ApiClient, tmp_path: Path) -> Workplace:
    """The namespace of the operator, whose pods have to be restricted."""
    place = make_workplace(plane, api, tmp_path)
    place.call("PATCH", "/api/v1/{here}", RESTRICTED, kind="application/merge-patch+json")
    return place


@pytest.fixture
def install(home: Workplace) -> Iterator[Install]:
    """Installs the chart as the release `everstep`, which goes with the test. The session has the CRDs already."""
    here, kubeconfig = f"--namespace={home.namespace}", home.plane.kubeconfig

    def installed(values: Manifest) -> Workplace:
        wanted = {**values, "controllerName": CONTROLLER, "crds": {"enabled": False}}
        helm("upgrade", "--install", "everstep", str(CHART), here, values=wanted, kubeconfig=kubeconfig)
        return home

    yield installed
    helm("uninstall", "everstep", here, "--ignore-not-found", kubeconfig=kubeconfig)


def test_the_api_server_takes_every_object_to_the_letter(home: Workplace) -> None:
    """A field that Kubernetes does not know would be dropped in silence where nobody asks for strictness."""
    values: Manifest = {
        "watchNamespaces": [home.namespace],
        "profiles": {"default": {"workers": {"minReplicas": 1}}},
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "podLabels": {"team": "a"},
        "podAnnotations": {"note": "b"},
    }
    objects = rendered(values, namespace=home.namespace).objects
    strictly = ("--dry-run=server", "--validate=strict", "--server-side", "--force-conflicts")
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    taken = home.plane.kubectl.run("apply", *strictly, "-f", "-", stdin=listed)
    assert len(taken.splitlines()) == len(objects)


def test_the_operators_pod_is_admitted_where_pods_are_restricted(home: Workplace) -> None:
    template = rendered(namespace=home.namespace).pod
    template["spec"].pop("serviceAccountName")  # the release is not installed, and its account is not there
    pod = {**template, "apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": "operator"}}
    home.call("POST", "/api/v1/{here}/pods?dryRun=All&fieldValidation=Strict", pod)


@pytest.mark.parametrize("is_namespaced", [False, True], ids=["all namespaces", "one namespace"])
def test_the_rights_of_the_account_are_enough_for_a_whole_job(
    install: Install, workplace: Workplace, tmp_path: Path, *, is_namespaced: bool
) -> None:
    """From the keys to the deletion of a job that is over, which is in another namespace: no call is refused."""
    home = install({"watchNamespaces": [workplace.namespace]} if is_namespaced else {})
    deployment = home.call("GET", "/apis/apps/v1/{here}/deployments/everstep-operator")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    _wait_for_rights(home)
    operator = Operator.told(
        name="one",
        kubeconfig=_kubeconfig(home, tmp_path),
        folder=tmp_path,
        flags=(*container["args"], f"--namespace={home.namespace}"),
    )
    workplace.logs = lambda: operator.words
    try:
        _run_a_job(workplace, home)
        assert 'status="403"' not in operator.ask("/metrics")
        assert operator.stop() == 0
    finally:
        operator.kill()
    assert "forbidden" not in operator.words.lower(), operator.words
    assert not home.holder(), "the Lease is given back"


def test_an_upgrade_changes_the_deployment_in_place_and_a_removal_leaves_the_keys(install: Install) -> None:
    """What workers know the operator by stays: the Service with its address, and the Secret."""
    home = install({})
    service = home.call("GET", "/api/v1/{here}/services/everstep-operator")
    keys = {"metadata": {"name": "everstep-operator-keys"}}
    home.call("POST", "/api/v1/{here}/secrets", keys)
    install({"replicas": 3, "podLabels": {"team": "a"}, "image": {"tag": "2"}})
    deployment = home.call("GET", "/apis/apps/v1/{here}/deployments/everstep-operator")
    assert deployment["spec"]["replicas"] == 3
    after = home.call("GET", "/api/v1/{here}/services/everstep-operator")
    assert (after["metadata"]["uid"], after["spec"]) == (service["metadata"]["uid"], service["spec"])
    helm("uninstall", "everstep", f"--namespace={home.namespace}", kubeconfig=home.plane.kubeconfig)
    assert home.call("GET", "/api/v1/{here}/secrets/everstep-operator-keys")
    assert home.call("GET", "/apis/apps/v1/{here}/deployments")["items"] == []


PEOPLE = {
    "everstep-view": ("get trainingjobs", "get trainingjobs/status", "get trainingjobs/scale", "watch trainingjobs"),
    "everstep-edit": ("create trainingjobs", "patch trainingjobs", "delete trainingjobs", "patch trainingjobs/scale"),
}
NOBODY = ("update trainingjobs/status", "patch trainingjobs/status", "get secrets")


@pytest.mark.parametrize(("role", "allowed"), PEOPLE.items(), ids=PEOPLE)
def test_people_may_do_what_their_role_says(install: Install, role: str, allowed: tuple[str, ...]) -> None:
    home = install({})
    kubectl, here = home.plane.kubectl, f"--namespace={home.namespace}"
    kubectl.run("create", "rolebinding", "jane", f"--clusterrole={role}", "--user=jane", here)
    wait_until(lambda: _may(kubectl, allowed[0], here), timeout_s=10, failure=f"{role} gives no right within 10 s")
    assert [right for right in allowed if not _may(kubectl, right, here)] == []
    assert [right for right in NOBODY if _may(kubectl, right, here)] == []


def _may(kubectl: Kubectl, right: str, *place: str, user: str = "jane") -> bool:
    """Whether the API server would let the user do this."""
    verb, resource, *part = right.replace("/", " ").split()
    asked = [verb, resource, *(f"--subresource={name}" for name in part)]
    try:
        return kubectl.run("auth", "can-i", *asked, f"--as={user}", *place).strip() == "yes"
    except DevclusterError:
        return False


def _wait_for_rights(home: Workplace) -> None:
    """Wait until the API server has heard of the roles and bindings, which it does in its own time."""
    user = f"system:serviceaccount:{home.namespace}:everstep-operator"
    here = f"--namespace={home.namespace}"
    wait_until(
        lambda: _may(home.plane.kubectl, "create leases.coordination.k8s.io", here, user=user),
        timeout_s=10,
        failure="The account has no right 10 s after its role was bound.",
    )


def _kubeconfig(home: Workplace, folder: Path) -> Path:
    """The credentials that a pod of the release is given."""
    path = "/api/v1/{here}/serviceaccounts/everstep-operator/token"
    token = home.call("POST", path, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
    server = home.plane.server
    text = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "account"}}],
        "clusters": [
            {
                "name": "here",
                "cluster": {"server": server.url, "certificate-authority": str(server.authority.certificate)},
            }
        ],
        "users": [{"name": "account", "user": {"token": token}}],
    }
    file = folder / "account.kubeconfig"
    file.write_text(json.dumps(text))
    return file


def _run_a_job(workplace: Workplace, home: Workplace) -> None:
    """Apply a job, be its only worker until it is complete, and see the operator clean up after it."""
    job = workplace.apply(
        a_job().workers(1).setting("spec.managedBy", CONTROLLER).setting("spec.cleanPodPolicy", "All")
    )
    (pod,) = workplace.wait_for_pods(job, 1)
    workplace.run_pod(pod)
    port = workplace.until(home.leader_port, "an EndpointSlice")
    agent = PretendingAgent(workplace.agent_settings(job, pod, sync_url=f"https://127.0.0.1:{port}"))
    try:
        run_to_its_end(agent.live(timeout_s=40))
    except TimeoutError as error:
        error.add_note(f"heard: {agent.heard}\n{workplace.logs()}")
        raise
    workplace.end_pod(pod)
    workplace.until(lambda: not workplace.pods(job), "the end of the pods")
    workplace.patch(job, {"spec": {"ttlSecondsAfterFinished": 0}})
    workplace.until(lambda: workplace.is_gone(job), "the end of the job")
    reasons = {event["reason"] for event in workplace.events(job)}
    assert {"SpecResolved", "Training", "ModelWritten"} <= reasons
