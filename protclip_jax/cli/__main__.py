"""`protclip COMMAND …` runs any of the commands; `python -m protclip_jax.cli` is the same."""

import difflib
import importlib
import sys
from collections.abc import Sequence

from data_pipelines.common.errors import UserError, command
from data_pipelines.common.project import DISTRIBUTION, version
from protclip_jax.cli.table import COMMANDS


def usage() -> str:
    """The text of `protclip --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {entry.about}" for name, entry in COMMANDS.items()]
    return "\n".join(
        [
            "usage: protclip COMMAND [arguments]",
            "       protclip --version",
            "",
            *lines,
            "",
            "Run protclip COMMAND --help for the options of a command.",
            "Example: protclip search --checkpoint runs/demo --index proteins.index --text "
            '"zinc-binding protease"',
        ]
    )


@command
def main(arguments: Sequence[str] | None = None) -> int | None:
    """Runs the command named by the first argument with the remaining arguments.

    Raises:
      UserError: the command is unknown.
    """
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help", "help"):
        print(usage())
        return None
    if name in ("-V", "--version"):
        print(f"{DISTRIBUTION} {version()}")
        return None
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        fix = f"did you mean {near[0]}?" if near else f"expected {', '.join(COMMANDS)}"
        raise UserError(f"unknown command {name!r}; {fix}")
    chosen = COMMANDS[name]
    return importlib.import_module(chosen.module).main([*chosen.leading, *rest])


if __name__ == "__main__":
    sys.exit(main())
