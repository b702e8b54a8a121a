"""`python -m protclip_jax.doctor`: devices, versions, disk and memory, and what a checkpoint can
do."""

import argparse
import sys
from collections.abc import Sequence

from data_pipelines.common.errors import command
from protclip_jax.doctor import checkpoint, machine


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; argparse itself ends with code 2 on what it does not understand."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.doctor",
        description="Says which devices, versions, disk and memory there are, and what a "
        "checkpoint can "
        "do.",
        epilog="Example: protclip doctor --checkpoint runs/demo",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="DIR",
        help="also say what this workdir or converted checkpoint can do",
    )
    parser.add_argument(
        "--step", help="a step's number, best or latest (default: best if recorded, else latest)"
    )
    return parser.parse_args(arguments)


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line for each thing that was looked at."""
    options = parse_arguments(arguments)
    sections = {
        "Versions": machine.versions(),
        "Devices": machine.devices(),
        "Machine": machine.resources(),
    }
    sections["Optional parts"] = machine.extras()
    if options.checkpoint:
        sections["Checkpoint"] = checkpoint.abilities(options.checkpoint, options.step)
    for title, lines in sections.items():
        print(title)
        for name, fact in lines:
            print(f"  {name}: {fact}")


if __name__ == "__main__":
    sys.exit(main())
