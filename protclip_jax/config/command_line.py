"""The command line of training: a config file, changes of its values, and where the run is kept."""

import contextlib
import pathlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from absl import flags
from ml_collections import ConfigDict, config_flags
from ml_collections.config_dict import placeholder

from data_pipelines.common.errors import UserError
from data_pipelines.common.settings import Setting
from protclip_jax.config.checks import did_you_mean, joined
from protclip_jax.config.config_file import find_config, load_config
from protclip_jax.config.schema import FIELDS, ON_REQUEST

# The options belong to the program that calls `parse_flags`; --help lists them as its own.
flags.disclaim_key_flags()

OVERRIDE = re.compile(r"--config\.([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)=.*", re.DOTALL)

_SET = "config values are set as --config.key=value"
_EXAMPLE = "python train.py --config configs/quickstart.py --workdir runs/first"


class CommandLine(NamedTuple):
    """The parsed command line. `workdir` is None only if `aot` names absent devices."""

    config: ConfigDict
    workdir: str | None
    aot: str | None
    profile_steps: int
    changes: tuple[str, ...]
    """The fields that may have other values than the workdir was begun with."""


def parse_flags(argv: Sequence[str], *, about: str = "") -> CommandLine:
    """Parses `[program, *arguments]`; --help prints `about` with the options, and exits.

    The config file is a Python program, and runs: --config=FILE calls its `get_config()`, and
    --config=FILE:ARGUMENT its `get_config("ARGUMENT")`. The values of --config.key=value are Python
    literals, and never run.

    Raises:
      UserError: a mistake in the arguments or in the config file.
    """
    options = _define_options()
    with _one_sentence():
        program, *arguments = argv
        arguments = options.read_flags_from_files(arguments, force_gnu=False)
        _check_overrides(arguments)
        overrides = list(filter(OVERRIDE.fullmatch, arguments))
        named = [argument for argument in arguments if argument not in overrides]
        rest = options([program, *named])[1:]
    if options.help:
        print(f"{about}\n{options.get_help(include_special_flags=False)}\n{_fields()}")
        sys.exit(0)
    if rest:
        raise UserError(f"{rest[0]}: unknown argument; {_SET}.")
    for name in ("config",) if options.aot else ("config", "workdir"):
        if not options[name].value:
            raise UserError(f"--{name} is missing; for example: {_EXAMPLE}")
    config = _load(options.config)
    _override(config, [program, *overrides])
    changes = _check_changes(options.change)
    return CommandLine(config, options.workdir, options.aot, options.profile_steps, changes)


def _fields() -> str:
    """Lists every field of a config with its default and meaning.

    docs/config.md lists those of towers and evaluations.
    """
    lines = [
        f"  --config.{path}={_default(setting)}\n    {setting.doc}"
        for path, setting in FIELDS.items()
    ]
    return "\n".join(
        ["Fields of the config and their defaults (docs/config.md has all values):", *lines]
    )


def _default(setting: Setting) -> object:
    return "unset" if setting.default is None else setting.default


def _define_options() -> flags.FlagValues:
    options = flags.FlagValues()
    flags.DEFINE_string(
        "config",
        None,
        "Config file, such as configs/quickstart.py; FILE:ARGUMENT calls its get_config(ARGUMENT).",
        flag_values=options,
    )
    flags.DEFINE_string(
        "workdir",
        None,
        "Folder or gs:// path for checkpoints and metrics; an existing run continues.",
        flag_values=options,
    )
    flags.DEFINE_string(
        "aot",
        None,
        "Compile the step for devices such as v5e:8x8 or h100:8, print its needs, and exit.",
        flag_values=options,
    )
    flags.DEFINE_list(
        "change",
        [],
        f"Fields whose new values a resumed run takes: {', '.join(ON_REQUEST)}.",
        flag_values=options,
    )
    flags.DEFINE_integer(
        "profile_steps",
        0,
        "Trace this number of steps, after the first ten, into WORKDIR/profile.",
        lower_bound=0,
        flag_values=options,
    )
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=options)
    return options


def _check_changes(fields: Sequence[str]) -> tuple[str, ...]:
    for field in fields:
        if field not in ON_REQUEST:
            raise UserError(
                f"--change={field} is not possible; a resumed run can take new values of "
                f"{', '.join(ON_REQUEST)}."
            )
    return tuple(fields)


def _check_overrides(arguments: Sequence[str]) -> None:
    for argument in arguments:
        # The library also takes the next argument as a value, and would look up methods.
        if re.match(r"--?(no)?config\.", argument) and not OVERRIDE.fullmatch(argument):
            raise UserError(f"{argument}: {_SET}, such as --config.batch.rows=64.")


def _load(named: str) -> ConfigDict:
    file, *argument = named.split(":", 1)
    path = find_config(pathlib.Path(file))
    if not path.is_file():
        fix = "the project's own are in configs/"
        raise UserError(f"--config={file} does not exist; {fix}.")
    return load_config(path, *argument)


def _override(config: ConfigDict, argv: Sequence[str]) -> None:
    """Makes the changes of `[program, *overrides]` in the config, and locks it."""
    program, *changes = argv
    changed = [program]
    for argument in changes:
        path, value = argument.removeprefix("--config.").split("=", 1)
        _check_field(config, path)
        unsets = value == "None" and path in FIELDS and FIELDS[path].kind.allows(None)
        if unsets or _value(config, path) is None:
            _unset(config, path)
        if unsets:
            # The last of several values counts.
            changed = [other for other in changed if not other.startswith(f"--config.{path}=")]
        else:
            changed.append(argument)
    values = flags.FlagValues()
    with _one_sentence():
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=changed)
        values(changed)


def _unset(config: ConfigDict, path: str) -> None:
    """Makes a field None with its type, by which the library reads another value of it."""
    group, _, name = path.rpartition(".")
    holder = _value(config, group) if group else config
    with holder.ignore_type():
        holder[name] = placeholder(FIELDS[path].kind.holds if path in FIELDS else object)


def _value(config: ConfigDict, path: str) -> object:
    value = config
    for name in path.split("."):
        value = value[name]
    return value


def _check_field(config: ConfigDict, path: str) -> None:
    """Raises `UserError`, with the most similar field, if the config has no such field."""
    group, parents = config, ""
    for name in path.split("."):
        known = list(group) if isinstance(group, ConfigDict) else []
        if name not in known:
            fix = did_you_mean(parents, name, known)
            raise UserError(f"the config has no field '{joined(parents, name)}'; {fix}")
        group, parents = group[name], joined(parents, name)


@contextlib.contextmanager
def _one_sentence() -> Iterator[None]:
    """Raises the errors of the flag libraries again as sentences."""
    try:
        yield
    except (RecursionError, MemoryError) as error:
        raise UserError("a config value is nested too deeply.") from error
    except (flags.Error, ValueError, TypeError, OSError) as error:
        raise UserError(str(error)) from error
