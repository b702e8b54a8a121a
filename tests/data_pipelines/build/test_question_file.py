import pytest

from data_pipelines.build import __main__ as build
from data_pipelines.build.question_file import read_questions
from data_pipelines.common.errors import UserError
from data_pipelines.protanno.dataset import open_dataset
from tests.support.records import record, run, write_entries

HEADER = "kind\tquestion\taccession\n"


def test_rows_are_gathered_by_kind_and_question(tmp_path):
    path = tmp_path / "q.tsv"
    path.write_text(
        "note\t"
        + HEADER
        + "x\tligand\tBinds zinc.\tP1\nx\tligand\tBinds zinc.\tP2\nx\tplace\tNucleus.\tP1\n"
    )
    assert read_questions(path) == (
        {"ligand": {"Binds zinc.": {"P1", "P2"}}, "place": {"Nucleus.": {"P1"}}},
        {},
    )


def test_a_column_tells_what_texts_say(tmp_path):
    path = tmp_path / "q.tsv"
    rows = [
        "ligand\tzinc\tsays\tP1",
        "ligand\tzinc\tomits\tP2",
        "ligand\tzinc\terrs\tP3",
        "place\tnucleus\terrs\tP1",
    ]
    path.write_text("kind\tquestion\ttext\taccession\n" + "\n".join(rows) + "\n")
    true, said = read_questions(path)
    assert true == {"ligand": {"zinc": {"P1", "P2"}}}
    assert said == {"ligand": {"zinc": {"P1", "P3"}}, "place": {"nucleus": {"P1"}}}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("kind\tquestion\n", "has no column accession"),
        (HEADER, "q.tsv .*no questions"),
        (HEADER + "ligand\t\tP1\n", "line 2"),
        (HEADER + "ligand\tx\n", "line 2"),
        (HEADER + "The ligand\tx\tP1\n", "line 2 .*kind in lower-case"),
        (
            "text\t" + HEADER + "no\tligand\tx\tP1\n",
            "line 2: text is 'no'; expected says, omits or errs",
        ),
        ("text\t" + HEADER + "errs\tligand\tx\tP1\n", "q.tsv .*no questions"),
    ],
)
def test_other_files_are_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "q.tsv"
    path.write_text(content)
    with pytest.raises(UserError, match=sentence):
        read_questions(path)


def test_a_build_keeps_questions_and_tells_how_many_records_answer(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(build, "write_report", lambda *_: None)
    entries = write_entries(tmp_path / "x.dat", [record(index) for index in range(6)])
    path = tmp_path / "q.tsv"
    rows = [
        "says\tligand\tBinds zinc.\tP00001",
        "omits\tligand\tBinds zinc.\tQ9",
        "errs\tligand\tBinds zinc.\tP00002",
    ]
    path.write_text(
        "text\t" + HEADER + "\n".join([*rows, "says\tligand\tBinds heme.\tP00003"]) + "\n"
    )
    assert (
        run("--input", entries, "--questions", path, "--output", tmp_path / "out", "--skip_overlap")
        == 0
    )
    assert "2 of 6 records answer" in capsys.readouterr().out
    dataset = open_dataset(tmp_path / "out")
    assert dataset.questions == {
        "ligand": {"Binds zinc.": {"P00001", "Q9"}, "Binds heme.": {"P00003"}}
    }
    assert dataset.said == {
        "ligand": {"Binds zinc.": {"P00001", "P00002"}, "Binds heme.": {"P00003"}}
    }
    assert dataset.statistics["questions"] == {"ligand": 2}
    assert dataset.statistics["provenance"]["questions"]["name"] == "q.tsv"
    path.write_text(HEADER + "ligand\tBinds zinc.\tQ9\n")
    assert (
        run(
            "--input", entries, "--questions", path, "--output", tmp_path / "none", "--skip_overlap"
        )
        == 2
    )
    assert "none of the 6 records" in capsys.readouterr().err
