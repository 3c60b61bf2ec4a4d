"""Wrong manifests about the job as a whole: its name, storage, deadlines, credentials and output."""

from tests.api.wrong.case import GONE, Wrong, wrong

CASES: tuple[Wrong, ...] = (
    wrong(
        "a job without a recipe",
        {"spec.recipe": GONE},
        "spec.recipe: Required value",
    ),
    wrong(
        "a job without a storage",
        {"spec.storage": GONE},
        "spec.storage: Required value",
    ),
    wrong(
        "a job without workers",
        {"spec.workers": GONE},
        "spec.workers: Required value",
    ),
    wrong(
        "a name of 43 characters",
        {"metadata.name": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        'metadata.name: Invalid value: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": '
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa is too long for the names of its pods; use 42 "
        "characters or fewer",
    ),
    wrong(
        "a name with a dot",
        {"metadata.name": "fine.tune"},
        'metadata.name: Invalid value: "fine.tune": fine.tune cannot be part of a host name; use lowercase '
        "letters and digits, and '-' between them",
    ),
    wrong(
        "a storage without a scheme",
        {"spec.storage.uri": "team/runs"},
        "spec.storage.uri: Invalid value: \"team/runs\": 'team/runs' is not a storage address; write one such "
        "as s3://bucket/folder (s3, gs, az, pvc or file)",
    ),
    wrong(
        "a storage on the web",
        {"spec.storage.uri": "https://team/runs"},
        "spec.storage.uri: Invalid value: \"https://team/runs\": 'https://team/runs' is not a storage address; "
        "write one such as s3://bucket/folder (s3, gs, az, pvc or file)",
    ),
    wrong(
        "a storage with a space",
        {"spec.storage.uri": "s3://team/my runs"},
        "spec.storage.uri: Invalid value: \"s3://team/my runs\": 's3://team/my runs' is not a storage address; "
        "write one such as s3://bucket/folder (s3, gs, az, pvc or file)",
    ),
    wrong(
        "a profile in capitals",
        {"spec.profile": "H100"},
        "spec.profile: Invalid value: \"H100\": 'H100' is not a valid name; use lowercase letters, digits and "
        "'-', with a letter or digit at both ends",
    ),
    wrong(
        "a script, which is not built",
        {"spec.script": {"command": ["python", "train.py"]}},
        'unknown field "spec.script"',
    ),
    wrong(
        "trackers, which are not built",
        {"spec.trackers": [{"name": "wandb"}]},
        'unknown field "spec.trackers"',
    ),
    wrong(
        "the field of a Job",
        {"spec.parallelism": 2},
        'unknown field "spec.parallelism"',
    ),
    wrong(
        "a field in capitals",
        {"spec.Suspend": True},
        'unknown field "spec.Suspend"',
    ),
    wrong(
        "suspend as text",
        {"spec.suspend": "yes"},
        'spec.suspend: Invalid value: "string": spec.suspend in body must be of type boolean: "string"',
    ),
    wrong(
        "a deadline of nothing",
        {"spec.activeDeadlineSeconds": 0},
        "spec.activeDeadlineSeconds: Invalid value: 0: spec.activeDeadlineSeconds in body should be "
        "greater than or equal to 1",
    ),
    wrong(
        "a deadline with a unit",
        {"spec.activeDeadlineSeconds": "1h"},
        'spec.activeDeadlineSeconds: Invalid value: "string": spec.activeDeadlineSeconds in body must be '
        'of type integer: "string"',
    ),
    wrong(
        "a start that may take longer than the job",
        {"spec.startupDeadlineSeconds": 7200, "spec.activeDeadlineSeconds": 3600},
        "spec.startupDeadlineSeconds: Invalid value: startupDeadlineSeconds is 7200 but "
        "activeDeadlineSeconds is 3600; use 3600 or less",
    ),
    wrong(
        "a negative time to live",
        {"spec.ttlSecondsAfterFinished": -1},
        "spec.ttlSecondsAfterFinished: Invalid value: -1: spec.ttlSecondsAfterFinished in body should be "
        "greater than or equal to 0",
    ),
    wrong(
        "an unknown pod policy",
        {"spec.cleanPodPolicy": "Never"},
        'spec.cleanPodPolicy: Unsupported value: "Never": supported values: "Running", "All", "None"',
    ),
    wrong(
        "two credentials of one name",
        {"spec.credentials": [{"name": "a", "secretRef": {"name": "x"}}, {"name": "a", "secretRef": {"name": "y"}}]},
        'spec.credentials[1]: Duplicate value: {"name":"a"}',
    ),
    wrong(
        "a credential without its Secret",
        {"spec.credentials": [{"name": "a"}]},
        "spec.credentials[0].secretRef: Required value",
    ),
    wrong(
        "a secret written out",
        {"spec.credentials": [{"name": "a", "value": "hunter2", "secretRef": {"name": "x"}}]},
        'unknown field "spec.credentials[0].value"',
    ),
    wrong(
        "an output on the hub",
        {"spec.output.uri": "hf://team/model"},
        "spec.output.uri: Invalid value: \"hf://team/model\": 'hf://team/model' is not a storage address; "
        "write one such as s3://bucket/folder (s3, gs, az, pvc or file)",
    ),
    wrong(
        "an unknown number format",
        {"spec.output.dtype": "fp16"},
        'spec.output.dtype: Unsupported value: "fp16": supported values: "bf16", "fp32"',
    ),
    wrong(
        "unknown weights",
        {"spec.output.weights": "delta"},
        'spec.output.weights: Unsupported value: "delta": supported values: "merged", "adapter", "both"',
    ),
)
