"""All that the operator knows about jobs, without I/O, clock or log: an `Observation` goes in, a `Decision` comes out.

Start at `decide`, below. `acceptance` says whether the job may have pods, `pods` which should exist, `members` how
each member of the world stands to it, `failures` who is lost and what that costs, `world` who trains with whom,
`ending` when it is over, `conditions` and `status` what people and the next decision read. It imports `everstep_api`
alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from everstep_api import sentences
from everstep_api.conditions import ConditionType, Occurrence, Statement, severity_of
from everstep_api.history import Recoveries
from everstep_api.job import TrainingJobSpec
from everstep_operator.decide import status
from everstep_operator.decide.acceptance import Acceptance, accept, is_pin_lost, pinned_image
from everstep_operator.decide.conditions import Scene, statements
from everstep_operator.decide.decision import Decision, Event
from everstep_operator.decide.ending import after_the_end, deadlines, judge
from everstep_operator.decide.facts import Observation, Pod
from everstep_operator.decide.failures import Loss, loss_of, pause_asked, recorded
from everstep_operator.decide.members import Standing, Standings, standings_of
from everstep_operator.decide.obstacles import slow_start
from everstep_operator.decide.pods import doomed_pods, plan_pods
from everstep_operator.decide.world import WorldPlan, plan_world

__all__ = ["decide"]

_GLANCE_S = 1.0
"""How soon is looked again while something is awaited that tells nobody when it happens, such as silence."""


_LACKING_S = 10.0
"""How soon is looked again for an object that the job names, of which nobody tells when it comes."""


def decide(seen: Observation) -> Decision:
    """Say what shall be done about the job now, so that nothing else has to be known to do it."""
    accepted = accept(seen)
    if seen.job.status.endings:
        return after_the_end(seen, accepted.spec)
    if accepted.spec is None:
        # Whatever runs was accepted once, so it goes on.
        return Decision(
            status=status.refused(seen, accepted.said),
            events=_events(seen, [accepted.said]),
            look_again_s=_LACKING_S if accepted.is_lacking else None,
        )
    spec, standings = accepted.spec, standings_of(seen)
    loss, recoveries = loss_of(seen, spec, standings), seen.job.status.recoveries
    if loss is not None:
        recoveries = recorded(seen.job.status, loss, spec.recovery)
    verdict = judge(seen, spec, standings, loss, recoveries or Recoveries())
    if verdict is None:
        return _go_on(seen, accepted, spec, standings, loss=loss, recoveries=recoveries)
    return Decision(
        status=status.ended(seen, spec, verdict, recoveries),
        spec=spec,
        events=_events(seen, [verdict.said]),
        look_again_s=0.0,  # what follows from the end is decided from the status that has it
    )


def _go_on(
    seen: Observation,
    accepted: Acceptance,
    spec: TrainingJobSpec,
    standings: Standings | None,
    *,
    loss: Loss | None,
    recoveries: Recoveries | None,
) -> Decision:
    """The decision for a job that goes on."""
    replicas = 0 if spec.suspend else spec.workers.replicas
    lost = _doomed(standings, loss)
    pods = plan_pods(seen, replicas=replicas, doomed=lost)
    plan = plan_world(seen, spec, pods, standings, loss)
    scene = Scene(seen=seen, spec=spec, wanted=pods.wanted, plan=plan, loss=loss)
    said = [accepted.said, *statements(scene)]
    image = pinned_image(seen, accepted.image)
    staying = _members_that_stay(seen, plan) - lost
    may_create = accepted.may_make_pods and not seen.job.is_deleted
    create = tuple(replace(pod, image=image) for pod in pods.missing) if may_create else ()
    # A pod that is to come later is one that may be refused again.
    tries_again = seen.refusal is not None and accepted.may_make_pods and (bool(create) or pods.retry_at is None)
    return Decision(
        status=status.going_on(accepted, scene, said, recoveries),
        spec=spec,
        pin=accepted.pin,
        prepares=_prepares(seen, pods.wanted, tries_again=tries_again),
        tries_again=tries_again,
        create=create,
        is_rehearsed=not _was_accepted(seen),
        delete=tuple(doomed_pods(pods, staying)),
        directives=plan.directives,
        events=(*_events(seen, said), *_pinned_again(seen, accepted)),
        look_again_s=0.0
        if (plan.is_new or plan.is_over) and any(pod.uid in staying for pod in pods.surplus)
        else _look_again(seen, spec, plan, standings, retry_at=pods.retry_at),
    )


def _prepares(seen: Observation, wanted: Sequence[Pod], *, tries_again: bool) -> bool:
    """Whether what there must be before pods may be missing, or not be what it should be, though no pod is made now."""
    if seen.job.is_deleted:
        return False
    if seen.pin is None:
        return is_pin_lost(seen)
    # What a job owns follows its counts of workers.
    is_changed = seen.job.status.observed_generation != seen.job.generation
    # A container that is not made may lack the job's own ConfigMap, which somebody may have deleted.
    return tries_again or is_changed or slow_start(wanted, seen.now) is not None


def _members_that_stay(seen: Observation, plan: WorldPlan) -> set[str]:
    """uids of pods that a world needs: the planned one, or the written one until it is written that it is over.

    If its pod was gone before that and we died then, the next leader would take a planned change for a loss.
    """
    worlds = [] if plan.is_over else [plan.world]
    written = seen.job.status.world
    if written is not None and written.end_time is None:
        worlds.append(written)
    return {member.pod_uid for world in worlds if world is not None for member in world.members}


def _was_accepted(seen: Observation) -> bool:
    """Whether the cluster took pods of this generation before."""
    return any(
        condition.type == ConditionType.ACCEPTED
        and condition.status == "True"
        and condition.observed_generation == seen.job.generation
        for condition in seen.job.status.conditions
    )


def _doomed(standings: Standings | None, loss: Loss | None) -> set[str]:
    """uids of pods that run but are no good any more."""
    silent = {uid for uid, standing in standings.by_uid.items() if standing is Standing.SILENT} if standings else set()
    return silent | ({loss.pod_uid} if loss is not None and loss.action == "ReplacePod" else set())


def _events(seen: Observation, said: Iterable[Statement]) -> tuple[Event, ...]:
    """An event for each statement that is another one than the job's status has."""
    old = {condition.type: condition.reason for condition in seen.job.status.conditions}
    return tuple(
        Event(type=severity_of(statement.reason), reason=statement.reason, message=statement.message)
        for statement in said
        if old.get(statement.type) != statement.reason
    )


