"""What a wrong manifest is: the smallest right job, one change, and the sentence that comes back."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tests.builders import JobBuilder, a_job


class Absence(Enum):
    """Stands for a field that is taken away."""

    GONE = "gone"


GONE = Absence.GONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A manifest that is refused, and why."""

    story: str
    job: JobBuilder
    sentence: str
    """Exactly what the API server says, without its remark that it checked no further rules."""


def wrong(story: str, changes: Mapping[str, Any], sentence: str) -> Wrong:
    """The smallest right job with these changes, by dotted path."""
    job = a_job()
    for path, value in changes.items():
        job = job.without(path) if value is GONE else job.setting(path, value)
    return Wrong(story=story, job=job, sentence=sentence)
