"""Which changes of jobs wake them, and what happens when kopf ends."""

import asyncio

import pytest

from everstep_operator.decide.facts import JobKey
from everstep_operator.kube.credentials import Credentials, CredentialsError
from everstep_operator.watch import Changes, JobWatch, Mark, WatchEndedError

KEY = JobKey("default", "finetune")
OTHER = JobKey("default", "other")


def test_a_job_is_woken_by_what_others_change_and_not_by_our_own_status() -> None:
    woken: list[JobKey] = []
    changes = Changes(woken.append)
    told = [
        (Mark("a", 1, is_deleted=False), True),
        (Mark("a", 1, is_deleted=False), False),
        (Mark("a", 2, is_deleted=False), True),
        (Mark("a", 2, is_deleted=True), True),
        (None, True),
        (Mark("b", 1, is_deleted=False), True),
    ]
    for mark, is_woken in told:
        woken.clear()
        changes.hear(KEY, mark)
        assert woken == ([KEY] if is_woken else []), mark


def test_a_list_of_keys_wakes_all_jobs_and_those_that_went_away_unheard() -> None:
    woken: list[JobKey] = []
    changes = Changes(woken.append)
    changes.hear(KEY, Mark("a", 1, is_deleted=False))
    woken.clear()
    changes.check([OTHER])
    assert sorted(woken) == [KEY, OTHER]
    woken.clear()
    changes.check([OTHER])
    assert woken == [OTHER]


def test_the_end_of_kopf_is_the_end_of_the_watch() -> None:
    """Without it nobody would tell what changes, while everything else looks healthy."""

    async def login() -> Credentials:
        raise CredentialsError("there are none")

    async def run() -> None:
        watch = JobWatch(Changes(lambda _: None), login=login)
        with pytest.raises(WatchEndedError, match="kopf ended by itself"):
            async with asyncio.timeout(20):
                await watch.run()
        await watch.close()

    asyncio.run(run())
