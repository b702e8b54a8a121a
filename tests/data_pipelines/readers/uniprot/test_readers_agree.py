"""The same entry out of different formats is the same record: entries made up here, and real
ones."""

import dataclasses
import gzip
import pickle
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.protanno.record import (
    NAMES,
    Feature,
    Record,
    property_texts,
    strip_evidence,
    with_names,
)
from data_pipelines.readers import Reject, parse_entry, raw_entries, read_entries
from tests.support import uniprot_writers as writers
from tests.support.uniprot_writers import ONE, PROTEIN, REF, TWO, Name, Part, Place, Protein

RECORD = Record(
    accession="P11111",
    entry_name="AMY_TEST",
    source="swissprot",
    sequence="ACDEFGHIKLMNPQRSTVWY" * 5,
    existence=2,
    name="Alpha-amylase <beta> & co (NADPH) {ECO:0000255|HAMAP-Rule:MF_1, ECO:0000303|Ref.3}",
    function=(
        'Cleaves 1,4-alpha-glucosidic bonds (PubMed:1). {ECO:0000269|PubMed:1}. Binds "heme" '
        "& Zn(2+). "
        "[Isoform 2]: Inactive. {ECO:0000255|HAMAP-Rule:MF_1, ECO:0000269|PubMed:1}."
    ),
    location=(
        "Plastid, amyloplast {ECO:0000269|PubMed:1}. Cell membrane {ECO:0000255|HAMAP-Rule:MF_1}; "
        "Lipid-anchor, GPI-anchor {ECO:0000255|HAMAP-Rule:MF_1}. "
        "[Isoform 2]: Nucleus; Single-pass membrane protein; Cytoplasmic side "
        "{ECO:0000269|PubMed:1}. "
        "Note=Moves: fast. {ECO:0000303|Ref.3}. Also here."
    ),
    similarity="Belongs to the peptidase S8 family. Furin subfamily. {ECO:0000305}. Contains 1 X domain.",
    features=(
        Feature("SIGNAL", 1, 20),
        Feature("CHAIN", 21, 70, 'Alpha-amylase with a "quoted" word'),
        Feature("BINDING", 33, 33, "Zn(2+) 1; catalytic; in the dimer"),
        Feature("BINDING", 34, 35, "substrate"),
        Feature("MUTAGEN", 5, 5, "F->A,R: Loss of binding; when associated with A-9."),
        Feature("MUTAGEN", 7, 9, "Missing: Inactive."),
        Feature("VARIANT", 6, 6, "G -> V (in HCC; dbSNP:rs1)"),
        Feature("VARIANT", 8, 8, "Missing"),
        Feature("VAR_SEQ", 40, 60, "Missing (in isoform 2)"),
        Feature("CONFLICT", 9, 10, "KL -> M or PQ (in Ref. 1; AAA1 and 2)"),
        Feature("HELIX", 61, 70),
    ),
    other_names=(
        "AMY",
        "EC 3.2.1.1",
        "EC 3.2.1.-",
        "1,4-alpha-glucanase (old)",
        "Glucanase",
        "EC 2.4.1.n5",
        "Other <name>; or so",
        "allergen Asp o 21",
        "CD antigen CD1",
        "CD antigen CD2",
        "Amylasum",
    ),
    organism="Saccharomyces cerevisiae (strain ATCC 204508 / S288c)",
    taxon=559292,
    genes=("AMY1", "am-1", "AMYA", "YAL001C", "N1"),
    go=("GO:0005524", "GO:0004556"),
)

FORMS = {
    "a.dat": writers.flat_file,
    "a.txt.gz": writers.flat_file,
    "a.xml": writers.xml_file,
    "a.xml.gz": writers.xml_file,
    "a.json": writers.json_file,
    "b.json": writers.json_lines,
    "a.jsonl.gz": writers.json_lines,
    "a.tsv": writers.tsv_file,
    "a.tsv.gz": writers.tsv_file,
}


def write(folder, name: str, proteins):
    path = folder / name
    content = FORMS[name](proteins).encode()
    path.write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    return path


def expected(record: Record, name: str) -> Record:
    """What a format gives: the columns of a TSV file have no evidence on names, and the features
    follow the columns."""
    if ".tsv" not in name:
        return record
    types = list(writers.TYPES)
    ordered = tuple(sorted(record.features, key=lambda feature: types.index(feature.type)))
    return dataclasses.replace(record, name=strip_evidence(record.name), features=ordered)


@pytest.mark.parametrize("name", FORMS)
def test_one_entry_in_every_format(tmp_path, name):
    omitted = Counter()
    assert list(read_entries(write(tmp_path, name, [PROTEIN]), omitted=omitted)) == [
        expected(RECORD, name)
    ]
    assert omitted == {"position unknown": 1}


