"""A build fetches packages as this machine does."""

import configparser
import tomllib
from pathlib import Path

import pytest

from devcluster.package_sources import PackageSources, parse_options

LISTED = """\
:env:.default-timeout='180'
:env:.index-url='https://mirror.example/simple'
global.index-url='https://slow.example/simple'
global.cert='/etc/ours.pem'
install.trusted-host='mirror.example'
freeze.user='true'
"""


def sources(tmp_path: Path, **options: str) -> PackageSources:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return PackageSources(options=named, uv_cache=tmp_path / "cache")


def test_the_environment_counts_more_than_files_and_other_commands_do_not_count() -> None:
    assert parse_options(LISTED) == {
        "default-timeout": "180",
        "index-url": "https://mirror.example/simple",
        "cert": "/etc/ours.pem",
        "trusted-host": "mirror.example",
    }


def test_pip_and_uv_are_told_the_same_indexes(tmp_path: Path) -> None:
    told = sources(
        tmp_path,
        index_url="https://one.example/simple",
        extra_index_url="https://two.example/a\nhttps://three.example/b",
    )
    pip = configparser.ConfigParser()
    pip.read_string(told.pip_configuration())
    assert pip["global"]["index-url"] == "https://one.example/simple"
    assert pip["global"]["extra-index-url"].split() == ["https://two.example/a", "https://three.example/b"]
    assert tomllib.loads(told.uv_configuration())["index"] == [
        {"url": "https://one.example/simple", "default": True},
        {"url": "https://two.example/a"},
        {"url": "https://three.example/b"},
    ]


def test_a_machine_without_settings_of_its_own_uses_the_defaults_of_pip_and_uv(tmp_path: Path) -> None:
    told = sources(tmp_path)
    assert told.pip_configuration().split() == ["[global]"]
    assert set(tomllib.loads(told.uv_configuration())) == {"system-certs", "cache-dir"}


def test_folders_of_wheels_are_mounted_and_those_that_are_missing_are_not_named(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    told = sources(tmp_path, find_links=f"https://page.example/links {tmp_path}/missing {wheels}")
    with told.mounted() as options:
        assert f"--volume={wheels}:/var/cache/wheels/0:ro" in options
        assert str(tmp_path / "missing") not in " ".join(options)
    assert tomllib.loads(told.uv_configuration())["find-links"] == ["https://page.example/links", "/var/cache/wheels/0"]
    assert "/var/cache/wheels/0" in told.pip_configuration()
    assert str(tmp_path) not in told.pip_configuration() + told.uv_configuration()


def test_the_trusted_authorities_are_mounted_over_the_images_own(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    told = PackageSources(certificates=bundle, uv_cache=tmp_path / "cache")
    with told.mounted() as options:
        assert f"--volume={bundle}:/etc/ssl/certs/ca-certificates.crt:ro" in options
    assert "cert = /etc/ssl/certs/ca-certificates.crt" in told.pip_configuration()


def test_nothing_is_left_on_this_machine_after_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "made"))
    with sources(tmp_path).mounted():
        assert list((tmp_path / "made").iterdir())
    assert list((tmp_path / "made").iterdir()) == []
