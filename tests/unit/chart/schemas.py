"""The schema of the chart's values."""

import json
from collections.abc import Iterator

from tests.builders import Manifest
from tests.unit.chart.charts import CHART

SCHEMA: Manifest = json.loads((CHART / "values.schema.json").read_text())


def schemas(schema: Manifest = SCHEMA, path: str = "") -> Iterator[tuple[str, Manifest]]:
    """Each schema of a value, with the path of the value; what a reference names stands for itself."""
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from schemas(child, f"{path}.{name}".lstrip("."))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from schemas(schema[key], f"{path}[]")
