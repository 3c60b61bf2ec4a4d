"""The sync API as an agent sees it, over real TLS on loopback."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from everstep_api.resolve import resolve
from everstep_api.status import TrainingJobStatus
from everstep_api.wire import sync
from everstep_api.wire.decode import decode, encode
from everstep_operator.decide.decision import Decision
from everstep_operator.decide.facts import Job, JobKey
from everstep_operator.podspec import audience
from everstep_operator.sync import directives as directives_module
from everstep_operator.sync import server as server_module
from everstep_operator.sync.certificates import Keys
from everstep_operator.sync.directives import Directives, world_secret
from everstep_operator.sync.reports import Reports
from everstep_operator.sync.server import SyncServer
from everstep_operator.sync.tokens import TokenSigner, TokenVerifier
from tests.builders import a_job

TIMEOUT = aiohttp.ClientTimeout(total=5)
JOB = Job(
    key=JobKey("team", "finetune"),
    uid="job-1",
    generation=1,
    version="1",
    spec=a_job().spec,
    status=TrainingJobStatus(),
)
REPORT = sync.Report(
    protocol=sync.PROTOCOL,
    boot_id="b",
    worker=0,
    address="10.0.0.1:8470",
    node="node1",
    state=sync.AgentState.STARTING,
    ranks=1,
)
RUN = sync.Run(world=1, members=(), ranks_per_worker=1, secret="")


def decided(**actions: sync.Action) -> Decision:
    spec = resolve(JOB.spec, {}).spec
    return Decision(
        status=JOB.status, spec=spec, directives={pod.replace("_", "-"): action for pod, action in actions.items()}
    )


@dataclass
class Desk:
    """A server with an agent before it."""

    session: aiohttp.ClientSession
    url: str
    context: ssl.SSLContext
    signer: TokenSigner
    directives: Directives
    reports: Reports
    woken: list[str]

    def call(self, method: str, path: str, *, pod: str = "pod-1", speaker: str = "pod-1", **kwargs: Any) -> Any:
        token = self.signer.sign(
            namespace="team",
            pod_name="finetune-0-abcde",
            pod_uid=speaker,
            audience=audience("team", "job-1"),
            now=datetime.now(UTC),
            lifetime=timedelta(hours=1),
        )
        url = f"{self.url}/v1/namespaces/team/trainingjobs/job-1/agents/{pod}{path}"
        headers = kwargs.pop("headers", {"Authorization": f"Bearer {token}"})
        return self.session.request(method, url, headers=headers, ssl=self.context, timeout=TIMEOUT, **kwargs)

    async def directive(self, seen: str = "") -> sync.Directive:
        async with self.call("GET", f"/directive?seen={seen}") as answer:
            assert answer.status == 200
            directive: sync.Directive = decode(await answer.read(), sync.Directive)
            return directive


@asynccontextmanager
async def a_desk() -> AsyncIterator[Desk]:
    keys, signer, woken = Keys.make(), TokenSigner(), []  # type: ignore[var-annotated]  # a list of what is woken
    reports = Reports(per_s=1000)
    directives = Directives(key=keys.secret, reports=reports)
    server = SyncServer(
        reports=reports,
        directives=directives,
        verifier=TokenVerifier(signer.public_keys),
        is_known=lambda _job, pod: pod != "pod-gone",
        waken=woken.append,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    await server.start(listener, keys.server_context(["127.0.0.1"]))
    context = ssl.create_default_context(cadata=keys.certificate_pem.decode())
    async with aiohttp.ClientSession() as session:
        port = listener.getsockname()[1]
        yield Desk(session, f"https://127.0.0.1:{port}", context, signer, directives, reports, woken)
    await server.close()


def at_a_desk(test: Callable[[Desk], Awaitable[None]]) -> None:
    async def play() -> None:
        async with a_desk() as desk, asyncio.timeout(20):
            await test(desk)

    asyncio.run(play())


def test_a_report_is_kept_and_wakes_the_job_only_when_more_than_progress_changed() -> None:
    async def test(desk: Desk) -> None:
        training = replace(REPORT, state=sync.AgentState.TRAINING, world=1, progress=sync.Progress(step=1, loss=2.0))
        later = replace(training, progress=sync.Progress(step=2, loss=1.9, total_steps=None))
        for report in (REPORT, REPORT, training, later):
            async with desk.call("PUT", "", data=encode(report)) as answer:
                assert answer.status == 200
                assert decode(await answer.read(), sync.Answer) == sync.Answer(next_report_s=1.0)
        assert desk.woken == ["job-1", "job-1"]
        assert desk.reports.of("job-1")["pod-1"].report == later

    at_a_desk(test)


def test_a_directive_is_held_until_it_changes_and_carries_the_spec_and_the_secret() -> None:
    async def test(desk: Desk) -> None:
        desk.directives.release(JOB, decided(pod_1=sync.Wait()))
        first = await desk.directive()
        assert first.action == sync.Wait()
        assert first.spec["workers"]["replicas"] == 2
        held = asyncio.create_task(desk.directive(first.digest))
        done, _ = await asyncio.wait([held], timeout=0.3)
        assert not done
        desk.directives.release(JOB, decided(pod_1=sync.Wait()))
        done, _ = await asyncio.wait([held], timeout=0.3)
        assert not done, "the same again is no news"
        desk.directives.release(JOB, decided(pod_1=RUN))
        second = await held
        assert isinstance(second.action, sync.Run)
        assert len(second.action.secret) == 64
        assert second.digest != first.digest

    at_a_desk(test)


def test_a_held_directive_is_answered_in_time_with_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "DIRECTIVE_HOLD_S", 0.1)

    async def test(desk: Desk) -> None:
        desk.directives.release(JOB, decided(pod_1=sync.Wait()))
        first = await desk.directive()
        assert await desk.directive(first.digest) == first

    at_a_desk(test)


def test_a_pod_of_which_nothing_is_decided_is_told_to_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "DIRECTIVE_HOLD_S", 0.1)

    async def test(desk: Desk) -> None:
        async with desk.call("GET", "/directive") as answer:
            assert answer.status == 503

    at_a_desk(test)


def test_a_pod_that_came_too_early_hears_as_soon_as_something_is_decided() -> None:
    async def test(desk: Desk) -> None:
        early = asyncio.create_task(desk.directive())
        await asyncio.wait([early], timeout=0.2)
        desk.directives.release(JOB, decided(pod_1=sync.Wait()))
        assert (await early).action == sync.Wait()

    at_a_desk(test)


def test_pods_of_a_job_that_is_gone_are_not_wanted() -> None:
    async def test(desk: Desk) -> None:
        desk.directives.release(JOB, decided(pod_1=sync.Wait()))
        first = await desk.directive()
        held = asyncio.create_task(desk.call("GET", f"/directive?seen={first.digest}").__aenter__())
        await asyncio.wait([held], timeout=0.2)
        desk.directives.close("job-1")
        assert (await held).status == 410

    at_a_desk(test)


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        pytest.param({"speaker": "pod-2"}, 403, "speaks for itself alone", id="for another pod"),
        pytest.param({"headers": {}}, 401, "no bearer token", id="without a token"),
        pytest.param({"headers": {"Authorization": "Bearer x.y.z"}}, 401, "not valid", id="with a bad token"),
        pytest.param({"pod": "pod-gone", "speaker": "pod-gone"}, 410, "no pod pod-gone", id="of a pod that is gone"),
        pytest.param({"data": b"{}"}, 400, "The report is none", id="that is no report"),
        pytest.param({"data": encode(replace(REPORT, protocol=99))}, 400, "protocol 99", id="in another protocol"),
        pytest.param({"data": b" " * 70_000}, 413, "", id="that is too long"),
    ],
)
def test_a_report_that_may_not_be_is_refused(request_: dict[str, Any], status: int, sentence: str) -> None:
    async def test(desk: Desk) -> None:
        async with desk.call("PUT", "", **{"data": encode(REPORT), **request_}) as answer:
            assert answer.status == status
            assert sentence in await answer.text()
        assert not desk.woken

    at_a_desk(test)


def test_an_agent_that_trusts_another_authority_does_not_speak() -> None:
    async def test(desk: Desk) -> None:
        desk.context = ssl.create_default_context(cadata=Keys.make().certificate_pem.decode())
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await desk.call("PUT", "", data=encode(REPORT))

    at_a_desk(test)


def test_secrets_of_worlds_differ_by_key_job_and_number() -> None:
    secrets = {world_secret(key, job, world) for key in (b"a", b"b") for job in ("one", "two") for world in (1, 2)}
    assert len(secrets) == 8


def test_directives_never_show_a_secret_in_what_is_decided() -> None:
    assert RUN.secret == ""
    assert directives_module.world_secret(b"k", "j", 1) != ""


def test_reports_come_rarer_the_more_agents_there_are() -> None:
    reports = Reports(per_s=10)
    for number in range(50):
        reports.hear("job-1", f"pod-{number}", REPORT)
    assert reports.next_report_s == 5.0
