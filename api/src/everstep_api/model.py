"""The model of a recipe: where it comes from, how it reads text, and which of it is trained."""

from typing import Annotated

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from everstep_api.addresses import ModelAddress
from everstep_api.resource import Manifest, Resource, absent, derived, job_only, kept_when_empty
from everstep_api.rules import Rule, exactly_one_of
from everstep_api.values import Count, Key, ObjectName

LONGEST_TEMPLATE = 65_536
ModuleName = Annotated[str, Field(min_length=1, max_length=256)]


class Tokenizer(Resource):
    """How text becomes tokens."""

    source: ModelAddress
    """Where the tokenizer's files are: s3, gs, az, hf, pvc, file, or a bare `organisation/name` of the hub."""


class ConfigMapKey(Resource):
    """One key of a ConfigMap in the job's namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: Key
    """The key in it."""


class ChatTemplate(Resource):
    """A Jinja template that turns messages into text; exactly one of the two."""

    one_of = ("inline", "configMapKeyRef")
    guards = (exactly_one_of(*one_of),)

    inline: Annotated[
        str | None, Field(min_length=1, max_length=LONGEST_TEMPLATE), absent("the template is in a ConfigMap")
    ] = None
    """The template itself. With `lossOn: assistant` it needs `{% generation %}` around the
    assistant's turns."""
    config_map_key_ref: Annotated[ConfigMapKey | None, absent("the template is inline")] = None
    """The key of a ConfigMap that holds the template."""


class Lora(Resource):
    """Low-rank adapters: the model's own weights stay as they are, and small matrices beside them are trained."""

    rank: Annotated[int, Field(ge=1, le=4096)] = 16
    """Inner dimension of the adapters."""
    alpha: Annotated[int, Field(ge=1, le=65_536)] = 32
    """Scale of the adapters; their output is multiplied by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of an adapter's inputs that is dropped at random in training, from 0 to below 1."""
    target_modules: Annotated[tuple[ModuleName, ...], Field(min_length=1, max_length=128)] = ("all-linear",)
    """Names of the layers that get adapters; `all-linear` stands for every linear layer except the output."""
    modules_to_save: Annotated[tuple[ModuleName, ...], Field(max_length=128), absent("none")] = ()
    """Names of layers that are trained in full and saved with the adapters."""
    rslora: bool = False
    """Whether the scale is alpha / sqrt(rank), which keeps large ranks stable."""


class ModelConfig(Resource):
    """A configuration of `transformers`; any of its fields, in its own spelling."""

    model_config = ConfigDict(alias_generator=None, extra="allow")

    model_type: Annotated[str, Field(min_length=1, max_length=128)]
    """Kind of model as `transformers` knows it, such as llama."""
    max_position_embeddings: Annotated[Count | None, absent("as many as this kind of model has by itself")] = None
    """Most tokens in a row that the model can read."""

    @model_serializer(mode="wrap")
    def _keep_nulls(self, handler: SerializerFunctionWrapHandler) -> Manifest:
        """To `transformers` null is a value, `sliding_window: null` say, where absence means the class's default."""
        return {**handler(self), **(self.model_extra or {})}


class Model(Resource):
    """The model: finished weights (`source`) or random ones (`config`)."""

    one_of = ("source", "config")
    guards = (
        exactly_one_of(*one_of),
        Rule.of(
            "!has(self.config) || !has(self.lora)",
            holds=lambda model: model.config is None or model.lora is None,
            says="has lora beside config, but adapters learn little on random weights; remove lora or name a source",
            at=".lora",
        ),
    )

    source: Annotated[ModelAddress | None, job_only, absent("config is given")] = None
    """Where the weights are: s3, gs, az, hf, pvc, file, or a bare `organisation/name` of the hub. The revision after
    `@` is resolved once, when the job first starts."""
    config: Annotated[ModelConfig | None, job_only, absent("source is given")] = None
    """A configuration of `transformers` with its model_type, for training from random weights, such as
    `{model_type: llama, hidden_size: 256, num_hidden_layers: 4}`. The size of the vocabulary follows the tokenizer. A
    null in it is a value, but plain `kubectl apply` drops nulls before the server sees them: use
    `kubectl apply --server-side`."""
    tokenizer: Annotated[Tokenizer | None, derived("the one beside the model's weights; with config it is needed")] = (
        None
    )
    """How text becomes tokens."""
    chat_template: Annotated[ChatTemplate | None, derived("the tokenizer's own")] = None
    """The template by which messages become text: exactly one of inline, configMapKeyRef."""
    lora: Annotated[Lora | None, kept_when_empty, absent("off, all weights are trained")] = None
    """Adapters instead of full fine-tuning; `{}` takes the default of each field."""
