"""Whether the job may have pods: its spec can be acted upon, and the cluster takes the pods that follow from it."""

from dataclasses import dataclass

from everstep_api import sentences
from everstep_api.conditions import Statement
from everstep_api.job import TrainingJobSpec
from everstep_api.model import LONGEST_TEMPLATE, ChatTemplate
from everstep_api.resolve import SpecError, resolve
from everstep_api.status import UsedProfile
from everstep_operator.decide.facts import Observation
from everstep_operator.decide.pin import Pin, pin_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What the job's spec comes to."""

    spec: TrainingJobSpec | None
    """The resolved spec; None when there is none."""
    profile: UsedProfile | None
    pin: Pin
    """What the job is held to, or will be from its first pod on."""
    may_make_pods: bool
    said: Statement
    is_lacking: bool = False
    """Whether something is not there that may come without a change of the job."""

    @property
    def image(self) -> str:
        """The workers' image as it is named: by job, profile or release."""
        return (self.spec.workers.image if self.spec is not None else None) or self.pin.image


def accept(seen: Observation) -> Acceptance:
    """Resolve the job's spec and say whether pods may be made for it now."""
    # What a lost pin had as the image, the status still has. Its digest stays: it may be all that names a version.
    image = seen.job.status.trainer_image or seen.image
    pin = seen.pin or pin_now(seen.job.spec, seen.profiles, image=image, chat_template=seen.chat_template)
    try:
        resolved = resolve(seen.job.spec, seen.profiles if seen.pin is None else pin.profiles, pin.defaults)
    except SpecError as error:
        return Acceptance(
            spec=None,
            profile=seen.job.status.profile,
            pin=pin,
            may_make_pods=False,
            said=sentences.spec_invalid(error.mistakes),
        )
    spec, lack = _with_template(resolved.spec, pin.chat_template)
    if lack is not None:
        return Acceptance(spec=None, profile=resolved.profile, pin=pin, may_make_pods=False, said=lack, is_lacking=True)
    refusal = seen.refusal
    return Acceptance(
        spec=spec,
        profile=resolved.profile,
        pin=pin,
        may_make_pods=refusal is None or seen.now >= refusal.retry_at,
        said=sentences.pod_refused(refusal.sentence)
        if refusal is not None
        else sentences.spec_resolved(resolved.profile.name if resolved.profile else None),
    )


def _with_template(spec: TrainingJobSpec, text: str | None) -> tuple[TrainingJobSpec, Statement | None]:
    """The spec with the text of its chat template in the place of the key that names it; else what is wrong."""
    recipe = spec.recipe
    template = recipe.model.chat_template
    reference = template.config_map_key_ref if template is not None else None
    if reference is None:
        return spec, None
    if text is None or not 1 <= len(text) <= LONGEST_TEMPLATE:
        characters = None if text is None else len(text)
        return spec, sentences.template_missing(reference.name, reference.key, characters=characters)
    model = recipe.model.model_copy(update={"chat_template": ChatTemplate(inline=text)})
    return spec.model_copy(update={"recipe": recipe.model_copy(update={"model": model})}), None


def is_pin_lost(seen: Observation) -> bool:
    """Whether the job was held to something that is not there any more."""
    return seen.pin is None and seen.job.status.trainer_image is not None


def pinned_image(seen: Observation, named: str) -> str:
    """The image of the workers' next pods: by digest once a pod has told it, so that a moved tag changes nothing.

    Args:
        seen: What is.
        named: The image as it is named.
    """
    known = [seen.job.status.trainer_image or "", *(pod.image for pod in seen.pods)]
    return next((image for image in known if image.startswith(f"{named}@")), named)
