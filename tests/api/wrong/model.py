"""Wrong manifests about the recipe: model, tokenizer, adapters."""

from tests.api.wrong.case import GONE, Wrong, wrong

CASES: tuple[Wrong, ...] = (
    wrong(
        "a recipe without a model",
        {"spec.recipe.model": GONE},
        "spec.recipe.model: Required value",
    ),
    wrong(
        "a recipe without data",
        {"spec.recipe.data": GONE},
        "spec.recipe.data: Required value",
    ),
    wrong(
        "a task that is not built",
        {"spec.recipe.task": "image-classification"},
        'spec.recipe.task: Unsupported value: "image-classification": supported values: "causal-lm"',
    ),
    wrong(
        "a model from nowhere",
        {"spec.recipe.model": {}},
        "spec.recipe.model: Invalid value: has neither source nor config; write exactly one of them",
    ),
    wrong(
        "a model from two places",
        {"spec.recipe.model.config": {"model_type": "llama"}},
        "spec.recipe.model: Invalid value: has source and config; keep exactly one of source and config",
    ),
    wrong(
        "a model by its bare name",
        {"spec.recipe.model.source": "gpt2"},
        "spec.recipe.model.source: Invalid value: \"gpt2\": 'gpt2' is not a model address; write "
        "hf://organisation/name@revision, or a storage address such as s3://bucket/folder (s3, gs, az, pvc "
        "or file)",
    ),
    wrong(
        "a configuration without its kind",
        {"spec.recipe.model": {"config": {"hidden_size": 8}}},
        "spec.recipe.model.config.model_type: Required value",
    ),
    wrong(
        "adapters beside random weights",
        {"spec.recipe.model": {"config": {"model_type": "llama"}, "tokenizer": {"source": "a/b"}, "lora": {}}},
        "spec.recipe.model.lora: Invalid value: has lora beside config, but adapters learn little on random "
        "weights; remove lora or name a source",
    ),
    wrong(
        "quantization, which is not built",
        {"spec.recipe.model.quantization": {"type": "nf4"}},
        'unknown field "spec.recipe.model.quantization"',
    ),
    wrong(
        "adapters of rank 0",
        {"spec.recipe.model.lora": {"rank": 0}},
        "spec.recipe.model.lora.rank: Invalid value: 0: spec.recipe.model.lora.rank in body should be "
        "greater than or equal to 1",
    ),
    wrong(
        "adapters that drop everything",
        {"spec.recipe.model.lora": {"dropout": 1.0}},
        "spec.recipe.model.lora.dropout: Invalid value: 1: spec.recipe.model.lora.dropout in body should "
        "be less than 1",
    ),
    wrong(
        "adapters of no module",
        {"spec.recipe.model.lora": {"targetModules": []}},
        "spec.recipe.model.lora.targetModules: Invalid value: 0: spec.recipe.model.lora.targetModules in "
        "body should have at least 1 items",
    ),
    wrong(
        "a chat template as text",
        {"spec.recipe.model.chatTemplate": "{{ messages }}"},
        'spec.recipe.model.chatTemplate: Invalid value: "string": spec.recipe.model.chatTemplate in body '
        'must be of type object: "string"',
    ),
    wrong(
        "two chat templates",
        {"spec.recipe.model.chatTemplate": {"inline": "a", "configMapKeyRef": {"name": "a", "key": "b"}}},
        "spec.recipe.model.chatTemplate: Invalid value: has inline and configMapKeyRef; keep exactly one of "
        "inline and configMapKeyRef",
    ),
)
