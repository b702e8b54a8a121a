"""JSON from strangers: objects of limited size and depth with distinct names."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import MAX_DEPTH, parse_object, read_json


@pytest.mark.parametrize("opening", ["[", '{"a": '])
@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, 500, 5000, 500_000])
def test_depth_is_limited(opening, depth):
    """The outermost object counts as 1; the limit does not depend on how deep the caller is."""
    closing = {"[": "]", '{"a": ': "}"}[opening]
    text = ('{"a": ' + opening * depth + "1" + closing * depth + "}").encode()
    if depth < MAX_DEPTH:
        parse_object(text, name="x")
    else:
        with pytest.raises(UserError, match="x is damaged: .*nested"):
            parse_object(text, name="x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "^x .*Expecting value"),
        (b"3", "^x .*object"),
        (b"[]", "^x .*object"),
        (b'{"a": 1, "a": 1}', "'a' occurs twice"),
        (b'{"a": [{"b": 1, "b": 2}]}', "'b' occurs twice"),
        (b'{"\xff": 1}', "^x .*decode byte"),
        (b'{"a": ' + b"9" * 5000 + b"}", "^x .*digits"),
        (b"{'a': 1}", "^x .*property name"),
    ],
)
def test_what_is_no_object_is_named(text, message):
    with pytest.raises(UserError, match=message):
        parse_object(text, name="x")


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=3), VALUES, max_size=4),
    st.binary(max_size=3),
    st.integers(0, 100),
)
def test_objects_come_back_and_other_bytes_are_refused(value, noise, position):
    text = json.dumps(value).encode()
    assert parse_object(text, name="x") == value
    damaged = text[:position] + noise + text[position + 1 :]
    try:
        found = parse_object(damaged, name="x")
    except UserError:
        return
    assert isinstance(found, dict)


def test_files(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(UserError, match="missing; give it"):
        read_json(path, fix="give it")
    path.write_text('{"a": 1}')
    (tmp_path / "link.json").symlink_to("x.json")
    assert read_json(path) == read_json(tmp_path / "link.json") == {"a": 1}
    os.truncate(path, 1 << 30)
    with pytest.raises(UserError, match="1073741824 bytes"):
        read_json(path)
    (tmp_path / "device.json").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="is missing"):
        read_json(tmp_path / "device.json")
