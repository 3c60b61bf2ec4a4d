"""Gathers what is: one immutable Observation of a job, its pods, its agents and the time."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from everstep_operator.cluster import Cluster
from everstep_operator.decide.facts import Agent, JobKey, Observation, Refusal
from everstep_operator.decide.pin import template_key
from everstep_operator.settings import Settings


def clock() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Agents(Protocol):
    """What agents have reported."""

    def of(self, job_uid: str) -> Mapping[str, Agent]:
        """The newest report of each agent of the job, by pod uid."""
        ...

    def forget(self, job_uid: str) -> None:
        """Drop the reports of a job that is gone."""
        ...


class Observer:
    """Looks at one job at a time."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        agents: Agents,
        settings: Settings,
        refusals: dict[str, Refusal],
        now: Callable[[], datetime] = clock,
    ) -> None:
        self._cluster = cluster
        self._agents = agents
        self._settings = settings
        self._refusals = refusals
        self._now = now
        self._leading_since = now()
        self._keys: dict[str, JobKey] = {}

    async def observe(self, key: JobKey) -> Observation | None:
        """Everything about the job at this moment; None when it is gone."""
        job = await self._cluster.read_job(key)
        if job is None:
            return None
        profiles = await self._cluster.profiles()
        pin = await self._cluster.read_pin(job)
        template = template_key(job.spec, profiles) if pin is None else None
        pods = self._cluster.pods(job.uid)
        known = {pod.uid for pod in pods}
        agents = {uid: agent for uid, agent in self._agents.of(job.uid).items() if uid in known}
        refusal = self._refusals.get(job.uid)
        self._keys[job.uid] = key
        return Observation(
            now=self._now(),
            leading_since=self._leading_since,
            job=job,
            profiles=profiles,
            image=self._settings.image,
            chat_template=await self._cluster.read_key(job, template) if template is not None else None,
            pin=pin,
            pods=pods,
            agents=agents,
            refusal=refusal if refusal is not None and refusal.generation == job.generation else None,
            limits=self._settings.limits,
        )

    def key_of(self, job_uid: str) -> JobKey | None:
        """The place of the job of this uid, if it was ever seen."""
        return self._keys.get(job_uid)

    def forget(self, job_uid: str) -> None:
        """Drop what was kept of a job that is gone."""
        self._keys.pop(job_uid, None)
        self._agents.forget(job_uid)
        self._refusals.pop(job_uid, None)
