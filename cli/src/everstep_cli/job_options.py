"""From a file and the options of a command to the job that is run: pure, but for the reading of the file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from everstep_api.manifest import ManifestError, read_manifests
from everstep_api.resolve import SpecError, resolve
from everstep_api.resource import Manifest

KIND = "TrainingJob"
_ADDRESSES = {"source", "uri"}
"""The fields that hold an address, wherever they stand."""

_PATHS = ("/", "./", "../", "~")
"""How a bare path begins. Anything else could be a name of the Hugging Face hub."""


class JobError(ValueError):
    """The file or an option is no good; the text has all that is wrong."""


def read_job(path: Path) -> Manifest:
    """The one TrainingJob in the file.

    Raises:
        JobError: it cannot be read, or has none or several.
    """
    try:
        manifests = read_manifests(path.read_text())
    except OSError as error:
        raise JobError(f"{path} cannot be read: {error.strerror}.") from error
    except ManifestError as error:
        raise JobError("\n".join(f"{path}: {problem}." for problem in error.problems)) from error
    jobs = [manifest for manifest in manifests if manifest.get("kind") == KIND]
    if len(jobs) != 1:
        raise JobError(f"{path} has {len(jobs)} objects of kind {KIND}; a run is of exactly one.")
    metadata = jobs[0].get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise JobError(f"{path} has a job without metadata.name; give it a name.")
    return jobs[0]


def check(job: Manifest) -> None:
    """Make sure that a job can be made of the manifest.

    Raises:
        JobError: it cannot; the text has all that is wrong with its spec.
    """
    try:
        recipe = resolve(job.get("spec", {}), {}).spec.recipe
    except SpecError as error:
        raise JobError("\n".join(f"{problem}." for problem in error.problems)) from error
    template = recipe.model.chat_template
    if template is not None and template.inline is None:
        raise JobError(
            "spec.recipe.model.chatTemplate names a ConfigMap, which only a cluster has; write the template itself, as"
            " by --set 'recipe.model.chatTemplate={inline: …}'."
        )


def with_settings(job: Manifest, settings: Iterable[str]) -> Manifest:
    """The job with each `path=value` set under its spec; the value is read as YAML.

    Raises:
        JobError: a setting has no value, or its path leads through something that is no mapping.
    """
    spec = job.get("spec", {})
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise JobError(f"--set {setting} has no value; write --set path=value, such as --set recipe.seed=7.")
        spec = _set(spec, path.removeprefix("spec.").split("."), _value(setting, text), setting)
    return {**job, "spec": spec}


def with_workers(job: Manifest, replicas: int | None) -> Manifest:
    """The job with this many workers, content with no more than these."""
    if replicas is None:
        return job
    fewest = job.get("spec", {}).get("workers", {}).get("minReplicas", replicas)
    changed = with_settings(job, [f"workers.replicas={replicas}"])
    return changed if fewest <= replicas else with_settings(changed, [f"workers.minReplicas={replicas}"])


def with_steps(job: Manifest, steps: int | None) -> Manifest:
    """The job with this many steps in place of its own duration."""
    return job if steps is None else with_settings(job, [f"recipe.duration={{steps: {steps}}}"])


def with_folders(job: Manifest, buckets: Mapping[str, Path]) -> Manifest:
    """The job with the folders of this machine: bare paths become addresses, and folders stand for buckets."""
    return {**job, "spec": _moved(job.get("spec", {}), buckets)}


def addresses_in(job: Manifest) -> Iterator[str]:
    """All addresses of the job's spec, as they are written."""
    return _addresses(job.get("spec", {}))


def as_address(text: str, buckets: Mapping[str, Path]) -> str:
    """A bare path, or an address of a bucket for which a folder stands, as the address of the folder."""
    if text.startswith(_PATHS):
        return f"file://{Path(text).expanduser().absolute()}"
    scheme, separator, rest = text.partition("://")
    bucket, _, key = rest.partition("/")
    if separator and scheme in {"s3", "gs", "az"} and bucket in buckets:
        return f"file://{buckets[bucket] / key}"
    return text


def buckets_of(options: Sequence[str]) -> dict[str, Path]:
    """The folders that stand for buckets, from options `NAME=DIR`.

    Raises:
        JobError: an option is none, or its folder is not there.
    """
    buckets = {}
    for option in options:
        name, equals, folder = option.partition("=")
        if not equals or not name or not folder:
            raise JobError(f"--bucket {option} is not NAME=DIR; write for example --bucket everstep=./bucket.")
        path = Path(folder).expanduser().resolve()
        if not path.is_dir():
            raise JobError(f"--bucket {option}: there is no folder {path}; make it, or name another one.")
        buckets[name] = path
    return buckets


def _set(spec: Any, path: list[str], value: Any, setting: str) -> Any:
    if not path:
        return value
    first, *rest = path
    if isinstance(spec, list):
        if not first.isdigit() or int(first) >= len(spec):
            raise JobError(f"--set {setting}: {first} is none of the {len(spec)} entries of that list, from 0.")
        return [_set(item, rest, value, setting) if index == int(first) else item for index, item in enumerate(spec)]
    if not isinstance(spec, dict):
        raise JobError(f"--set {setting}: the path goes on after {spec!r}, which has no fields.")
    return {**spec, first: _set(spec.get(first, {}), rest, value, setting)}


def _value(setting: str, text: str) -> Any:
    try:
        return read_manifests(f"value: {text}")[0]["value"]
    except (ManifestError, yaml.YAMLError) as error:
        raise JobError(f"--set {setting}: the value is no YAML: {error}.") from error


def _addresses(value: Any, field: str = "") -> Iterator[str]:
    match value:
        case dict():
            for name, item in value.items():
                yield from _addresses(item, name)
        case list():
            for item in value:
                yield from _addresses(item, field)
        case str() if field in _ADDRESSES:
            yield value


def _moved(value: Any, buckets: Mapping[str, Path], field: str = "") -> Any:
    match value:
        case dict():
            return {name: _moved(item, buckets, name) for name, item in value.items()}
        case list():
            return [_moved(item, buckets, field) for item in value]
        case str() if field in _ADDRESSES:
            return as_address(value, buckets)
        case _:
            return value
