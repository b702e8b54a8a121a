import json
import re
from collections import Counter

import pytest

from data_pipelines.protanno.record import PREFIXES, cluster_name, with_names
from data_pipelines.readers import Reject, read_entries


def read(path, *texts: str, **options) -> list:
    path.write_text(
        "".join(json.dumps({"seq": "MKV", "text": text}) + "\n" for text in texts), encoding="utf-8"
    )
    return list(read_entries(path, **options))


NAME, FUNCTION, LOCATION, SIMILARITY = (
    "Widgetase (EC 1.1.1.1) (Widget (old) lyase) (Fragment)",
    "Cuts FUNCTION. {ECO:1}.",
    "Nucleus. Note=Here.",
    "Belongs.",
)


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_properties(tmp_path, suffix):
    texts = [
        f"PROTEIN NAME: {NAME}. FUNCTION: {FUNCTION} SUBCELLULAR LOCATION: {LOCATION} "
        f"SIMILARITY: {SIMILARITY}",
        f"PROTEIN NAME: {NAME}. SIMILARITY: {SIMILARITY}",
        f"PROTEIN NAME: {NAME}.",
    ]
    records = read(tmp_path / f"a{suffix}", *texts)
    assert [(r.name, r.function, r.location, r.similarity) for r in records] == [
        ("Widgetase", FUNCTION, LOCATION, SIMILARITY),
        ("Widgetase", "", "", SIMILARITY),
        ("Widgetase", "", "", ""),
    ]
    assert {record.other_names for record in records} == {("EC 1.1.1.1", "Widget (old) lyase")}
    assert [cluster_name(record) for record in records] == [
        "swissprot/C0/R4",
        "swissprot/C0/R2",
        "swissprot/C0/R1",
    ]
    assert len({record.accession for record in records}) == 1


def test_comments_of_one_topic_are_joined(tmp_path):
    (record,) = read(
        tmp_path / "a.jsonl",
        "PROTEIN NAME: N. FUNCTION: [A]: One.; FUNCTION: [B]: Two. SIMILARITY: S.",
    )
    assert (record.function, record.similarity) == ("[A]: One. [B]: Two.", "S.")


@pytest.mark.parametrize(
    "rest",
    [
        "SIMILARITY: S. FUNCTION: F.",
        "FUNCTION: F. FUNCTION: F.",
        "FUNCTION: F. SIMILARITY: S. SUBCELLULAR LOCATION: L. SIMILARITY: S.",
    ],
)
def test_of_ambiguous_texts_the_name_is_taken_alone(tmp_path, rest):
    omitted = Counter()
    (record,) = read(tmp_path / "a.jsonl", f"PROTEIN NAME: N. {rest}", omitted=omitted)
    assert (record.name, record.function, record.location, record.similarity) == ("N", "", "", "")
    assert omitted == {"text whose properties cannot be separated": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "its text begins with ''"), ("FUNCTION: F.", "its text begins with 'FUNCTION: F.'")],
)
def test_other_texts_are_rejects(tmp_path, text, reason):
    (reject,) = read(tmp_path / "a.jsonl", text)
    assert isinstance(reject, Reject)
    assert reject.reason.startswith(reason)
    (reject,) = read(tmp_path / "a.jsonl", "PROTEIN NAME: .")
    assert reject.reason == "it has no protein name"


def test_real_lines(real_data):
    path = real_data / "protanno" / "aligned_data_sample.jsonl"
    omitted = Counter()
    records = list(read_entries(path, omitted=omitted))
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(records) == len(lines) == 10
    assert not omitted
    assert sum("[Cleaved into: " in line["text"] for line in lines) == 1
    for record, line in zip(records, lines, strict=True):
        assert record.sequence == line["seq"]
        record = with_names(record, "all")
        found = {name: getattr(record, name) for name in PREFIXES if getattr(record, name)}
        # Put together again it is the text, but for what separates comments of one topic, and for
        # the protein's parts.
        text = re.sub(r" \[Cleaved into: [^\]]*\]", "", line["text"])
        for heading in PREFIXES.values():
            text = text.replace(f"; {heading}: ", " ")
        found["name"] += "."
        assert " ".join(f"{PREFIXES[name]}: {content}" for name, content in found.items()) == text
