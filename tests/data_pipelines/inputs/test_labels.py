"""Libraries of labels: ontologies, EC numbers and tables become labels with prompts, and what
cannot be used says why."""

import gzip

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.labels import Label, LabelSource
from data_pipelines.readers.enzyme import read_enzymes

OBO = r"""format-version: 1.2
default-namespace: of_the_lab

[Term]
id: GO:0000014
name: single-stranded DNA endodeoxyribonuclease activity
namespace: molecular_function
def: "Cuts \"inside\" a strand." [GOC:mah]
is_a: GO:0004520 ! DNA endonuclease activity

[Term]
id: GO:0005634
name: nucleus
namespace: cellular_component

[Term]
id: GO:0000003
name: gone
namespace: biological_process
is_obsolete: true

[Typedef]
id: part_of
name: part of

[Term]
id: GO:0008150
name: growth
namespace: biological_process
def: "Getting bigger." []
[Term]
id: X:1
name: of no namespace
"""
ENZYME = """CC   -----------
ID   header text
//
ID   1.1.1.1
DE   alcohol dehydro-
DE   genase (of
DE   many).
AN   ADH.
AN   Aldehyde reductase.
CA   (1) A primary alcohol + NAD(+) = an
CA   aldehyde + NADH.
//
ID   1.1.1.5
DE   Transferred entry: 1.1.1.303.
//
ID   3.4.24.n1
DE   new protease.
ID   7.1.-.-
DE   class.
"""


def labels(tmp_path, name, content, **options):
    path = tmp_path / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    return list(LabelSource(path=path, **options).labels())


@pytest.mark.parametrize("name", ["go.obo", "go.obo.gz"])
def test_terms_of_an_ontology_are_put_in_uniprots_words(tmp_path, name):
    found = labels(tmp_path, name, OBO)
    assert [label.id for label in found] == [
        "GO:0000014",
        "GO:0005634",
        "GO:0000003",
        "GO:0008150",
        "X:1",
    ]
    nuclease = "single-stranded DNA endodeoxyribonuclease activity"
    assert found[0].prompts == (f"FUNCTION: {nuclease}.", 'FUNCTION: Cuts "inside" a strand.')
    assert found[1].prompts == ("SUBCELLULAR LOCATION: nucleus.",)
    assert (found[2].prompts, found[2].fault) == ((), "it is obsolete")
    assert found[3].prompts == ("FUNCTION: Involved in growth.", "FUNCTION: Getting bigger.")
    assert found[4].prompts == ("of no namespace.",)
    assert found[0].line == 4


def test_other_templates_replace_those_of_the_format(tmp_path):
    found = labels(tmp_path, "go.obo", OBO, templates=("A protein of the {}", "{}"))
    assert found[1].prompts == ("A protein of the nucleus", "nucleus")


def test_ec_numbers_have_their_names_as_prompts_and_withdrawn_ones_are_reported(tmp_path):
    first, transferred, new, broad = labels(tmp_path, "enzyme.dat", ENZYME)
    name = "alcohol dehydro-genase (of many)"
    assert (first.id, first.name, first.line) == ("EC 1.1.1.1", name, 4)
    assert first.prompts == tuple(
        f"{prefix}: {text}."
        for text in (name, "ADH", "Aldehyde reductase")
        for prefix in ("PROTEIN NAME", "FUNCTION")
    )
    assert transferred.prompts == ()
    assert "withdrawn (Transferred entry" in transferred.fault
    assert (new.id, new.name, broad.id) == ("EC 3.4.24.n1", "new protease", "EC 7.1.-.-")
    (enzyme, *_) = read_enzymes(tmp_path / "enzyme.dat")
    assert enzyme.reaction == "(1) A primary alcohol + NAD(+) = an aldehyde + NADH."


def test_a_tables_rows_of_one_id_are_prompts_of_one_label(tmp_path):
    table = (
        "id\tname\tdescription\nN\tNucleus\tin the "
        "nucleus\nN\tNuclear\t\nC\tCytoplasm\tCytoplasm\n \t\t\nX\t\t\n"
    )
    found = labels(tmp_path, "places.tsv", table)
    assert found[0] == Label("N", "Nucleus", ("Nucleus", "in the nucleus", "Nuclear"), 2)
    assert found[1] == Label("C", "Cytoplasm", ("Cytoplasm",), 4)
    assert [(label.id, label.fault) for label in found[2:]] == [
        ("row_5", "its texts are empty"),
        ("X", "its texts are empty"),
    ]


