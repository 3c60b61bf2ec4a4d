"""A status that would forget a world or an end is refused by the API server."""

from typing import Any

import pytest

from tests.api.jobs import Jobs, Refused
from tests.builders import Manifest, a_job

TIME = "2026-01-01T00:00:00Z"


def _members(*pods: str) -> list[Manifest]:
    return [{"worker": index, "podUID": pod} for index, pod in enumerate(pods)]


def _world(number: int, *pods: str) -> Manifest:
    return {"number": number, "size": len(pods), "startTime": TIME, "members": _members(*pods)}


def _condition(kind: str, status: str = "True") -> Manifest:
    return {"type": kind, "status": status, "lastTransitionTime": TIME, "reason": "Test", "message": "It is so."}


WORLD_3 = {"world": _world(3, "a", "b")}
COMPLETE = {"conditions": [_condition("Running", "False"), _condition("Complete")], "phase": "Complete"}
FAILED = {"conditions": [_condition("Failed")]}

LOST_WORLD = (
    "status.world: Forbidden: the status would lose world 3, which numbers the next one; read the job "
    "again and write all of it"
)
SMALLER_NUMBER = (
    "status.world.number: Forbidden: world.number cannot fall from 3 to 2; read the job again and decide anew"
)
OTHER_MEMBERS = (
    "status.world.members: Forbidden: world 3 keeps its members and their order; "
    "form a world with a greater number for other members"
)
COMES_BACK = (
    "status.conditions: Forbidden: the job has ended as %s, which is final; create a job with another "
    "name to train again"
)
LOST_STATUS = (
    "status: Forbidden: the status would be lost; write it with the job, or leave the status subresource alone"
)
WRONG_SIZE = "status.world.size: Invalid value: size is 3 but there are 2 members; write the number of members as size"
BEYOND_THE_LAST = (
    "status.world.number: Invalid value: 9223372036854775807: world 9223372036854775807 is beyond the "
    "last one, 2147483647; create a job with another name to go on"
)
TWO_ENDS = (
    "status.conditions: Invalid value: conditions has both Complete and Failed, but a job ends once; "
    "keep the first of the two"
)
FRACTION = 'status.goodput.percent: Invalid value: "number": goodput.percent in body must be of type integer: "number"'

REFUSED: dict[str, tuple[Manifest, Any, str]] = {
    "the status as a whole": (WORLD_3, None, LOST_STATUS),
    "the world": (WORLD_3, {"phase": "Running"}, LOST_WORLD),
    "a smaller world number": (WORLD_3, {"world": _world(2, "a", "b")}, SMALLER_NUMBER),
    "another member under the same number": (WORLD_3, {"world": _world(3, "a", "c")}, OTHER_MEMBERS),
    "fewer members under the same number": (WORLD_3, {"world": _world(3, "a")}, OTHER_MEMBERS),
    "the same members in another order": (
        WORLD_3,
        {"world": {**_world(3), "size": 2, "members": _members("a", "b")[::-1]}},
        OTHER_MEMBERS,
    ),
    "the end of a finished job, wiped": (COMPLETE, {"phase": "Running"}, COMES_BACK % "Complete"),
    "the end of a finished job, denied": (
        COMPLETE,
        {"conditions": [_condition("Complete", "False")]},
        COMES_BACK % "Complete",
    ),
    "the end of a failed job, made a success": (
        FAILED,
        {"conditions": [_condition("Complete")]},
        COMES_BACK % "Failed",
    ),
    "both ends at once": (
        WORLD_3,
        {**WORLD_3, "conditions": [_condition("Complete"), _condition("Failed")]},
        TWO_ENDS,
    ),
    "a size that its members do not have": (
        WORLD_3,
        {"world": {**_world(4, "b", "c"), "size": 3}},
        WRONG_SIZE,
    ),
    "a worker that is a member twice": (
        WORLD_3,
        {"world": {**_world(4, "b", "c"), "members": [{"worker": 0, "podUID": "b"}, {"worker": 0, "podUID": "c"}]}},
        'status.world.members[1]: Duplicate value: {"worker":0}',
    ),
    "a number beyond the last world": (
        WORLD_3,
        {"world": _world(2**63 - 1, "a", "b")},
        BEYOND_THE_LAST,
    ),
    "other members under the last number": (
        {"world": _world(2**31 - 1, "a", "b")},
        {"world": _world(2**31 - 1, "a", "c")},
        OTHER_MEMBERS.replace("world 3", "world 2147483647"),
    ),
    "a fraction where whole numbers are": (WORLD_3, {**WORLD_3, "goodput": {"percent": 97.5}}, FRACTION),
}
TAKEN = {
    "a greater world number with other members": (WORLD_3, {"world": _world(4, "b", "c")}),
    "the same world with more told about it": (WORLD_3, {**WORLD_3, "phase": "Running"}),
    "the last world that there can be": (WORLD_3, {"world": _world(2**31 - 1, "b", "c")}),
    "a job that ends": (WORLD_3, {**WORLD_3, **COMPLETE}),
    "an ended job with less told about it": (COMPLETE, {"conditions": [_condition("Complete")]}),
}


@pytest.mark.parametrize(("before", "after", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_a_status_that_would_forget_is_refused(jobs: Jobs, before: Manifest, after: Any, sentence: str) -> None:
    stored = jobs.create(a_job().manifest)
    stored = jobs.replace_status({**stored, "status": before})
    lost = {name: value for name, value in stored.items() if name != "status"}
    with pytest.raises(Refused) as refused:
        jobs.replace_status(lost if after is None else {**stored, "status": after})
    assert refused.value.sentence.removeprefix("[").startswith(sentence)
    assert jobs.get("finetune")["status"] == before


@pytest.mark.parametrize(("before", "after"), TAKEN.values(), ids=TAKEN.keys())
def test_a_status_that_goes_on_is_taken(jobs: Jobs, before: Manifest, after: Manifest) -> None:
    stored = jobs.create(a_job().manifest)
    stored = jobs.replace_status({**stored, "status": before})
    assert jobs.replace_status({**stored, "status": after})["status"] == after


def test_an_apply_of_the_job_leaves_its_status_alone(jobs: Jobs) -> None:
    stored = jobs.create(a_job().manifest)
    stored = jobs.replace_status({**stored, "status": WORLD_3})
    edited = {**a_job().workers(3).manifest, "metadata": stored["metadata"]}
    assert jobs.replace(edited)["status"] == WORLD_3


def test_a_status_of_the_largest_world_is_taken(jobs: Jobs) -> None:
    """2,048 members are the most that the schema allows; the rules about them stay within their budget."""
    stored = jobs.create(a_job().manifest)
    pods = [f"{index:08d}-0000-0000-0000-000000000000" for index in range(2048)]
    stored = jobs.replace_status({**stored, "status": {"world": _world(1, *pods)}})
    stored["status"]["phase"] = "Running"
    assert jobs.replace_status(stored)["status"]["world"]["size"] == 2048
