"""``python -m airflow_provider_globus.sandbox serve`` and ``seed``: a sandbox from a shell."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import threading
from typing import TYPE_CHECKING

from airflow_provider_globus import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_globus.sandbox.journal import Entry
    from airflow_provider_globus.sandbox.server import GlobusSandbox

_DEFAULT_PORT = 8765
#: Where a sandbox listens when it is not told, so that scripts need not name it again and again.
PORT_VARIABLE = "GLOBUS_SANDBOX_PORT"
#: An AMQP broker for real Compute endpoints and the SDK's ``Executor``.
AMQP_VARIABLE = "GLOBUS_SANDBOX_AMQP_URL"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "seed" and options.file is None and not options.example:
        parser.error("seed needs a FILE; --example prints one to begin with")
    status: int = options.run(options)
    return status


def _seed(options: argparse.Namespace) -> int:
    from airflow_provider_globus.sandbox import seed_command

    try:
        print(seed_command.run(options), end="")
    except (OSError, ValueError) as error:
        print(f"globus sandbox: {error}", file=sys.stderr)
        return 1
    return 0


def _start(options: argparse.Namespace) -> int:
    # Imported late, so that `--help` and a mistyped option answer at once.
    from airflow_provider_globus.sandbox.server import GlobusSandbox

    try:
        sandbox = GlobusSandbox(
            port=options.port,
            host=options.host,
            seed=options.seed,
            clock_scale=options.clock_scale,
            random_seed=options.random_seed,
            allow_non_loopback=options.allow_non_loopback,
            on_request=None if options.quiet else _log,
            # From the environment, since it holds a password, which a command line would show to everybody.
            amqp_url=os.environ.get(AMQP_VARIABLE),
            tls_port=options.tls_port,
            ca_file=options.ca_file,
        )
        if options.print_env:
            return _print_env(sandbox, options.port)
        sandbox.start()
    except (OSError, ValueError) as error:
        print(f"globus sandbox: {error}", file=sys.stderr)
        return 1
    return _serve(sandbox)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_globus.sandbox", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, dest="command")
    serve = commands.add_parser(
        "serve",
        help="serve a sandbox until Ctrl-C",
        epilog=f"With an AMQP URL in {AMQP_VARIABLE}, real Compute endpoints can register.",
    )
    port = os.environ.get(PORT_VARIABLE, str(_DEFAULT_PORT))
    serve.add_argument("--port", type=int, default=port, help="0 takes a free one (default %(default)s)")
    serve.add_argument(
        "--tls-port",
        type=int,
        default=0,
        help="where Connect Server and collections' data are served over TLS (default a free one)",
    )
    serve.add_argument(
        "--ca-file",
        metavar="FILE",
        help="write the certificate that TLS clients have to trust here (default a temporary file)",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument(
        "--seed", metavar="FILE", help="YAML file with clients, identities, collections, Compute endpoints, settings"
    )
    serve.add_argument("--clock-scale", type=float, default=1.0, help="sandbox seconds in a real second")
    serve.add_argument("--random-seed", help="make ids and tokens the same in every run")
    serve.add_argument("--quiet", action="store_true", help="do not log requests")
    serve.add_argument(
        "--print-env", action="store_true", help="print the environment for clients of such a sandbox, do not serve"
    )
    serve.add_argument(
        "--allow-non-loopback",
        action="store_true",
        help="listen where others may reach it; they then may read and write every collection",
    )
    serve.set_defaults(run=_start)
    seed = commands.add_parser("seed", help="print an example seed, check a seed file, or put one into a sandbox")
    seed.add_argument("file", nargs="?", metavar="FILE", help="the YAML file; relative folders are beside it")
    seed.add_argument("--example", action="store_true", help="print a seed to begin with")
    seed.add_argument("--check", action="store_true", help="only say whether the file is good; needs no sandbox")
    seed.add_argument("--url", default=f"http://127.0.0.1:{port}", help="the running sandbox (default %(default)s)")
    seed.add_argument("--mark", action="store_true", help="make what the sandbox then holds what a reset goes back to")
    seed.set_defaults(run=_seed)
    return parser


def _print_env(sandbox: GlobusSandbox, port: int) -> int:
    """Print exports to ``eval``; only a fixed port is known before the sandbox runs."""
    if port == 0:
        print("globus sandbox: --print-env needs a fixed --port", file=sys.stderr)
        return 2
    sandbox.world.url = sandbox.url_for(port)
    print(_exports(sandbox))
    if sandbox.ca_file is None:
        print("# Connect Server speaks TLS: give --ca-file FILE here and to the sandbox, or clients will not trust it.")
    return 0


def _exports(sandbox: GlobusSandbox) -> str:
    variables = {**sandbox.env, "AIRFLOW_CONN_GLOBUS_DEFAULT": sandbox.connection}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _serve(sandbox: GlobusSandbox) -> int:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    print(f"Globus sandbox {__version__} at {sandbox.url}  (Ctrl-C stops it)\n", flush=True)
    print(
        "# For the Globus SDK and CLI, and as Airflow connection globus_default. The credentials are the same in every"
    )
    print(f"# sandbox and open nothing else.\n{_exports(sandbox)}\n", flush=True)
    extra, world = json.loads(sandbox.connection)["extra"], sandbox.world
    for alias, collection_id in extra["collections"].items():
        print(f"# collection {alias}: {collection_id} {world.transfer.collections[collection_id].root}")
    for alias, endpoint_id in extra["compute_endpoints"].items():
        print(f"# Compute endpoint {alias}: {endpoint_id} {world.compute.endpoints[endpoint_id].folder}")
    print(f"# control plane: {sandbox.url}/_sandbox/state\n", flush=True)
    try:
        ended.wait()
    finally:
        sandbox.stop()
    print("\nGlobus sandbox stopped", flush=True)
    return 0


def _log(entry: Entry) -> None:
    """Print one line for a request: time, status, what, who, and what is remarkable about it."""
    status = entry.status or "dropped"
    notes = [note for note in (entry.code, f"fault={entry.fault}" if entry.fault else None, entry.identity) if note]
    line = f"{entry.time[11:19]} {status} {entry.service:<8} {entry.method:<6} {entry.path}  {' '.join(notes)}"
    print(line.rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