def test_columns_ids_and_templates_of_a_table_can_be_chosen(tmp_path):
    table = "EC_number,hier1,name\n1.1,Oxido,first\n2.7,Kinase,second\n"
    found = labels(
        tmp_path,
        "x.csv",
        table,
        columns=("hier1", "name"),
        id_column="EC_number",
        templates=("FUNCTION: {}.",),
    )
    assert found[1] == Label("2.7", "Kinase", ("FUNCTION: Kinase.", "FUNCTION: second."), 3)


def test_prompts_are_items_with_names_of_their_own(tmp_path):
    path = tmp_path / "go.obo"
    path.write_text(OBO)
    items = list(LabelSource(path=path).prepared())
    assert [item.id for item in items[:3]] == [
        "GO:0000014 prompt 1",
        "GO:0000014 prompt 2",
        "GO:0005634 prompt 1",
    ]
    assert [(item.id, item.fault) for item in items if item.fault] == [
        ("GO:0000003", "it is obsolete")
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.obo", "format-version: 1.2\n", "x.obo .*OBO"),
        ("x.dat", "ID   ABC_HUMAN\n//\n", "x.dat .*enzyme.dat"),
        ("x.xyz", "", "x.xyz .*unknown label format"),
        ("x.tsv", "a\tb\n1\t2\n", "no column name"),
        ("x.tsv", "", "no column name"),
        ("x.obo.gz", None, "x.obo.gz .*gzip"),
    ],
)
def test_other_files_are_one_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_text("no gzip" if content is None else content)
    with pytest.raises(UserError, match=message):
        list(LabelSource(path=tmp_path / name).labels())


@pytest.mark.parametrize("template", ["no place", "{} and {}"])
def test_a_template_without_one_place_is_refused(tmp_path, template):
    with pytest.raises(UserError, match="must contain {} once"):
        LabelSource(path=tmp_path / "x.tsv", templates=(template,))


def test_the_real_files_are_read(real_data):
    enzymes = list(LabelSource(path=real_data / "reaction_ec" / "expasy_enzyme.dat.gz").labels())
    assert len(enzymes) == len({label.id for label in enzymes}) == 8212
    assert sum(bool(label.prompts) for label in enzymes) == 6740
    positions = list(
        LabelSource(path=real_data / "deeploc" / "protst_subloc_template.tsv").labels()
    )
    assert len(positions) == 10
    assert positions[0].prompts[0] == "SUBCELLULAR LOCATION: Cell membrane."


OBO_VARIANTS = """format-version: 1.2
default-namespace: gene_ontology

[Term] ! moved here
id: GO:1 {source="x"} ! a comment
name: 3-lid\\, 5-pot binding {xref="X:1"}
namespace: molecular_function {comment="x"}
def: "Binds \\"lids\\".\\nNote: invented." [GOC:x]

[Term]
id: CHEBI:1
name: lidose

[Term]
id: GO:2
name: obsolete pot
namespace: cellular_component
is_obsolete: true
replaced_by: GO:1 ! lid

[Term]
id: GO:3
name: pot! and lid{s}
namespace: cellular_component
"""


def test_comments_modifiers_escapes_and_other_ontologies(tmp_path):
    path = tmp_path / "plus.obo"
    path.write_text(OBO_VARIANTS)
    first, chemical, obsolete, last = LabelSource(path=path).labels()
    assert (first.id, first.name) == ("GO:1", "3-lid, 5-pot binding")
    assert first.prompts == (
        "FUNCTION: 3-lid, 5-pot binding.",
        'FUNCTION: Binds "lids". Note: invented.',
    )
    assert chemical.fault.endswith(" CHEBI")
    assert obsolete.fault == "it is obsolete, replaced by GO:1"
    assert (last.name, last.fault) == ("pot! and lid{s}", "")
