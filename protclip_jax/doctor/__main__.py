"""`python -m protclip_jax.doctor`: reports on the machine, and what a checkpoint can do."""

import argparse
import sys
from collections.abc import Sequence

from data_pipelines.common.errors import command
from protclip_jax.doctor import checkpoint, machine


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line; argparse exits with code 2 on an invalid one."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.doctor",
        description="Shows devices, versions, disk and memory, and what a checkpoint can do.",
        epilog="Example: protclip doctor --checkpoint runs/demo",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="DIR",
        help="workdir or converted checkpoint to examine",
    )
    parser.add_argument(
        "--step", help="step number, best or latest (default: best if recorded, else latest)"
    )
    return parser.parse_args(arguments)


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Prints one line per fact."""
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
