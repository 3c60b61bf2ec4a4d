"""The pods in memory follow what the API server tells, whatever happens on the way."""

import asyncio
from collections.abc import Callable

from everstep_operator.decide.facts import JobKey
from everstep_operator.kube.reflector import PodReflector
from tests.unit.kube.fake_api import Answer, FakeApi, says, streams
from tests.unit.kube.pods import FORGOTTEN, a_list, a_pod, an_event

JOB = "uid-of-finetune"
KEY = JobKey("default", "finetune")
HOLDS = streams(then_holds=True)


class Followed:
    """A reflector that is followed until its pods are as a test says."""

    def __init__(self, *answers: Answer) -> None:
        self.api = FakeApi(answers=list(answers))
        self.woken: list[JobKey] = []
        self.seen: list[tuple[str, ...]] = []
        self._reflector: PodReflector | None = None
        self._is_woken = asyncio.Event()

    def until(self, is_right: Callable[[PodReflector], bool]) -> PodReflector:
        async def run() -> PodReflector:
            async with self.api.client() as client:
                self._reflector = PodReflector(client, namespace=None, wake=self._wake)
                running = asyncio.create_task(self._reflector.run())
                async with asyncio.timeout(5):
                    while not is_right(self._reflector):
                        self._is_woken.clear()
                        await self._is_woken.wait()
                running.cancel()
                await asyncio.wait([running])
                return self._reflector

        return asyncio.run(run())

    def _wake(self, key: JobKey) -> None:
        assert self._reflector is not None
        self.woken.append(key)
        self.seen.append(uids(self._reflector))
        self._is_woken.set()


def uids(reflector: PodReflector) -> tuple[str, ...]:
    return tuple(sorted(pod.uid for pod in reflector.pods(JOB)))


def test_pods_are_listed_and_then_watched_from_where_the_list_ended() -> None:
    running = a_pod("a", version="11", phase="Running")
    followed = Followed(
        says(a_list(a_pod("a"), rest="more", version="9")),
        says(a_list(a_pod("b", worker=1), version="10")),
        streams(an_event("MODIFIED", running), an_event("DELETED", a_pod("b", version="12")), then_holds=True),
    )
    reflector = followed.until(lambda now: uids(now) == ("a",) and now.pods(JOB)[0].phase == "Running")
    assert reflector.synced.is_set()
    assert followed.api.requests[2]["resourceVersion"] == "10"
    assert followed.api.requests[2]["allowWatchBookmarks"] == "true"


def test_a_watch_goes_on_from_the_last_bookmark() -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "99"}}}
    followed = Followed(
        says(a_list()),
        streams(bookmark),
        streams(an_event("ADDED", a_pod("a", version="100")), then_holds=True),
    )
    followed.until(lambda now: uids(now) == ("a",))
    assert followed.api.requests[2]["resourceVersion"] == "99"


def test_after_a_forgotten_version_a_list_replaces_all_that_was_known() -> None:
    """A pod that went away meanwhile is told to its job, and one that stayed as it was is not."""
    followed = Followed(
        says(a_list(a_pod("gone"), a_pod("stays", worker=1))),
        streams(FORGOTTEN),
        says(a_list(a_pod("stays", worker=1), a_pod("new", worker=2), version="20")),
        streams(an_event("ADDED", a_pod("last", worker=3, version="21")), then_holds=True),
    )
    followed.until(lambda now: uids(now) == ("last", "new", "stays"))
    assert followed.seen == [("gone",), ("gone", "stays"), ("stays",), ("new", "stays"), ("last", "new", "stays")]
    assert followed.api.requests[3]["resourceVersion"] == "20"


def test_a_cut_watch_goes_on_from_the_last_event() -> None:
    followed = Followed(
        says(a_list()),
        streams(an_event("ADDED", a_pod("a", version="15")), is_cut=True),
        streams(an_event("ADDED", a_pod("b", worker=1, version="16")), then_holds=True),
    )
    followed.until(lambda now: uids(now) == ("a", "b"))
    assert followed.api.requests[2]["resourceVersion"] == "15"


def test_an_api_server_that_fails_is_asked_again() -> None:
    followed = Followed(says({"message": "not yet"}, 500), says(a_list(a_pod("a"))), HOLDS)
    followed.until(lambda now: uids(now) == ("a",))


def test_what_changes_no_fact_wakes_nobody() -> None:
    same = a_pod("a", version="11")
    same["metadata"]["annotations"] = {"somebody": "else"}
    followed = Followed(
        says(a_list(a_pod("a"))),
        streams(an_event("MODIFIED", same), an_event("ADDED", a_pod("b", worker=1, version="12")), then_holds=True),
    )
    followed.until(lambda now: uids(now) == ("a", "b"))
    assert followed.woken == [KEY, KEY]


def test_a_pod_that_is_nobodys_job_is_not_known() -> None:
    orphan, stranger = a_pod("orphan"), a_pod("stranger")
    del orphan["metadata"]["ownerReferences"]
    stranger["metadata"]["ownerReferences"][0]["kind"] = "Job"
    followed = Followed(says(a_list(orphan, stranger, a_pod("a"))), HOLDS)
    followed.until(lambda now: uids(now) == ("a",))


def test_a_pod_that_was_just_made_is_known_before_the_watch_tells_it() -> None:
    async def run() -> None:
        woken: list[JobKey] = []
        async with FakeApi(answers=[HOLDS]).client() as client:
            here = PodReflector(client, namespace="default", wake=woken.append)
            elsewhere = PodReflector(client, namespace="elsewhere", wake=woken.append)
            for reflector in (here, elsewhere):
                reflector.admit(a_pod("a"))
                reflector.admit(a_pod("a"))
        assert (uids(here), uids(elsewhere), woken) == (("a",), (), [KEY])

    asyncio.run(run())
