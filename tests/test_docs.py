"""What the documents name exists: tests, files and commands."""

import ast
import functools
import re

import pytest

from tests.support.paths import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@functools.cache
def defined():
    """Names of all test files, and of all test functions."""
    files = list((ROOT / "tests").rglob("test_*.py"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    return {path.name for path in files}, {
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_and_file_that_is_named_exists(document):
    text = document.read_text(encoding="utf-8")
    files, functions = defined()
    named = set(re.findall(r"(?<!--)\btest_\w+(?:\.py)?", text))
    missing = {name for name in named if name not in (files if name.endswith(".py") else functions)}
    positions = set(
        re.findall(r"\b(?:data_pipelines|protclip_jax|eval|configs|tests|benchmarks|docs)/[\w/]+\.(?:py|md|png)\b", text)
    )
    missing |= {position for position in positions if not (ROOT / position).exists()}
    assert not missing
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (document.parent / link).exists(), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_names_a_module_that_exists(document):
    for module in re.findall(r"python -m ([\w.]+)", document.read_text(encoding="utf-8")):
        if module.split(".")[0] in ("data_pipelines", "protclip_jax", "eval"):
            position = ROOT / module.replace(".", "/")
            assert position.with_suffix(".py").exists() or (position / "__main__.py").exists(), module
