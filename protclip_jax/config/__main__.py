"""Prints docs/config.md, the list of every field of the training config, from the schema."""

import argparse
import sys

from data_pipelines.common.errors import command
from protclip_jax.config.reference import page


@command
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.config",
        epilog="Example: python -m protclip_jax.config",
        description=__doc__,
    )
    parser.parse_args(arguments)
    print(page(), end="")


if __name__ == "__main__":
    sys.exit(main())
