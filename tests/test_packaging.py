"""The package as others install it: what the wheel holds, its commands, and what it declares to
need."""

import ast
import functools
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.contributing import copy_of_project
from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("configs", "data_pipelines", "eval", "protclip_jax")
IMPORTED_BY_OTHERS = {"importlib-resources": "tensorflow-datasets", "kubernetes": "jax"}
"""Declared for a library that imports them and does not declare them."""
UNPINNED = {
    "apache-beam": "needs an older pyarrow than the pinned one",
    "torch": "pinned in requirements-dev.txt",
}
"""Declared, but not in constraints.txt."""


def product_files():
    """Every file that the wheel installs, relative to the root."""
    files = [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()]
    files = [path for path in files if path.suffix != ".pyc"]
    return {path.relative_to(ROOT) for path in [*files, ROOT / "protclip_train.py"]}


def listed(file):
    """The requirements of a requirements file."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def declared():
    """The requirements of the package and of its extras, on others."""
    extras = [
        Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines
    ]
    return [
        found for found in [*listed("requirements.txt"), *extras] if found.name != PROJECT["name"]
    ]


def names(requirements):
    return {canonicalize_name(requirement.name) for requirement in requirements}


def imported_modules(files):
    """Top-level names of the libraries that the files import, inside functions too."""
    nodes = [
        node
        for file in files
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    ]
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    top = {name.partition(".")[0] for name in found}
    return top - sys.stdlib_module_names - {*PACKAGES, "protclip_train"}


@functools.cache
def installed():
    """Module → the distributions that provide it."""
    return importlib.metadata.packages_distributions()


def distributions(module):
    """Who may provide a module; one that is not installed has the distribution's name."""
    found = installed().get(module, [module])
    return {canonicalize_name(name) for name in found}


def test_every_import_is_declared_and_nothing_else():
    sources = [path for path in product_files() if path.suffix == ".py"]
    providers = {module: distributions(module) for module in imported_modules(sources)}
    known = names(declared())
    assert {module for module, found in providers.items() if not found & known} == set()
    assert known - set().union(*providers.values()) == set(IMPORTED_BY_OTHERS)


def test_requirements_are_ranges():
    for found in declared():
        assert "==" not in {part.operator for part in found.specifier}, str(found)


def test_constraints_pin_every_requirement_within_its_range():
    active = [
        pin for pin in listed("constraints.txt") if pin.marker is None or pin.marker.evaluate()
    ]
    pins = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in active}
    wanted = [
        found
        for found in [*declared(), *listed("requirements-dev.txt")]
        if not found.marker or found.marker.evaluate()
    ]
    assert len(pins) == len(active)
    assert names(wanted) - set(pins) == {name for name in UNPINNED if name in names(wanted)}
    for requirement in wanted:
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is None or pin in requirement.specifier, requirement


def test_the_citation_has_the_version_and_the_licence_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])


def test_every_command_is_a_console_script():
    mains = {
        ".".join(path.with_suffix("").parts)
        for path in product_files()
        if path.name == "__main__.py"
    }
    mains = mains - {"protclip_jax.config.__main__"} | {
        "data_pipelines.fasta",
        "data_pipelines.vocabulary",
        "protclip_train",
    }
    assert set(PROJECT["scripts"].values()) == {f"{module}:main" for module in mains}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the installed wheel, without its dependencies."""
    pytest.importorskip("setuptools", reason="setuptools is absent; install requirements-dev.txt")
    project = copy_of_project(tmp_path_factory.mktemp("project"))
    for name in ("LICENSE", "README.md", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, project / name)
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", folder]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, project], check=True)
    return folder


def test_the_wheel_holds_the_product_alone(site):
    written = {
        path.relative_to(site)
        for path in site.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    ours = {
        path for path in written if path.parts[0] != "bin" and ".dist-info" not in path.parts[0]
    }
    assert ours == product_files()
    assert {path.name for path in (site / "bin").iterdir()} == set(PROJECT["scripts"])


@pytest.fixture
def run(site, tmp_path):
    """Runs an installed command in a folder with files of the user's that have the names of
    ours."""
    for name in ("eval.py", "train.py", "data_pipelines/__init__.py", "protclip_jax/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('the wrong file was run')\n")

    def run(command, *arguments):
        environment = {**os.environ, "PYTHONPATH": str(site)}
        command = [site / "bin" / command, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, text=True, capture_output=True
        )

    return run


def test_files_of_the_user_do_not_run_in_place_of_ours(run, tmp_path):
    for command, *arguments in (
        ("protclip-sample", "--output", "sample", "--records", "300"),
        (
            "protclip-build",
            "--input",
            "sample/sample.dat.gz",
            "--output",
            "built",
            "--workers",
            "2",
        ),
        ("protclip-eval", "--help"),
    ):
        done = run(command, *arguments)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "built/statistics.json").exists()


@pytest.mark.parametrize("config", ["configs/quickstart.py", "mine.py"])
def test_training_finds_the_installed_configs(run, tmp_path, config):
    mine = (
        "from configs import quickstart\n\n\ndef get_config():\n    return "
        "quickstart.get_config()\n"
    )
    (tmp_path / "mine.py").write_text(mine)
    data = ["--config.data.dir=no_such_dataset", "--config.tokenizer.text=vocab.txt"]
    done = run("protclip-train", "--config", config, "--workdir", "run", *data)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the dataset folder no_such_dataset does not exist")


def test_every_installation_that_is_named_brings_what_exists():
    """The project is on no package index: `pip install protclip-jax` would fetch a stranger's."""
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    found = [path.read_text(encoding="utf-8") for path in documents]
    found += [
        (ROOT / file).read_text(encoding="utf-8")
        for file in product_files()
        if file.suffix in (".py", ".js")
    ]
    extras = PROJECT["optional-dependencies"]
    named = []
    for text in found:
        assert not re.search(r"pip install[^`\n]*protclip-jax", text)
        named += re.findall(r"pip install [^`\n]*\.\[([\w,-]+)\]", text)
        named += re.findall(r"missing_extra\(.*, \"(\w+)\", error\)", text)
    assert {"search", "gpu", "torch"} <= set(named)
    assert {extra for names in named for extra in names.split(",")} <= extras.keys()
