"""Wrong manifests about the workers: their number, environment, cache and pod template."""

from tests.api.wrong.case import GONE, Wrong, wrong

A = {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}
EVERSTEP_WORKER = {"name": "EVERSTEP_WORKER", "value": "0"}

CASES: tuple[Wrong, ...] = (
    wrong(
        "no number of workers",
        {"spec.workers.replicas": GONE},
        "spec.workers.replicas: Required value",
    ),
    wrong(
        "0 workers",
        {"spec.workers.replicas": 0},
        "spec.workers.replicas: Invalid value: 0: spec.workers.replicas in body should be greater than or equal to 1",
    ),
    wrong(
        "more workers than a status holds",
        {"spec.workers.replicas": 2049},
        "spec.workers.replicas: Invalid value: 2049: spec.workers.replicas in body should be less than or "
        "equal to 2048",
    ),
    wrong(
        "half a worker",
        {"spec.workers.replicas": 1.5},
        'spec.workers.replicas: Invalid value: "number": spec.workers.replicas in body must be of type '
        'integer: "number", <nil>: Invalid value: "": Checked value must be of type integer (default '
        "format) in spec.workers.replicas, .spec.workers.replicas: Invalid value: 0: "
        ".spec.workers.replicas accessor error: 1.5 is of the type float64, expected int64",
    ),
    wrong(
        "a number as text",
        {"spec.workers.replicas": "2"},
        'spec.workers.replicas: Invalid value: "string": spec.workers.replicas in body must be of type '
        'integer: "string", .spec.workers.replicas: Invalid value: 0: .spec.workers.replicas accessor '
        "error: 2 is of the type string, expected int64",
    ),
    wrong(
        "a misspelt field",
        {"spec.workers.replica": 2},
        'unknown field "spec.workers.replica"',
    ),
    wrong(
        "a minimum above the wish",
        {"spec.workers.minReplicas": 8},
        "spec.workers.minReplicas: Invalid value: minReplicas is 8 but replicas is 2; set replicas to 8 or more",
    ),
    wrong(
        "a minimum of 0",
        {"spec.workers.minReplicas": 0},
        "spec.workers.minReplicas: Invalid value: 0: spec.workers.minReplicas in body should be greater "
        "than or equal to 1",
    ),
    wrong(
        "no image in the image",
        {"spec.workers.image": ""},
        'spec.workers.image: Invalid value: "": spec.workers.image in body should be at least 1 chars long',
    ),
    wrong(
        "0 processes",
        {"spec.workers.processesPerWorker": 0},
        "spec.workers.processesPerWorker: Invalid value: 0: '0' is not a valid number of processes; write "
        "auto, or a whole number of 1 or more",
    ),
    wrong(
        "processes by a word",
        {"spec.workers.processesPerWorker": "all"},
        "spec.workers.processesPerWorker: Invalid value: \"all\": 'all' is not a valid number of processes; "
        "write auto, or a whole number of 1 or more",
    ),
    wrong(
        "a unit that Kubernetes does not know",
        {"spec.workers.resources": {"limits": {"memory": "64GiB"}}},
        "spec.workers.resources.limits[memory]: Invalid value: \"64GiB\": '64GiB' is not a quantity; write a "
        "number of 0 or more with or without a unit, such as 8, 500m or 64Gi",
    ),
    wrong(
        "a negative limit",
        {"spec.workers.resources": {"limits": {"cpu": -1}}},
        "spec.workers.resources.limits[cpu]: Invalid value: -1: '-1' is not a quantity; write a number of 0 "
        "or more with or without a unit, such as 8, 500m or 64Gi",
    ),
    wrong(
        "a negative limit with a unit",
        {"spec.workers.resources": {"limits": {"memory": "-1Gi"}}},
        "spec.workers.resources.limits[memory]: Invalid value: \"-1Gi\": '-1Gi' is not a quantity; write a "
        "number of 0 or more with or without a unit, such as 8, 500m or 64Gi",
    ),
    wrong(
        "half a CPU as a number",
        {"spec.workers.resources": {"limits": {"cpu": 0.5}}},
        'spec.workers.resources.limits.cpu: Invalid value: "number": spec.workers.resources.limits.cpu in '
        'body must be of type integer,string: "number"',
    ),
    wrong(
        "a quantity of 33 digits",
        {"spec.workers.resources": {"limits": {"cpu": "1" * 33}}},
        "spec.workers.resources.limits.cpu: Too long: may not be more than 32 bytes",
    ),
    wrong(
        "resources without limits",
        {"spec.workers.resources": {"memory": "64Gi"}},
        'unknown field "spec.workers.resources.memory"',
    ),
    wrong(
        "a variable without a value",
        {"spec.workers.env": [{"name": "A"}]},
        "spec.workers.env[0]: Invalid value: has neither value nor valueFrom; write exactly one of them",
    ),
    wrong(
        "a variable with two values",
        {"spec.workers.env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]},
        "spec.workers.env[0]: Invalid value: has value and valueFrom; keep exactly one of value and valueFrom",
    ),
    wrong(
        "a number as a variable's value",
        {"spec.workers.env": [{"name": "A", "value": 1}]},
        'spec.workers.env[0].value: Invalid value: "integer": spec.workers.env[0].value in body must be of '
        'type string: "integer"',
    ),
    wrong(
        "two variables of one name",
        {"spec.workers.env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        'spec.workers.env[1]: Duplicate value: {"name":"A"}',
    ),
    wrong(
        "a variable of the operator",
        {"spec.workers.env": [{"name": "EVERSTEP_JOB", "value": "x"}]},
        'spec.workers.env[0].name: Invalid value: "EVERSTEP_JOB": EVERSTEP_JOB begins with EVERSTEP_, '
        "which is reserved for the operator; use another name",
    ),
    wrong(
        "a variable that begins with a digit",
        {"spec.workers.env": [{"name": "1A", "value": "x"}]},
        "spec.workers.env[0].name: Invalid value: \"1A\": '1A' is not a valid variable name; use letters, "
        "digits, '_', '-' and '.', but no digit first",
    ),
    wrong(
        "a variable from nowhere",
        {"spec.workers.env": [{"name": "A", "valueFrom": {}}]},
        "spec.workers.env[0].valueFrom: Invalid value: has none of secretKeyRef, configMapKeyRef and "
        "fieldRef; write exactly one of them",
    ),
    wrong(
        "a variable from two places",
        {
            "spec.workers.env": [
                {
                    "name": "A",
                    "valueFrom": {
                        "secretKeyRef": {"name": "a", "key": "b"},
                        "configMapKeyRef": {"name": "a", "key": "b"},
                    },
                }
            ]
        },
        "spec.workers.env[0].valueFrom: Invalid value: has secretKeyRef and configMapKeyRef; keep exactly "
        "one of secretKeyRef, configMapKeyRef and fieldRef",
    ),
    wrong(
        "two caches",
        {"spec.workers.cache": {"emptyDir": {}, "hostPath": {"path": "/cache"}}},
        "spec.workers.cache: Invalid value: has emptyDir and hostPath; keep exactly one of emptyDir, "
        "persistentVolumeClaim and hostPath",
    ),
    wrong(
        "no cache at all",
        {"spec.workers.cache": {}},
        "spec.workers.cache: Invalid value: has none of emptyDir, persistentVolumeClaim and hostPath; write "
        "exactly one of them",
    ),
    wrong(
        "a cache at a relative path",
        {"spec.workers.cache": {"hostPath": {"path": "cache"}}},
        "spec.workers.cache.hostPath.path: Invalid value: \"cache\": 'cache' is not an absolute path; begin it with /",
    ),
    wrong(
        "a cache on an unknown medium",
        {"spec.workers.cache": {"emptyDir": {"medium": "HugePages"}}},
        'spec.workers.cache.emptyDir.medium: Unsupported value: "HugePages": supported values: "Memory"',
    ),
    wrong(
        "a cache of an unknown size",
        {"spec.workers.cache": {"emptyDir": {"sizeLimit": "much"}}},
        "spec.workers.cache.emptyDir.sizeLimit: Invalid value: \"much\": 'much' is not a quantity; write a "
        "number of 0 or more with or without a unit, such as 8, 500m or 64Gi",
    ),
    wrong(
        "an image for the trainer in the template",
        {"spec.workers.template": {"spec": {"containers": [{"name": "trainer", "image": "mine:1"}]}}},
        "spec.workers.template.spec.containers[0].image: Invalid value: the container trainer sets image; "
        "set spec.workers.image instead",
    ),
    wrong(
        "a command for the trainer in the template",
        {"spec.workers.template": {"spec": {"containers": [{"name": "trainer", "command": ["sh"]}]}}},
        "spec.workers.template.spec.containers[0].command: Invalid value: the container trainer sets "
        "command; remove it, because Everstep's agent runs the recipe",
    ),
    wrong(
        "arguments for the trainer in the template",
        {"spec.workers.template": {"spec": {"containers": [{"name": "trainer", "args": ["-c"]}]}}},
        "spec.workers.template.spec.containers[0].args: Invalid value: the container trainer sets args; "
        "remove it, because Everstep's agent runs the recipe",
    ),
    wrong(
        "resources for the trainer in the template",
        {"spec.workers.template": {"spec": {"containers": [{"name": "trainer", "resources": {"limits": {"cpu": 1}}}]}}},
        "spec.workers.template.spec.containers[0].resources: Invalid value: the container trainer sets "
        "resources; set spec.workers.resources instead",
    ),
    wrong(
        "a variable of the operator in the template",
        {"spec.workers.template": {"spec": {"containers": [{"name": "trainer", "env": [A, EVERSTEP_WORKER]}]}}},
        "spec.workers.template.spec.containers[0].env: Invalid value: EVERSTEP_WORKER begins with EVERSTEP_, "
        "which is reserved for the operator; use another name",
    ),
    wrong(
        "a label of the operator in the template",
        {"spec.workers.template": {"metadata": {"labels": {"team": "a", "everstep.dev/job-uid": "x"}}}},
        "spec.workers.template.metadata.labels: Invalid value: the label everstep.dev/job-uid begins with "
        "everstep.dev/, which is reserved for the operator; use another prefix",
    ),
    wrong(
        "an annotation of the operator in the template",
        {"spec.workers.template": {"metadata": {"annotations": {"everstep.dev/world": "3"}}}},
        "spec.workers.template.metadata.annotations: Invalid value: the annotation everstep.dev/world begins "
        "with everstep.dev/, which is reserved for the operator; use another prefix",
    ),
    wrong(
        "a container without a name",
        {"spec.workers.template": {"spec": {"containers": [{"image": "a"}]}}},
        "spec.workers.template.spec.containers[0].name: Required value",
    ),
    wrong(
        "a template with a status",
        {"spec.workers.template": {"status": {}}},
        'unknown field "spec.workers.template.status"',
    ),
    wrong(
        "a name in the template",
        {"spec.workers.template": {"metadata": {"name": "a"}}},
        'unknown field "spec.workers.template.metadata.name"',
    ),
)
