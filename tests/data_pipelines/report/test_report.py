import json
import re
import shutil

import numpy as np
import pytest
from matplotlib.image import imread

from data_pipelines.common.errors import UserError
from data_pipelines.common.markdown import plain, table
from data_pipelines.report import figures, sections
from data_pipelines.report import page as report_page
from data_pipelines.report.__main__ import main
from data_pipelines.report.page import section, write_report
from data_pipelines.report.sections import SECTIONS

SWISSPROT = {"swissprot/C1/R3": 60, "swissprot/C1/R4": 20, "swissprot/C3/R4": 20}
BOTH = SWISSPROT | {"trembl/C3/R3": 270, "trembl/C4/R1": 630}


def make_statistics(clusters=BOTH):
    records = sum(clusters.values())
    splits = {name.replace("/", "_").lower(): size * 9 // 10 for name, size in clusters.items()}
    held_out = records - sum(splits.values())
    return {
        "entries": records + 15,
        "records": records,
        "rejected": 10,
        "deduplicated": 3,
        "excluded": 2,
        "clusters": clusters,
        "splits": splits | {"validation": held_out - 4, "test": 4},
        "deduplicated_by_source": {"trembl into swissprot": 3},
        "excluded_by_file": {"test_a.fasta": 2},
        "exclude_fasta_sequences": {"test_a.fasta": 120, "test_b.fasta": 7},
        "doubtful_records": {"nucleotides": 3},
        "lengths": {
            "edges": [0, 100, 300, 1023, 3023, 1 << 24],
            "counts": [100, 400, 400, 99, 1],
            "total": 345_000,
        },
        "biotext_words": {"edges": [0, 10, 20, 100], "counts": [250, 250, 500], "total": 40_000},
        "similarity_clusters": {
            "clusters": 900,
            "largest": 5,
            "sizes": {"edges": [1, 2, 4, 8], "counts": [850, 40, 10]},
        },
        "top_rejects": {"no | name": 8, "<b>no sequence</b>": 2},
        "rejected_by_file": {"own.tsv": 10},
        "omitted_features": {"no position": 3},
        "overlap": {
            "test": {"sequences": 4, "sampled": 4, "related": 1, "share": 0.25, "similarity": 0.1}
        },
        "provenance": {
            "inputs": [
                {"name": "a_b.dat.gz", "bytes": 1234567, "sha256": "ab" * 32, "release": "2026_03"},
                {"name": "own.tsv", "bytes": 10, "sha256": "cd" * 32},
            ],
            "clusters": {"name": "clusters.tsv", "bytes": 20, "sha256": "ef" * 32},
            "exclude_fasta": [],
            "minhash": {"k": 4},
            "test_fraction": 0.05,
        },
    }


def rows(text):
    """A table's rows as lists of cells."""
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]


def test_a_report_that_holds_a_users_file_is_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(report_page, "DPI", 40)
    write_report(tmp_path, {})
    (tmp_path / "report" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"notes\.txt .*report"):
        write_report(tmp_path, {})
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["notes.txt", "report", "report.md"]
    (tmp_path / "report" / "report.md").unlink()
    with pytest.raises(UserError, match="report exists and is not empty"):
        write_report(tmp_path, {})


def test_everything_is_written_and_nothing_of_before_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(report_page, "DPI", 40)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.md").write_text("![an old one](old.png)")
    (tmp_path / "report" / "old.png").write_text("")
    write_report(tmp_path, make_statistics())
    figures = [
        "clusters.png",
        "confidence.png",
        "coverage.png",
        "lengths.png",
        "similarity_clusters.png",
        "words.png",
    ]
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(
        ["report", "report.md", *figures]
    )
    page = (tmp_path / "report" / "report.md").read_text()
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == list(SECTIONS)
    for name in figures:
        assert f"]({name})" in page
        assert (
            len(
                np.unique(
                    (imread(tmp_path / "report" / name)[..., :3] * 255).astype(int).reshape(-1, 3),
                    axis=0,
                )
            )
            > 20
        )
    assert "Left out" not in page
    assert "CC BY 4.0" in page
    first = {path.name: path.read_bytes() for path in (tmp_path / "report").iterdir()}
    write_report(tmp_path, make_statistics())
    assert {path.name: path.read_bytes() for path in (tmp_path / "report").iterdir()} == first


@pytest.mark.parametrize("title", [title for title, (keys, _) in SECTIONS.items() if keys])
def test_a_section_without_its_keys_says_so(title):
    keys, _ = SECTIONS[title]
    for key in keys:
        statistics = make_statistics()
        del statistics[key]
        part = section(statistics, title)
        assert part.text.startswith(f"Left out: statistics.json lacks `{key}`")
        assert not part.figures


