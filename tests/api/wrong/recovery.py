"""Wrong manifests about checkpoints and recovery."""

from tests.api.wrong.case import Wrong, wrong

CASES: tuple[Wrong, ...] = (
    wrong(
        "keeping one checkpoint",
        {"spec.checkpoint.keep.last": 1},
        "spec.checkpoint.keep.last: Invalid value: 1: spec.checkpoint.keep.last in body should be greater "
        "than or equal to 2",
    ),
    wrong(
        "a checkpoint every 0 steps",
        {"spec.checkpoint.everySteps": 0},
        "spec.checkpoint.everySteps: Invalid value: 0: spec.checkpoint.everySteps in body should be "
        "greater than or equal to 1",
    ),
    wrong(
        "a checkpoint every half step",
        {"spec.checkpoint.everySteps": 0.5},
        'spec.checkpoint.everySteps: Invalid value: "number": spec.checkpoint.everySteps in body must be '
        'of type integer: "number", <nil>: Invalid value: "": Checked value must be of type integer '
        "(default format) in spec.checkpoint.everySteps, spec.checkpoint.everySteps: Invalid value: 0.5: "
        "spec.checkpoint.everySteps in body should be greater than or equal to 1",
    ),
    wrong(
        "checkpoints by the hour",
        {"spec.checkpoint.everyHours": 1},
        'unknown field "spec.checkpoint.everyHours"',
    ),
    wrong(
        "an unknown resume policy",
        {"spec.checkpoint.resumePolicy": "Always"},
        'spec.checkpoint.resumePolicy: Unsupported value: "Always": supported values: "SameRecipe", "Never"',
    ),
    wrong(
        "more copies than there is use for",
        {"spec.checkpoint.snapshots.copies": 4},
        "spec.checkpoint.snapshots.copies: Invalid value: 4: spec.checkpoint.snapshots.copies in body "
        "should be less than or equal to 3",
    ),
    wrong(
        "snapshots never",
        {"spec.checkpoint.snapshots.everySteps": "never"},
        "spec.checkpoint.snapshots.everySteps: Invalid value: \"never\": 'never' is not a valid number of "
        "steps; write auto, or a whole number of 1 or more",
    ),
    wrong(
        "snapshots every 0 steps",
        {"spec.checkpoint.snapshots.everySteps": 0},
        "spec.checkpoint.snapshots.everySteps: Invalid value: 0: '0' is not a valid number of steps; write "
        "auto, or a whole number of 1 or more",
    ),
    wrong(
        "a negative budget",
        {"spec.recovery.maxRestarts": -1},
        "spec.recovery.maxRestarts: Invalid value: -1: spec.recovery.maxRestarts in body should be greater "
        "than or equal to 0",
    ),
    wrong(
        "a step that may take a second",
        {"spec.recovery.stepTimeoutSeconds": 1},
        "spec.recovery.stepTimeoutSeconds: Invalid value: 1: spec.recovery.stepTimeoutSeconds in body "
        "should be greater than or equal to 20",
    ),
    wrong(
        "a rule without an action",
        {"spec.recovery.rules": [{"name": "a", "onExitCodes": {"operator": "In", "values": [42]}}]},
        "spec.recovery.rules[0].action: Required value",
    ),
    wrong(
        "a rule for success",
        {"spec.recovery.rules": [{"name": "a", "onExitCodes": {"operator": "In", "values": [0]}, "action": "FailJob"}]},
        "spec.recovery.rules[0].onExitCodes.values[0]: Invalid value: 0: "
        "spec.recovery.rules[0].onExitCodes.values[0] in body should be greater than or equal to 1",
    ),
    wrong(
        "a rule for no code",
        {"spec.recovery.rules": [{"name": "a", "onExitCodes": {"operator": "In", "values": []}, "action": "FailJob"}]},
        "spec.recovery.rules[0].onExitCodes.values: Invalid value: 0: "
        "spec.recovery.rules[0].onExitCodes.values in body should have at least 1 items",
    ),
    wrong(
        "a rule that names a code twice",
        {
            "spec.recovery.rules": [
                {"name": "a", "onExitCodes": {"operator": "In", "values": [42, 42]}, "action": "FailJob"}
            ]
        },
        "spec.recovery.rules[0].onExitCodes.values[1]: Duplicate value: 42",
    ),
    wrong(
        "an unknown action",
        {"spec.recovery.rules": [{"name": "a", "onExitCodes": {"operator": "In", "values": [42]}, "action": "Retry"}]},
        'spec.recovery.rules[0].action: Unsupported value: "Retry": supported values: "FailJob", "Ignore", '
        '"Count", "ReplacePod"',
    ),
    wrong(
        "an unknown operator",
        {
            "spec.recovery.rules": [
                {"name": "a", "onExitCodes": {"operator": "Equals", "values": [42]}, "action": "FailJob"}
            ]
        },
        'spec.recovery.rules[0].onExitCodes.operator: Unsupported value: "Equals": supported values: "In", "NotIn"',
    ),
)
