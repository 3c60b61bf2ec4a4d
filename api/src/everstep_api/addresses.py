"""The addresses in a job: what is read (`source`) and what is written (`uri`)."""

from typing import Annotated

from pydantic import Field

from everstep_api.rules import matches

LONGEST_ADDRESS = 1024

_STORE = r"(s3|gs|az|pvc)://[A-Za-z0-9][A-Za-z0-9._-]*(/\S*)?|file:///\S+"
_HUB = r"(hf://)?[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9][A-Za-z0-9._/-]*)?"

StoreAddress = Annotated[
    str,
    Field(max_length=LONGEST_ADDRESS),
    matches(
        _STORE, says="'%s' is not a storage address; write one such as s3://bucket/folder (s3, gs, az, pvc or file)"
    ),
]
"""A storage address is a place in an object store, a claim or a folder: `s3://bucket/folder`, `pvc://claim/folder`, `file:///folder`."""

ModelAddress = Annotated[
    str,
    Field(max_length=LONGEST_ADDRESS),
    matches(
        f"{_STORE}|{_HUB}",
        says="'%s' is not a model address; write hf://organisation/name@revision, or a storage address such as"
        " s3://bucket/folder (s3, gs, az, pvc or file)",
    ),
]
"""A storage address, or a model of the Hugging Face hub: `hf://organisation/name@revision` or `organisation/name`."""