def test_records_without_text_and_of_unknown_source_are_shown():
    clusters = {"swissprot/C1/R4": 600, "unknown/C0/R0": 300, "unknown/C0/R1": 100}
    part = section(make_statistics(clusters), "Clusters and expected mixture")
    shares = {name.strip("`"): draws for name, _, _, draws, _ in rows(part.text)[2:]}
    # Those without text are not drawn, and the others as often as there are of them.
    assert shares == {
        "swissprot/C1/R4": "85.71 %",
        "unknown/C0/R0": "0.00 %",
        "unknown/C0/R1": "14.29 %",
    }
    figure, _ = part.figures["clusters"]
    for axis in figure.axes:
        labels = [label.get_text() for label in axis.get_xticklabels()]
        assert labels == ["0/4", "1/4", "2/4", "3/4", "4/4"]
    assert len(figure.axes) == 4
    table = rows(section(make_statistics(clusters), "Coverage").text)
    assert ["0/4", "0.00 %", "0.00 %", "30.00 %", "0.00 %"] in table


def test_relatives_without_text_and_identities_are_reported():
    statistics = make_statistics()
    statistics["overlap"]["test"]["related_without_text"] = 2
    statistics["identities"] = {"hits": 1200, "held_out_without_hit": 3}
    text = section(statistics, "Overlap of training and held-out records").text
    assert "Of `test`, 2 have a relative among the training records without text." in text
    assert ["hits", "1,200"] in rows(text)


def test_contents_add_up():
    cells = {
        name: int(count.replace(",", ""))
        for name, count in rows(section(make_statistics(), "Contents").text)[2:]
    }
    parts = ("**records**", "rejected", "merged into a record with the same sequence", "excluded")
    assert cells["entries read"] == sum(cells[name] for name in parts) == 1015
    assert (
        cells["**records**"]
        == cells["of them for training"]
        + cells["of them in `validation`"]
        + cells["of them in `test`"]
    )
    assert cells["of them in `test`"] == 4
    assert cells["of them trembl into swissprot"] == 3


@pytest.mark.parametrize("published", [sections.PUBLISHED_CONFIDENCE, sections.PUBLISHED_COVERAGE])
def test_published_shares_are_shares(published):
    for shares in published.values():
        assert sum(shares.values()) == pytest.approx(1, abs=2e-4)


def test_confidence_stands_beside_the_published():
    table = rows(section(make_statistics(), "Confidence").text)
    assert table[0] == [
        "confidence",
        "Swiss-Prot",
        "ProtAnno-S",
        "all sources",
        "ProtAnno-D before sampling",
    ]
    by_level = {row[0]: row[1:] for row in table[2:]}
    assert by_level["1 protein"] == ["80.00 %", "19.82 %", "8.00 %", "0.13 %"]
    assert by_level["3 homology"] == ["20.00 %", "67.77 %", "29.00 %", "32.69 %"]
    assert by_level["4 predicted"] == ["0.00 %", "2.29 %", "63.00 %", "66.61 %"]
    assert "unknown" not in by_level


def test_coverage_of_swissprot_alone():
    part = section(make_statistics(SWISSPROT | {"swissprot/C0/R1": 100}), "Coverage")
    table = rows(part.text)
    assert table[0] == ["coverage", "Swiss-Prot", "ProtAnno-S"]
    assert table[2:] == [
        ["1/4", "50.00 %", "2.59 %"],
        ["2/4", "0.00 %", "10.62 %"],
        ["3/4", "30.00 %", "36.91 %"],
        ["4/4", "20.00 %", "49.88 %"],
    ]
    figure, _ = part.figures["coverage"]
    (axis,) = figure.axes
    assert [bar.get_height() for bar in axis.patches] == pytest.approx([50, 0, 30, 20])
    strokes = [segment[0][1] for segment in axis.collections[0].get_segments()]
    assert strokes == pytest.approx([2.59, 10.62, 36.91, 49.88])


def test_lengths_and_tokens():
    part = section(make_statistics(), "Sequences")
    assert "about 300 residues or fewer" in part.text
    assert "10.0 % have more than the 1,022" in part.text
    assert "protein tokens: 347,000 in total, 347 per record" in part.text
    figure, _ = part.figures["lengths"]
    (axis,) = figure.axes
    values, edges, _ = axis.patches[0].get_data()
    np.testing.assert_allclose(values, [10, 20, 4000 / 723, 990 / 2000, 10 / ((1 << 24) - 3023)])
    np.testing.assert_allclose((values * np.diff(edges)).sum(), 100 * 100)
    assert axis.get_xlim() == (0, 3023)


def test_biotexts_in_words():
    part = section(make_statistics(), "Biotexts")
    assert re.search("about 20 words or fewer; .*40,000, 40 per record", part.text)
    assert "words" in part.figures["words"][0].axes[0].get_xlabel()


def test_similarity_clusters():
    part = section(make_statistics(), "Similarity clusters")
    assert "900 clusters of similar sequences" in part.text
    assert "largest has 5 records" in part.text
    values, _, _ = part.figures["similarity_clusters"][0].axes[0].patches[0].get_data()
    np.testing.assert_array_equal(values, [850, 40, 10])


