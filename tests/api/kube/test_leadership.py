"""Two operators, of which one works; and what the other does when that one goes."""

import time

from tests.api.kube.conftest import StartOperator
from tests.api.kube.operators import Operator
from tests.api.kube.workplace import Workplace
from tests.builders import a_job


def test_of_two_operators_one_leads_and_both_are_ready(workplace: Workplace, start_operator: StartOperator) -> None:
    first, second = start_operator("first"), start_operator("second")
    leader, follower = _sorted_out(workplace, first, second)
    assert leader.ask("/readyz") == follower.ask("/readyz") == "ok\n"
    assert leader.ask("/healthz") == "ok\n"
    assert "everstep_leading 1.0" in leader.ask("/metrics")
    assert "everstep_leading 0.0" in follower.ask("/metrics")
    assert 'everstep_api_requests_total{code="200",method="GET"}' in leader.ask("/metrics")
    job = workplace.apply(a_job().workers(1))
    workplace.until(lambda: workplace.pods(job), "a pod")


def test_after_a_crash_the_other_one_leads_within_15_s(workplace: Workplace, start_operator: StartOperator) -> None:
    leader, follower = _sorted_out(workplace, start_operator("first"), start_operator("second"))
    leader.kill()
    began = time.monotonic()
    job = workplace.apply(a_job().workers(1))
    workplace.until(lambda: workplace.pods(job), "a pod")
    workplace.until(lambda: workplace.leader_port() == follower.sync_port, "a slice that names the other one")
    assert time.monotonic() - began <= 15
    assert workplace.holder() == follower.name


def test_an_operator_that_is_told_to_end_makes_way_within_3_s(
    workplace: Workplace, start_operator: StartOperator
) -> None:
    leader, follower = _sorted_out(workplace, start_operator("first"), start_operator("second"))
    began = time.monotonic()
    assert leader.stop() == 0, leader.words
    workplace.until(lambda: workplace.holder() == follower.name, "another holder")
    took_s = time.monotonic() - began
    workplace.until(lambda: workplace.leader_port() == follower.sync_port, "a slice that names the other one")
    assert took_s <= 3, leader.words


def test_an_operator_whose_lease_was_taken_ends_with_an_error(
    workplace: Workplace, start_operator: StartOperator
) -> None:
    operator = start_operator("first")
    workplace.until(lambda: workplace.leader_port() == operator.sync_port, "a leader")
    workplace.plane.kubectl.run(
        *("patch", "lease", "everstep-operator", "-n", workplace.namespace, "--type=merge"),
        *("-p", '{"spec": {"holderIdentity": "a stranger"}}'),
    )
    assert operator.process.wait(timeout=15) == 1
    assert "a stranger has taken the Lease" in operator.words
    assert workplace.holder() == "a stranger"


def _sorted_out(workplace: Workplace, first: Operator, second: Operator) -> tuple[Operator, Operator]:
    """Leader and follower, once one leads and both follow what happens."""
    port = workplace.until(workplace.leader_port, "a leader")
    by_port = {operator.sync_port: operator for operator in (first, second)}
    leader = by_port.pop(port)
    (follower,) = by_port.values()
    workplace.until(follower.is_up, "the follower")
    assert workplace.holder() == leader.name
    return leader, follower
