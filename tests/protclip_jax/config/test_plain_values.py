"""NumPy scalars in configs become Python values, wherever they are put."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from protclip_jax.config.plain_values import Config, make_plain, plain

SCALARS = [
    (np.float32(0.5), 0.5),
    (np.float64(0.5), 0.5),
    (np.int64(8), 8),
    (np.uint8(8), 8),
    (np.bool_(True), True),
]


@pytest.mark.parametrize(("scalar", "value"), SCALARS)
def test_a_scalar_becomes_pythons_own(scalar, value):
    assert plain(scalar) == value
    assert type(plain(scalar)) is type(value)
    assert json.dumps(plain((("a", scalar), [scalar]))) == json.dumps([["a", value], [value]])


def config():
    return Config(
        {
            "rate": 1.0,
            "flag": False,
            "rows": placeholder(int),
            "group": {"size": 3, "rules": ((".", 1.0),)},
        }
    )


def test_scalars_are_taken_for_values_of_the_field():
    made = config()
    made.rate, made.flag, made.rows = np.float32(0.5), np.bool_(True), np.int64(8)
    made.group.update(size=np.int32(4), rules=((".", np.float32(0.5)),))
    values = {"rate": 0.5, "flag": True, "rows": 8, "group": {"size": 4, "rules": ((".", 0.5),)}}
    assert made.to_dict() == values
    assert [type(made[name]) for name in ("rate", "flag", "rows")] == [float, bool, int]
    assert type(made.group.rules[0][1]) is float


def test_fields_keep_their_types():
    made = config()
    with pytest.raises(TypeError, match="rows"):
        made.rows = np.float32(0.5)
    with pytest.raises(TypeError, match="flag"):
        made.flag = "yes"
    with pytest.raises(TypeError, match="group"):
        made.group = 3


@pytest.mark.parametrize(
    "group", [{"size": np.int64(5)}, Config({"size": 5}), ConfigDict({"size": 5})]
)
def test_a_group_may_be_replaced_by_another(group):
    made = config()
    made.lock()
    made.group = group
    assert made.group.to_dict() == {"size": 5}
    with pytest.raises(AttributeError, match="does not exist"):
        made.new = 1


def test_a_group_that_was_put_in_is_not_a_copy():
    made, group = Config(), ConfigDict({"size": 1})
    made.group = group
    group.size = 2
    assert made.group.size == 2


def test_scalars_of_any_config_are_replaced_and_references_kept():
    made = ConfigDict(
        {
            "rate": np.float32(0.5),
            "group": {"sizes": [np.int64(1), 2]},
            "steps": 4,
            "rows": placeholder(int),
        }
    )
    made.twice = made.get_ref("steps") * 2
    make_plain(made)
    made.steps, made.rows = 8, 3
    assert made.to_dict() == {
        "rate": 0.5,
        "group": {"sizes": [1, 2]},
        "steps": 8,
        "twice": 16,
        "rows": 3,
    }
    assert (type(made.rate), type(made.group.sizes[0])) == (float, int)
