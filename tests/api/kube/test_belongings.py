"""What a job owns beside its pods, on a real API server."""

from dataclasses import replace

from everstep_api.resolve import resolve
from everstep_operator.belongings import belongings_of, unwanted_of
from everstep_operator.decide.pin import pin_now
from everstep_operator.kube.client import Client
from everstep_operator.kube.cluster import KubeCluster
from everstep_operator.settings import Settings
from tests.api.kube.calls import a_cluster, on, read
from tests.api.kube.workplace import Workplace
from tests.builders import Manifest, a_job

_BUDGET = "/apis/policy/v1/{here}/poddisruptionbudgets/finetune-everstep"
_POLICIES = "/apis/networking.k8s.io/v1/{here}/networkpolicies"
_POLICY = f"{_POLICIES}/finetune-everstep"


def stored(workplace: Workplace, path: str) -> tuple[Manifest, Manifest]:
    """The object's metadata and its spec."""
    found = workplace.call("GET", path)
    return found["metadata"], found["spec"]


def test_budget_and_policy_are_made_once_and_taken_back_from_who_changed_them(workplace: Workplace) -> None:
    async def talk(client: Client, cluster: KubeCluster) -> None:
        job = await read(cluster, workplace, name)
        wanted = belongings_of(job, resolve(job.spec, {}).spec, Settings(sync_url="https://operator:8443"))
        pin = pin_now(job.spec, {}, image="trainer")
        await cluster.prepare(job, pin, wanted)
        metadata, spec = stored(workplace, _BUDGET)
        assert [owner["uid"] for owner in metadata["ownerReferences"]] == [job.uid]
        assert (spec["maxUnavailable"], spec["selector"]["matchLabels"]) == (1, {"everstep.dev/job-uid": job.uid})
        await a_cluster(client, workplace).prepare(job, pin, wanted)
        again, _ = stored(workplace, _BUDGET)
        assert again["resourceVersion"] == metadata["resourceVersion"], "nothing is written that is there"
        change: Manifest = {"spec": {"ingress": [{}]}}
        workplace.call("PATCH", _POLICY, change, kind="application/merge-patch+json")
        await a_cluster(client, workplace).prepare(job, pin, wanted)
        _, policy = stored(workplace, _POLICY)
        assert [rule.get("ports", [{}])[0].get("port") for rule in policy["ingress"]] == [None, 8470]

    name = workplace.apply(a_job().workers(2))
    on(workplace, talk)


def test_a_policy_is_taken_from_its_job_and_from_nobody_else(workplace: Workplace) -> None:
    def names() -> list[str]:
        return [found["metadata"]["name"] for found in workplace.call("GET", _POLICIES)["items"]]

    async def talk(_client: Client, cluster: KubeCluster) -> None:
        job = await read(cluster, workplace, name)
        settings = Settings(sync_url="https://operator:8443", network_policies=False)
        [unwanted] = unwanted_of(job, settings)
        await cluster.remove(job, unwanted)
        wanted = belongings_of(job, resolve(job.spec, {}).spec, Settings(sync_url="https://operator:8443"))
        await cluster.prepare(job, pin_now(job.spec, {}, image="trainer"), wanted)
        assert names() == [unwanted["metadata"]["name"]]
        await cluster.remove(replace(job, uid="another"), unwanted)
        assert names() == [unwanted["metadata"]["name"]]
        await cluster.remove(job, unwanted)
        assert names() == []

    name = workplace.apply(a_job().workers(2))
    on(workplace, talk)


def test_a_budget_follows_the_counts_of_a_job_that_runs(workplace: Workplace) -> None:
    async def talk(_client: Client, cluster: KubeCluster) -> None:
        job = await read(cluster, workplace, name)
        pin = pin_now(job.spec, {}, image="trainer")
        for builder, unavailable in ((a_job().workers(8, at_least=2), 6), (a_job().workers(8), 1)):
            wanted = belongings_of(job, resolve(builder.spec, {}).spec, Settings(sync_url="https://operator:8443"))
            await cluster.prepare(job, pin, wanted)
            _, spec = stored(workplace, _BUDGET)
            assert spec["maxUnavailable"] == unavailable

    name = workplace.apply(a_job().workers(2))
    on(workplace, talk)
