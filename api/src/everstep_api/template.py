"""The pod template of the workers: what a pod can have and no field of ours says."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from everstep_api.environment import OPERATOR_ENVIRONMENT, RESERVED_VARIABLE
from everstep_api.resource import Manifest, Resource, absent, by_name
from everstep_api.rules import Rule, formatted
from everstep_api.values import Labels, Name

OPERATOR_KEYS = "everstep.dev/"
"""How labels and annotations begin by which the operator knows its pods."""


def _set_elsewhere(field: str, remedy: str) -> Rule:
    return Rule.of(
        f'self.name != "trainer" || !has(self.{field})',
        holds=lambda container: container.name != "trainer" or field not in container.model_fields_set,
        says=f"the container trainer sets {field}; {remedy}",
        at=f".{field}",
    )


def _reserved_variable(container: Any) -> str | None:
    names = [variable.name for variable in container.env or ()] if container.name == "trainer" else []
    return next((RESERVED_VARIABLE % name for name in names if name.startswith(OPERATOR_ENVIRONMENT)), None)


_OUR_VARIABLES = f'self.env.filter(v, v.name.startsWith("{OPERATOR_ENVIRONMENT}"))'
_no_variable_of_ours = Rule(
    cel=f'self.name != "trainer" || !has(self.env) || {_OUR_VARIABLES}.size() == 0',
    sentence_cel=formatted(RESERVED_VARIABLE, [f"{_OUR_VARIABLES}[0].name"]),
    check=_reserved_variable,
    at=".env",
)


def _no_key_of_ours(noun: str) -> Rule:
    """A map of labels or annotations without those by which the operator finds its pods."""
    ours = f'self.filter(key, key.startsWith("{OPERATOR_KEYS}"))'
    says = f"the {noun} %s begins with {OPERATOR_KEYS}, which is reserved for the operator; use another prefix"

    def check(entries: dict[str, Any]) -> str | None:
        return next((says % key for key in entries if key.startswith(OPERATOR_KEYS)), None)

    return Rule(cel=f"{ours}.size() == 0", sentence_cel=formatted(says, [f"{ours}[0]"]), check=check)


class TemplateVariable(Resource):
    """A variable of a container, in the words of a pod."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(max_length=256)]
    """Name of the variable."""


TemplateVariables = Annotated[tuple[TemplateVariable, ...], Field(max_length=128), by_name]


class TemplateContainer(Resource):
    """A container of the template; one named `trainer` is merged into the worker's own."""

    model_config = ConfigDict(extra="allow")
    guards = (
        _set_elsewhere("image", "set spec.workers.image instead"),
        _set_elsewhere("command", "remove it, because Everstep's agent runs the recipe"),
        _set_elsewhere("args", "remove it, because Everstep's agent runs the recipe"),
        _set_elsewhere("resources", "set spec.workers.resources instead"),
        _no_variable_of_ours,
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
    env: Annotated[TemplateVariables | None, absent("none")] = None
    """Environment variables, by name; in `trainer`, names that begin with EVERSTEP_ are reserved."""


class TemplatePodSpec(Resource):
    """Any fields of a pod's spec; checked by a dry run of the first pod."""

    model_config = ConfigDict(extra="allow")

    containers: Annotated[
        tuple[TemplateContainer, ...], Field(max_length=16), by_name, absent("the worker's container alone")
    ] = ()
    """Containers beside the worker's; one named `trainer` adds env, mounts, ports and a security context to it."""


class TemplateMetadata(Resource):
    """Labels and annotations for the pods."""

    labels: Annotated[Labels, _no_key_of_ours("label"), absent("none but the operator's")] = Field(default_factory=dict)
    """Labels that each pod gets beside the operator's own, which begin with everstep.dev/."""
    annotations: Annotated[Labels, _no_key_of_ours("annotation"), absent("none")] = Field(default_factory=dict)
    """Annotations that each pod gets; those that begin with everstep.dev/ are reserved."""


class Template(Resource):
    """Whatever else the pods are to have, as in a pod template of Kubernetes."""

    metadata: TemplateMetadata = TemplateMetadata()
    """Labels and annotations of the pods."""
    spec: TemplatePodSpec = TemplatePodSpec()
    """Fields of the pods' spec: nodeSelector, tolerations, volumes and all others. The operator sets what is left
    open."""
