"""Finds one's way through the models: the fields by their names in a manifest, and the models behind them."""

from collections.abc import Iterator
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from everstep_api.resource import Note, Resource

Path = tuple[str | int, ...]


class Field(NamedTuple):
    """A field of a model, as a manifest has it."""

    name: str
    info: FieldInfo
    model: type[Resource] | None
    """The model of the field's value, or of each entry when the value is a list."""

    @property
    def is_list(self) -> bool:
        """Whether the value is a list."""
        return any(get_origin(kind) is tuple for kind in _kinds(self.info.annotation))

    @property
    def words(self) -> set[str] | None:
        """The words that the value is one of, if they are a closed set."""
        closed = [words for kind in _kinds(self.info.annotation) if (words := _words(kind)) is not None]
        return set().union(*closed) if closed else None

    def has(self, note: object) -> bool:
        """Whether the field carries this metadata."""
        return note in self.info.metadata

    def notes(self, key: str) -> list[Any]:
        """The values of the field's notes under this key."""
        return [note.value for note in self.info.metadata if isinstance(note, Note) and note.key == key]


def fields_of(model: type[Resource] | None) -> dict[str, Field]:
    """The fields of the model by their names in a manifest; none for what has no model."""
    if model is None:
        return {}
    fields = [Field(info.alias or name, info, _model_in(info.annotation)) for name, info in model.model_fields.items()]
    return {field.name: field for field in fields}


def model_at(path: Path, model: type[Resource]) -> type[Resource] | None:
    """The model of what lies at the path, if it has one."""
    found: type[Resource] | None = model
    for step in path:
        if isinstance(step, str):
            field = fields_of(found).get(step)
            found = field.model if field else None
    return found


def dotted(path: Path) -> str:
    """The path as people write it: `recipe.data.train[0].source`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, else the type itself."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in {Union, UnionType}:
        return (annotation,)
    return tuple(kind for member in get_args(annotation) for kind in _kinds(member))


def _words(kind: Any) -> set[str] | None:
    if get_origin(kind) is Literal:
        return set(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {word.value for word in kind}
    return None


def _model_in(annotation: Any) -> type[Resource] | None:
    if isinstance(annotation, type) and issubclass(annotation, Resource):
        return annotation
    return next(_models_in(get_args(annotation)), None)


def _models_in(annotations: tuple[Any, ...]) -> Iterator[type[Resource]]:
    for annotation in annotations:
        model = _model_in(annotation)
        if model is not None:
            yield model
