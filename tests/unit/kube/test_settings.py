"""What an operator process is told."""

import pytest

from everstep_operator.kube.settings import read

POD = {"POD_NAMESPACE": "everstep", "POD_NAME": "operator-1", "POD_IP": "10.0.0.7"}


def test_the_pod_tells_about_itself_and_flags_say_the_rest() -> None:
    settings = read(["--watch-namespace=a", "--watch-namespace=b", "--image=trainer:1"], POD)
    assert (settings.namespace, settings.instance, settings.address) == ("everstep", "operator-1", "10.0.0.7")
    assert settings.parts == ("a", "b")
    assert settings.operator.image == "trainer:1"
    assert settings.operator.sync_url == "https://everstep-operator.everstep.svc:8443"
    assert "everstep-operator.everstep.svc" in settings.hosts


def test_without_namespaces_all_are_looked_at() -> None:
    assert read([], POD).parts == (None,)


def test_what_the_pod_does_not_tell_is_asked_for_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read([], {"POD_NAME": "operator-1"})
    assert "--namespace, --pod-ip" in capsys.readouterr().err
