"""Reads manifests as kubectl does, so that a file means the same to `everstep run` and to `kubectl apply`.

Two things kubectl lets pass are refused here, each with its line: a key that stands twice in a mapping (kubectl keeps
the last one in silence), and a number that is not finite (kubectl fails on it with a message about JSON).
"""

import math
from typing import Any

import yaml

from everstep_api.resource import Manifest
from everstep_api.scalars import Scalar, plain_scalar

MOST_VALUES = 200_000
"""Values in a text after its aliases are written out; nested aliases can make billions of a few lines."""

_PLAIN = "plain"
_TAG = "tag:yaml.org,2002:"


class ManifestError(ValueError):
    """A text that is no manifest; `problems` has one sentence for each fault, with its line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read_manifests(text: str) -> list[Manifest]:
    """The objects of a YAML or JSON text; documents with nothing in them are passed over.

    Raises:
        ManifestError: The text is no YAML, or a document is no manifest.
    """
    try:
        documents = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ManifestError([f"{line}{error.problem}; correct the YAML"]) from error
    except yaml.reader.ReaderError as error:
        raise ManifestError(
            [f"the character at position {error.position} is not allowed in YAML; remove it"]
        ) from error
    reader = _Reader()
    values = [(node, reader.value(node)) for node in documents]
    manifests = [value for node, value in values if value is not None and reader.is_mapping(node, value)]
    if reader.problems:
        raise ManifestError(reader.problems)
    return manifests


class _Loader(yaml.SafeLoader):
    """PyYAML's composer, which leaves what a plain word means to us."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else f"{_TAG}str"
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]  # PyYAML has no types here


class _Reader:
    """Turns nodes into JSON values and keeps the sentences about what is wrong."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._open: list[yaml.Node] = []
        self._count = 0

    def is_mapping(self, node: yaml.Node, value: Any) -> bool:
        if not isinstance(value, dict):
            self._refuse(node, "this is not a mapping; begin a manifest with apiVersion, kind and metadata")
        return isinstance(value, dict)

    def value(self, node: yaml.Node) -> Any:
        if self._count >= MOST_VALUES:
            return None
        self._count += 1
        if self._count == MOST_VALUES:
            self._refuse(node, f"the text has more than {MOST_VALUES} values; use fewer, or fewer aliases")
        if any(node is other for other in self._open):
            self._refuse(node, "this alias is inside what it names; write the value out")
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item) for item in node.value]
            return self._scalar(node)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode) -> Manifest:
        mapping: Manifest = {}
        written: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge" or (key_node.tag == _PLAIN and key_node.value == "<<"):
                mapping.update(self._merged(value_node))
                continue
            key = self._key(key_node)
            if key in written:
                self._refuse(key_node, f"{key} is in this mapping twice; keep one of the two")
            written.add(key)
            mapping[key] = self.value(value_node)
        return mapping

    def _merged(self, node: yaml.Node) -> Manifest:
        """What `<<` adds. It overrides what stands above it, as in go-yaml v2, and the first of a list wins."""
        value = self.value(node)
        layers = value[::-1] if isinstance(value, list) else [value]
        if not all(isinstance(layer, dict) for layer in layers):
            self._refuse(node, "<< is not followed by a mapping; name an anchor of one")
            return {}
        return {key: item for layer in layers for key, item in layer.items()}

    def _key(self, node: yaml.Node) -> str:
        key = self._scalar(node) if isinstance(node, yaml.ScalarNode) else None
        match key:
            case bool():
                return str(key).lower()
            case str() | int():
                return str(key)
            case _:
                self._refuse(node, "this key is not text; put it in quotes")
                return ""

    def _scalar(self, node: yaml.Node) -> Scalar:
        if node.tag in {f"{_TAG}str", f"{_TAG}timestamp"}:
            return str(node.value)
        value = plain_scalar(node.value)
        if isinstance(value, float) and not math.isfinite(value):
            self._refuse(node, f"JSON cannot hold {node.value}; write a finite number")
        elif node.tag != _PLAIN and not _has_tag(value, node.tag):
            self._refuse(node, f"{node.value!r} has the tag {node.tag.replace(_TAG, '!!')}; write a plain value")
        return value

    def _refuse(self, node: yaml.Node, sentence: str) -> None:
        self.problems.append(f"line {node.start_mark.line + 1}: {sentence}")


def _has_tag(value: Scalar, tag: str) -> bool:
    match tag.removeprefix(_TAG):
        case "bool":
            return isinstance(value, bool)
        case "int":
            return type(value) is int
        case "float":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "null":
            return value is None
        case _:
            return False
