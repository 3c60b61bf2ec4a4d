"""The table of wrong manifests, each with the sentence that comes back."""

import pytest

from everstep_api.job import Metadata
from everstep_api.reading import Unreadable, read
from everstep_api.resolve import SpecError, resolve
from tests.api.jobs import Jobs, Refused
from tests.api.wrong import job, model, recipe, recovery, workers
from tests.api.wrong.case import Wrong

CASES = [*job.CASES, *model.CASES, *recipe.CASES, *recovery.CASES, *workers.CASES]
UNCHECKED = (
    ", <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation]"
)

table = pytest.mark.parametrize("wrong", [pytest.param(case, id=case.story) for case in CASES])


@table
def test_a_wrong_manifest_is_refused_with_the_sentence_that_mends_it(jobs: Jobs, wrong: Wrong) -> None:
    with pytest.raises(Refused) as refused:
        jobs.try_to_create(wrong.job.manifest)
    said = refused.value.sentence
    assert said.removeprefix("[").removesuffix(UNCHECKED) == wrong.sentence


@table
def test_what_the_api_server_refuses_is_refused_without_it_too(wrong: Wrong) -> None:
    """`everstep run` has no API server: the models alone must be as strict, and say the same where a rule speaks."""
    sentences = _sentences_here(wrong)
    assert sentences
    _, rule_speaks, words = wrong.sentence.partition("; ")
    if rule_speaks:
        assert any(words in sentence for sentence in sentences)


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len(CASES) >= 60
    assert len({case.story for case in CASES}) == len(CASES)
    assert len({case.sentence for case in CASES}) == len(CASES)


def test_all_that_is_wrong_is_said_at_once(jobs: Jobs) -> None:
    wrong = workers.CASES[0].job.workers(2, at_least=8).setting("spec.storage.uri", "team").named("a.b")
    with pytest.raises(Refused) as refused:
        jobs.try_to_create(wrong.manifest)
    for part in ("metadata.name", "spec.storage.uri", "spec.workers.minReplicas"):
        assert part in refused.value.sentence


def _sentences_here(wrong: Wrong) -> list[str]:
    sentences: list[str] = []
    try:
        read(Metadata, wrong.job.manifest["metadata"])
    except Unreadable as unreadable:
        sentences.extend(words for _, words in unreadable.problems)
    try:
        resolve(wrong.job.spec, {})
    except SpecError as error:
        sentences.extend(error.problems)
    return sentences
