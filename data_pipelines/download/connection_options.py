"""Options of download commands: how long to wait, and how often to retry."""

import argparse
import re

from data_pipelines.common.errors import UserError


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """Adds --timeout and --tries."""
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        help="seconds without data before a connection is closed (default: %(default)s)",
    )
    parser.add_argument(
        "--tries",
        type=int,
        default=8,
        help="consecutive attempts without new data before giving up (default: %(default)s)",
    )


def check_connection_options(options: argparse.Namespace) -> None:
    """Raises `UserError` unless both options are above 0."""
    if not (options.timeout > 0 and options.tries > 0):
        raise UserError(f"--timeout {options.timeout} and --tries {options.tries} must be above 0.")


def base_url(text: str) -> str:
    """The address of a mirror, for argparse: without the slash at its end."""
    if not re.fullmatch(r"https?://([^][:/?#\s]+|\[[0-9a-fA-F:.]+\])(:\d+)?(/[!-~]*)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an http:// or https:// address")
    return text.rstrip("/")
