"""The CustomResourceDefinition of the TrainingJob, written from its models.

`python -m everstep_api.crd DIRECTORY…` writes it into each directory; with `--check` it writes nothing, and ends with 1
and a sentence when a file differs.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from everstep_api.job import GROUP, KIND, PLURAL, VERSION, TrainingJob
from everstep_api.resource import Manifest
from everstep_api.structural import Schema, structural

FILE_NAME = f"{PLURAL}.{GROUP}.yaml"
_HEADER = "# Written by `make crds` from the models of everstep_api; change those.\n"


def custom_resource_definition() -> Manifest:
    """The CRD as a manifest, ready to be applied."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["tj"],
                "categories": ["all", "everstep"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _root_schema()},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.workers.replicas",
                            "statusReplicasPath": ".status.workers.active",
                            "labelSelectorPath": ".status.workers.selector",
                        },
                    },
                    "additionalPrinterColumns": _columns(),
                }
            ],
        },
    }


def _root_schema() -> Schema:
    schema = structural(TrainingJob.model_json_schema(by_alias=True))
    fields = schema["properties"]
    for name in ("apiVersion", "kind"):
        fields[name] = {"type": "string", "description": fields[name]["description"]}
    # The API server owns metadata: here it takes a schema of the name and not a word more.
    fields["metadata"] = {"type": "object", "properties": {"name": fields["metadata"]["properties"]["name"]}}
    return {**schema, "required": ["spec"]}


def _columns() -> list[dict[str, Any]]:
    """What `kubectl get tj` shows, and with priority 1 `kubectl get tj -o wide`."""
    shown = [
        ("State", ".status.phase", "Where the job stands, in one word"),
        ("Step", ".status.display.step", "Step and steps in all"),
        ("Loss", '.status.progress.metrics[?(@.name=="loss")].value', "Newest training loss"),
        ("Workers", ".status.display.workers", "Workers in training and workers wanted"),
        ("Remaining", ".status.display.remaining", "Time left"),
        ("Reason", ".status.reason", "Reason of the first condition that blocks"),
    ]
    wide = [
        ("Restarts", "integer", ".status.recoveries.total", "Losses that the job outlived"),
        ("Goodput", "integer", ".status.goodput.percent", "Useful part of the time, in percent"),
        ("Metric", "string", ".status.display.metric", "The metric that decides which checkpoint is the best"),
    ]
    return [
        *({"name": name, "type": "string", "jsonPath": path, "description": text} for name, path, text in shown),
        {
            "name": "Age",
            "type": "date",
            "jsonPath": ".metadata.creationTimestamp",
            "description": "Time since creation",
        },
        *(
            {"name": name, "type": kind, "jsonPath": path, "description": text, "priority": 1}
            for name, kind, path, text in wide
        ),
    ]


def rendered() -> str:
    """The CRD as the text of its file."""
    return _HEADER + yaml.safe_dump(custom_resource_definition(), sort_keys=False, width=120, allow_unicode=True)


def main(arguments: list[str] | None = None) -> int:
    """Write or check the file in each directory; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m everstep_api.crd", description=__doc__)
    parser.add_argument("directories", nargs="*", type=Path, default=[Path("crds")], help="where the file is (crds)")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if a file is out of date")
    options = parser.parse_args(arguments)
    text = rendered()
    outdated = [path for path in _files(options.directories) if not path.exists() or path.read_text() != text]
    if options.check:
        for path in outdated:
            sys.stderr.write(f"{path} is not what the models say; run `make crds` and commit it.\n")
        return 1 if outdated else 0
    for path in outdated:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


def _files(directories: list[Path]) -> list[Path]:
    return [directory / FILE_NAME for directory in directories]


if __name__ == "__main__":
    sys.exit(main())
