"""What a checkpoint's own report says of its property weights."""

import json

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints.own_report import ADVICE, UNMEASURED, own_report, what_weights_mean

SWAP = {
    "proteins": {"function": 43, "location": 0, "similarity": 20},
    "score_function": 0.63,
    "score_similarity": 0.1,
    "score_location": None,
    "interval": {"function": [0.54, 0.72], "similarity": [-0.05, 0.25], "location": [None, None]},
}
PDA = {
    "verdict": {
        "function": "not above its controls (with a tagger)",
        "similarity": "above its controls",
    }
}


def write(path, *, step, **sections):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"provenance": {"step": step}} | sections))


def test_each_section_says_its_part(tmp_path):
    write(tmp_path / "report.json", step=750, swap=SWAP, pda=PDA)
    assert what_weights_mean(tmp_path, step=750) == (
        "In this checkpoint's own tests the weights move to the place that a text names: "
        "function 0.63 [0.54, 0.72]. "
        "It was not shown that they follow the text: similarity 0.10 [-0.05, 0.25]. "
        f"They find annotated residues no better than controls do: function. {ADVICE}"
    )


@pytest.mark.parametrize(
    "sections",
    [{}, {"swap": {}}, {"swap": [1], "pda": {"verdict": 3}}, {"swap": {"interval": {"x": 1}}}],
)
def test_a_report_without_such_tests_says_how_to_measure(tmp_path, sections):
    write(tmp_path / "report.json", step=750, **sections)
    assert what_weights_mean(tmp_path, step=750) == f"{UNMEASURED} {ADVICE}"


def test_the_report_is_that_of_the_step_wherever_it_lies(tmp_path):
    assert own_report(tmp_path, step=3) is None
    write(tmp_path / "report.json", step=2)
    assert own_report(tmp_path, step=3) is None
    write(tmp_path / "eval" / "report.json", step=3, swap=SWAP)
    assert own_report(tmp_path, step=3)["swap"] == SWAP
    (tmp_path / "report.json").write_text('{"of": "another program"}')
    assert own_report(tmp_path, step=3)["swap"] == SWAP
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(UserError, match=r"report\.json"):
        own_report(tmp_path, step=3)
