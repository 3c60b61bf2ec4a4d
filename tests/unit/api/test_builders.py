"""The builders of the tests themselves."""

from tests.builders import a_job


def test_a_builder_is_never_changed_by_what_is_built_from_it() -> None:
    base = a_job()
    before = base.manifest
    base.workers(8, at_least=2).suspended().named("other").setting("spec.workers.env", [])
    base.manifest["spec"]["workers"]["replicas"] = 99
    assert base.manifest == before
