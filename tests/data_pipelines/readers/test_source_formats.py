"""The registry of source formats, and what is derived from it."""

import itertools
import json
import pickle

import pytest

from data_pipelines.build.__main__ import main as build
from data_pipelines.common.errors import UserError
from data_pipelines.readers import raw_entries, read_entries
from data_pipelines.readers.source_formats import SOURCE_FORMATS, SUFFIXES, formats_of
from tests.support import uniprot_writers as writers
from tests.support.paths import ROOT
from tests.support.uniprot_writers import PROTEIN

FILES = {
    "flat": ("a.dat", writers.flat_file([PROTEIN])),
    "xml": ("a.xml", writers.xml_file([PROTEIN])),
    "uniprot_tsv": ("a.tsv", writers.tsv_file([PROTEIN])),
    "lab_tsv": ("a.tsv", "name\tsequence\taccession\nWidgetase\tMKV\tLAB1\n"),
    "lab_jsonl": ("a.jsonl", '{"accession": "LAB1", "sequence": "MKV"}\n'),
    "released_jsonl": ("a.jsonl", '{"seq": "MKV", "text": "PROTEIN NAME: Widgetase."}\n'),
    "json": ("a.jsonl", writers.json_lines([PROTEIN])),
}
"""Of each format a file with one entry."""


@pytest.mark.parametrize("format", SOURCE_FORMATS, ids=lambda format: format.name)
def test_entries_carry_the_name_of_their_format(tmp_path, format):
    name, content = FILES[format.name]
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    (raw,) = raw_entries(path)
    assert raw.format == format.name
    assert pickle.loads(pickle.dumps(raw)) == raw
    assert list(format.split(path)) == [raw]


def test_a_file_may_mix_kinds_of_json(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(FILES["json"][1] + FILES["released_jsonl"][1] + "{}\n", encoding="utf-8")
    first, second, third = raw_entries(path)
    assert [first.format, second.format, third.format] == ["json", "released_jsonl", "json"]
    records = list(read_entries(path))
    assert [record.accession[:3] for record in records[:2]] == [PROTEIN.accession[:3], "SEQ"]
    assert records[2].reason.startswith("its entryType is ''")


def test_keys_of_the_release_in_any_order_and_among_others(tmp_path):
    path = tmp_path / "a.jsonl"
    entry = {"id": 1, "text": 'PROTEIN NAME: The "entryType".', "seq": "MKV"}
    path.write_text(json.dumps(entry), encoding="utf-8")
    (record,) = read_entries(path)
    assert record.name == 'The "entryType"'


def test_formats_of_one_suffix_cut_files_alike():
    for one, other in itertools.combinations(SOURCE_FORMATS, 2):
        if set(one.suffixes) & set(other.suffixes):
            assert type(one).split_shared is type(other).split_shared


def test_names_are_unique():
    assert len({format.name for format in SOURCE_FORMATS}) == len(SOURCE_FORMATS)


def test_an_unknown_suffix_lists_the_known_ones(tmp_path):
    with pytest.raises(UserError) as caught:
        formats_of(tmp_path / "a.docx.gz")
    assert all(f"*{suffix}" in str(caught.value) for suffix in SUFFIXES)


@pytest.mark.parametrize("format", SOURCE_FORMATS, ids=lambda format: format.name)
def test_the_page_on_data_and_the_help_list_the_format(capsys, format):
    page = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    suffixes = ", ".join([f"`{suffix}`" for suffix in format.suffixes])
    assert f"| {format.description} | {suffixes} |\n" in page
    with pytest.raises(SystemExit):
        build(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{format.description} ({', '.join(format.suffixes)})" in shown
