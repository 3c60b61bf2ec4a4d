"""What a job is held to from its first start on."""

import pytest

from everstep_api.conditions import ConditionType, Occurrence, Reason
from everstep_api.layers import built_in_defaults
from everstep_operator.decide import decide
from everstep_operator.decide.pin import template_key
from tests.builders import a_job
from tests.unit.decide.play import Play

H100 = {"recovery": {"maxRestarts": 3}, "workers": {"image": "team/trainer:7"}}
PROFILED = a_job().setting("spec.profile", "h100")
TEMPLATED = a_job().setting(
    "spec.recipe.model.chatTemplate", {"configMapKeyRef": {"name": "chat", "key": "chat.jinja"}}
)
DIGEST = f"sha256:{'0a' * 32}"


def a_play_of_a_profile() -> Play:
    play = Play(PROFILED)
    play.profiles = {"h100": H100}
    return play


def test_a_changed_profile_and_a_newer_release_leave_a_job_that_runs_as_it_is() -> None:
    play = a_play_of_a_profile().training()
    assert play.status.profile is not None
    before = play.status
    play.profiles = {"h100": {"recovery": {"maxRestarts": 4}}}
    play.image = "everstep/trainer:2"
    spec = decide(play.observation).spec
    assert spec is not None
    assert (spec.recovery.max_restarts, spec.workers.image) == (3, "team/trainer:7")
    play.vanish(1)
    assert [pod.image for pod in play.look().create] == ["team/trainer:7"]
    assert (play.status.profile, play.status.trainer_image) == (before.profile, "team/trainer:7")


def test_a_profile_that_is_gone_takes_no_job_with_it() -> None:
    play = a_play_of_a_profile().training()
    play.profiles = {}
    play.change(PROFILED.suspended()).look()
    play.change(PROFILED)
    assert decide(play.observation).spec is not None


def test_a_newer_release_keeps_the_defaults_of_a_suspended_job() -> None:
    play = Play(a_job()).training()
    assert play.pin is not None
    play.pin.defaults["recovery.maxRestarts"] = 99
    play.change(a_job().suspended()).look()
    spec = decide(play.observation).spec
    assert spec is not None
    assert spec.recovery.max_restarts == 99
    assert built_in_defaults()["recovery.maxRestarts"] == 10


def test_until_its_first_pod_a_job_follows_its_profile() -> None:
    play = a_play_of_a_profile()
    play.change(PROFILED.suspended()).look()
    assert play.pin is None
    play.profiles = {"h100": {"recovery": {"maxRestarts": 4}}}
    play.change(PROFILED).look()
    assert play.pin is not None
    assert play.pin.settings == play.profiles["h100"]


def test_an_image_is_pinned_by_the_digest_that_a_node_tells() -> None:
    play = Play(a_job()).training()
    assert play.status.trainer_image == "everstep/trainer:1"
    play.pod(0, image=f"everstep/trainer:1@{DIGEST}").look()
    assert play.status.trainer_image == f"everstep/trainer:1@{DIGEST}"
    play.vanish(0).vanish(1)
    assert {pod.image for pod in play.look().create} == {f"everstep/trainer:1@{DIGEST}"}


def test_the_digest_that_a_release_names_is_that_of_its_workers() -> None:
    play = Play(a_job())
    play.image = f"everstep/trainer@{DIGEST}"
    assert {pod.image for pod in play.look().create} == {play.image}
    play.look()
    assert play.status.trainer_image == f"everstep/trainer@{DIGEST}"


@pytest.mark.parametrize(
    "told", [f"everstep/trainer:1@{DIGEST}", f"everstep/trainer@{DIGEST}"], ids=["with a tag", "without one"]
)
def test_a_job_whose_pin_is_lost_keeps_the_digest_of_its_image(told: str) -> None:
    play = Play(a_job())
    play.image = told.partition("@")[0]
    play.training()
    play.pod(0, image=told).look()
    play.pin, play.image = None, "everstep/trainer:2"
    play.vanish(0).vanish(1)
    assert {pod.image for pod in play.look().create} == {told}
    assert play.look().status.trainer_image == told


def test_another_image_of_a_suspended_job_is_pinned_anew() -> None:
    play = Play(a_job()).training()
    play.pod(0, image=f"everstep/trainer:1@{DIGEST}").look()
    play.vanish(0).vanish(1).change(a_job().setting("spec.workers.image", "everstep/trainer:2"))
    assert {pod.image for pod in play.look().create} == {"everstep/trainer:2"}
    assert play.status.trainer_image == "everstep/trainer:2"


def test_a_job_whose_pin_is_lost_is_pinned_again_and_people_are_told() -> None:
    play = a_play_of_a_profile().training()
    play.pin, play.profiles, play.image = None, {"h100": {}}, "everstep/trainer:2"
    told = play.look().events
    assert [event.reason for event in told] == [Occurrence.PINNED_AGAIN]
    assert told[0].message.endswith("to the profile h100, another one than before.")
    assert play.pin is not None
    assert play.pin.image == "team/trainer:7", "the status has kept it"
    assert not play.look().events


@pytest.mark.parametrize(
    ("text", "lack"),
    [(None, "is not there"), ("", "has 0 characters"), ("x" * 65_537, "has 65,537 characters")],
    ids=["missing", "empty", "too long"],
)
def test_a_job_without_its_chat_template_waits_and_says_which_key_is_missing(text: str | None, lack: str) -> None:
    play = Play(TEMPLATED)
    play.chat_template = text
    decision = play.look()
    assert (decision.create, decision.look_again_s) == ((), 10)
    status, reason, said = play.said(ConditionType.ACCEPTED)
    assert (status, reason) == ("False", Reason.TEMPLATE_MISSING)
    assert f"The key chat.jinja of the ConfigMap chat, which spec.recipe.model.chatTemplate names, {lack};" in said


def test_a_job_keeps_the_chat_template_of_its_first_start() -> None:
    play = Play(TEMPLATED)
    play.chat_template = "{{ messages }}"
    play.training()
    play.chat_template = None
    spec = play.look().spec
    assert spec is not None
    assert spec.recipe.model.manifest()["chatTemplate"] == {"inline": "{{ messages }}"}


def test_a_template_key_of_the_profile_is_found_and_a_malformed_one_is_none() -> None:
    reference = {"name": "chat", "key": "chat.jinja"}
    profiles = {"default": {"recipe": {"model": {"chatTemplate": {"configMapKeyRef": reference}}}}}
    assert template_key(a_job().spec, profiles) == ("chat", "chat.jinja")
    own = a_job().setting("spec.recipe.model.chatTemplate", {"inline": "{{ messages }}"})
    assert template_key(own.spec, profiles) is None
    assert template_key(a_job().setting("spec.recipe", ["not", "a", "map"]).spec, {}) is None
