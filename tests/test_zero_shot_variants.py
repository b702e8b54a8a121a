"""The experiments and alignments that benchmarks/zero_shot_variants.py reads."""

import pytest

from benchmarks import zero_shot_variants as benchmark
from data_pipelines.common.errors import UserError


def test_an_alignment_belongs_to_the_experiment_it_is_named_after(tmp_path):
    assert benchmark.alignments_of(None) == {}
    path = tmp_path / "beta_lactamase.fasta"
    path.write_text(">wild type\nMKT\n")
    (tmp_path / "notes.txt").write_text("not an alignment")
    assert benchmark.alignments_of(tmp_path) == {"beta_lactamase": path}


@pytest.mark.parametrize(
    ("name", "found"), [("lactamase.fasta", "it has lactamase"), ("a.txt", "no .fasta file")]
)
def test_a_folder_without_alignments_of_experiments_is_refused(tmp_path, name, found):
    (tmp_path / name).write_text(">wild type\nMKT\n")
    with pytest.raises(UserError, match=found):
        benchmark.alignments_of(tmp_path)


def test_wild_types_are_written_for_a_search(real_data, tmp_path):
    line = ["--data_dir", str(real_data), "--folder", str(tmp_path), "--wild_types_only"]
    assert not benchmark.main(line)
    lines = (tmp_path / "wild_types.fasta").read_text().split()
    found = dict(zip(lines[::2], lines[1::2], strict=True))
    assert found.keys() == {f">{name}" for name in benchmark.TEXTS}
    # The second screen is of the enzyme without its signal peptide.
    assert found[">beta_lactamase"].endswith(found[">beta_lactamase_2015"])
    assert len(found[">beta_lactamase"]) == 286
    assert len(found[">aav"]) == 735
    assert not (tmp_path / "random_0").exists()
