"""From a job as written to the spec that is acted upon: job over profile over built-in default.

`resolve` is the only place where defaults come in, and it is pure: the same job, profiles and defaults give the same
spec. Values that follow from the model and the data stay absent here; the plan of the run has them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from everstep_api.checks import problems_across
from everstep_api.digests import digest_of, recipe_hash
from everstep_api.fields import Path, dotted, fields_of
from everstep_api.job import TrainingJobSpec
from everstep_api.layers import Defaults, built_in_defaults, completed, layered
from everstep_api.origin import Mistake, Origin
from everstep_api.problems import not_finite
from everstep_api.reading import Unreadable, read
from everstep_api.resource import Manifest, Resource, job_only
from everstep_api.status import UsedProfile

DEFAULT_PROFILE = "default"


class SpecError(ValueError):
    """A spec that no job can be made of: all its mistakes at once."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.problems))

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each mistake, for somebody who can still edit the file."""
        return tuple(mistake.sentence for mistake in self.mistakes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A spec in which nothing is open but what follows from the model and the data."""

    spec: TrainingJobSpec
    profile: UsedProfile | None
    """The profile that was taken, for the status."""

    @property
    def recipe_hash(self) -> str:
        """What tells whether an earlier job trained the same."""
        return recipe_hash(self.spec.recipe)


def resolve(spec: Manifest, profiles: Mapping[str, Manifest], defaults: Defaults | None = None) -> Resolved:
    """The job's spec, completed by its profile and the built-in defaults.

    Args:
        spec: The job's `spec` as it is written.
        profiles: Parts of a spec by the profile's name. The job takes the one it names, else `default` if that is here.
        defaults: Built-in defaults as pinned at the job's first start; absent: those of this release.

    Raises:
        SpecError: No job can be made of it; it has all mistakes at once.
    """
    name = spec.get("profile", DEFAULT_PROFILE)
    if not isinstance(name, str):  # `read` says what is wrong with it
        name = DEFAULT_PROFILE
    profile = profiles.get(name, {})
    merged = layered(profile, spec, TrainingJobSpec)
    origin = Origin(job=spec, profile=profile, profile_name=name, merged=merged)
    mistakes = [Mistake(sentence=f"profile {name}: {words}") for words in _misplaced_in(profile)]
    if isinstance(spec.get("profile"), str) and name not in profiles:
        mistakes.append(
            origin.mistake((("profile",), f" is {name}, but there is no such profile; {_choice_of(profiles)}"))
        )
    try:
        resolved = read(TrainingJobSpec, completed(merged, built_in_defaults() if defaults is None else defaults))
    except Unreadable as unreadable:
        raise SpecError(dict.fromkeys([*mistakes, *map(origin.mistake, unreadable.problems)])) from unreadable
    mistakes.extend(map(origin.mistake, problems_across(resolved)))
    if mistakes:
        raise SpecError(mistakes)
    used = UsedProfile(name=name, digest=digest_of(profile)) if name in profiles else None
    return Resolved(spec=resolved, profile=used)


def _choice_of(profiles: Mapping[str, Manifest]) -> str:
    return f"use {', '.join(sorted(profiles))}, or remove the line" if profiles else "remove the line"


def _misplaced_in(profile: Manifest) -> Iterator[str]:
    """What is wrong with the profile by itself, also where the job's own value hides it."""
    for field in _job_only(profile):
        yield f"{field} belongs to the job; remove it from the profile"
    for path, words in not_finite(profile):
        yield f"{dotted(path)}{words}"


def _job_only(profile: Any, model: type[Resource] | None = TrainingJobSpec, path: Path = ()) -> Iterator[str]:
    """The fields of a profile that only a job may have."""
    for field in fields_of(model).values():
        if not isinstance(profile, dict) or field.name not in profile:
            continue
        if field.has(job_only):
            yield dotted((*path, field.name))
        else:
            yield from _job_only(profile[field.name], field.model, (*path, field.name))
