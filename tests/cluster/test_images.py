"""The project's image on real nodes: it runs as the cluster demands, and a node holds it without a copy."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devcluster import image_build, image_layers, python_image
from devcluster.cluster import NamespacesCluster
from devcluster.kubectl import Kubectl, Manifest
from devcluster.package_sources import PackageSources
from devcluster.provider import Cluster
from tests.cluster.probes import Probes

ANYBODY = 1_234_567
"""A user that no image knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """Pods that run one Python program, as the strictest of Kubernetes' security standards allows it."""

    kubectl: Kubectl
    namespace: str

    def run(self, name: str, program: str, *, image: str, node: str | None = None) -> list[str]:
        """The lines that a program prints."""
        container: Manifest = {"name": "python", "image": image, "imagePullPolicy": "Never"}
        container["command"] = ["python", "-c", program]
        container["securityContext"] = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        container["volumeMounts"] = [{"name": "scratch", "mountPath": "/tmp"}]  # noqa: S108 - as in a job's pods
        spec: Manifest = {"restartPolicy": "Never", "tolerations": [{"operator": "Exists"}], "containers": [container]}
        spec["securityContext"] = {
            "runAsNonRoot": True,
            "runAsUser": ANYBODY,
            "runAsGroup": ANYBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        spec["volumes"] = [{"name": "scratch", "emptyDir": {}}]
        if node:
            spec["nodeSelector"] = {"kubernetes.io/hostname": node}
        metadata = {"name": name, "namespace": self.namespace}
        self.kubectl.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}])
        where = f"--namespace={self.namespace}"
        self.kubectl.wait("--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", where, timeout_s=60)
        return self.kubectl.run("logs", name, where).splitlines()


@pytest.fixture
def pods(cluster: Cluster) -> Iterator[Pods]:
    """Pods in a namespace that goes with the test and admits only what is restricted."""
    with Probes.in_new_namespace(cluster.kubectl, image="") as made:
        restricted = "pod-security.kubernetes.io/enforce=restricted"
        cluster.kubectl.run("label", "namespace", made.namespace, restricted)
        yield Pods(kubectl=cluster.kubectl, namespace=made.namespace)


@pytest.fixture(scope="session")
def operator_image(cluster: Cluster) -> str:
    """The operator's image, on every node."""
    return cluster.load(image_build.build("operator"))


@pytest.fixture
def changed_image(operator_image: str, tmp_path: Path) -> Iterator[str]:
    """The operator's image with a layer above it in which files are gone and a folder is another one."""
    if shutil.which("buildah") is None:
        pytest.skip("there is no buildah, and only its images are brought to nodes as layers")
    name = f"localhost/everstep/changed:{tmp_path.name.lower()}"
    (tmp_path / "Containerfile").write_text(
        f"FROM {operator_image}\nUSER 0\n"
        "RUN rm /opt/requirements/operator.lock && rm -r /opt/everstep\n"
        "RUN mkdir /opt/everstep && touch /opt/everstep/new\n"
    )
    build = ["buildah", "bud", "--isolation=chroot", "--pull-never", f"--tag={name}", str(tmp_path)]
    subprocess.run(build, check=True, timeout=120, capture_output=True)
    yield name
    if image_layers.find(name):
        subprocess.run(["buildah", "rmi", name], check=True, timeout=60, capture_output=True)


def test_the_operator_can_be_imported_by_any_user_from_a_file_system_that_is_read_only(
    pods: Pods, operator_image: str
) -> None:
    program = "import getpass, os, everstep_operator.main; print(os.getuid(), getpass.getuser(), os.environ['HOME'])"
    assert pods.run("any", program, image=operator_image) == [f"{ANYBODY} everstep /tmp"]


def test_the_operators_image_has_no_torch_and_no_builder(pods: Pods, operator_image: str) -> None:
    program = (
        "import importlib.util as u; print([n for n in ('torch', 'transformers', 'uv', 'hatchling') if u.find_spec(n)])"
    )
    assert pods.run("lean", program, image=operator_image) == ["[]"]


def test_nothing_of_this_machine_is_in_the_image(operator_image: str) -> None:
    image = image_layers.find(operator_image)
    base = image_layers.find(python_image.NAME)
    if image is None or base is None:
        pytest.skip("docker built it, and its builds are told nothing of this machine")
    ours = image.description.layers[len(base.description.layers) :]
    assert ours
    left = [
        str(file.relative_to(folder))
        for folder in (image.folders[layer.digest] for layer in ours)
        for file in folder.rglob("*")
        if file.is_file() and file.stat().st_size and file.relative_to(folder).parts[:2] != ("usr", "local")
    ]
    assert [file for file in left if not file.startswith("opt/")] == []
    for name, value in PackageSources.of_this_machine().options.items():
        if "://" in value:
            assert value.encode() not in image.description.config, name


def test_all_nodes_share_the_files_of_the_builder(namespaces_cluster: NamespacesCluster, operator_image: str) -> None:
    image = image_layers.find(operator_image)
    if image is None:
        pytest.skip("there is no buildah, and only its images are brought to nodes as layers")
    code = Path("opt/everstep/everstep_operator/__init__.py")
    top = image.description.layers[-1]
    kept = top.folder(namespaces_cluster.plan.folder / "images")
    assert (kept / code).samefile(image.folders[top.digest] / code)
    for node in namespaces_cluster.nodes:
        snapshots = node.folder / "containerd" / "io.containerd.snapshotter.v1.overlayfs" / "snapshots"
        assert kept in [files.readlink() for files in snapshots.glob("*/fs") if files.is_symlink()]


def test_what_a_layer_removes_and_replaces_is_gone_for_a_pod(
    namespaces_cluster: NamespacesCluster, pods: Pods, changed_image: str
) -> None:
    namespaces_cluster.load(changed_image)
    program = "import os; print(os.listdir('/opt/everstep'), os.listdir('/opt/requirements'))"
    assert pods.run("changed", program, image=changed_image) == ["['new'] []"]


def test_a_node_that_was_off_has_the_image_when_it_boots(
    namespaces_cluster: NamespacesCluster, pods: Pods, changed_image: str
) -> None:
    """Also when the builder has let go of it meanwhile."""
    namespaces_cluster.crash_node(3)
    namespaces_cluster.load(changed_image)
    subprocess.run(["buildah", "rmi", changed_image], check=True, timeout=60, capture_output=True)
    namespaces_cluster.boot_node(3)
    assert pods.run("late", "print('here')", image=changed_image, node="node3") == ["here"]
