"""Profiles in the values become profiles of the operator."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import cast

from everstep_api.fields import fields_of
from everstep_api.job import TrainingJobSpec
from everstep_api.resolve import resolve
from everstep_api.resource import job_only
from everstep_operator.kube.client import Client
from everstep_operator.kube.profiles import Profiles
from tests.builders import Manifest, a_job
from tests.unit.chart.charts import NAMESPACE, Rendered, rendered
from tests.unit.chart.schemas import SCHEMA

PROFILES = {
    "default": {"checkpoint": {"everySteps": 4_000_000_000}},
    "h100": {
        "recipe": {"optimizer": {"learningRate": 2.0e-5}},
        "workers": {
            "resources": {"limits": {"nvidia.com/gpu": 8}},
            "template": {"spec": {"nodeSelector": {"on": "yes"}}},
        },
    },
}


class Shelf:
    """The ConfigMaps of a release, listed as an API server would."""

    def __init__(self, chart: Rendered) -> None:
        self._chart = chart

    async def listed(self, path: str, query: Mapping[str, str], *, accept: str) -> AsyncGenerator[Manifest, None]:
        """One page with those of the namespace that have the label."""
        assert accept
        items = [
            found
            for found in self._chart.all("ConfigMap")
            if path == f"/api/v1/namespaces/{found['metadata']['namespace']}/configmaps"
            and query["labelSelector"] in found["metadata"]["labels"]
        ]
        yield {"items": items}


def read(values: Manifest) -> Mapping[str, Manifest]:
    """The profiles that an operator of this release knows."""
    shelf = cast("Client", Shelf(rendered(values)))
    return asyncio.run(Profiles(shelf, namespace=NAMESPACE).read())


def test_the_operator_reads_what_the_values_say() -> None:
    assert read({"profiles": PROFILES}) == PROFILES


def test_without_profiles_there_is_no_config_map() -> None:
    assert rendered().all("ConfigMap") == []


def test_a_job_takes_what_its_profile_says() -> None:
    job = a_job().setting("spec.profile", "h100")
    resolved = resolve(job.spec, read({"profiles": PROFILES}))
    assert resolved.spec.workers.resources.limits == {"nvidia.com/gpu": 8}
    assert resolved.spec.recipe.optimizer.learning_rate == 2.0e-5


def test_the_schema_knows_the_parts_that_a_profile_may_have() -> None:
    """What belongs to the job is refused by helm, and what a profile may set is not."""
    known = SCHEMA["properties"]["profiles"]["additionalProperties"]["properties"]
    assert set(known) == {name for name, field in fields_of(TrainingJobSpec).items() if not field.has(job_only)}
