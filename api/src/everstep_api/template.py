"""The pod template of the workers: what a pod can have and no field of ours says."""

from typing import Annotated

from pydantic import ConfigDict, Field

from everstep_api.resource import Manifest, Resource, absent, by_name
from everstep_api.rules import Rule
from everstep_api.values import Labels, Name


def _set_elsewhere(field: str, remedy: str) -> Rule:
    return Rule.of(
        f'self.name != "trainer" || !has(self.{field})',
        holds=lambda container: container.name != "trainer" or field not in container.model_fields_set,
        says=f"the container trainer sets {field}; {remedy}",
        at=f".{field}",
    )


class TemplateContainer(Resource):
    """A container of the template; one named `trainer` is merged into the worker's own."""

    model_config = ConfigDict(extra="allow")
    guards = (
        _set_elsewhere("image", "set spec.workers.image instead"),
        _set_elsewhere("command", "remove it: a recipe is run by Everstep's agent"),
        _set_elsewhere("args", "remove it: a recipe is run by Everstep's agent"),
        _set_elsewhere("resources", "set spec.workers.resources instead"),
    )

    name: Name
    """Name of the container; `trainer` is the worker's own."""
    image: Annotated[str | None, Field(max_length=512), absent("the container is `trainer`")] = None
    """Image of a container beside the trainer."""
    command: Annotated[tuple[str, ...] | None, Field(max_length=256), absent("the image's")] = None
    """Command of a container beside the trainer."""
    args: Annotated[tuple[str, ...] | None, Field(max_length=256), absent("the image's")] = None
    """Arguments of a container beside the trainer."""
    resources: Annotated[Manifest | None, absent("no limits")] = None
    """Resources of a container beside the trainer."""


class TemplatePodSpec(Resource):
    """Any fields of a pod's spec; checked by a dry run of the first pod."""

    model_config = ConfigDict(extra="allow")

    containers: Annotated[
        tuple[TemplateContainer, ...], Field(max_length=16), by_name, absent("the worker's container alone")
    ] = ()
    """Containers beside the worker's; one named `trainer` adds env, mounts, ports and a security context to it."""


class TemplateMetadata(Resource):
    """Labels and annotations for the pods."""

    labels: Annotated[Labels, absent("none but the operator's")] = Field(default_factory=dict)
    """Labels that each pod gets beside the operator's own."""
    annotations: Annotated[Labels, absent("none")] = Field(default_factory=dict)
    """Annotations that each pod gets."""


class Template(Resource):
    """What else the pods shall have, in the words of a pod template."""

    metadata: TemplateMetadata = TemplateMetadata()
    """Labels and annotations of the pods."""
    spec: TemplatePodSpec = TemplatePodSpec()
    """Fields of the pods' spec: nodeSelector, tolerations, volumes and all others. What it leaves open is ours."""
