import json
import re

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.readers import Reject, read_entries
from tests.support import uniprot_writers as writers
from tests.support.uniprot_writers import Part, Protein

PROTEIN = Protein(
    "P11111",
    "AMY_TEST",
    "trembl",
    4,
    ("Amylase", ()),
    "ACDEFGHIKL",
    parts=(Part("CHAIN", "2", "9", "Amylase"),),
)
ENTRY = writers.as_json(PROTEIN)


def read(path, content: str | bytes) -> list:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_entries(path))


@pytest.fixture
def record(tmp_path):
    (record,) = read(tmp_path / "one.jsonl", json.dumps(ENTRY))
    return record


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("sort_keys", [False, True])
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@pytest.mark.parametrize(
    "shape",
    [
        lambda entries: {"results": entries},
        lambda entries: entries,
        lambda entries: {"facets": [{"a": [{}]}], "results": entries},
    ],
)
def test_the_shape_of_the_file_does_not_matter(tmp_path, record, shape, suffix, sort_keys, indent):
    path = tmp_path / f"a{suffix}"
    content = json.dumps(shape([ENTRY] * 3), indent=indent, sort_keys=sort_keys)
    assert read(path, content) == [record] * 3
    # Pages of a search, one after the other.
    assert read(path, f"{content}\n{content}\n") == [record] * 6


@pytest.mark.parametrize("indent", [None, 1])
def test_one_entry_and_lines(tmp_path, record, indent):
    text = json.dumps(ENTRY, indent=indent)
    assert read(tmp_path / "a.json", text) == [record]
    assert read(tmp_path / "a.json", f"\n\n{text}\n\n{text}\n") == [record] * 2
    if not indent:
        assert read(tmp_path / "a.jsonl", f"\n{text}\r\n\n{text}") == [record] * 2


def test_a_broken_line_is_a_reject(tmp_path, record):
    text = json.dumps(ENTRY)
    for name, first in (("a.jsonl", text[:-9]), ("a.json", text)):
        broken, reject, after = read(tmp_path / name, "\n".join([first, text[:-9], text]))
        assert isinstance(broken, Reject) == (name == "a.jsonl")
        assert (reject.accession, reject.file, reject.line) == ("P11111", name, 2)
        assert "JSON" in reject.reason
        assert after == record


@pytest.mark.parametrize("cut", [1, 2, 30])
@pytest.mark.parametrize("sort_keys", [False, True])
def test_a_cut_answer_is_reported(tmp_path, record, sort_keys, cut):
    content = json.dumps({"results": [ENTRY] * 2}, sort_keys=sort_keys)
    entries = read(tmp_path / "a.json", content[:-cut])
    whole = [entry for entry in entries if not isinstance(entry, Reject)]
    assert whole == [record] * (2 if cut < 3 else 1)
    if cut > 1 or sort_keys:
        assert isinstance(entries[-1], Reject)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"entryType": "Inactive"}, "its entryType is 'Inactive'"),
        ({"entryType": 3}, "its entryType is a JSON int, not a str"),
        ({"primaryAccession": None}, "it has no accession"),
        ({"proteinExistence": "6: Imagined"}, "its protein existence .*'6: Imagined'"),
        ({"proteinDescription": {}}, "it has no protein name"),
        ({"proteinDescription": []}, "its proteinDescription is a JSON list, not a dict"),
        (
            {"proteinDescription": {"submissionNames": [7]}},
            ".*fullName .*JSON int, not an object",
        ),
        ({"sequence": "MKV"}, "its sequence is a JSON str, not a dict"),
        ({"sequence": {"value": ["MKV"]}}, "its value is a JSON list, not a str"),
        (
            {"sequence": {"value": "MKV", "length": 4}},
            "its sequence .*3 .*length .*4",
        ),
        ({"sequence": {}}, "its sequence is empty"),
        ({"comments": {}}, "its comments is a JSON dict, not a list"),
        (
            {"comments": [{"commentType": "FUNCTION", "texts": [{"value": 1}]}]},
            "its value is a JSON int, not a str",
        ),
        (
            {"features": [{"type": "Chain", "location": {"start": {"value": "1"}}}]},
            "its value is a JSON str, not a int",
        ),
        ({"uniProtkbId": "A\ud800B"}, "its entry_name .*UTF-8"),
        ({"primaryAccession": "A\ud800B"}, "its accession .*UTF-8"),
        ({"uniProtkbId": "A\x00B"}, "its entry_name .*control characters"),
    ],
)
def test_a_broken_entry_is_a_reject(tmp_path, change, reason):
    (entry,) = read(tmp_path / "a.jsonl", json.dumps(ENTRY | change))
    assert isinstance(entry, Reject)
    assert re.match(reason, entry.reason)
    repr(entry).encode()


def test_positions(tmp_path):
    def position(start: dict, end: dict, **more) -> list:
        feature = {
            "type": "Chain",
            "location": {"start": start, "end": end} | more,
            "description": "",
        }
        (record,) = read(tmp_path / "a.jsonl", json.dumps(ENTRY | {"features": [feature]}))
        return [(feature.start, feature.end) for feature in record.features]

    assert position({"value": 1, "modifier": "OUTSIDE"}, {"value": 9, "modifier": "UNSURE"}) == [
        (1, 9)
    ]
    assert position({"value": 3}, {"value": 3}) == [(3, 3)]
    assert position({"modifier": "UNKNOWN"}, {"value": 9}) == []
    assert position({"value": -1, "modifier": "UNKNOWN"}, {"value": 9}) == []
    assert position({"value": 1}, {"value": 9}, sequence="P11111-2") == []
    assert position({"value": 1}, {"value": 11}) == []
    assert position({"value": 10**12}, {"value": 10**12}) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "no JSON object"),
        ('{"results": []}', "no JSON object"),
        ("[]", "no JSON object"),
        ("<html>", "is a web page"),
        ("nan", "JSON.*begins with b'nan'"),
    ],
)
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_another_file_is_one_sentence(tmp_path, suffix, content, sentence):
    with pytest.raises(UserError, match=sentence):
        read(tmp_path / f"a{suffix}", content)
