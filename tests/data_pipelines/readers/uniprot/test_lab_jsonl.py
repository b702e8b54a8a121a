import json
import re
from collections import Counter

import pytest

from data_pipelines.protanno.record import Feature, Record, biotext, cluster_name
from data_pipelines.readers import Reject, read_entries
from data_pipelines.readers.uniprot.lab_jsonl import ignored_field

LAB = {
    "accession": "LAB1",
    "sequence": "MKVLAAGIV",
    "name": "Widgetase",
    "other_names": ["WGT", "EC 1.1.1.1"],
    "function": "Cuts widgets\nin two.",
    "location": "",
    "similarity": None,
    "entry_name": "WGT_LAB",
    "source": "trembl",
    "existence": 3,
    "features": [["ACT_SITE", 5, 5, "Nucleophile"], ["DOMAIN", 2, 9]],
}
BARE = {"accession": "LAB2", "sequence": "MKV"}


def read(path, *entries, **options):
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return list(read_entries(path, **options))


def test_every_field_is_read(tmp_path):
    omitted = Counter()
    (record,) = read(tmp_path / "a.jsonl", LAB, omitted=omitted)
    assert record == Record(
        "LAB1",
        "WGT_LAB",
        "trembl",
        "MKVLAAGIV",
        3,
        "Widgetase",
        "Cuts widgets in two.",
        features=(Feature("ACT_SITE", 5, 5, "Nucleophile"), Feature("DOMAIN", 2, 9)),
        other_names=("WGT", "EC 1.1.1.1"),
    )
    assert not omitted
    (tmp_path / "b.json").write_text(json.dumps([LAB, BARE], indent=1), encoding="utf-8")
    assert [found.accession for found in read_entries(tmp_path / "b.json")] == ["LAB1", "LAB2"]


@pytest.mark.parametrize(
    ("entry", "cluster"),
    [
        (BARE, "unknown/C0/R0"),
        (BARE | {"source": "", "name": "", "existence": None}, "unknown/C0/R0"),
        (BARE | {"location": "Nucleus."}, "unknown/C0/R1"),
        (
            BARE | {"similarity": "Belongs.", "source": "swissprot", "existence": 2},
            "swissprot/C2/R1",
        ),
    ],
)
def test_entries_without_name_or_text_are_records(tmp_path, entry, cluster):
    (record,) = read(tmp_path / "a.jsonl", entry)
    assert cluster_name(record) == cluster
    assert (biotext(record) == "") == cluster.endswith("R0")


def test_fields_that_are_not_read_are_counted_by_name(tmp_path):
    omitted = Counter()
    entries = [BARE | {"fucntion": "Cuts.", "cluster40": "x"}, BARE | {"cluster40": "y"}]
    assert all(
        isinstance(record, Record)
        for record in read(tmp_path / "a.jsonl", *entries, omitted=omitted)
    )
    assert omitted == {
        ignored_field("fucntion"): 1,
        ignored_field("cluster40"): 2,
    }


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"accession": ""}, "it has no accession"),
        ({"sequence": ""}, "its sequence is empty"),
        ({"sequence": {"value": "MKV"}}, "its sequence is a JSON dict, not a str"),
        ({"sequence": "mkv"}, "its sequence .*'k', 'm', 'v'"),
        ({"source": "uniref"}, "its source is 'uniref'; expected swissprot, trembl, unknown"),
        ({"existence": 6}, "its protein existence level is 6"),
        ({"existence": "1"}, "its existence is a JSON str, not a int"),
        ({"existence": True}, "its existence is a JSON bool, not a int"),
        ({"other_names": ["A"]}, "it has other names but no name"),
        ({"name": "N", "other_names": [1]}, "its other_names .*list"),
        (
            {"features": [["DOMAIN", 1]]},
            r"its feature \['DOMAIN', 1\] .*\[type, start, end, note\]",
        ),
        ({"features": [["DOMAIN", 1, 2, 3]]}, r"its feature \['DOMAIN', 1, 2, 3\]"),
        ({"function": "a\x01b"}, "its function .*control characters"),
    ],
)
def test_a_broken_entry_is_a_reject(tmp_path, fields, reason):
    before, reject, after = read(tmp_path / "a.jsonl", BARE, BARE | fields, BARE)
    assert before == after
    assert isinstance(reject, Reject)
    assert (reject.accession, reject.line) == (fields.get("accession", "LAB2"), 2)
    assert re.match(reason, reject.reason)


def test_features_that_cannot_be_expressed_are_counted(tmp_path):
    omitted = Counter()
    features = [
        ["ACT_SITE", 1, 3, "Good"],
        ["WIDGET", 1, 2, ""],
        ["DOMAIN", 2, 4, ""],
        ["DOMAIN", 0, 1, None],
    ]
    (record,) = read(tmp_path / "a.jsonl", BARE | {"features": features}, omitted=omitted)
    assert record.features == (Feature("ACT_SITE", 1, 3, "Good"),)
    assert omitted == {"type not known": 1, "outside of the sequence": 2}
