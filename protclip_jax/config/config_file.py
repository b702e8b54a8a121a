"""Config files: Python programs with a function `get_config`. A mistake in one names its line."""

import contextlib
import importlib
import inspect
import pathlib
import sys
import traceback
import types
from collections.abc import Callable, Iterator

from ml_collections import ConfigDict

from data_pipelines.common.errors import UserError
from protclip_jax.config.plain_values import make_plain

_INSTALLED = pathlib.Path(__file__).parents[2]
"""The folder that holds `configs/`: the repository, or where the wheel is installed."""


def find_config(path: pathlib.Path) -> pathlib.Path:
    """The path itself, or the packaged file if it does not exist and begins with `configs/`."""
    installed = _INSTALLED / path
    ours = path.parts[:1] == ("configs",)
    return installed if ours and not path.exists() and installed.exists() else path


def load_config(path: pathlib.Path, *arguments: str) -> ConfigDict:
    """Runs a config file, and returns what its `get_config(*arguments)` returns.

    The file may import modules that lie beside it. NumPy scalars become Python values.

    Raises:
      UserError: the file cannot be read, raises an error, or returns no config.
    """
    with _beside(path), _blamed_on(path):
        get_config = _run(path)
        _check_call(path, get_config, arguments)
        config = get_config(*arguments)
    if not isinstance(config, ConfigDict):
        raise UserError(f"{path}: get_config() does not return a ConfigDict; see configs/.")
    make_plain(config)
    return config


def _run(path: pathlib.Path) -> Callable[..., object]:
    """The function `get_config` of the file."""
    module = types.ModuleType(f"config_file_{path.stem}")
    module.__file__ = str(path)
    # Where dataclasses, for one, look for the module that they are defined in.
    sys.modules[module.__name__] = module
    exec(compile(_read(path), str(path), "exec", dont_inherit=True), module.__dict__)
    get_config = getattr(module, "get_config", None)
    if not callable(get_config):
        raise UserError(f"{path} has no function get_config(); see configs/.")
    return get_config


def _read(path: pathlib.Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); name another file.") from error


def _check_call(path: pathlib.Path, get_config: Callable, arguments: tuple[str, ...]) -> None:
    try:
        inspect.signature(get_config).bind(*arguments)
    except TypeError as error:
        if arguments:
            fix = f"takes no argument; leave out ':{arguments[0]}'"
        else:
            fix = f"needs an argument; train.py takes one as --config={path}:ARGUMENT"
        raise UserError(f"{path}: its get_config() {fix}.") from error


@contextlib.contextmanager
def _beside(path: pathlib.Path) -> Iterator[None]:
    """Makes the modules beside the file importable meanwhile, as for a script."""
    folder = path.absolute().parent
    search_path, modules = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = search_path
        # Another config file may have another module of the same name beside it.
        for name in sys.modules.keys() - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if "." not in name and file and pathlib.Path(file).absolute().parent == folder:
                del sys.modules[name]


@contextlib.contextmanager
def _blamed_on(path: pathlib.Path) -> Iterator[None]:
    """Raises any error of the file again as a sentence with the line where it happened."""
    try:
        yield
    except UserError:
        raise
    except (SyntaxError, ImportError) as error:
        fix = "this is no Python program that can be run, see configs/"
        raise UserError(f"{_told(path, error)}; {fix}.") from error
    except Exception as error:
        raise UserError(f"{_told(path, error)}.") from error


def _told(path: pathlib.Path, error: Exception) -> str:
    """`file.py:5: KeyError: 'a'`, where the line is the last of the file that ran."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines = [error.lineno]
        message = error.msg
    else:
        message = str(error)
    place = ":".join([str(path), *map(str, lines[-1:])])
    return f"{place}: {type(error).__name__}: {message}".removesuffix(": ").removesuffix(".")
