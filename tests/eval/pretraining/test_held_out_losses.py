"""The evaluation of losses: what it asks of a model, and what a model without knowledge gets."""

import math

import numpy as np
import pytest

from data_pipelines.protanno.dataset import open_dataset
from data_pipelines.protanno.record import Record
from eval.pretraining.held_out_losses import HeldOutLosses, uninformed_losses


def test_uninformed_losses_by_hand():
    records = [
        Record("P1", "", "swissprot", "AAAC", 1, "a"),
        Record("P2", "", "swissprot", "ACCC", 1, "b", function="c"),
        Record("P3", "", "swissprot", "AACC", 1, "d", function="e", location="f", similarity="g"),
    ]
    found = uninformed_losses(records)
    assert found["gc"] == pytest.approx(math.log(3))
    assert found["mlm"] == found["bsr"] == pytest.approx(math.log(2))
    assert found["pda"] == pytest.approx((math.log(2) + math.log(4)) / 2)


class Model:
    def __init__(self, negatives):
        self.config = {"pda": {"negatives": negatives}}

    def losses(self, records):
        self.asked = records
        return {"total": 3.0, "gc": 1.5, "pda": 0.25}


@pytest.mark.parametrize("negatives", ["within_record", "both"])
def test_the_report_has_a_control_for_each_loss_that_has_one(sample_dataset, negatives):
    dataset = open_dataset(sample_dataset / "protanno")
    evaluation, model = HeldOutLosses(dataset, split="test", pool=20), Model(negatives)
    assert evaluation.metrics(model) == {"total": 3.0, "gc": 1.5, "pda": 0.25}
    assert len(model.asked) == 20
    result = evaluation.report(model, control=None)
    assert ("pda" in result["uninformed"]) == (negatives == "within_record")
    page = HeldOutLosses.markdown(result)
    assert f"| gc | 1.50 | {np.log(20):.2f} |" in page
    assert "20 records with distinct biotexts from the split `test`" in page
