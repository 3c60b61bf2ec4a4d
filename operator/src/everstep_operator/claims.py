"""The PersistentVolumeClaims that a job names by `pvc://claim/path`, as volumes of its pods."""

from collections.abc import Iterator
from typing import Any

from everstep_api.job import TrainingJobSpec
from everstep_api.resource import Manifest

FOLDER = "/mnt/everstep"
"""Each claim is mounted below it, under its own name."""
_SCHEME = "pvc://"
_ADDRESSES = {"source", "uri"}
"""The fields of a spec that are addresses: what is read, and what is written."""


def claim_volumes(spec: TrainingJobSpec) -> tuple[list[Manifest], list[Manifest]]:
    """Volumes and mounts of the claims; read-only but for those to which checkpoints or the model are written."""
    written = {claim for uri in (spec.storage.uri, spec.output.uri or "") if (claim := _claim(uri))}
    claims = sorted({claim for address in _addresses(spec.manifest()) if (claim := _claim(address))})
    volumes, mounts = [], []
    for number, claim in enumerate(claims):
        name, is_read_only = f"everstep-claim-{number}", claim not in written
        source = {"claimName": claim, "readOnly": is_read_only}
        volumes.append({"name": name, "persistentVolumeClaim": source})
        mounts.append({"name": name, "mountPath": f"{FOLDER}/{claim}", "readOnly": is_read_only})
    return volumes, mounts


def _claim(address: str) -> str:
    """The claim of the address; empty when it is none of a claim."""
    return address.removeprefix(_SCHEME).partition("/")[0] if address.startswith(_SCHEME) else ""


def _addresses(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for name, item in value.items():
                if name in _ADDRESSES and isinstance(item, str):
                    yield item
                yield from _addresses(item)
        case list():
            for item in value:
                yield from _addresses(item)
        case _:
            pass