def _pinned_again(seen: Observation, accepted: Acceptance) -> tuple[Event, ...]:
    """What is to be told of a job that is held to the present profile and defaults, since the former ones are lost."""
    if not is_pin_lost(seen):
        return ()
    is_same = accepted.profile == seen.job.status.profile
    message = sentences.pinned_again(accepted.profile.name if accepted.profile else None, is_same=is_same)
    return (Event(type=severity_of(Occurrence.PINNED_AGAIN), reason=Occurrence.PINNED_AGAIN, message=message),)


def _look_again(
    seen: Observation,
    spec: TrainingJobSpec,
    plan: WorldPlan,
    standings: Standings | None,
    *,
    retry_at: datetime | None,
) -> float | None:
    """Seconds until time alone may change this decision."""
    moments = [moment for moment, _ in deadlines(seen, spec)]
    if retry_at is not None:
        moments.append(retry_at)
    if seen.refusal is not None:
        moments.append(seen.refusal.retry_at)
    if (asked := pause_asked(seen.job.status)) is not None:
        moments.append(asked + seen.limits.grace - seen.limits.pause_margin)
    waits = [wait for moment in moments if (wait := (moment - seen.now).total_seconds()) > 0]
    is_calm = not (plan.is_over or plan.is_new or plan.is_pausing)
    if is_calm and standings is not None and standings.are_all(Standing.INSIDE):
        waits.append(seen.limits.progress_every.total_seconds())
    elif any(pod.is_live for pod in seen.pods):
        waits.append(_GLANCE_S)
    return min(waits, default=None)
