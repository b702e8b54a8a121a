"""The table of variants' scores."""

import numpy as np

from data_pipelines.inputs.substitutions import Substitution
from protclip_jax.variants.jobs import Job
from protclip_jax.variants.results import write_table


def test_an_id_that_a_spreadsheet_would_compute_is_text(tmp_path):
    jobs = [Job("=1+1", "MK", ((Substitution("M", 0, "A"),),), None)]
    columns = {"score": np.array([-0.5], np.float32)}
    write_table(tmp_path / "scores.tsv", jobs, columns, first_position=1)
    assert (tmp_path / "scores.tsv").read_text() == "id\tmutation\tscore\n'=1+1\tM1A\t-0.5\n"
