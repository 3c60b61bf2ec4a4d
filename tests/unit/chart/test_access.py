"""What the operator and people may do: each right is there for a call that is made, and there are no others."""

from collections.abc import Iterable

import pytest

from tests.builders import Manifest
from tests.unit.chart.charts import NAMESPACE, rendered

Right = tuple[str, str, str, str]
"""Group, resource, verb, and the only object that it is for, or nothing."""

OPERATOR = "everstep-operator"
JOBS = "everstep-operator-jobs"

IN_NAMESPACES_OF_JOBS = {
    "everstep.dev trainingjobs": "get list watch delete",
    "everstep.dev trainingjobs/status": "update",
    "everstep.dev trainingjobs/finalizers": "update",
    " pods": "get list watch create delete",
    " configmaps": "get create update",
    "events.k8s.io events": "get create patch",
    "policy poddisruptionbudgets": "get create update",
    "networking.k8s.io networkpolicies": "get create update delete",
}

AT_HOME = {
    " secrets": "create",
    f" secrets {OPERATOR}-keys": "get",
    "coordination.k8s.io leases": "create",
    f"coordination.k8s.io leases {OPERATOR}": "get update",
    "discovery.k8s.io endpointslices": "create",
    f"discovery.k8s.io endpointslices {OPERATOR}-leader": "get update delete",
    " configmaps": "list",
}


def rights(role: Manifest) -> set[Right]:
    """All that a role gives."""
    return {
        (group, resource, verb, name)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def in_full(table: dict[str, str]) -> set[Right]:
    """The rights that a table says in short."""
    return {
        (group, resource, verb, "".join(name))
        for place, verbs in table.items()
        for group, resource, *name in [place.split(" ")]
        for verb in verbs.split()
    }


def subjects_of(binding: Manifest) -> set[tuple[str, str, str]]:
    return {(subject["kind"], subject["namespace"], subject["name"]) for subject in binding["subjects"]}


ACCOUNT = {("ServiceAccount", NAMESPACE, OPERATOR)}


def test_the_operator_has_at_home_what_it_calls() -> None:
    chart = rendered()
    (role,), (binding,) = chart.all("Role"), chart.all("RoleBinding")
    assert rights(role) == in_full(AT_HOME)
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == NAMESPACE
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("Role", role["metadata"]["name"])
    assert subjects_of(binding) == ACCOUNT


def test_without_namespaces_it_has_what_it_calls_in_all() -> None:
    chart = rendered()
    role, binding = chart.one("ClusterRole", JOBS), chart.one("ClusterRoleBinding")
    assert rights(role) == in_full(IN_NAMESPACES_OF_JOBS)
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("ClusterRole", JOBS)
    assert subjects_of(binding) == ACCOUNT


def test_with_namespaces_it_has_the_same_in_each_of_them_and_nothing_in_the_cluster() -> None:
    chart = rendered({"watchNamespaces": ["a", "b"], "access": {"aggregated": False}, "crds": {"enabled": False}})
    roles = {role["metadata"]["namespace"]: role for role in chart.all("Role") if role["metadata"]["name"] == JOBS}
    bindings = {item["metadata"]["namespace"]: item for item in chart.all("RoleBinding")}
    assert roles.keys() == {"a", "b"}
    assert bindings.keys() == {"a", "b", NAMESPACE}
    for namespace, role in roles.items():
        assert rights(role) == in_full(IN_NAMESPACES_OF_JOBS)
        reference = bindings[namespace]["roleRef"]
        assert (reference["kind"], reference["name"]) == ("Role", JOBS)
        assert subjects_of(bindings[namespace]) == ACCOUNT
    assert [found["kind"] for found in chart.objects if "namespace" not in found["metadata"]] == []


def test_the_namespace_of_the_release_may_be_among_those_that_are_watched() -> None:
    chart = rendered({"watchNamespaces": [NAMESPACE]})
    for kind in ("Role", "RoleBinding"):
        assert sorted(found["metadata"]["name"] for found in chart.all(kind)) == [OPERATOR, JOBS]


def test_names_of_objects_follow_the_release() -> None:
    """The operator calls its Secret, Lease and slice after its Service, so the role has to name these."""
    (role,) = rendered(release="lab").all("Role")
    names = {name for _, _, _, name in rights(role)}
    assert names == {"", "everstep-lab-operator", "everstep-lab-operator-keys", "everstep-lab-operator-leader"}


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["a"]}], ids=["cluster", "namespaces"])
def test_no_right_is_a_wildcard(values: Manifest) -> None:
    chart = rendered(values)
    for role in [*chart.all("Role"), *chart.all("ClusterRole")]:
        assert not [right for right in rights(role) if "*" in "".join(right)]


def _of_jobs(parts: Iterable[str], verbs: str) -> set[Right]:
    return {("everstep.dev", part, verb, "") for part in parts for verb in verbs.split()}


def test_who_may_view_a_namespace_may_view_its_jobs() -> None:
    role = rendered().one("ClusterRole", "everstep-view")
    assert rights(role) == _of_jobs(["trainingjobs", "trainingjobs/status", "trainingjobs/scale"], "get list watch")
    assert _aggregated(role) == {"view", "edit", "admin"}


def test_who_may_edit_a_namespace_may_edit_its_jobs_but_not_their_status() -> None:
    role = rendered().one("ClusterRole", "everstep-edit")
    wanted = _of_jobs(["trainingjobs"], "create update patch delete deletecollection")
    assert rights(role) == wanted | _of_jobs(["trainingjobs/scale"], "update patch")
    assert _aggregated(role) == {"edit", "admin"}


def test_roles_for_people_can_be_left_out() -> None:
    names = {role["metadata"]["name"] for role in rendered({"access": {"aggregated": False}}).all("ClusterRole")}
    assert names == {JOBS}


def _aggregated(role: Manifest) -> set[str]:
    """The roles of Kubernetes that take this one's rules."""
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    labels = role["metadata"]["labels"]
    return {name.removeprefix(prefix) for name, value in labels.items() if name.startswith(prefix) and value == "true"}
