"""Wrong manifests about the recipe: data, optimizer, schedule, batch and duration."""

from tests.api.wrong.case import Wrong, wrong

CASES: tuple[Wrong, ...] = (
    wrong(
        "no source of data",
        {"spec.recipe.data.train": []},
        "spec.recipe.data.train: Invalid value: 0: spec.recipe.data.train in body should have at least 1 items",
    ),
    wrong(
        "data on the hub",
        {"spec.recipe.data.train": [{"source": "hf://team/data"}]},
        "spec.recipe.data.train[0].source: Invalid value: \"hf://team/data\": 'hf://team/data' is not a "
        "storage address; write one such as s3://bucket/folder (s3, gs, az, pvc or file)",
    ),
    wrong(
        "a format that is not built",
        {"spec.recipe.data.train": [{"source": "s3://a/b", "format": "parquet"}]},
        'spec.recipe.data.train[0].format: Unsupported value: "parquet": supported values: "chat", "text"',
    ),
    wrong(
        "a weight of 0",
        {"spec.recipe.data.train": [{"source": "s3://a/b", "weight": 0}]},
        "spec.recipe.data.train[0].weight: Invalid value: 0: spec.recipe.data.train[0].weight in body "
        "should be greater than 0",
    ),
    wrong(
        "a source without an address",
        {"spec.recipe.data.train": [{"format": "chat"}]},
        "spec.recipe.data.train[0].source: Required value",
    ),
    wrong(
        "at most 0 samples",
        {"spec.recipe.data.train": [{"source": "s3://a/b", "maxSamples": 0}]},
        "spec.recipe.data.train[0].maxSamples: Invalid value: 0: spec.recipe.data.train[0].maxSamples in "
        "body should be greater than or equal to 1",
    ),
    wrong(
        "holding out all but a little",
        {"spec.recipe.data.validation": {"fraction": 0.9}},
        "spec.recipe.data.validation.fraction: Invalid value: 0.9: spec.recipe.data.validation.fraction in "
        "body should be less than or equal to 0.5",
    ),
    wrong(
        "holding out in two ways",
        {"spec.recipe.data.validation": {"fraction": 0.1, "sources": [{"source": "s3://a/b"}]}},
        "spec.recipe.data.validation: Invalid value: has fraction and sources; keep exactly one of fraction "
        "and sources",
    ),
    wrong(
        "rows of 4 tokens",
        {"spec.recipe.data.maxLength": 4},
        "spec.recipe.data.maxLength: Invalid value: 4: spec.recipe.data.maxLength in body should be "
        "greater than or equal to 8",
    ),
    wrong(
        "an unknown packing",
        {"spec.recipe.data.packing": "greedy"},
        'spec.recipe.data.packing: Unsupported value: "greedy": supported values: "best-fit", "none"',
    ),
    wrong(
        "loss on nobody",
        {"spec.recipe.data.lossOn": "user"},
        'spec.recipe.data.lossOn: Unsupported value: "user": supported values: "assistant", "all"',
    ),
    wrong(
        "another optimizer",
        {"spec.recipe.optimizer.name": "sgd"},
        'spec.recipe.optimizer.name: Unsupported value: "sgd": supported values: "adamw"',
    ),
    wrong(
        "a learning rate of 2",
        {"spec.recipe.optimizer.learningRate": 2},
        "spec.recipe.optimizer.learningRate: Invalid value: 2: spec.recipe.optimizer.learningRate in body "
        "should be less than or equal to 1",
    ),
    wrong(
        "a learning rate of 0",
        {"spec.recipe.optimizer.learningRate": 0},
        "spec.recipe.optimizer.learningRate: Invalid value: 0: spec.recipe.optimizer.learningRate in body "
        "should be greater than 0",
    ),
    wrong(
        "a learning rate as text",
        {"spec.recipe.optimizer.learningRate": "2e-4"},
        'spec.recipe.optimizer.learningRate: Invalid value: "string": spec.recipe.optimizer.learningRate '
        'in body must be of type number: "string"',
    ),
    wrong(
        "one beta",
        {"spec.recipe.optimizer.betas": [0.9]},
        "spec.recipe.optimizer.betas: Invalid value: 1: spec.recipe.optimizer.betas in body should have at "
        "least 2 items",
    ),
    wrong(
        "a beta of 1",
        {"spec.recipe.optimizer.betas": [0.9, 1.0]},
        "spec.recipe.optimizer.betas[1]: Invalid value: 1: spec.recipe.optimizer.betas[1] in body should "
        "be less than 1",
    ),
    wrong(
        "another schedule",
        {"spec.recipe.schedule.type": "wsd"},
        'spec.recipe.schedule.type: Unsupported value: "wsd": supported values: "cosine", "linear", "constant"',
    ),
    wrong(
        "warming up in two ways",
        {"spec.recipe.schedule.warmup": {"ratio": 0.1, "steps": 10}},
        "spec.recipe.schedule.warmup: Invalid value: has ratio and steps; keep exactly one of ratio and steps",
    ),
    wrong(
        "warming up for longer than training",
        {"spec.recipe.schedule.warmup": {"steps": 100}, "spec.recipe.duration": {"steps": 100}},
        "spec.recipe.schedule: Invalid value: schedule.warmup.steps is 100 but duration.steps is 100; use "
        "fewer steps for the warmup",
    ),
    wrong(
        "warming up all the time",
        {"spec.recipe.schedule.warmup": {"ratio": 1}},
        "spec.recipe.schedule.warmup.ratio: Invalid value: 1: spec.recipe.schedule.warmup.ratio in body "
        "should be less than 1",
    ),
    wrong(
        "a batch of 0 rows",
        {"spec.recipe.batch.size": 0},
        "spec.recipe.batch.size: Invalid value: 0: spec.recipe.batch.size in body should be greater than or equal to 1",
    ),
    wrong(
        "a batch that micro-batches do not fill",
        {"spec.recipe.batch": {"size": 10, "microSize": 4}},
        "spec.recipe.batch.size: Invalid value: size is 10, which is not a multiple of microSize 4; choose a "
        "multiple of it",
    ),
    wrong(
        "a micro-batch by a word",
        {"spec.recipe.batch.microSize": "max"},
        "spec.recipe.batch.microSize: Invalid value: \"max\": 'max' is not a valid number of rows; write auto, "
        "or a whole number of 1 or more",
    ),
    wrong(
        "two durations",
        {"spec.recipe.duration": {"epochs": 1, "steps": 100}},
        "spec.recipe.duration: Invalid value: has epochs and steps; keep exactly one of epochs, steps and tokens",
    ),
    wrong(
        "three durations",
        {"spec.recipe.duration": {"epochs": 1, "steps": 100, "tokens": 1000}},
        "spec.recipe.duration: Invalid value: has epochs, steps and tokens; keep exactly one of epochs, "
        "steps and tokens",
    ),
    wrong(
        "no duration",
        {"spec.recipe.duration": {}},
        "spec.recipe.duration: Invalid value: has none of epochs, steps and tokens; write exactly one of them",
    ),
    wrong(
        "half an epoch",
        {"spec.recipe.duration": {"epochs": 0.5}},
        'spec.recipe.duration.epochs: Invalid value: "number": spec.recipe.duration.epochs in body must be '
        'of type integer: "number", <nil>: Invalid value: "": Checked value must be of type integer '
        "(default format) in spec.recipe.duration.epochs, spec.recipe.duration.epochs: Invalid value: 0.5: "
        "spec.recipe.duration.epochs in body should be greater than or equal to 1",
    ),
    wrong(
        "another precision",
        {"spec.recipe.precision": "fp16"},
        'spec.recipe.precision: Unsupported value: "fp16": supported values: "bf16", "fp32"',
    ),
    wrong(
        "another sharding",
        {"spec.recipe.sharding": "zero3"},
        'spec.recipe.sharding: Unsupported value: "zero3": supported values: "full", "hybrid", "none"',
    ),
    wrong(
        "compile as a boolean",
        {"spec.recipe.compile": True},
        'spec.recipe.compile: Invalid value: "boolean": spec.recipe.compile in body must be of type '
        'string: "boolean", spec.recipe.compile: Unsupported value: true: supported values: "auto", '
        '"always", "never"',
    ),
    wrong(
        "an unknown metric",
        {"spec.recipe.evaluation.metrics": ["loss", "bleu"]},
        'spec.recipe.evaluation.metrics[1]: Unsupported value: "bleu": supported values: "loss", '
        '"perplexity", "tokenAccuracy"',
    ),
    wrong(
        "a metric twice",
        {"spec.recipe.evaluation.metrics": ["loss", "loss"]},
        'spec.recipe.evaluation.metrics[1]: Duplicate value: "loss"',
    ),
    wrong(
        "the best by what is not computed",
        {"spec.recipe.evaluation": {"metrics": ["loss"], "best": {"metric": "perplexity"}}},
        "spec.recipe.evaluation.metrics: Invalid value: best.metric is perplexity, which is not computed; "
        "add it to metrics",
    ),
    wrong(
        "a negative seed",
        {"spec.recipe.seed": -1},
        "spec.recipe.seed: Invalid value: -1: spec.recipe.seed in body should be greater than or equal to 0",
    ),
)
