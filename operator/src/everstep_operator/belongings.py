"""What a job owns beside its pods, pure: who may end its workers, and who may reach them."""

from everstep_api.job import TrainingJobSpec
from everstep_api.resource import Manifest
from everstep_api.workers import Workers
from everstep_operator.decide.facts import Job
from everstep_operator.podspec import LABEL, PORT, config_map_name, owner_reference
from everstep_operator.settings import Settings

_NAME, _COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"


def belongings_of(job: Job, spec: TrainingJobSpec, settings: Settings) -> tuple[Manifest, ...]:
    """The objects that have to be there before the job's pods are."""
    budget = [_disruption_budget(job, spec.workers)] if spec.workers.replicas > 1 else []
    policy = [_network_policy(job, settings)] if settings.network_policies else []
    return (*budget, *policy)


def unwanted_of(job: Job, settings: Settings) -> tuple[Manifest, ...]:
    """The objects that an operator of other settings may have given the job, and that this one takes away."""
    return () if settings.network_policies else (_network_policy(job, settings),)


def _disruption_budget(job: Job, workers: Workers) -> Manifest:
    """Drains take as many workers as the job can lack, of one that needs all one after the other.

    If it were fewer, a job that already lacks workers, as where the cluster has no room, would hold up each drain. So
    would a `minAvailable` once the job has its fewest.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(job),
        "spec": {
            "maxUnavailable": max(1, workers.replicas - (workers.min_replicas or workers.replicas)),
            "selector": _selector(job),
            # A worker that is not ready trains nothing, so it holds up no drain.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _network_policy(job: Job, settings: Settings) -> Manifest:
    """Workers talk to one another unencrypted, so others reach them for figures alone, and only who gathers those."""
    operator = {"podSelector": {"matchLabels": {_NAME: "everstep", _COMPONENT: "operator"}}}
    prometheus = {"podSelector": {"matchLabels": {_NAME: "prometheus"}}, "namespaceSelector": {}}
    home = {"matchLabels": {"kubernetes.io/metadata.name": settings.namespace}} if settings.namespace else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(job),
        "spec": {
            "podSelector": _selector(job),
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": _selector(job)}]},
                {
                    "from": [{**operator, "namespaceSelector": home}, prometheus],
                    "ports": [{"port": PORT, "protocol": "TCP"}],
                },
            ],
        },
    }


def _metadata(job: Job) -> Manifest:
    return {
        "name": config_map_name(job.key.name),
        "namespace": job.key.namespace,
        "labels": {"app.kubernetes.io/managed-by": "everstep", f"{LABEL}/job-name": job.key.name},
        "ownerReferences": [owner_reference(job)],
    }


def _selector(job: Job) -> Manifest:
    return {"matchLabels": {f"{LABEL}/job-uid": job.uid}}
