"""Which pods should exist: as many live ones as the job wants, told apart by their workers' indices.

A pod that has ended or is on its way out is never waited for: its place is taken at once by a pod of another name. Only
where nodes refuse or evict one pod after the other, each further one comes later.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from everstep_operator.decide.decision import DoomedPod, NewPod
from everstep_operator.decide.facts import Observation, Pod

_KEPT_FAILURES = 6
"""Failed pods of a worker that stay for people to read, and by whose number the next one waits, up to 32 s. A node that
refuses every pod would else leave thousands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPlan:
    """Which of the pods are wanted, and which are missing."""

    wanted: tuple[Pod, ...]
    """Live pods that the next world may have, by worker."""
    surplus: tuple[Pod, ...]
    """Live pods that are not wanted; members of a world stay until the next one stands without them."""
    missing: tuple[NewPod, ...]
    stale: tuple[Pod, ...] = ()
    """Failed pods of which there are newer ones."""
    retry_at: datetime | None = None
    """When the next pod is due of those that have to wait."""


def plan_pods(seen: Observation, *, replicas: int, doomed: Collection[str] = ()) -> PodPlan:
    """Choose `replicas` of the live pods, and name what is missing.

    Args:
        seen: What is.
        replicas: Pods that the job wants; 0 when it is suspended.
        doomed: uids of live pods that are no good any more.
    """
    live = [pod for pod in seen.pods if pod.is_live and pod.uid not in doomed]
    avoided = {node.name for node in seen.job.status.avoided_nodes if node.until > seen.now}
    # Who does not run yet goes first, then who is on an avoided node, the newest, the highest index: each has the
    # least to lose.
    by_worth = sorted(live, key=lambda pod: (pod.started is None, pod.node in avoided, pod.created, pod.worker))
    wanted = sorted(by_worth[:replicas], key=lambda pod: pod.worker)
    surplus = [*by_worth[replicas:], *(pod for pod in seen.pods if pod.is_live and pod.uid in doomed)]
    taken = {pod.worker for pod in wanted}
    free = [worker for worker in range(replicas) if worker not in taken][: replicas - len(wanted)]
    due = {worker: _due(worker, seen) for worker in free}
    missing = [NewPod(worker=worker, replaces=_last(worker, seen.pods)) for worker in free if due[worker] <= seen.now]
    return PodPlan(
        wanted=tuple(wanted),
        surplus=tuple(surplus),
        missing=tuple(missing),
        stale=tuple(_stale(seen)),
        retry_at=min((moment for moment in due.values() if moment > seen.now), default=None),
    )


def doomed_pods(plan: PodPlan, members: Collection[str]) -> Iterator[DoomedPod]:
    """The surplus pods that no world has as members, so that they can go, and failed ones that say nothing new."""
    for pod in plan.stale:
        yield DoomedPod(name=pod.name, uid=pod.uid)
    for pod in plan.surplus:
        if pod.uid not in members:
            yield DoomedPod(name=pod.name, uid=pod.uid)


def _due(worker: int, seen: Observation) -> datetime:
    """When the worker may have another pod: at once after a failed one, and twice as late after each further one."""
    failed = [pod.created for pod in seen.pods if pod.worker == worker and pod.phase == "Failed"]
    further = min(len(failed), _KEPT_FAILURES) - 1
    if further < 1:
        return seen.now
    return max(failed) + timedelta(seconds=2**further)


def _stale(seen: Observation) -> Iterator[Pod]:
    for worker in {pod.worker for pod in seen.pods}:
        failed = [pod for pod in seen.pods if pod.worker == worker and pod.phase == "Failed" and not pod.is_deleted]
        yield from sorted(failed, key=lambda pod: pod.created, reverse=True)[_KEPT_FAILURES:]


def _last(worker: int, pods: tuple[Pod, ...]) -> str:
    """uid of the newest pod of this worker that there still is, whose name is therefore taken."""
    former = [pod for pod in pods if pod.worker == worker]
    return max(former, key=lambda pod: pod.created).uid if former else ""
