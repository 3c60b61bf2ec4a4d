"""Whether the job may have pods: its spec can be acted upon, and the cluster takes the pods that follow from it."""

from dataclasses import dataclass

from everstep_api import sentences
from everstep_api.conditions import Statement
from everstep_api.job import TrainingJobSpec
from everstep_api.resolve import SpecError, resolve
from everstep_api.status import UsedProfile
from everstep_operator.decide.facts import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What the job's spec comes to."""

    spec: TrainingJobSpec | None
    """The resolved spec; None when there is none."""
    profile: UsedProfile | None
    may_make_pods: bool
    said: Statement


def accept(seen: Observation) -> Acceptance:
    """Resolve the job's spec and say whether pods may be made for it now."""
    try:
        resolved = resolve(seen.job.spec, seen.profiles)
    except SpecError as error:
        return Acceptance(
            spec=None,
            profile=seen.job.status.profile,
            may_make_pods=False,
            said=sentences.spec_invalid(error.mistakes),
        )
    refusal = seen.refusal
    return Acceptance(
        spec=resolved.spec,
        profile=resolved.profile,
        may_make_pods=refusal is None or seen.now >= refusal.retry_at,
        said=sentences.pod_refused(refusal.sentence)
        if refusal is not None
        else sentences.spec_resolved(resolved.profile.name if resolved.profile else None),
    )
