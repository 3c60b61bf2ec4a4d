"""Where this program keeps things of its user, as the XDG base directory specification has it."""

from collections.abc import Mapping
from pathlib import Path


def state_folder(environment: Mapping[str, str]) -> Path:
    """The jobs of this machine: their files, logs and locks."""
    return _base("XDG_STATE_HOME", ".local/state", environment)


def cache_folder(environment: Mapping[str, str]) -> Path:
    """What can be made or fetched again."""
    return _base("XDG_CACHE_HOME", ".cache", environment)


def _base(variable: str, usual: str, environment: Mapping[str, str]) -> Path:
    return Path(environment.get(variable) or Path.home() / usual).absolute() / "everstep"
