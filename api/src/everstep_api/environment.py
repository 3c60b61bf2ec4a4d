"""The environment of the workers: variables with a value, or with the place where their value is."""

from typing import Annotated

from pydantic import Field

from everstep_api.resource import Resource, absent
from everstep_api.rules import Rule, exactly_one_of, matches
from everstep_api.values import Key, ObjectName

OPERATOR_ENVIRONMENT = "EVERSTEP_"
"""How the variables begin by which the operator speaks to its agents."""
RESERVED_VARIABLE = f"%s begins with {OPERATOR_ENVIRONMENT}, which is reserved for the operator; use another name"


class KeySelector(Resource):
    """One key of a Secret or ConfigMap in the job's namespace."""

    name: ObjectName
    """Name of the object."""
    key: Key
    """The key in it."""
    optional: bool = False
    """Whether a worker starts without the variable if the object or the key is missing."""


class FieldSelector(Resource):
    """A field of the worker's own pod."""

    field_path: Annotated[str, Field(max_length=253)]
    """Path of the field, such as `status.hostIP`."""


class EnvironmentSource(Resource):
    """Where a variable's value comes from; exactly one of the three."""

    one_of = ("secretKeyRef", "configMapKeyRef", "fieldRef")
    guards = (exactly_one_of(*one_of),)

    secret_key_ref: Annotated[KeySelector | None, absent("another source is given")] = None
    """A key of a Secret; the operator never reads it."""
    config_map_key_ref: Annotated[KeySelector | None, absent("another source is given")] = None
    """A key of a ConfigMap."""
    field_ref: Annotated[FieldSelector | None, absent("another source is given")] = None
    """A field of the worker's pod."""


class EnvironmentVariable(Resource):
    """One variable, with a value or with the place where its value is."""

    one_of = ("value", "valueFrom")
    guards = (exactly_one_of(*one_of),)

    name: Annotated[
        str,
        Field(max_length=256),
        matches(
            "[-._a-zA-Z][-._a-zA-Z0-9]*",
            says="'%s' is not a valid variable name; use letters, digits, '_', '-' and '.', but no digit first",
        ),
        Rule.of(
            f'!self.startsWith("{OPERATOR_ENVIRONMENT}")',
            holds=lambda name: not name.startswith(OPERATOR_ENVIRONMENT),
            says=RESERVED_VARIABLE,
            shows=[""],
        ),
    ]
    """Name of the variable; names that begin with EVERSTEP_ are the operator's."""
    value: Annotated[str | None, Field(max_length=32_768), absent("`valueFrom` is given")] = None
    """The value; numbers need quotes."""
    value_from: Annotated[EnvironmentSource | None, absent("`value` is given")] = None
    """A Secret's or ConfigMap's key or a field of the pod."""
