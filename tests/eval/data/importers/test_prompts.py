from pathlib import Path

import pytest

from data_pipelines.common.errors import UserError
from eval.data.base.task import Task
from eval.data.importers.enzyme import read_enzyme_classes, read_enzyme_prompts
from eval.data.importers.prompts import (
    NO_PROMPT,
    read_location_prompts,
    read_prompt_table,
    read_reaction_prompts,
)

LOCATIONS = (
    "id\tname\tdescription\r\n0\tA protein locating at Cell membrane\tApical\r\n"
    "1\tA protein locating at Endoplasmic reticulum (ER)\tRough ER, cell membrane\r\n2\tA "
    "protein locating at Nucleus \tx\r\n"
)


def test_location_prompts_are_joined_by_name(file):
    classes = ("Nucleus", "Cell membrane", "Endoplasmic reticulum")
    assert read_location_prompts(file(LOCATIONS), classes) == {
        "Nucleus": ["A protein locating at Nucleus"],
        "Cell membrane": ["A protein locating at Cell membrane"],
        "Endoplasmic reticulum": ["A protein locating at Endoplasmic reticulum (ER)"],
    }
    both = read_location_prompts(
        file(LOCATIONS), ["Cell membrane"], columns=("description", "name")
    )
    assert both == {"Cell membrane": ["Apical", "A protein locating at Cell membrane"]}


@pytest.mark.parametrize(
    ("classes", "text", "message"),
    [
        (["Plastid"], LOCATIONS, "mentions the class 'Plastid' in 0 rows"),
        (["protein"], LOCATIONS, "mentions the class 'protein' in 3 rows"),
        (["Nucleus"], "id,prompt\n0,Nucleus\n", "has no column name"),
    ],
)
def test_location_prompts_that_do_not_fit(file, classes, text, message):
    with pytest.raises(UserError, match=message):
        read_location_prompts(file(text), classes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "class\tprompt\nnucleus\tx\n",
            "line 2: .*'nucleus'.*localisation.*Nucleus, Plastid",
        ),
        (
            "class\tprompt\nNucleus\tx\nPlastid\t\n",
            "'Plastid' of localisation",
        ),
    ],
)
def test_tables_of_prompts_that_do_not_fit(file, text, message):
    with pytest.raises(UserError, match=message):
        read_prompt_table(
            Task("localisation", "multiclass", ("Nucleus", "Plastid"), {}, [], []), file=file(text)
        )


def test_an_empty_prompt_is_rejected(file):
    task = Task("localisation", "multiclass", ("Nucleus",), {}, [], [])
    read = read_prompt_table(task, file=file("class\tprompt\nNucleus\tx\nNucleus\t\n"))
    assert read.prompts == {"prompts": {"Nucleus": ["x"]}}
    assert [(r.line, r.reason) for r in read.rejects] == [(3, NO_PROMPT)]


REACTIONS = (
    "id\tEC_number\tname\tcomment\n1\t6.5.1.1\tDNA ligase\tIt seals.\n0\t4.2.1.10\tdehydratase\t\n"
)


def test_reaction_prompts_go_through_the_list_of_numbers(file):
    functions = file("4.2.1.10\n6.5.1.1\n", "f.txt")
    both = read_reaction_prompts(
        file(REACTIONS), functions, ("6.5.1.1", "4.2.1.10"), columns=("name", "comment")
    )
    assert both == {"6.5.1.1": ["DNA ligase", "It seals."], "4.2.1.10": ["dehydratase"]}
    bare = file("id\tname\n0\ta\n1\tb\n", "bare.tsv")
    assert read_reaction_prompts(bare, functions, ("6.5.1.1",)) == {"6.5.1.1": ["b"]}


