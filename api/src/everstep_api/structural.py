"""From pydantic's JSON schema to a structural schema of Kubernetes.

Kubernetes knows neither `$ref` nor `const`, no alternatives with null, and wants each type said once. Whatever this
compiler does not know it refuses, so that a new construct in a model fails here and not on somebody's cluster.
"""

from typing import Any

import yaml

from everstep_api.resource import DEFAULT_WORDS, JOB_ONLY

Schema = dict[str, Any]

LONGEST_WORD = 64
"""Characters of a word beside numbers: a bound on the cost of its rule, wide enough that the rule does the refusing."""

_KEPT = {
    "description",
    "enum",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "nullable",
    "pattern",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-validations",
}
_DROPPED = {"$defs", "additionalProperties", "default", "items", "properties", "required", "title"}


class SchemaError(ValueError):
    """A model says something that a structural schema cannot say."""


def structural(schema: Schema) -> Schema:
    """The whole JSON schema as a structural one, every reference replaced by what it refers to."""
    return _compiled(schema, schema.get("$defs", {}))


def _compiled(schema: Schema, definitions: Schema) -> Schema:
    schema = _one_type(_dereferenced(schema, definitions), definitions)
    compiled: Schema = {}
    for key, value in schema.items():
        if key in _KEPT:
            compiled[key] = value
        elif key == "const":
            compiled["enum"] = [value]
        elif key in {"exclusiveMinimum", "exclusiveMaximum"}:
            compiled[key] = True
            compiled[key.replace("exclusiveM", "m")] = value
        elif key == "x-kubernetes-int-or-string":
            compiled[key] = True
        elif key not in _DROPPED and not key.startswith("x-everstep-"):
            raise SchemaError(f"the key {key} has no counterpart in a structural schema; teach it to structural.py")
    return compiled | _list(schema, definitions) | _object(schema, definitions)


def _list(schema: Schema, definitions: Schema) -> Schema:
    if schema.get("type") != "array":
        return {}
    kind = schema.get("x-kubernetes-list-type", "atomic")
    return {"items": _compiled(schema["items"], definitions), "x-kubernetes-list-type": kind}


def _object(schema: Schema, definitions: Schema) -> Schema:
    if schema.get("type") != "object":
        return {}
    required = schema.get("required", [])
    compiled: Schema = {"required": required} if required else {}
    if "properties" in schema:
        compiled["properties"] = {
            name: _described(value, definitions, required=name in required)
            for name, value in schema["properties"].items()
        }
    match schema.get("additionalProperties", False):
        case True:
            compiled["x-kubernetes-preserve-unknown-fields"] = True
        case dict(values):
            compiled["additionalProperties"] = _compiled(values, definitions)
        case _:
            pass  # unknown fields are refused: structural schemas do so without being told
    return compiled


def _described(schema: Schema, definitions: Schema, *, required: bool) -> Schema:
    """A field, its description completed by what holds when it is absent."""
    compiled = _compiled(schema, definitions)
    words = [compiled.get("description", ""), _absence(schema, definitions, required=required)]
    if schema.get(JOB_ONLY):
        words.append("No profile can set it.")
    return {**compiled, "description": " ".join(" ".join(words).split())}


def _absence(schema: Schema, definitions: Schema, *, required: bool) -> str:
    if required:
        return "Required."
    if DEFAULT_WORDS in schema:
        return str(schema[DEFAULT_WORDS])
    default = schema.get("default")
    if default is None:
        return ""
    if isinstance(default, dict) and not _is_choice(default, schema, definitions):
        return "Absent: each of its fields has its own default."
    return f"Default: {_flow(default)}."


def _is_choice(default: Schema, schema: Schema, definitions: Schema) -> bool:
    """Whether the default chooses one of several fields, which the fields' own defaults do not say."""
    fields = _dereferenced(schema, definitions).get("properties", {})
    return any(value is not None and fields[name].get("default", value) != value for name, value in default.items())


def _flow(value: Any) -> str:
    """The value on one line of YAML, without what is null."""
    text = yaml.safe_dump(_without_nulls(value), default_flow_style=True, width=1000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return value


def _dereferenced(schema: Schema, definitions: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    target = definitions[schema["$ref"].removeprefix("#/$defs/")]
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def _one_type(schema: Schema, definitions: Schema) -> Schema:
    """The schema without alternatives: null falls away, a number or a text becomes int-or-string."""
    if "anyOf" not in schema:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    branches = [_dereferenced(branch, definitions) for branch in schema["anyOf"] if branch != {"type": "null"}]
    if len(branches) == 1:
        only = _one_type(branches[0], definitions)
        validations = [*only.get("x-kubernetes-validations", []), *rest.get("x-kubernetes-validations", [])]
        return {**only, **rest, **({"x-kubernetes-validations": validations} if validations else {})}
    if [branch["type"] for branch in branches] == ["integer", "string"]:
        longest = branches[1].get("maxLength", LONGEST_WORD)
        return {**rest, "x-kubernetes-int-or-string": True, "maxLength": longest}
    raise SchemaError(f"a structural schema has one type a field; this one has {schema['anyOf']}")
