"""`python -m protclip_jax.serve`: serves a web page and API for search and residue weights."""

import argparse
import dataclasses
import ipaddress
import math
import os
import re
import secrets
import sys
import time
import urllib.parse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_pipelines.common.errors import UserError, command
from data_pipelines.common.extras import missing_extra
from data_pipelines.common.progress import print_status
from data_pipelines.common.warned import warnings_as_sentences
from protclip_jax.checkpoints.best import resolve_step
from protclip_jax.checkpoints.own_report import what_weights_mean
from protclip_jax.convert.hub_folder import open_checkpoint
from protclip_jax.distributed.cpu_devices import split_cpu
from protclip_jax.inference.batched_calls import default_batch_tokens
from protclip_jax.inference.user_inputs import UNKNOWN_WORDS
from protclip_jax.retrieval.engine import SearchEngine
from protclip_jax.serve.limits import MOST_RESIDUES, Limits

if TYPE_CHECKING:
    from fastapi import FastAPI

PORT, TOKEN_VARIABLE = 8000, "PROTCLIP_TOKEN"
HOST_NAME = re.compile(r"[^*:/\[\]]+|\[[0-9a-fA-F:.]+\]")
"""A host name or address without a port."""
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line; argparse exits with code 2 if it is invalid."""
    limits = Limits()
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.serve",
        epilog="Example: python -m protclip_jax.serve --checkpoint runs/demo --index "
        "proteins.index",
        description="Serves a web page and an API (/openapi.json) for searching an index. Works "
        "without network access.",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        metavar="DIR",
        help="checkpoint that the index was made with",
    )
    add("--step", help="step number, best or latest (default: best if recorded, else latest)")
    add(
        "--index",
        type=Path,
        metavar="DIR",
        help="index of proteins to search, made with `python -m protclip_jax.index`",
    )
    add(
        "--labels",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR|FILE",
        help="libraries of labels that describe proteins: indexes made with `index --labels`, or "
        "files of labels, which are embedded at startup",
    )
    add("--title", help="name of the model on the page (default: the checkpoint's name)")
    add(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default %(default)s: this machine only)",
    )
    add("--port", type=int, default=PORT, help="port (default %(default)s); 0 chooses a free one")
    add(
        "--token",
        help=f"access token for visitors, also read from ${TOKEN_VARIABLE} (default: none on this "
        "machine, a random one on a --host that others can reach)",
    )
    add(
        "--allowed_hosts",
        nargs="+",
        default=[],
        help="host names that requests may use besides those of this machine",
    )
    add(
        "--links",
        choices=("uniprot", "none"),
        default="uniprot",
        help="site that accessions link to (default %(default)s)",
    )
    add(
        "--max_waiting",
        type=int,
        default=limits.waiting,
        help="maximum number of queued requests; further ones get status 429 (default %(default)s)",
    )
    add(
        "--timeout",
        type=float,
        default=limits.seconds,
        help="seconds until a request gets status 504 (default %(default)s)",
    )
    add(
        "--max_residues",
        type=int,
        default=limits.residues,
        help="maximum length of a query protein (default %(default)s)",
    )
    add(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="data type of the computation (default %(default)s)",
    )
    add("--cpu_devices", type=int, default=1, help="virtual devices of a CPU (default %(default)s)")
    add(
        "--skip_warm_up",
        action="store_true",
        help="start at once; the first request of each length is then slow",
    )
    options = parser.parse_args(arguments)
    if options.index is None and not options.labels:
        parser.error("give --index, --labels or both")
    return options


def is_local(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def choose_token(options: argparse.Namespace) -> str | None:
    """The token of the options or the environment, or a random one for a public address."""
    token = options.token or os.environ.get(TOKEN_VARIABLE)
    if token and (not token.isascii() or not token.isprintable() or " " in token):
        raise UserError("--token must consist of printable ASCII characters without spaces.")
    return token or (None if is_local(options.host) else secrets.token_urlsafe(24))


def address_fragment(token: str | None) -> str:
    """The end of the printed address, with a token unless it comes from the environment.

    Such a token is a secret and must not appear in logs.
    """
    if not token:
        return ""
    if token == os.environ.get(TOKEN_VARIABLE):
        return f"#token=… (insert the value of ${TOKEN_VARIABLE})"
    # Browsers differ in which characters they escape after '#'.
    return f"#token={urllib.parse.quote(token, safe='')}"


def allowed_hosts(options: argparse.Namespace) -> tuple[str, ...] | None:
    """The host names that requests may address.

    None allows any name, for a public address: it is protected by the token.

    Raises:
      UserError: the option is not a bare host name, so no request could match it.
    """
    if wrong := [name for name in options.allowed_hosts if not HOST_NAME.fullmatch(name)]:
        raise UserError(
            f"--allowed_hosts={wrong[0]} must be only a host name, without scheme, port, path or *."
        )
    named = tuple(name.lower() for name in options.allowed_hosts)
    if not is_local(options.host):
        return named or None
    return (*LOCAL_NAMES, options.host.lower(), *named)


def load_engine(options: argparse.Namespace) -> SearchEngine:
    """Loads the engine that the options describe; warms it up unless they say otherwise."""
    from protclip_jax.serve import jobs

    start = time.perf_counter()
    with warnings_as_sentences():
        engine = SearchEngine.load(
            options.checkpoint,
            index=options.index,
            labels=options.labels,
            step=options.step,
            dtype=options.dtype,
        )
    print_status(f"loaded in {time.perf_counter() - start:.1f} s.")
    jobs.prepare(engine)
    if not options.skip_warm_up:
        start = time.perf_counter()
        jobs.warm_up(engine)
        print_status(f"warmed up in {time.perf_counter() - start:.1f} s.")
    return engine


def application(
    options: argparse.Namespace,
    limits: Limits,
    *,
    hosts: tuple[str, ...] | None,
    token: str | None,
) -> "FastAPI":
    """Builds the ASGI application that the options describe, with model and index loaded."""
    from protclip_jax.serve.app import UNIPROT, create_app

    title = options.title or Path(options.checkpoint).resolve().name
    options.checkpoint = open_checkpoint(options.checkpoint, options.step)
    engine = load_engine(options)
    step = resolve_step(options.checkpoint, options.step)
    return create_app(
        engine,
        limits=dataclasses.replace(limits, batch_tokens=default_batch_tokens()),
        hosts=hosts,
        token=token,
        links=UNIPROT if options.links == "uniprot" else None,
        title=title,
        weights=what_weights_mean(options.checkpoint, step=step),
    )


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Listens, loads and warms up while visitors see a loading page, then serves until a signal."""
    options = parse_arguments(arguments)
    if options.max_waiting < 1 or not 0 < options.timeout < math.inf or options.max_residues < 1:
        raise UserError("--max_waiting, --timeout and --max_residues must be above 0 and finite.")
    if options.max_residues > MOST_RESIDUES:
        raise UserError(
            f"--max_residues={options.max_residues} must be at most {MOST_RESIDUES:,}, which "
            "exceeds every known protein."
        )
    try:
        from protclip_jax.serve import server
        from protclip_jax.serve.loading import answering_loading
    except ImportError as error:
        raise missing_extra("the server needs additional packages", "serve", error) from error
    # The answers report which texts were cut.
    warnings.filterwarnings("ignore", message=r".* texts are longer than")
    warnings.filterwarnings("ignore", message=UNKNOWN_WORDS)
    limits = Limits(
        waiting=options.max_waiting, seconds=options.timeout, residues=options.max_residues
    )
    token, hosts = choose_token(options), allowed_hosts(options)
    split_cpu(options.cpu_devices)
    with server.listening_socket(options.host, options.port) as bound:
        name = f"[{options.host}]" if ":" in options.host else options.host
        address = f"http://{name}:{bound.getsockname()[1]}/"
        print_status(f"listening on {address}; requests get status 503 until the model is loaded.")
        with answering_loading(bound, limits, hosts):
            app = application(options, limits, hosts=hosts, token=token)
        print_status(f"serving on {address}{address_fragment(token)} — press Ctrl-C to stop.")
        server.run(app, bound, limits)
    print_status("stopped.")


if __name__ == "__main__":
    sys.exit(main())
