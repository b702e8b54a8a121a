import json

import numpy as np
import pytest

from data_pipelines.common import markdown
from data_pipelines.common.json_object import to_json
from eval.reporting.report import main_tables, print_report, write_report


def test_numbers_that_are_not_finite_become_null():
    value = {
        "a": float("nan"),
        "b": (1, np.float32(0.5), np.inf),
        "c": None,
        "d": {"e": np.int64(3)},
        "f": "x",
        "g": True,
    }
    expected = {"a": None, "b": [1, 0.5, None], "c": None, "d": {"e": 3}, "f": "x", "g": True}
    assert json.loads(json.dumps(to_json(value), allow_nan=False)) == expected


def test_report_without_figures_says_why(tmp_path):
    write_report(
        tmp_path / "new" / "folder",
        provenance={"checkpoint": "runs/demo", "step": 3},
        sections={"retrieval": ({"pool": 4}, "## Retrieval\n\nfine")},
        figures={},
        left_out={"losses": "the checkpoint has no metrics.jsonl"},
    )
    report = json.loads((tmp_path / "new" / "folder" / "report.json").read_text())
    assert report["retrieval"] == {"pool": 4}
    assert report["figures_left_out"] == {"losses": "the checkpoint has no metrics.jsonl"}
    page = (tmp_path / "new" / "folder" / "report.md").read_text()
    assert "Left out: losses (the checkpoint has no metrics.jsonl)." in page
    assert "| step | `3` |" in page


def test_the_origin_of_a_report_is_in_words_and_leaves_out_what_was_not_given(tmp_path):
    origin = {"checkpoint": "a", "dataset_records": 5, "hits": {}, "control": None, "pool": 0}
    write_report(tmp_path, provenance=origin, sections={}, figures={}, left_out={})
    page = (tmp_path / "report.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert rows[2:] == ["| checkpoint | `a` |", "| dataset records | `5` |", "| pool | `0` |"]
    assert json.loads((tmp_path / "report.json").read_text())["provenance"] == origin


def test_main_tables_are_printed_and_the_path_comes_last(tmp_path, capsys):
    first, second = "| a |\n| --- |\n| 1 |", "| b |\n| --- |\n| 2 |"
    section = f"## One\n\nwords\n\n{first}\n\nwords\n\n{second}\n\n### Two\n\n{second}"
    section += "\n\n### Empty\n\nwords"
    assert main_tables(section) == f"## One\n\n{first}\n\n### Two\n\n{second}\n\n"
    print_report(tmp_path, {"one": ({}, section)})
    printed = capsys.readouterr()
    assert printed.out == main_tables(section)
    assert printed.err.splitlines()[-1] == f"wrote {tmp_path / 'report.md'}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.12345, "0.123"),
        (1.0, "1.00"),
        (0.0039, "0.00390"),
        (128.5, "128.5"),
        (-0.25, "-0.250"),
    ],
)
def test_numbers_are_short(value, shown):
    assert markdown.number(value) == shown


def test_interval_and_table():
    assert markdown.interval((0.1, 0.25)) == "[0.100, 0.250]"
    assert markdown.interval((float("nan"), 1)) == "–"
    assert markdown.interval(None) == "–"
    # What `to_json` makes of the NaN bounds of a result that is read back from disk.
    assert markdown.interval([None, None]) == "–"
