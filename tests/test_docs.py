"""What the documents name exists: tests, files, links, commands with their options, and fields
of the config."""

import ast
import functools
import itertools
import re

import pytest

from data_pipelines.training import masking
from protclip_jax import ProtCLIP
from tests.support.paths import ROOT
from tests.support.shell_lines import commands, imports_torch, inline_commands, parse, shell_blocks

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PYTHON_BLOCK = re.compile(r"```(?:python|diff)\n.*?```", re.DOTALL)
MARKED = {
    "network": re.compile(
        r"pip install|data_pipelines\.download|protclip setup|hf download|git clone|gcloud|gs://"
    ),
    "accelerator": re.compile(r"(?s)configs/protclip_650m(?!.*--aot)|srun"),
}
"""What a block needs whose lines name these."""
FIELDS = re.findall(
    r"^\| `([\w.]+)`", (ROOT / "docs/config.md").read_text(encoding="utf-8"), re.MULTILINE
)
GROUPS = {field.split(".")[0] for field in FIELDS if "." in field} - {"evals"}
NAMESAKES = {"model": ProtCLIP, "masking": masking}
"""What else a dotted name may mean that begins like a group of fields."""
SUFFIXES = ("py", "safetensors")


@functools.cache
def defined():
    """Names of all test files, and of all test functions."""
    files = list((ROOT / "tests").rglob("test_*.py"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    nodes = itertools.chain.from_iterable(map(ast.walk, trees))
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return {path.name for path in files}, functions


def each_document(test):
    return pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)(test)


@each_document
def test_every_test_and_file_that_is_named_exists(document):
    text = PYTHON_BLOCK.sub("", document.read_text(encoding="utf-8"))
    files, functions = defined()
    named = set(re.findall(r"(?<!--)\btest_\w+(?:\.py)?", text))
    missing = {name for name in named if name not in (files if name.endswith(".py") else functions)}
    positions = set(
        re.findall(
            r"\b(?:data_pipelines|protclip_jax|eval|configs|tests|benchmarks|docs)/[\w/]+\.(?:py|md|png)\b",
            text,
        )
    )
    missing |= {
        position
        for position in positions
        if not (ROOT / position).exists() and "NAME" not in position
    }
    assert not missing


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=lambda path: path.name
)
def test_every_link_leads_somewhere(document):
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^):]+)\)", text):
        file, _, anchor = link.partition("#")
        target = document.parent / file if file else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(document):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@each_document
def test_every_command_in_a_block_is_accepted_by_its_parser(document, monkeypatch):
    monkeypatch.chdir(ROOT)
    for words in in_blocks(document):
        if not imports_torch(words):
            parse(words, whole=True)


# Those of CONTRIBUTING.md need its examples; tests/test_contributing.py runs them.
@pytest.mark.parametrize("document", [DOCUMENTS[0], *DOCUMENTS[2:]], ids=lambda path: path.name)
def test_every_command_in_a_sentence_is_accepted_by_its_parser(document, monkeypatch):
    monkeypatch.chdir(ROOT)
    for words in inline_commands(document.read_text(encoding="utf-8")):
        if not imports_torch(words):
            parse(words, whole=False)


@pytest.mark.soak
@each_document
def test_every_command_that_imports_torch_is_accepted_by_its_parser(document):
    pytest.importorskip("torch")
    for words in filter(imports_torch, in_blocks(document)):
        parse(words, whole=True)
    for words in filter(imports_torch, inline_commands(document.read_text(encoding="utf-8"))):
        parse(words, whole=False)


def in_blocks(document):
    """Yields the commands of all shell blocks."""
    for block in shell_blocks(document.read_text(encoding="utf-8")):
        yield from commands(block.text)


@each_document
def test_blocks_that_need_a_network_or_an_accelerator_are_marked(document):
    for block in shell_blocks(document.read_text(encoding="utf-8")):
        needed = [name for name, words in MARKED.items() if words.search(block.text)]
        assert block.needs == ", ".join(needed), block.text


@each_document
def test_every_target_of_make_exists(document):
    targets = re.findall(
        r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"`make ([\w-]+)", text)
    named += [words[1] for words in in_blocks(document) if words[0] == "make"]
    assert set(named) <= set(targets)


@each_document
def test_every_field_of_the_config_that_is_named_exists(document):
    text = PYTHON_BLOCK.sub("", document.read_text(encoding="utf-8"))
    for field in re.findall(r"`(?:--)?(?:config\.)?((?:[a-z]\w*\.)+[a-z]\w*)(?: ?=[^`]*)?`", text):
        assert is_field(field), field


def is_field(name):
    """Whether a dotted name is a field, a group of fields, or nothing of the config."""
    group, _, rest = name.partition(".")
    if group not in GROUPS or rest in SUFFIXES or hasattr(NAMESAKES.get(group), rest):
        return True
    return name in FIELDS or any(field.startswith(f"{name}.") for field in FIELDS)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("python -m eval --checkpoint runs/demo --no_such_option 1", "--no_such_option"),
        ("python -m protclip_jax.convert hf --protien DIR --output x", "--protien"),
        ("protclip setup swissprot --modle DIR --output DIR", "--modle"),
        ("python -m benchmarks.build --folder DIR --output x --no_such_option", "--no_such_option"),
    ],
)
def test_a_wrong_option_is_found(line, named, capsys):
    with pytest.raises(AssertionError) as caught:
        parse(line.split(), whole=True)
    assert named in str(caught.value) + capsys.readouterr().err


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_benchmarks_are_run_as_modules(document):
    assert not re.search(
        r"python benchmarks/|PYTHONPATH=\. python -m", document.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize(
    ("name", "known"),
    [("loss.pda", True), ("mesh.rules", True), ("model.protein", True), ("loss.zzz", False)],
)
def test_a_wrong_field_is_found(name, known):
    assert is_field(name) == known
