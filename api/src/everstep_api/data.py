"""The data of a recipe: what is read, what is held out, and how documents become rows.

A document is one line of a source: a chat or a text. A row is what the model reads at once: up to `maxLength` tokens of
one or more documents.
"""

from typing import Annotated, Literal

from pydantic import Field

from everstep_api.addresses import StoreAddress
from everstep_api.resource import Resource, absent, derived, job_only
from everstep_api.rules import exactly_one_of
from everstep_api.values import Count

FieldName = Annotated[str, Field(min_length=1, max_length=256)]


class Fields(Resource):
    """Which fields of a document hold what."""

    messages: FieldName = "messages"
    """Field with the messages of a chat: a list of `{role, content}`."""
    text: FieldName = "text"
    """Field with the text."""


class Source(Resource):
    """Documents from one place."""

    source: StoreAddress
    """Address of files with one JSON document in each line, with `*` for several: s3, gs, az, pvc or file."""
    format: Annotated[
        Literal["chat", "text"] | None, derived("that of the first document, by the fields that it has")
    ] = None
    """What a document is: `chat` has messages, `text` has plain text."""
    fields: Fields = Fields()
    """Names of the fields in a document."""
    max_samples: Annotated[Count | None, absent("all")] = None
    """Largest number of documents that are read, from the beginning."""


class WeightedSource(Source):
    """Documents from one place, and how often they are seen."""

    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """How often the source is seen in an epoch: 0.5 for half of it, 2.0 for all of it twice."""


class Validation(Resource):
    """What is held out from training and evaluated; exactly one of the two."""

    one_of = ("fraction", "sources")
    guards = (exactly_one_of(*one_of),)

    fraction: Annotated[float | None, Field(ge=0, le=0.5), absent("sources are given")] = None
    """Share of the training documents that is held out, from 0 (none, and no evaluation) to 0.5; chosen by a hash of
    the document, so that a document stays on its side."""
    sources: Annotated[tuple[Source, ...] | None, Field(min_length=1, max_length=32), absent("fraction is given")] = (
        None
    )
    """Sources that are held out as a whole, and only evaluated on."""


class Data(Resource):
    """The documents of a recipe."""

    train: Annotated[tuple[WeightedSource, ...], Field(min_length=1, max_length=64), job_only]
    """The sources to train on, one or more."""
    validation: Validation = Validation(fraction=0.02)
    """What is held out: exactly one of fraction, sources."""
    loss_on: Annotated[Literal["assistant", "all"] | None, derived("`assistant` for chat, `all` for text")] = None
    """Which tokens the model learns to predict: those of the assistant's turns, or all."""
    max_length: Annotated[
        int | None, Field(ge=8, le=16_777_216), derived("2048, or the model's positions if these are fewer")
    ] = None
    """Most tokens in a row, the sequence that the model reads at once."""
    on_too_long: Literal["truncate", "split", "drop"] = "truncate"
    """What happens to a document with more tokens than a row: it is cut off, split into several, or left out and
    counted."""
    packing: Literal["best-fit", "none"] = "best-fit"
    """Whether short documents share a row without seeing one another (`best-fit`), or each has its own (`none`)."""
