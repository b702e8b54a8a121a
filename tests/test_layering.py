"""The house's import rules, read from the source: every import statement counts, relative and
inside functions too."""

import ast

import pytest

from tests.support.paths import ROOT

CHAIN = ("data_pipelines", "protclip_jax", "eval", "protclip_train", "train")
"""Each may import only itself and what stands to its left."""
JAX_LIBRARIES = {"jax", "jaxlib", "flax", "optax", "chex", "orbax"}
TENSORFLOW = {"tensorflow", "tf_keras", "keras"}
FOR_CONFIGS = ("protclip_jax.config.schema", "protclip_jax.config.plain_values")
"""What configs may import of the product: every field with its default, and the class of a
config."""


def source_files(root):
    """Dotted module name → file, of everything in the repository that is ours."""
    packages = [
        path
        for name in (*CHAIN[:3], "configs", "tests", "benchmarks")
        for path in sorted((root / name).rglob("*.py"))
    ]
    files = packages + [
        path for path in (root / "protclip_train.py", root / "train.py") if path.exists()
    ]
    names = {path: path.relative_to(root).with_suffix("").parts for path in files}
    return {
        ".".join(parts[:-1] if parts[-1] == "__init__" else parts): path
        for path, parts in names.items()
    }


def imports(module, path):
    """Absolute dotted names that a module imports: `a.b` for `from a import b`, whether b is a
    module or not."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            parts += [node.module] if node.module else []
            yield from (".".join([*parts, alias.name]) for alias in node.names)


def may_be_in_configs(name):
    """Whether a config may import that dotted name."""
    return top(name) in ("configs", "ml_collections") or name.rpartition(".")[0] in FOR_CONFIGS


def own_module(name, files):
    """The longest part of a dotted name that is one of our modules, or None."""
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name or None


def top(name):
    return name.partition(".")[0]


def violations(root):
    """Every broken rule as one sentence."""
    files = source_files(root)
    graph = {}
    for module, path in files.items():
        names = set(imports(module, path))
        graph[module] = {own_module(name, files) for name in names} - {None, module}
        libraries, home = {top(name) for name in names}, top(module)
        if home == "data_pipelines" and (found := libraries & JAX_LIBRARIES):
            yield f"{module} imports {sorted(found)}: data_pipelines has no JAX"
        if found := libraries & TENSORFLOW:
            yield f"{module} imports {sorted(found)}: nothing imports TensorFlow"
        if (
            "grain" in libraries
            and module != "data_pipelines.training.pipeline"
            and home != "tests"
        ):
            yield f"{module} imports grain: only data_pipelines.training.pipeline does"
        if home in CHAIN and (found := libraries & set(CHAIN[CHAIN.index(home) + 1 :])):
            yield f"{module} imports {sorted(found)}: an arrow back"
        if home in (*CHAIN, "configs") and (found := libraries & {"tests", "benchmarks"}):
            yield f"{module} imports {sorted(found)}: the product does not need them"
        if home in CHAIN and "configs" in libraries:
            yield f"{module} imports configs: a config comes in by --config"
        if home == "configs" and (found := {name for name in names if not may_be_in_configs(name)}):
            yield (
                f"{module} imports {sorted(found)}: configs import only ml_collections, each "
                "other, "
                f"and {' and '.join(FOR_CONFIGS)}"
            )
        if hides_builtin(path):
            yield f"{module} says `import eval`, which hides the builtin: say `from eval import …`"
    yield from (" → ".join(cycle) + ": an import cycle" for cycle in cycles(graph))
    yield from (
        " → ".join(cycle) + ": a cycle of folders" for cycle in cycles(folder_graph(graph, files))
    )


def folder_graph(graph, files):
    """Folder → the other folders of the same package that its modules import from; of the
    product alone."""
    folders = {}
    for module, targets in graph.items():
        if top(module) in CHAIN:
            own = str(files[module].parent)
            near = {str(files[target].parent) for target in targets if top(target) == top(module)}
            folders[own] = folders.get(own, set()) | near - {own}
    return folders


def hides_builtin(path):
    nodes = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import)
    ]
    return any(top(alias.name) == "eval" for node in nodes for alias in node.names)


def cycles(graph):
    """One cycle for every back edge of a depth-first walk."""
    done, path = set(), []

    def walk(module):
        if module in path:
            yield [*path[path.index(module) :], module]
        elif module not in done:
            path.append(module)
            for target in sorted(graph[module]):
                yield from walk(target)
            path.pop()
            done.add(module)

    for module in graph:
        yield from walk(module)


def test_the_house_keeps_its_layers():
    assert list(violations(ROOT)) == []


def test_the_files_were_found():
    files = source_files(ROOT)
    assert {
        "data_pipelines",
        "data_pipelines.training.pipeline",
        "data_pipelines.training.batch",
        "protclip_jax",
        "eval",
    } <= set(files)


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        ("data_pipelines/a.py", "import jax.numpy as jnp", "data_pipelines has no JAX"),
        (
            "data_pipelines/a.py",
            "def f():\n    from flax import linen",
            "data_pipelines has no JAX",
        ),
        ("data_pipelines/a.py", "import orbax.checkpoint", "data_pipelines has no JAX"),
        ("data_pipelines/sub/a.py", "import chex", "data_pipelines has no JAX"),
        ("protclip_jax/a.py", "import tensorflow as tf", "nothing imports TensorFlow"),
        ("tests/a.py", "from tensorflow import data", "nothing imports TensorFlow"),
        ("data_pipelines/a.py", "import grain", "only data_pipelines.training.pipeline"),
        (
            "protclip_jax/a.py",
            "from grain.experimental import x",
            "only data_pipelines.training.pipeline",
        ),
        ("data_pipelines/a.py", "from protclip_jax import b", "an arrow back"),
        ("data_pipelines/a.py", "from ..protclip_jax import b", "an arrow back"),
        ("protclip_jax/a.py", "def f():\n    from eval.b import c", "an arrow back"),
        ("eval/a.py", "import train", "an arrow back"),
        ("eval/a.py", "from protclip_train import main", "an arrow back"),
        ("eval/a.py", "from configs import quickstart", "--config"),
        ("eval/a.py", "from tests import b", "the product"),
        ("protclip_train.py", "import eval", "hides the builtin"),
        ("tests/a.py", "import eval.registry as registry", "hides the builtin"),
        ("configs/a.py", "from data_pipelines import b", "only ml_collections"),
        ("configs/a.py", "import numpy", "only ml_collections"),
        ("configs/a.py", "from protclip_jax import c", "only ml_collections"),
        ("configs/a.py", "from protclip_jax.config import build", "only ml_collections"),
        (
            "configs/a.py",
            "from protclip_jax.config.schema_of_others import x",
            "only ml_collections",
        ),
        ("protclip_jax/b.py", "from . import c", "import cycle"),
        (
            "protclip_jax/__init__.py",
            "from protclip_jax.b import b\nfrom protclip_jax.d import d",
            "import cycle",
        ),
        ("protclip_jax/b.py", "def f():\n    from protclip_jax.c import b", "import cycle"),
        ("protclip_jax/f.py", "from protclip_jax.sub import a", "cycle of folders"),
    ],
)
def test_each_rule_is_seen_to_be_broken(tmp_path, file, source, message):
    for package in ("data_pipelines", "protclip_jax", "eval", "configs", "tests"):
        (tmp_path / package).mkdir()
    (tmp_path / "protclip_jax/c.py").write_text("import jax\nfrom protclip_jax.b import b")
    (tmp_path / "protclip_jax/b.py").write_text("from data_pipelines import batch")
    (tmp_path / "protclip_jax/d.py").write_text("from protclip_jax import c, VERSION")
    allowed = "from protclip_jax.config.schema import default_config"
    (tmp_path / "configs/b.py").write_text(
        f"import ml_collections\nfrom configs import c\n{allowed}"
    )
    (tmp_path / "protclip_jax/sub").mkdir()
    (tmp_path / "protclip_jax/sub/a.py").write_text("from protclip_jax.e import E")
    (tmp_path / "protclip_jax/e.py").write_text("E = 1")
    (tmp_path / "eval/b.py").write_text("from eval import c\nfrom protclip_jax import c as d")
    (tmp_path / "protclip_train.py").write_text("from eval import b")
    (tmp_path / "train.py").write_text("from protclip_train import main")
    assert list(violations(tmp_path)) == []
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(source)
    (found,) = violations(tmp_path)
    assert message in found
