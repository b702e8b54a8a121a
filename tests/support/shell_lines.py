"""The shell commands that the documents show, and their parsers."""

import argparse
import importlib
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from protclip_jax.cli.table import COMMANDS
from protclip_jax.config.checks import check
from protclip_jax.config.command_line import parse_flags

FENCE = re.compile(
    r"^(?:<!-- needs: ([\w, ]+) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
INLINE = re.compile(
    r"`((?:[A-Z_]+=\S+ )*(?:python (?:-m |train\.py )|protclip (?:"
    + "|".join(COMMANDS)
    + r")\b)[^`]*)`"
)
ASSIGNMENT = re.compile(r"[A-Z_]+=.*", re.DOTALL)
OPERATORS = "|&;<>"
OUR_PACKAGES = ("benchmarks", "data_pipelines", "eval", "protclip_jax")
OTHER_TEXT = "…"
PLACEHOLDERS = {"WIDTH": "512", "M": "0.1", "FILE:128": "configs/quickstart.py"}
"""Values for words that stand for one; other words in capitals are paths, which need not exist."""
IMPORT_TORCH = ("benchmarks.embedding", "benchmarks.variants")
"""Commands that import PyTorch, which takes seconds."""
ANY_RUN = ["--config=configs/quickstart.py", "--workdir=RUN"]


class Block(NamedTuple):
    """A fenced block of shell lines."""

    needs: str
    """What the mark above it names, such as "network, accelerator"; empty without a mark."""
    text: str


class Parsed(BaseException):
    """A parser has read its arguments; not an `Exception`, so that no command catches it."""

    def __init__(self, rest: list[str]):
        super().__init__(rest)
        self.rest = rest


def shell_blocks(text: str) -> list[Block]:
    """The blocks fenced as `sh`, and those fenced without a language that show Python commands."""
    found = []
    for needs, language, block in FENCE.findall(text):
        if language == "sh" or (not language and block.startswith("python ")):
            found.append(Block(needs, block))
    return found


def inline_commands(text: str) -> list[list[str]]:
    """The words of the commands `python -m …`, `python train.py …` and `protclip …` within
    sentences."""
    lines = [" ".join(command.split()) for command in INLINE.findall(text)]
    return [_without_assignments(next(_simple_commands(_words(line)))) for line in lines]


def commands(block: str) -> Iterator[list[str]]:
    """Yields the words of each simple command: pipes and lists are taken apart, variables of the
    block replaced."""
    variables: dict[str, str] = {}
    for line in _logical_lines(block):
        for words in _simple_commands(_words(line)):
            rest = _without_assignments(words)
            if not rest:
                variables |= dict(word.split("=", 1) for word in words)
                continue
            yield [expanded for word in rest for expanded in _expanded(word, variables)]


def imports_torch(words: list[str]) -> bool:
    """Whether the command imports PyTorch."""
    return words[:2] == ["python", "-m"] and words[2] in IMPORT_TORCH


def parse(words: list[str], *, whole: bool) -> None:
    """Lets the command's own parser read a command of this project; does nothing for other
    programs.

    Args:
      words: the program and its arguments.
      whole: whether the command is shown with all that it requires.

    Raises:
      AssertionError: the parser does not accept the arguments.
      UserError: neither does training's.
    """
    elided = OTHER_TEXT in words
    words = words[1:] if words[0] == "srun" else words
    words = [PLACEHOLDERS.get(word, word) for word in words if word != OTHER_TEXT]
    words = ["python" if word == ".venv/bin/python" else word for word in words]
    if words[:2] == ["protclip", "train"]:
        words = ["python", "train.py", *words[2:]]
    if words[:2] == ["python", "train.py"]:
        required = [] if whole and not elided else ANY_RUN
        check(parse_flags(["train.py", *required, *words[2:]]).config)
    elif words[0] == "protclip" and words[1:] and words[1] in COMMANDS:
        _parse_module(COMMANDS[words[1]].module, words[2:], whole=whole and not elided)
    elif words[:2] == ["python", "-m"] and words[2].split(".")[0] in OUR_PACKAGES:
        _parse_module(words[2], words[3:], whole=whole and not elided)


def _parse_module(name: str, arguments: list[str], *, whole: bool) -> None:
    """Calls the module's `main` with a parser that stops when it has read the arguments."""
    module = _program(name)
    original, own_arguments = argparse.ArgumentParser.parse_known_args, sys.argv
    argparse.ArgumentParser.parse_known_args = _stopping(original, whole=whole)
    sys.argv = [name, *arguments]
    try:
        code = module.main()
    except Parsed as parsed:
        rest = parsed.rest
    except SystemExit as error:
        raise AssertionError(f"python -m {name} does not accept {arguments}") from error
    else:
        raise AssertionError(f"python -m {name} ended with {code} before it parsed {arguments}")
    finally:
        argparse.ArgumentParser.parse_known_args, sys.argv = original, own_arguments
    assert not rest, f"python -m {name} has no argument {rest[0]}"


def _program(name: str):
    """The module that `python -m name` runs."""
    module = importlib.import_module(name)
    return importlib.import_module(f"{name}.__main__") if hasattr(module, "__path__") else module


def _stopping(original: Callable, *, whole: bool) -> Callable:
    """`parse_known_args` that raises `Parsed` at its end; parsers of subcommands, which it
    calls, return."""
    depth = 0

    def parse_known_args(self, args=None, namespace=None):
        nonlocal depth
        if not whole:
            _require_nothing(self)
        depth += 1
        try:
            namespace, rest = original(self, args, namespace)
        finally:
            depth -= 1
        if depth:
            return namespace, rest
        raise Parsed(rest)

    return parse_known_args


def _require_nothing(parser: argparse.ArgumentParser) -> None:
    """Lets the parser accept options that are left out, and options without their value."""
    for thing in (*parser._actions, *parser._mutually_exclusive_groups):
        thing.required = False
    for action in parser._actions:
        if action.option_strings and action.nargs is None:
            action.nargs = "?"


def _logical_lines(block: str) -> Iterator[str]:
    """Yields lines with the ones that they go on in: behind a backslash, or within quotation
    marks."""
    pending = ""
    for line in block.splitlines():
        pending += line
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        try:
            _words(pending)
        except ValueError:
            pending += "\n"
            continue
        yield pending
        pending = ""
    assert not pending, f"the block ends within a line: {pending}"


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=OPERATORS)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    return list(lexer)


def _simple_commands(words: list[str]) -> Iterator[list[str]]:
    command: list[str] = []
    for word in [*words, ";"]:
        if not set(word) <= set(OPERATORS):
            command.append(word)
        elif command:
            yield command
            command = []


def _without_assignments(words: list[str]) -> list[str]:
    first = next(
        (place for place, word in enumerate(words) if not ASSIGNMENT.fullmatch(word)), len(words)
    )
    return words[first:]


def _expanded(word: str, variables: dict[str, str]) -> list[str]:
    return shlex.split(variables[word[1:]]) if word[1:] in variables and word[0] == "$" else [word]
