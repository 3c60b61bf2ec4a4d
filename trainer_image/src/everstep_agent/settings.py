"""What an agent is told by its environment, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_type_hints

PREFIX = "EVERSTEP_"


class SettingsError(ValueError):
    """The environment lacks something; the text names all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The variables `EVERSTEP_SYNC_URL` and so on, each field one of them. None has a default: the pod carries all."""

    sync_url: str
    """Where the operator answers, `https://host:port`."""
    namespace: str
    job: str
    job_uid: str
    worker: int
    """Index of this worker in the job."""
    pod_uid: str
    pod_ip: str
    """The address under which the other workers reach this one."""
    node: str
    grace_seconds: int
    """From SIGTERM to SIGKILL."""
    port: int
    """Of metrics, health and worlds; 0 takes a free one."""
    token_file: Path
    ca_file: Path
    socket: Path
    """Where the processes of this worker find their agent. Its folder also holds the pipes of their output."""
    shm: Path
    """A folder in memory that outlives the container, but not the pod."""
    cache: Path
    """A folder for what can be had again; the ranks use it."""


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings.

    Raises:
        SettingsError: variables are missing or malformed; all of them are named at once.
    """
    kinds = get_type_hints(Settings)
    values = {}
    problems = []
    for field in fields(Settings):
        variable = PREFIX + field.name.upper()
        text = environment.get(variable, "")
        if not text:
            problems.append(f"{variable} is not set")
            continue
        try:
            values[field.name] = kinds[field.name](text)
        except ValueError:
            problems.append(f"{variable} is {text!r} where a whole number is expected")
    if "sync_url" in values and not values["sync_url"].startswith("https://"):
        problems.append(f"{PREFIX}SYNC_URL is {values['sync_url']!r}, which does not begin with https://")
    if problems:
        raise SettingsError(f"{'; '.join(problems)}. The operator sets these variables in each pod of a job.")
    return Settings(**values)


def count_devices(environment: Mapping[str, str], devices: Path = Path("/dev")) -> int:
    """Return how many NVIDIA devices this worker sees, without asking a library that would take seconds to load.

    A container has the device files of its own devices alone; `CUDA_VISIBLE_DEVICES` narrows them further, and as for
    CUDA itself, an entry of -1 hides what follows.
    """
    present = sum(path.name.removeprefix("nvidia").isdigit() for path in devices.glob("nvidia*"))
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return present
    entries = [entry.strip() for entry in visible.split(",") if entry.strip()]
    return min(present, entries.index("-1") if "-1" in entries else len(entries))
