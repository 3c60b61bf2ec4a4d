"""The verbs: `python -m devcluster VERB`. Each may be cut off and done again, and returns when its effect is there."""

import sys
from typing import Annotated

import typer

from devcluster import build, image_build, provider, suites
from devcluster.cluster import NamespacesCluster
from devcluster.problem import DevclusterError
from devcluster.settings import DEFAULT_NAME

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
node = typer.Typer(no_args_is_help=True, help="Faults of one node, by its number from 1.")
apiserver = typer.Typer(no_args_is_help=True, help="The API server.")
etcd = typer.Typer(no_args_is_help=True, help="The API server's database.")
s3 = typer.Typer(no_args_is_help=True, help="The object store.")
image = typer.Typer(no_args_is_help=True, help="The project's own images.")
for name, group in (("node", node), ("apiserver", apiserver), ("etcd", etcd), ("s3", s3), ("image", image)):
    app.add_typer(group, name=name)

Name = Annotated[str, typer.Option("--name", help="Which cluster; several can stand side by side.")]
Number = Annotated[int, typer.Argument(help="The node's number.")]


def _namespaces(name: str) -> NamespacesCluster:
    cluster = provider.choose(name)
    if not isinstance(cluster, NamespacesCluster):
        raise DevclusterError(
            "Faults can be made only on a cluster that this program runs itself; unset KUBECONFIG and "
            "DEVCLUSTER_CONTEXT, and run `python -m devcluster up` as root on Linux."
        )
    return cluster


@app.command("build")
def build_programs(
    suite: Annotated[str, typer.Argument(help=f"{' or '.join(suites.BY_NAME)}.")] = "cluster",
) -> None:
    """Build the cluster's programs, or Prometheus, if they are not built yet; print the folder that holds them."""
    if suite not in suites.BY_NAME:
        raise DevclusterError(f"There is nothing to build named {suite}; choose {' or '.join(suites.BY_NAME)}.")
    typer.echo(build.binaries(suite=suites.BY_NAME[suite]))


@app.command()
def up(
    name: Name = DEFAULT_NAME,
    nodes: Annotated[int | None, typer.Option(help="How many nodes; a new cluster has 3.")] = None,
    slot: Annotated[int | None, typer.Option(help="Which address ranges, 0 to 15; the first free ones.")] = None,
) -> None:
    """Make a cluster whole: nodes Ready, DNS, an S3 server with a bucket."""
    cluster = provider.choose(name)
    if isinstance(cluster, NamespacesCluster):
        cluster.up(nodes=nodes, slot=slot)
    elif nodes is not None or slot is not None:
        raise DevclusterError(
            "--nodes and --slot are for a cluster on this machine, and DEVCLUSTER_CONTEXT names another one."
        )
    else:
        cluster.up()
    typer.echo(cluster.status())
    typer.echo(f"\nexport KUBECONFIG={cluster.kubeconfig}")


@app.command()
def down(name: Name = DEFAULT_NAME) -> None:
    """Remove a cluster and its data."""
    provider.choose(name).down()


@app.command()
def status(name: Name = DEFAULT_NAME) -> None:
    """Show how each part is."""
    typer.echo(provider.choose(name).status())


@app.command()
def load(
    image: Annotated[str, typer.Argument(help="A docker archive, or an image of buildah, podman or docker.")],
    name: Name = DEFAULT_NAME,
) -> None:
    """Bring an image to every node; print the name that pods use."""
    typer.echo(provider.choose(name).load(image))


@app.command()
def kwok(
    nodes: Annotated[int, typer.Argument(help="How many; 0 removes them.")],
    name: Name = DEFAULT_NAME,
) -> None:
    """Add fake nodes, on which pods run without running."""
    _namespaces(name).kwok(nodes)


@image.command("build")
def build_image(
    target: Annotated[str, typer.Argument(help="operator or trainer.")],
) -> None:
    """Build an image of the Dockerfile by docker or buildah, if it is not built yet; print its name."""
    if target not in image_build.TARGETS:
        raise DevclusterError(f"There is no image {target}; choose {' or '.join(image_build.TARGETS)}.")
    typer.echo(image_build.build(target))


@node.command()
def crash(number: Number, name: Name = DEFAULT_NAME) -> None:
    """Kill it at once; peers get a reset."""
    _namespaces(name).crash_node(number)


@node.command()
def silence(number: Number, name: Name = DEFAULT_NAME) -> None:
    """Cut its power; nobody hears anything."""
    _namespaces(name).silence_node(number)


@node.command()
def boot(number: Number, name: Name = DEFAULT_NAME) -> None:
    """Switch it on, and wait until it is Ready."""
    _namespaces(name).boot_node(number)


@node.command()
def isolate(number: Number, name: Name = DEFAULT_NAME) -> None:
    """Pull its cable; it runs on."""
    _namespaces(name).isolate_node(number)


@node.command()
def heal(number: Number, name: Name = DEFAULT_NAME) -> None:
    """Plug its cable in again."""
    _namespaces(name).heal_node(number)


@apiserver.command("stop")
def stop_apiserver(name: Name = DEFAULT_NAME) -> None:
    """Kill it."""
    _namespaces(name).stop_apiserver()


@apiserver.command("start")
def start_apiserver(name: Name = DEFAULT_NAME) -> None:
    """Start it, and wait until it is ready."""
    _namespaces(name).start_apiserver()


@etcd.command("stop")
def stop_etcd(name: Name = DEFAULT_NAME) -> None:
    """Kill it; its data stay."""
    _namespaces(name).stop_etcd()


@etcd.command("start")
def start_etcd(name: Name = DEFAULT_NAME) -> None:
    """Start it, and wait until it listens."""
    _namespaces(name).start_etcd()


@s3.command("stop")
def stop_s3(name: Name = DEFAULT_NAME) -> None:
    """Kill it; connections are refused, its data stay."""
    _namespaces(name).s3.stop()


@s3.command("start")
def start_s3(name: Name = DEFAULT_NAME) -> None:
    """Start it, and wait until it answers."""
    _namespaces(name).s3.start()


def main() -> None:
    """Run the verb; print a problem as one sentence."""
    try:
        app()
    except DevclusterError as problem:
        typer.echo(f"devcluster: {problem}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