@pytest.mark.parametrize(
    ("functions", "classes", "message"),
    [
        (
            "6.5.1.1\n4.2.1.10\n",
            ("6.5.1.1",),
            "line 2: the id '1'.*f.txt",
        ),
        (
            "4.2.1.10\n",
            ("4.2.1.10",),
            "line 2: the id '1'",
        ),
        (
            "4.2.1.10\n6.5.1.1\n7.7.7.7\n",
            ("7.7.7.7",),
            "1 classes, such as 7.7.7.7",
        ),
    ],
)
def test_reaction_prompts_that_do_not_fit(file, functions, classes, message):
    with pytest.raises(UserError, match=message):
        read_reaction_prompts(file(REACTIONS), file(functions, "f.txt"), classes)


ENZYME = (
    "CC   ENZYME nomenclature database\n//\nID   1.1.1.1\nDE   alcohol dehydrogenase.\n//\n"
    "ID   1.1.1.2\nDE   ferredoxin (long-\nDE   named) of\nDE   kind.\nDR   P1, X//\n"
    "ID   1.1.1.5\nDE   Transferred entry: 1.1.1.1, 1.1.1.6 and 1.1.1.n2.\n//\nID   "
    "1.1.1.n2\nDE   newcomer.\n//\n"
    "ID   1.1.1.6\nDE   Transferred entry: 1.1.1.2.\n//\nID   1.1.1.7\nDE   Transferred "
    "entry: 1.1.1.8.\n//\n"
    "ID   1.1.1.8\nDE   Transferred entry: 1.1.1.7.\n//\nID   1.1.1.9\nDE   Deleted "
    "entry.\n//\nID   1.1.1.10\n//\n"
)
CLASSES = (
    "Release: 03-May-2023\n\n1. -. -.-  Oxidoreductases.\n1. 1. 1.-    With NAD as acceptor.\n"
)


def reaction(*classes):
    return Task("zero_shot_reaction", "multiclass", classes, {}, [], [])


def test_enzymes_are_prompted_by_their_names(file, tmp_path):
    numbers = ("1.1.1.2", "1.1.1.5", "1.1.1.1", "1.1.1.9", "1.1.1.7")
    classes = tmp_path / "enzclass.txt"
    classes.write_text(CLASSES)
    read = read_enzyme_prompts(reaction(*numbers), file=file(ENZYME), classes=classes)
    named = {
        "1.1.1.2": ["ferredoxin (long-named) of kind"],
        "1.1.1.5": ["alcohol dehydrogenase", "ferredoxin (long-named) of kind", "newcomer"],
        "1.1.1.1": ["alcohol dehydrogenase"],
        "1.1.1.9": ["With NAD as acceptor"],
        "1.1.1.7": ["With NAD as acceptor"],
    }
    for label, prefix in {
        "ENZYME as name": "PROTEIN NAME",
        "ENZYME as function": "FUNCTION",
    }.items():
        expected = {}
        for number, names in named.items():
            expected[number] = [f"{prefix}: {name}." for name in names]
        assert read.prompts[label] == expected
    assert list(read.prompts["ENZYME as name"]) == list(numbers)
    assert read.notes == (
        "3 withdrawn EC numbers use the prompts of their successors or of their class.",
    )
    assert [(Path(source.path).name, source.rows) for source in read.sources][1:] == [
        ("enzclass.txt", 2)
    ]
    assert read.sources[0].rows == 9
    assert read_enzyme_prompts(reaction("1.1.1.1"), file=file(ENZYME)).notes == ()


@pytest.mark.parametrize("number", ["1.1.1.7", "1.1.1.9", "1.1.1.10", "9.9.9.9"])
def test_enzymes_without_a_name_are_reported(file, number):
    with pytest.raises(UserError, match=f"zero_shot_reaction, such as {number}"):
        read_enzyme_prompts(reaction("1.1.1.1", number), file=file(ENZYME))


def test_enzyme_classes(file):
    assert read_enzyme_classes(file(CLASSES)) == {
        "1.-.-.-": "Oxidoreductases",
        "1.1.1.-": "With NAD as acceptor",
    }
    with pytest.raises(UserError, match="table of EC classes"):
        read_enzyme_classes(file(ENZYME))
