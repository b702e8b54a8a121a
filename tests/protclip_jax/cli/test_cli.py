"""`protclip`: its commands match pyproject.toml, arguments are dispatched, help examples parse."""

import argparse
import importlib
import importlib.metadata
import re
import shlex
import sys
import tomllib
import types

import pytest

from protclip_jax.cli import __main__ as cli
from protclip_jax.cli.table import COMMANDS, Command
from protclip_jax.config.schema import FIELDS
from tests.support.paths import ROOT

SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def test_every_script_is_a_command_and_every_module_has_a_main():
    modules = {
        name.removeprefix("protclip-"): target.partition(":")[0]
        for name, target in SCRIPTS.items()
        if "-" in name
    }
    assert modules.items() <= {name: entry.module for name, entry in COMMANDS.items()}.items()
    assert SCRIPTS["protclip"] == f"{cli.__name__}:main"
    for entry in COMMANDS.values():
        path = ROOT / f"{entry.module.replace('.', '/')}.py"
        assert "\ndef main(" in path.read_text()


def test_the_arguments_go_to_the_command(monkeypatch):
    given = []
    module = types.ModuleType("of_a_test")
    module.main = lambda arguments: given.append(arguments) or 7
    monkeypatch.setitem(sys.modules, "of_a_test", module)
    monkeypatch.setitem(COMMANDS, "first", Command("of_a_test", "x"))
    monkeypatch.setitem(COMMANDS, "second", Command("of_a_test", "x", ("program",)))
    assert cli.main(["first", "--a", "b"]) == 7
    assert cli.main(["second", "--a"]) == 7
    assert given == [["--a", "b"], ["program", "--a"]]


def test_help_and_version(capsys):
    for arguments in (["--help"], ["-h"], []):
        assert cli.main(arguments) == 0
        shown = capsys.readouterr().out
        assert all(f"\n  {name} " in shown for name in COMMANDS)
        assert "Example: protclip search" in shown
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"protclip-jax {importlib.metadata.version('protclip-jax')}\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("serch", "unknown command 'serch'; did you mean search?"),
        ("x", "unknown command 'x'; expected search, "),
    ],
)
def test_an_unknown_command_is_one_sentence(capsys, name, message):
    assert cli.main([name]) == 2
    assert message in capsys.readouterr().err


class Parsed(Exception):
    """Raised instead of everything after the parsing of a command line."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example_that_its_parser_takes(name, monkeypatch, capsys):
    entry = COMMANDS[name]
    main = importlib.import_module(entry.module).main
    with pytest.raises(SystemExit) as ended:
        main([*entry.leading, "--help"])
    assert ended.value.code in (0, None)
    shown = " ".join(capsys.readouterr().out.split())
    if name == "train":
        assert "python train.py --config configs/quickstart.py --workdir DIR" in shown
        assert "--config.optimizer.learning_rate=" in shown
        assert FIELDS["loss.gc"].doc in shown
        return
    example = re.search(rf"Example: (?:python -m [\w.]+|protclip {name}) (.*)$", shown)
    assert example, shown
    parse = argparse.ArgumentParser.parse_args

    def parsed(parser, arguments=None):
        parse(parser, arguments)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    with pytest.raises(Parsed):
        main(shlex.split(example[1]))