def test_mixture_follows_the_default_exponents():
    part = section(make_statistics(), "Clusters and expected mixture")
    table = {row[0].strip("`"): row[1:] for row in rows(part.text)[2:]}
    draws = 90 + 243 / 27 * 0.75**0.5
    assert table["swissprot/C1/R3"] == ["60", "54", f"{100 * 54 / draws:.2f} %", "54"]
    assert table["trembl/C3/R3"] == ["270", "243", f"{100 * (1 - 90 / draws):.2f} %", "8"]
    assert table["trembl/C4/R1"] == ["630", "567", "0.00 %", "0"]
    assert "One epoch has 98 draws" in part.text


def test_mixture_without_anything_to_draw_says_why():
    part = section(make_statistics({"trembl/C4/R1": 100}), "Clusters and expected mixture")
    assert "no training records are left" in part.text
    assert ["`trembl/C4/R1`", "100", "90", "–", "–"] in rows(part.text)
    figure, _ = part.figures["clusters"]
    assert len(figure.axes) == 1


def test_grids_show_each_cluster_in_its_place():
    figure = figures.cluster_grids(
        BOTH | {"trembl/C0/R2": 7}, {"swissprot/C1/R3": 0.25, "trembl/C3/R3": 0.75}
    )
    shown = {}
    for axis in figure.axes:
        shown[axis.get_title(loc="left")] = [text.get_text() for text in axis.texts]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["1", "3", "4", "?"]
    assert shown["swissprot: records"] == ["–", "–", "60", "20", "–", "–", "–", "20", *"––––––––"]
    assert shown["trembl: records"] == [*"––––––", "270", "–", "630", *"––––", "7", "–", "–"]
    assert [text for text in shown["trembl: share of the draws (%)"] if text != "–"] == ["75"]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1200, "1.2k"),
        (45_400, "45k"),
        (1_250_000, "1.2M"),
        (251_131_639, "251M"),
    ],
)
def test_compact_numbers(number, shown):
    assert figures.compact(number) == shown


def test_rejects_cannot_break_the_page():
    text = section(make_statistics(), "Rejects").text
    assert r"| no \| name | 8 |" in text
    assert "&lt;b>no sequence" in text
    assert "| own.tsv | 10 |" in text
    assert "| no position | 3 |" in text
    assert section(make_statistics() | {"top_rejects": {}}, "Rejects").text.startswith("None.")
    excluded = section(make_statistics(), "Exclusions").text
    assert r"| test\_a.fasta | 2 | 120 |" in excluded
    assert r"| test\_b.fasta | 0 | 7 |" in excluded
    old = make_statistics()
    del old["exclude_fasta_sequences"]
    assert r"| test\_a.fasta | 2 | unknown |" in section(old, "Exclusions").text
    assert section(old | {"excluded": 0, "excluded_by_file": {}}, "Exclusions").text.startswith(
        "None"
    )
    assert "3 records look like nucleotides" in text


def test_overlap_and_provenance_are_tabulated():
    text = section(make_statistics(), "Overlap of training and held-out records").text
    assert "| `test` | 4 | 4 | 1 | 25.00 % | 0.1 |" in text
    text = section(make_statistics(), "Provenance").text
    assert rows(text)[2:5] == [
        [r"a\_b.dat.gz", "inputs", "1,234,567", r"2026\_03", f"`{'ab' * 32}`"],
        ["own.tsv", "inputs", "10", "unknown", f"`{'cd' * 32}`"],
        ["clusters.tsv", "clusters", "20", "unknown", f"`{'ef' * 32}`"],
    ]
    assert rows(text)[7:] == [["minhash / k", "4"], [r"test\_fraction", "0.05"]]


def test_command_writes_the_report_of_a_built_dataset(sample_dataset, tmp_path, capsys):
    shutil.copyfile(sample_dataset / "protanno" / "statistics.json", tmp_path / "statistics.json")
    assert main(["--data_dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/report/report.md\n"
    assert (tmp_path / "report" / "clusters.png").exists()


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_that_is_no_dataset(tmp_path, capsys, content):
    if content:
        (tmp_path / "statistics.json").write_text(content)
    assert main(["--data_dir", str(tmp_path)]) == 2
    assert "statistics.json" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_old_statistics_are_enough(tmp_path):
    old = {
        key: value
        for key, value in make_statistics().items()
        if key in ("entries", "records", "rejected", "deduplicated")
    }
    (tmp_path / "statistics.json").write_text(json.dumps(old))
    assert main(["--data_dir", str(tmp_path)]) == 0
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["report.md"]


def test_markdown_shows_texts_as_they_are():
    assert plain("a|b\n`c` <d> & *e*") == r"a\|b \`c\` &lt;d> &amp; \*e\*"
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