@pytest.mark.parametrize("name", FORMS)
def test_one_entry_gives_one_text_in_every_format(tmp_path, name):
    (record,) = read_entries(write(tmp_path, name, [PROTEIN]))
    found = "PROTEIN NAME: Alpha-amylase <beta> & co (NADPH)"
    rest = (
        "(1,4-alpha-glucanase (old)) (Glucanase){} (Other <name>; or so) (allergen Asp o 21) (CD "
        "antigen CD1) (CD antigen CD2)"
    )
    texts = {names: property_texts(with_names(record, names))["name"] for names in NAMES}
    assert texts == {
        "recommended": found,
        "all": f"{found} (AMY) (EC 3.2.1.1) (EC 3.2.1.-) {rest.format(' (EC 2.4.1.n5)')} (Amylasum)",
        "all_but_ec": f"{found} (AMY) {rest.format('')} (Amylasum)",
    }
    # What UniProt itself exports, but for the part and the fragment.
    assert writers.row(PROTEIN)["Protein names"].startswith(
        texts["all"].removeprefix("PROTEIN NAME: ")
    )


WORDS = st.lists(
    st.sampled_from(
        [
            "binds",
            "Zn(2+)",
            "beta-amylase",
            "A/B",
            "é",
            "1,4-alpha",
            "of",
            '"x"',
            "&",
            "<y>",
            "family,",
        ]
    ),
    min_size=1,
)
TEXTS = WORDS.map(lambda words: "T" + " ".join(words) + "d")
TAGS = st.lists(st.sampled_from([ONE, TWO, REF, "ECO:0000305"]), unique=True).map(
    lambda tags: tuple(sorted(tags))
)
TAGGED = st.tuples(TEXTS, TAGS)
MOLECULES = st.sampled_from(["", "Isoform 2", "Peptide pr"])
LOCATIONS = st.tuples(st.sampled_from(["Nucleus", "Plastid, amyloplast", "Cell membrane"]), TAGS)
PLACES = st.builds(
    Place, LOCATIONS, st.just(("", ())) | st.tuples(st.just("Lipid-anchor, GPI-anchor"), TAGS)
)
POSITIONS = st.tuples(st.integers(1, 20), st.integers(0, 20)).map(
    lambda ends: (str(ends[0]), str(sum(ends)))
)
NOTES = st.sampled_from(["", "in isoform 2", "loss of an activity", "in Ref. 1; CAA1"])
PARTS = st.builds(
    lambda type_, ends, note, other: (
        Part(type_, *ends, note + ("." if note and type_ == "MUTAGEN" else ""), other)
        if type_ in ("VARIANT", "MUTAGEN", "CONFLICT", "VAR_SEQ")
        else Part(type_, *ends, note)
    ),
    st.sampled_from([type_ for type_ in writers.TYPES if type_ != "BINDING"]),
    POSITIONS,
    NOTES,
    st.sampled_from([("", ()), ("A", ("V",)), ("MK", ("L", "LLP"))]),
)
SYNONYM = st.sampled_from(
    ["Amylase A", "Synthase (NADPH)", "Old (X) one", "a; b", "beta-(1,4)-lyase", "Zn(2+)-binding"]
)
SYNONYMS = st.lists(SYNONYM, max_size=2).map(tuple)
NUMBERS = st.lists(st.sampled_from(["1.1.1.1", "2.7.-.-", "3.1.1.n2"]), max_size=2).map(tuple)
PROTEINS = st.builds(
    Protein,
    accession=st.from_regex("[A-Z][0-9]{5}", fullmatch=True),
    entry_name=st.just("AMY_TEST"),
    source=st.sampled_from(["swissprot", "trembl"]),
    existence=st.integers(1, 5),
    name=TAGGED,
    sequence=st.text("ACDEFGHIKLMNPQRSTVWYX", min_size=1, max_size=130),
    functions=st.lists(
        st.tuples(MOLECULES, st.lists(TAGGED, min_size=1, max_size=2).map(tuple)), max_size=3
    ).map(tuple),
    locations=st.lists(
        st.tuples(
            MOLECULES,
            st.lists(PLACES, min_size=1, max_size=2).map(tuple),
            st.lists(TAGGED, max_size=1).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    similarities=st.lists(TAGGED, max_size=2).map(tuple),
    parts=st.lists(PARTS, max_size=4).map(tuple),
    short=SYNONYMS,
    ec=NUMBERS,
    synonyms=st.lists(st.builds(Name, SYNONYM, SYNONYMS, NUMBERS), max_size=2).map(tuple),
    allergen=st.sampled_from(["", "Asp o 21"]),
    cd_antigens=SYNONYMS,
    inns=SYNONYMS,
    cleaved=st.sampled_from(["", "Part (of it)"]),
    fragment=st.booleans(),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("formats")


@settings(max_examples=30, deadline=None)
@given(proteins=st.lists(PROTEINS, min_size=1, max_size=3))
def test_made_up_entries_agree_in_every_format(folder, proteins):
    _agree(folder, proteins)


@pytest.mark.soak
@settings(max_examples=5000, deadline=None)
@given(proteins=st.lists(PROTEINS, min_size=1, max_size=3))
def test_many_made_up_entries_agree_in_every_format(folder, proteins):
    _agree(folder, proteins)


def _agree(folder, proteins):
    read = {
        name: list(read_entries(write(folder, name, proteins)))
        for name in ("a.json", "b.json", "a.xml", "a.tsv", "a.dat")
    }
    reference = read.pop("a.json")
    assert all(isinstance(record, Record) for record in reference)
    sequences = [protein.sequence for protein in proteins]
    assert [record.sequence for record in reference] == sequences
    for name, records in read.items():
        assert records == [expected(record, name) for record in reference], name


@pytest.mark.parametrize("name", FORMS)
def test_raw_entries_can_be_parsed_elsewhere(tmp_path, name):
    path = write(tmp_path, name, [PROTEIN] * 3)
    raws = pickle.loads(pickle.dumps(list(raw_entries(path))))
    assert [parse_entry(raw) for raw in raws] == list(read_entries(path))
    assert len({raw.line for raw in raws}) == (1 if name == "a.json" else 3)


REAL = {
    "flat/ai_gene_review.dat.gz": 895, "flat/uniprot_core.dat.gz": 53, "flat/uniprot_store.dat.gz": 35,
    "flat/uniprot_rest_api.dat.gz": 2, "flat/biopython.dat.gz": 9, "flat/bioruby.dat.gz": 2, "flat/estpipe.dat.gz": 23,
    "flat/legacy_no_pe.dat.gz": 14, "flat/pe5.dat.gz": 2, "flat/example_P62258.txt": 1,
    "xml/uniprot_rs_250entries.xml.gz": 250, "xml/yeast_condensed_100entries.xml.gz": 100,
    "json/rest_search_allergens.json.gz": 33, "json/rest_search_predicted_8.json.gz": 8,
    "tsv/bsubtilis_legacy_export_2018.tsv.gz": 3193, "tsv/human_rest_export_500.tsv.gz": 379,
}  # fmt: skip
"""File → how many entries it is said to hold."""

REJECTED = {"flat/legacy_no_pe.dat.gz": 1}
"""An entry of IPI, which is not UniProt."""


@pytest.fixture(scope="module")
def real_entries(real_data):
    return {name: list(read_entries(real_data / "uniprot" / name)) for name in REAL}


def test_every_real_entry_is_read(real_entries):
    for name, entries in real_entries.items():
        assert len(entries) == REAL[name], name
        rejects = [entry for entry in entries if isinstance(entry, Reject)]
        assert len(rejects) == REJECTED.get(name, 0), rejects
        assert all(reject.reason and reject.line for reject in rejects)


def test_real_counts(real_entries):
    def count(name, what):
        return Counter(map(what, real_entries[name]))

    levels = count("xml/uniprot_rs_250entries.xml.gz", lambda record: record.existence)
    assert levels == {1: 63, 2: 39, 3: 130, 4: 18}
    levels = count("xml/yeast_condensed_100entries.xml.gz", lambda record: record.existence)
    assert levels == {1: 87, 2: 2, 3: 8, 4: 1, 5: 2}
    assert (
        count("xml/uniprot_rs_250entries.xml.gz", lambda record: bool(record.function))[True] == 175
    )
    assert count("json/rest_search_allergens.json.gz", lambda record: record.existence) == {1: 33}
    assert count("json/rest_search_allergens.json.gz", lambda record: bool(record.similarity)) == {
        True: 33
    }
    assert count("json/rest_search_predicted_8.json.gz", lambda record: record.existence) == {4: 8}
    assert (
        count("tsv/bsubtilis_legacy_export_2018.tsv.gz", lambda record: bool(record.function))[True]
        == 1514
    )
    assert (
        count("tsv/bsubtilis_legacy_export_2018.tsv.gz", lambda record: bool(record.location))[True]
        == 1344
    )
    assert (
        count("tsv/human_rest_export_500.tsv.gz", lambda record: bool(record.function))[True] == 374
    )


RENAMED = {"P25953", "C0H412", "P94400"}
"""Entries that got another recommended name between 2018 and the flat files' releases."""


def test_real_entries_of_two_formats_agree(real_entries):
    """These are of different releases, which changed statements; what stays must be read alike."""
    by_accession = defaultdict(dict)
    for name, entries in real_entries.items():
        for entry in entries:
            if isinstance(entry, Record):
                by_accession[entry.accession][name.partition("/")[0]] = entry
    pairs = [
        (both["flat"], both[kind])
        for both in by_accession.values()
        for kind in ("xml", "tsv")
        if {"flat", kind} <= set(both)
    ]
    assert len(pairs) == 49
    same = Counter()
    for flat, other in pairs:
        assert (flat.sequence, flat.source) == (other.sequence, other.source)
        assert flat.existence == other.existence or not other.existence
        assert strip_evidence(flat.name) == strip_evidence(other.name) or other.accession in RENAMED
        for field in ("function", "location"):
            same[field, getattr(flat, field) == getattr(other, field)] += bool(
                getattr(other, field)
            )
    assert sum(flat.other_names == other.other_names for flat, other in pairs) >= 44
    for field in ("function", "location"):
        assert same[field, True] > same[field, False], field
