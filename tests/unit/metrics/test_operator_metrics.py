"""What the operator counts about itself."""

import asyncio
from contextlib import aclosing
from typing import cast

import pytest

from everstep_operator.cluster import ClusterError, ConflictError, UnreachableError
from everstep_operator.control import Control
from everstep_operator.decide.facts import JobKey
from everstep_operator.metrics import Metrics
from everstep_operator.queue import WorkQueue
from everstep_operator.reconcile import Reconciler
from everstep_operator.settings import Settings
from everstep_operator.sync.reports import Reports
from everstep_operator.sync.server import SyncServer
from tests.unit.kube.fake_api import FakeApi, breaks_off, says, streams

KEY = JobKey("team", "chat")


class LooksThatFail:
    """A reconciler whose looks fail one after the other, until none is left."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.is_over = asyncio.Event()

    async def reconcile(self, key: JobKey) -> float | None:
        assert key == KEY
        if self.faults:
            raise self.faults.pop(0)
        self.is_over.set()
        return None


@pytest.mark.usefixtures("caplog")
def test_each_look_is_counted_by_its_result() -> None:
    async def play() -> Metrics:
        looks = LooksThatFail(ConflictError("somebody wrote first"), UnreachableError("no answer"))
        queue: WorkQueue[JobKey] = WorkQueue(slowest_retry_s=0.01)
        control = Control(
            queue=queue,
            reports=Reports(per_s=1),
            server=cast("SyncServer", None),
            reconciler=cast("Reconciler", looks),
            settings=Settings(sync_url="https://here:1"),
            metrics=Metrics(),
        )
        queue.add(KEY)
        working = asyncio.create_task(control.work())
        async with asyncio.timeout(10):
            await looks.is_over.wait()
        working.cancel()
        await asyncio.wait([working])
        return control.metrics

    metrics = asyncio.run(play())
    counts = {
        result: metrics.registry.get_sample_value("everstep_reconcile_seconds_count", {"result": result})
        for result in ("done", "conflict", "error")
    }
    assert counts == {"done": 1, "conflict": 1, "error": 1}


def test_each_call_of_the_api_server_is_counted_by_method_and_code() -> None:
    async def play() -> Metrics:
        metrics = Metrics()
        api = FakeApi(answers=[says({}), breaks_off, says({"message": "gone"}, 410), streams()])
        async with api.client(answered=metrics.answered) as client:
            await client.get("/api")
            for _ in range(2):
                with pytest.raises(ClusterError):
                    await client.get("/api")
            async with aclosing(client.watch("/api/v1/pods", {})) as events:
                assert [event async for event in events] == []
        return metrics

    metrics = asyncio.run(play())
    calls = [("GET", "200"), ("GET", "0"), ("GET", "410"), ("WATCH", "200")]
    for method, code in calls:
        labels = {"method": method, "code": code}
        assert metrics.registry.get_sample_value("everstep_api_requests_total", labels) == 1, labels


def test_one_process_says_that_it_leads_and_how_many_jobs_wait() -> None:
    metrics = Metrics()
    assert "everstep_leading 0.0" in metrics.text().decode()
    metrics.lead(lambda: 7)
    assert "everstep_leading 1.0" in metrics.text().decode()
    assert "everstep_queue_depth 7.0" in metrics.text().decode()
