"""Which file a value came from, so that a sentence about it sends people to the right one."""

from dataclasses import dataclass
from typing import Any

from everstep_api.fields import Path, dotted
from everstep_api.job import NEVER_CHANGING
from everstep_api.problems import Problem
from everstep_api.resource import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """Something wrong with a spec."""

    sentence: str
    """What is wrong, where, and what to do; without a full stop."""
    is_lasting: bool = False
    """Whether it stands in a part of the job that never changes, so that an existing job cannot be mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The layers of one spec, and what they became together."""

    job: Manifest
    profile: Manifest
    profile_name: str
    merged: Manifest

    def mistake(self, problem: Problem) -> Mistake:
        """The problem with its whole sentence, which begins with the place in the job or in the profile."""
        path, words = problem
        in_job = place_in(self.job, self.merged, path)
        in_profile = place_in(self.profile, self.merged, path)
        if in_job is None and in_profile is not None:
            return Mistake(sentence=f"profile {self.profile_name}: {dotted(in_profile)}{words}")
        sentence = f"{dotted(('spec', *(in_job or path)))}{words}"
        return Mistake(sentence=sentence, is_lasting=path[:1] in NEVER_CHANGING)


def place_in(layer: Any, merged: Any, path: Path) -> Path | None:
    """The path of the same value in one layer, where a named list may be shorter; None if it is not there."""
    if not path:
        return ()
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        step = _index_in(layer, merged, step)
    try:
        below = place_in(layer[step], merged[path[0]], rest)
    except (KeyError, IndexError, TypeError):
        return None
    return None if below is None else (step, *below)


def _index_in(layer: Any, merged: Any, index: int) -> int:
    """Where the merged list's entry stands in the layer's list: by its name if it has one, else at the same place."""
    entry = merged[index]
    if isinstance(layer, list) and isinstance(entry, dict) and "name" in entry:
        names = [other.get("name") if isinstance(other, dict) else None for other in layer]
        return names.index(entry["name"]) if entry["name"] in names else len(layer)
    return index
