"""Where this machine gets Python packages from, as a build of an image is told it: by mounts, of which nothing stays.

pip's settings on this machine count, wherever they stand (`pip config list` knows). The Dockerfile installs with pip
and with uv, so both find them in files of their own. What uv has on this machine already is not fetched again.
"""

import ast
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from devcluster.problem import DevclusterError

_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_PIP_CONFIGURATION = "/etc/pip.conf"
_UV_CONFIGURATION = "/etc/uv/uv.toml"
_UV_CACHE = "/var/cache/uv"
_WHEELS = "/var/cache/wheels"

MOUNTED_FILES = (_PIP_CONFIGURATION, _UV_CONFIGURATION)
MOUNTED_FOLDERS = (str(Path(_UV_CONFIGURATION).parent), _UV_CACHE, _WHEELS)
"""Over what this is mounted; where an image has it, no build adds it to the image."""

_QUESTION_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSources:
    """What a build must know to fetch packages as this machine does."""

    options: Mapping[str, str] = field(default_factory=dict)
    """pip's options by name, such as `index-url`; several values of one stand in lines."""

    certificates: Path | None = None
    """The authorities that this machine trusts, in one file."""

    uv_cache: Path
    """What uv has fetched before."""

    @classmethod
    def of_this_machine(cls) -> Self:
        """Return those of this machine and of whoever runs this.

        Raises:
            DevclusterError: pip cannot say what they are.
        """
        command = [sys.executable, "-m", "pip", "config", "list"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_QUESTION_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise DevclusterError(
                f"`{' '.join(command)}` gave no answer in {_QUESTION_TIMEOUT_S:.0f} s; run it to see why."
            ) from None
        if done.returncode != 0:
            raise DevclusterError(f"`{' '.join(command)}` failed: {done.stderr.strip()}; mend pip's settings.")
        options = parse_options(done.stdout)
        trusted = options.get("cert") or os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(
            options=options,
            certificates=Path(trusted) if trusted and Path(trusted).is_file() else None,
            uv_cache=Path(os.environ.get("UV_CACHE_DIR") or Path(cache, "uv")),
        )

    @contextmanager
    def mounted(self) -> Iterator[list[str]]:
        """Yield the options of `buildah bud` that show all of it to each step of a build."""
        self.uv_cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="everstep-packages-") as folder:
            pip, uv = Path(folder, "pip.conf"), Path(folder, "uv.toml")
            pip.write_text(self.pip_configuration(), encoding="utf-8")
            uv.write_text(self.uv_configuration(), encoding="utf-8")
            mounts = [f"{pip}:{_PIP_CONFIGURATION}:ro", f"{uv}:{_UV_CONFIGURATION}:ro", f"{self.uv_cache}:{_UV_CACHE}"]
            mounts += [f"{found}:{_WHEELS}/{number}:ro" for number, found in enumerate(self._folders())]
            if self.certificates:
                mounts.append(f"{self.certificates.resolve()}:{_CERTIFICATES}:ro")
            yield [f"--volume={mount}" for mount in mounts]

    def pip_configuration(self) -> str:
        """Return the pip.conf of a build."""
        given = {name: self.options[name] for name in ("index-url", "trusted-host", "proxy") if name in self.options}
        several = {"extra-index-url": self._values("extra-index-url"), "find-links": self._find_links()}
        given |= {name: "\n    ".join(values) for name, values in several.items() if values}
        if self.certificates:
            given["cert"] = _CERTIFICATES
        return "\n".join(["[global]", *(f"{name} = {value}" for name, value in given.items()), ""])

    def uv_configuration(self) -> str:
        """Return the uv.toml of a build."""
        lines = ["system-certs = true", f'cache-dir = "{_UV_CACHE}"']
        if self._find_links():
            lines.append(f"find-links = {json.dumps(self._find_links())}")
        if self._values("trusted-host"):
            lines.append(f"allow-insecure-host = {json.dumps(self._values('trusted-host'))}")
        if "index-url" in self.options:
            lines += ["[[index]]", f"url = {json.dumps(self.options['index-url'])}", "default = true"]
        for url in self._values("extra-index-url"):
            lines += ["[[index]]", f"url = {json.dumps(url)}"]
        return "\n".join([*lines, ""])

    def _values(self, name: str) -> list[str]:
        return self.options.get(name, "").split()

    def _folders(self) -> list[str]:
        return [found for found in self._values("find-links") if Path(found).is_dir()]

    def _find_links(self) -> list[str]:
        """Return pages of links as they are, and folders as a build sees them."""
        pages = [found for found in self._values("find-links") if "://" in found]
        return [*pages, *(f"{_WHEELS}/{number}" for number in range(len(self._folders())))]


def parse_options(listed: str) -> dict[str, str]:
    """Return the options that `pip config list` names, for all commands or for installs.

    pip lists each with where it stands, as in `global.index-url='https://…'`. Of the same option in two places the
    later line counts here: that is the order of pip's own precedence but for the environment, which comes first in the
    list and counts most.
    """
    found: dict[str, str] = {}
    environment: dict[str, str] = {}
    for line in listed.splitlines():
        place, _, value = line.partition("=")
        section, _, name = place.rpartition(".")
        if section in ("global", "install", ":env:") and value:
            (environment if section == ":env:" else found)[name] = str(ast.literal_eval(value))
    return found | environment
