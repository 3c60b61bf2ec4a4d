"""A job's status as it changes, by a watch of the API server."""

import time
from collections.abc import Iterator
from pathlib import Path

from kubernetes import client, config, watch
from urllib3.exceptions import HTTPError

from everstep_api.job import GROUP, PLURAL, VERSION
from everstep_api.reading import read_status
from everstep_api.status import TrainingJobStatus

_SILENCE_S = 5
"""The API server ends a watch after this time; then the time limit is looked at and another one begins."""
_PAUSE_S = 1.0
"""Before an API server that gave no answer is asked again; until the time limit, for it may be restarting."""


def statuses(kubeconfig: Path, *, namespace: str, job: str, limit_s: float) -> Iterator[TrainingJobStatus]:
    """Yield the status as it is and each one that follows, until the job is gone or the time is over.

    The same one may come twice: each watch begins with what is there.
    """
    api = client.CustomObjectsApi(config.new_client_from_config(str(kubeconfig)))  # type: ignore[no-untyped-call]  # kubernetes has no types
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        events = watch.Watch().stream(  # type: ignore[no-untyped-call]  # the same
            api.list_namespaced_custom_object,
            GROUP,
            VERSION,
            namespace,
            PLURAL,
            field_selector=f"metadata.name={job}",
            timeout_seconds=_SILENCE_S,
            _request_timeout=_SILENCE_S + 5,
        )
        try:
            for event in events:
                if event["type"] == "DELETED":
                    return
                yield read_status(TrainingJobStatus, event["object"].get("status", {}))
        except (client.ApiException, HTTPError):
            time.sleep(_PAUSE_S)
