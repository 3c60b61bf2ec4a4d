"""From a pod's manifest to a process of this machine: its command and its environment."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from everstep_api.resource import Manifest
from everstep_operator.cluster import RefusedError
from everstep_operator.local.volumes import translate


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What is started for a pod."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


def container_of(
    pod: Manifest, *, address: str, node: str, mounts: Mapping[PurePosixPath, Path], shell: Mapping[str, str]
) -> Container:
    """The process that stands for the pod's first container.

    Its environment is that of the shell with the manifest's variables over it, for the programs that an image would
    bring are those of this machine, and the shell's credentials stand in for Secrets.

    Raises:
        RefusedError: a variable comes from an object that there is none of, and the shell does not have it either.
    """
    container = pod["spec"]["containers"][0]
    fields = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"]["namespace"],
        "metadata.uid": pod["metadata"]["uid"],
        "spec.nodeName": node,
        "status.podIP": address,
        "status.hostIP": address,
    }
    told = {}
    for variable in container.get("env", []):
        value = _value(variable, fields, mounts, shell)
        if value is not None:
            told[variable["name"]] = value
    inherited = {name: value for name, value in shell.items() if not name.startswith("EVERSTEP_")}
    return Container(command=_command(container), environment={**inherited, **told})


def _value(
    variable: Manifest, fields: Mapping[str, str], mounts: Mapping[PurePosixPath, Path], shell: Mapping[str, str]
) -> str | None:
    name = variable["name"]
    match variable.get("valueFrom"):
        case None:
            return translate(variable.get("value", ""), mounts)
        case {"fieldRef": {"fieldPath": path}} if path in fields:
            return fields[path]
        case {"fieldRef": {"fieldPath": path}}:
            raise RefusedError(f"The variable {name} takes the field {path}, which a process has not; give it a value.")
        case {"secretKeyRef": source} | {"configMapKeyRef": source} if source.get("optional") or name in shell:
            return shell.get(name)
        case _:
            raise RefusedError(f"The variable {name} comes from an object of a cluster; export {name} in your shell.")


def _command(container: Manifest) -> tuple[str, ...]:
    words: list[str] = [*container.get("command", []), *container.get("args", [])]
    words[0] = sys.executable if words[0] == "python" else words[0]
    # The kernel ends the process with us, however we end. In a container, process 1 has the same power.
    leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    return (*leash, *words)
