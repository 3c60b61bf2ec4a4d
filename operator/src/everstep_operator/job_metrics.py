"""The series of jobs, read from what the operator writes into their status, and gone with the job.

A counter counts what this process wrote. A new leader begins at 0, which Prometheus takes for what it is: the series of
another process.
"""

from collections.abc import Iterator, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from everstep_api.history import LaunchMilliseconds, PastRecovery, Recoveries, RecoveryMilliseconds
from everstep_api.status import TrainingJobStatus, WorkerCounts
from everstep_operator.decide.facts import JobKey
from everstep_operator.decide.failures import Cause

_JOB = ("training_namespace", "training_job")
_STAGES = tuple(LaunchMilliseconds.model_fields)
_TIMED = ("agree", "restore", "first_step")
"""The stages of a recovery that the operator can time: from the fault to its report only who was hit could."""
_WORKERS = ("active", "ready", "training")
_LAUNCH_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 900, 3600)


def _phases() -> tuple[str, ...]:
    """The words of `status.phase`."""
    literal, _ = get_args(TrainingJobStatus.model_fields["phase"].annotation)
    return get_args(literal)


class JobMetrics:
    """What is to be seen of each job from its status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._known: set[JobKey] = set()
        self._phases = _phases()
        self._launches = Histogram(
            "everstep_launch_seconds",
            "Seconds of each stage from the apply to the first step, over all jobs.",
            ["stage"],
            buckets=_LAUNCH_BUCKETS,
            registry=registry,
        )

        def gauge(name: str, says: str, *labels: str) -> Gauge:
            return Gauge(f"everstep_{name}", says, (*_JOB, *labels), registry=registry)

        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(f"everstep_{name}", says, (*_JOB, *labels), registry=registry)

        self._phase = gauge("job_phase", "1 for the phase that the job is in, 0 for the others.", "phase")
        self._workers = gauge("job_workers", "Workers of the job: active, ready, and training in its world.", "state")
        self._world = gauge("job_world", "Number of the job's world; each loss and each resize brings a greater one.")
        self._launch = gauge("job_launch_seconds", "Seconds of each stage of the job's own launch.", "stage")
        self._durable = gauge("durable_step", "Step of the newest checkpoint in the storage.")
        self._recoveries = counter("recoveries", "Losses that the job outlived, by cause.", "cause")
        self._seconds = counter(
            "recovery_seconds",
            "Seconds from losses to the next step, by stage: until the next world, until all state is there, the step.",
            "stage",
        )
        self._steps = counter("lost_steps", "Steps that had to be done again after losses.")
        self._of_jobs = (
            self._phase,
            self._workers,
            self._world,
            self._launch,
            self._durable,
            self._recoveries,
            self._seconds,
            self._steps,
        )

    def follow(self, key: JobKey, old: TrainingJobStatus, new: TrainingJobStatus) -> None:
        """Show the job as the new status has it, which was written in place of the old one."""
        if key not in self._known:
            self._begin(key)
        for phase in self._phases:
            self._phase.labels(*key, phase).set(phase == new.phase)
        counts = new.workers or WorkerCounts()
        for state in _WORKERS:
            self._workers.labels(*key, state).set(getattr(counts, state))
        if new.world is not None:
            self._world.labels(*key).set(new.world.number)
        if new.checkpoints is not None and new.checkpoints.durable is not None:
            self._durable.labels(*key).set(new.checkpoints.durable.step)
        self._show_launch(key, old.launch_milliseconds, new.launch_milliseconds)
        self._count_recoveries(key, old.recoveries or Recoveries(), new.recoveries or Recoveries())

    def forget(self, key: JobKey) -> None:
        """Remove the series of a job that is gone."""
        self._known.discard(key)
        labels = dict(zip(_JOB, key, strict=True))
        for metric in self._of_jobs:
            metric.remove_by_labels(labels)

    def _begin(self, key: JobKey) -> None:
        """Let each counter begin at 0: of one that begins at 1 Prometheus sees no increase."""
        self._known.add(key)
        for cause in Cause:
            self._recoveries.labels(*key, cause)
        for stage in _TIMED:
            self._seconds.labels(*key, stage)
        self._steps.labels(*key)

    def _show_launch(self, key: JobKey, old: LaunchMilliseconds | None, new: LaunchMilliseconds | None) -> None:
        if new is None:
            self._launch.remove_by_labels(dict(zip(_JOB, key, strict=True)))
            return
        is_over = new.first_step is not None and (old is None or old.first_step is None)
        for stage in _STAGES:
            if (value := getattr(new, stage)) is not None:
                self._launch.labels(*key, stage).set(value / 1000)
                if is_over:
                    self._launches.labels(stage).observe(value / 1000)

    def _count_recoveries(self, key: JobKey, old: Recoveries, new: Recoveries) -> None:
        for entry in new.recent[: max(0, new.total - old.total)]:
            self._recoveries.labels(*key, entry.cause).inc()
        known = {entry.world: entry for entry in old.recent}
        for entry in new.recent:
            before = known.get(entry.world)
            for stage, milliseconds in _growth(before, entry):
                self._seconds.labels(*key, stage).inc(milliseconds / 1000)
            self._steps.labels(*key).inc((entry.lost_steps or 0) - ((before and before.lost_steps) or 0))


def _growth(before: PastRecovery | None, after: PastRecovery) -> Iterator[tuple[str, int]]:
    """The milliseconds of each stage that the later record has and the earlier one has not."""
    known, told = _times(before), _times(after)
    return ((stage, (told[stage] or 0) - (known[stage] or 0)) for stage in _TIMED)


def _times(entry: PastRecovery | None) -> Mapping[str, int | None]:
    times = entry.milliseconds if entry is not None else None
    return (times or RecoveryMilliseconds()).model_dump()
