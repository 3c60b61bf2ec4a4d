"""A cluster takes no addresses that this machine reaches by another way."""

import json

import pytest

from devcluster import network
from devcluster.problem import DevclusterError
from devcluster.settings import Plan

PLAN = Plan(name="trial", slot=3)


def have_routes(monkeypatch: pytest.MonkeyPatch, *routes: dict[str, str]) -> None:
    monkeypatch.setattr(network, "_ip", lambda *_: json.dumps(routes))


def test_ranges_that_nothing_else_uses_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes over the cluster's own bridge are what an earlier `up` left."""
    have_routes(
        monkeypatch,
        {"dst": "default", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"dst": str(PLAN.network), "dev": PLAN.bridge},
        {"dst": str(PLAN.node_pods(1)), "dev": PLAN.bridge},
    )
    network.check_ranges(PLAN)


@pytest.mark.parametrize(
    ("route", "said"),
    [
        pytest.param(
            {"dst": "172.16.0.0/12", "dev": "tun0"}, r"overlaps the route to 172\.16\.0\.0/12 on tun0;", id="wider"
        ),
        pytest.param(
            {"dst": "10.203.7.1", "dev": "eth1"}, r"overlaps the route to 10\.203\.7\.1/32 on eth1;", id="one host"
        ),
        pytest.param(
            {"type": "blackhole", "dst": "10.183.0.0/16"}, r"overlaps the route to 10\.183\.0\.0/16;", id="no device"
        ),
    ],
)
def test_ranges_that_another_route_leads_to_are_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, route: dict[str, str], said: str
) -> None:
    have_routes(monkeypatch, route)
    with pytest.raises(DevclusterError, match=rf"{said} choose another one with --slot 0 to 15"):
        network.check_ranges(PLAN)
