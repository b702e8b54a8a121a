"""Config files: programs that run, may import what lies beside them, and are blamed for their
own mistakes."""

import sys

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.config.config_file import load_config

BASE = (
    "from configs import quickstart\n\n\ndef get_config({}):\n    config = "
    "quickstart.get_config()\n"
)


def write(path, body, *, arguments="", before=""):
    """A config file: the quickstart with these lines, from line 6 on if nothing comes before."""
    lines = "".join(f"    {line}\n" for line in (*body, "return config"))
    path.write_text(before + BASE.format(arguments) + lines)
    return path


MISTAKES = {
    "attribute": (
        ["config.total_steps = len.nothing"],
        "AttributeError: 'builtin_function_or_method' object has no attribute",
    ),
    "key": (["config.total_steps = {'a': 1}['b']"], "KeyError: 'b'"),
    "no field": (["config.total_steps = config.optimizer.learning_rat"], "AttributeError: "),
    "type": (["config.total_steps = 'many'"], "TypeError: Could not override field 'total_steps'"),
    "value": (["raise ValueError('of\\nmine')"], "ValueError: of mine"),
    "system": (["open('/nowhere/at/all')"], "FileNotFoundError: "),
    "nothing to say": (["assert False"], "AssertionError."),
    "endless": (["f = lambda: f()", "f()"], "RecursionError: "),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_an_error_in_the_file_names_its_line(tmp_path, kind):
    body, message = MISTAKES[kind]
    path = write(tmp_path / "mine.py", body)
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}:6: {message}")
    assert "the config has no field" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_several_lines_the_last_is_named(tmp_path):
    path = write(
        tmp_path / "mine.py", ["config.seed = broken()"], before="def broken():\n    return 1 / 0\n"
    )
    with pytest.raises(UserError, match=r"mine\.py:2: ZeroDivisionError: division by zero\."):
        load_config(path)


def test_an_error_elsewhere_is_blamed_on_the_line_that_led_to_it(tmp_path):
    (tmp_path / "table_of_mine.py").write_text("def value():\n    return {}['a']\n")
    path = write(
        tmp_path / "mine.py", ["import table_of_mine", "config.seed = table_of_mine.value()"]
    )
    with pytest.raises(UserError, match=r"mine\.py:7: KeyError: 'a'\."):
        load_config(path)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("a = 1\nx = (", ":2: SyntaxError: '(' was never closed; this is no Python program"),
        (
            "\nimport nothing_of_this_name",
            ":2: ModuleNotFoundError: No module named 'nothing_of_this_name'; this is no Python",
        ),
        ("get_config = 3", " has no function get_config(); see configs/."),
        (
            "def get_config():\n    return {}",
            ": get_config() does not return a ConfigDict; see configs/.",
        ),
        (
            "def get_config(size):\n    return {}",
            ": its get_config() needs an argument; train.py takes one as --config=",
        ),
    ],
)
def test_what_is_no_config_file(tmp_path, program, message):
    path = tmp_path / "mine.py"
    path.write_text(program)
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}{message}")


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_config(tmp_path)


def test_an_argument_is_passed_on(tmp_path):
    path = write(
        tmp_path / "sweep.py", ["config.seed = {'a': 1, 'b:c': 2}[choice]"], arguments="choice='a'"
    )
    assert (load_config(path).seed, load_config(path, "b:c").seed) == (1, 2)
    with pytest.raises(UserError, match=r"sweep\.py:6: KeyError: 'd'\."):
        load_config(path, "d")


def test_an_argument_that_the_file_does_not_take(tmp_path):
    path = write(tmp_path / "mine.py", [])
    with pytest.raises(
        UserError, match=r"mine\.py: its get_config\(\) takes no argument; leave out ':d'\."
    ):
        load_config(path, "d")


def test_modules_beside_the_file_are_found_and_nothing_is_left(tmp_path, monkeypatch):
    """Two files have two modules of one name beside them, and the command runs elsewhere."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper_of_mine.py").write_text(f"DIR = {name!r}\n")
        write(
            tmp_path / name / "mine.py",
            ["import helper_of_mine", "config.data.dir = helper_of_mine.DIR"],
        )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    search_path, modules = list(sys.path), set(sys.modules)
    for name in ("first", "second"):
        assert load_config(tmp_path / name / "mine.py").data.dir == name
    monkeypatch.chdir(tmp_path / "first")
    assert (
        load_config((tmp_path / "first" / "mine.py").relative_to(tmp_path / "first")).data.dir
        == "first"
    )
    assert sys.path == search_path
    assert not [name for name in sys.modules.keys() - modules if "mine" in name]


def test_a_failed_file_leaves_the_search_path_as_it_was(tmp_path):
    search_path = list(sys.path)
    with pytest.raises(UserError):
        load_config(write(tmp_path / "mine.py", ["1 / 0"]))
    assert sys.path == search_path


def test_a_changed_file_is_read_anew(tmp_path):
    """Within the same second and of the same size, as a script may write it."""
    for seed in (1, 2, 3):
        assert load_config(write(tmp_path / "mine.py", [f"config.seed = {seed}"])).seed == seed


def test_numpy_scalars_become_python_values(tmp_path):
    body = [
        "import numpy as np",
        "config.optimizer.learning_rate = np.float32(0.5)",
        "config.batch.rows = np.int64(16)",
        "config.loss.mask_duplicates = np.bool_(False)",
        "config.optimizer.groups = (('.', np.float64(0.5)),)",
        "config.evals = dict(retrieval=dict(split='test', pool=np.int32(8)))",
    ]
    config = load_config(write(tmp_path / "mine.py", body))
    found = (config.optimizer.learning_rate, config.batch.rows, config.loss.mask_duplicates)
    assert found == (0.5, 16, False)
    assert tuple(map(type, found)) == (float, int, bool)
    assert [
        type(value) for value in (config.optimizer.groups[0][1], config.evals.retrieval.pool)
    ] == [float, int]


def test_numpy_scalars_of_a_plain_configdict_become_python_values(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom ml_collections import ConfigDict\n"
        "def get_config():\n    return ConfigDict(dict(group=dict(rate=np.float32(0.5))))\n"
    )
    assert type(load_config(tmp_path / "mine.py").group.rate) is float


def test_dataclasses_of_annotations_can_be_defined(tmp_path):
    before = (
        "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\nclass "
        "Size:\n    rows: int = 4\n"
    )
    assert (
        load_config(
            write(tmp_path / "mine.py", ["config.batch.rows = Size().rows"], before=before)
        ).batch.rows
        == 4
    )
