"""The agent's first report leaves half a second after its start, which is decided by what it imports."""

import subprocess
import sys

import pytest

ALLOWED = {
    "aiohappyeyeballs",
    "aiohttp",
    "aiosignal",
    "attr",
    "everstep_agent",
    "everstep_api",
    "frozenlist",
    "idna",
    "multidict",
    "prometheus_client",
    "propcache",
    "typing_extensions",
    "yarl",
}
"""aiohttp with what it needs, and prometheus_client."""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """What a fresh process has imported for an agent, beside what every process has."""
    program = (
        "import sys; before = set(sys.modules); import everstep_agent.__main__; "
        "print('\\n'.join(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_an_agent_imports_aiohttp_and_prometheus_client_alone(imported: set[str]) -> None:
    packages = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
    # Extension modules built by Cython leave a module of their own name each.
    assert {name for name in packages if "cython" not in name} - ALLOWED == set()


def test_of_the_contract_an_agent_imports_what_travels_alone(imported: set[str]) -> None:
    contract = {name for name in imported if name.startswith("everstep_api.")}
    assert contract == {"everstep_api.wire"} | {
        f"everstep_api.wire.{name}" for name in ("decode", "ranks", "snapshots", "sync", "table")
    }
