"""An operator process of a cluster, from its start to its end, in order.

It answers the kubelet, waits until it leads, and then: the keys are read, the pods listed, the sync API listens, jobs
are worked on, kopf and a list of keys tell which, and the Service names this process. Whatever of that ends, ends the
process with an error, and another one leads. On SIGTERM kopf ends first, then the rest, and the Lease is released last.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Any

from everstep_operator.control import Control
from everstep_operator.decide.facts import JobKey
from everstep_operator.kube.client import Client
from everstep_operator.kube.cluster import KubeCluster
from everstep_operator.kube.credentials import load_configuration, load_credentials
from everstep_operator.kube.endpoint import Endpoint
from everstep_operator.kube.jobs import job_keys, kind_is_served
from everstep_operator.kube.lease import Lease
from everstep_operator.kube.pace import Bucket
from everstep_operator.kube.profiles import Profiles
from everstep_operator.kube.reflector import PodReflector
from everstep_operator.kube.secrets import load_keys
from everstep_operator.kube.settings import KubeSettings, read
from everstep_operator.kube.signers import keep_signers_fresh, load_signers
from everstep_operator.logs import write_logs
from everstep_operator.metrics import Metrics
from everstep_operator.probes import probes
from everstep_operator.queue import WorkQueue
from everstep_operator.sync.tokens import TokenVerifier
from everstep_operator.watch import Changes, JobWatch, check_now_and_then

log = logging.getLogger(__name__)

_LEASE_CALL_S = 2.0


def main() -> None:
    """Run until SIGTERM (exit code 0), or until something ends that should not (1)."""
    settings = read(sys.argv[1:], os.environ)
    write_logs()
    try:
        asyncio.run(operate(settings))
    except Exception:
        log.exception("this operator ends; another one leads, and it starts anew")
        sys.exit(1)


async def operate(settings: KubeSettings) -> None:
    """Follow, then lead, until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics()
    async with (
        probes(settings.probe_port, metrics),
        await _client(settings, metrics, settings.operator.call_timeout_s) as client,
        await _client(settings, metrics, _LEASE_CALL_S) as lease_client,
    ):
        lease = Lease(lease_client, namespace=settings.namespace, name=settings.service, identity=settings.instance)
        try:
            if not await _is_done_before(stop, lease.acquire()):
                return
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(lease.keep())
                if await _is_done_before(stop, kind_is_served(client)):
                    await lead(settings, client, metrics, stop)
                keeping.cancel()
        finally:
            await lease.release()


async def lead(settings: KubeSettings, client: Client, metrics: Metrics, stop: asyncio.Event) -> None:
    """Work on jobs until `stop`."""
    queue: WorkQueue[JobKey] = WorkQueue(slowest_retry_s=settings.operator.slowest_retry_s)
    metrics.lead(queue.__len__)
    keys = await load_keys(client, namespace=settings.namespace, name=f"{settings.service}-keys")
    verifier = TokenVerifier(await load_signers(client))
    reflectors = [PodReflector(client, namespace=part, wake=queue.add) for part in settings.parts]
    cluster = KubeCluster(
        client,
        reflectors=reflectors,
        profiles=Profiles(client, namespace=settings.namespace),
        authority_pem=keys.certificate_pem,
        controller=settings.controller,
        instance=settings.instance,
    )
    changes = Changes(queue.add)
    watch = JobWatch(changes, login=lambda: load_credentials(settings.kubeconfig), namespaces=settings.namespaces)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(reflector.run()) for reflector in reflectors]
        await asyncio.gather(*(reflector.synced.wait() for reflector in reflectors))
        control = Control.of(
            cluster=cluster, queue=queue, settings=settings.operator, keys=keys, verifier=verifier, metrics=metrics
        )
        listener = socket.create_server(("", settings.sync_port))
        works = (
            control.run(listener, keys.server_context(settings.hosts)),
            watch.run(),
            check_now_and_then(lambda: _all_keys(settings, client), changes),
            keep_signers_fresh(client, verifier),
            _endpoint(settings, client).keep(),
        )
        tasks.extend(group.create_task(work) for work in works)
        await stop.wait()
        await watch.close()
        for task in tasks:
            task.cancel()


async def _client(settings: KubeSettings, metrics: Metrics, timeout_s: float) -> Client:
    configuration = await load_configuration(settings.kubeconfig)
    pace = Bucket(per_s=settings.calls_per_s, burst=settings.calls_burst)
    return Client(configuration, timeout_s=timeout_s, bucket=pace, answered=metrics.answered)


async def _all_keys(settings: KubeSettings, client: Client) -> list[JobKey]:
    return [key for part in settings.parts for key in await job_keys(client, part)]


def _endpoint(settings: KubeSettings, client: Client) -> Endpoint:
    place = {"namespace": settings.namespace, "service": settings.service}
    return Endpoint(client, **place, address=settings.address, port=settings.sync_port)


async def _is_done_before(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work, unless it is to be stopped first; return whether it is done."""
    doing, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([doing, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            return False
        await doing
        return True
    finally:
        doing.cancel()
        stopping.cancel()
        await asyncio.wait([doing, stopping])
