"""The README's blocks run as they stand, in their order, in a clean shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.contributing import copy_of_project
from tests.support.paths import ROOT
from tests.support.shell_lines import FENCE

SHORT_DEMO = """
python -m data_pipelines.sample --records 400 --output runs/sample
python -m data_pipelines.build --input runs/sample/sample.dat.gz --clusters runs/sample/clusters.tsv \\
    --questions runs/sample/questions.tsv --random_test_fraction 0 --output runs/sample/protanno
python -m data_pipelines.vocabulary --data_dir runs/sample/protanno --output runs/sample/vocab.txt
python train.py --config configs/quickstart.py --workdir runs/demo --config.total_steps=1 \\
    --config.data.dir=runs/sample/protanno --config.tokenizer.text=runs/sample/vocab.txt
python -m protclip_jax.index --checkpoint runs/demo --input runs/sample/protanno --output runs/demo/index
"""
"""In place of `make demo`: as many files, from fewer records and steps."""
SHORTER = {"--config.total_steps=100": "--config.total_steps=1"}
LEFT_OUT = ("protclip_jax.serve", "runs/650m")
"""What the lines name that do not end by themselves, or need weights and data that are not
there."""
MADE = (
    "weights.png",
    "scan.tsv",
    "proteins.h5",
    "proteins.mean.parquet",
    "proteins.residues.parquet",
    "report/report.md",
)


def script():
    """Everything that the README shows and that needs no mark, as lines of a shell."""
    parts = [SHORT_DEMO]
    for needs, language, text in FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        if language == "python":
            parts.append(f"python - <<'PYTHON'\n{text}PYTHON\n")
        elif not needs:
            lines = [
                line for line in text.splitlines() if not any(word in line for word in LEFT_OUT)
            ]
            parts.append("\n".join(lines) + "\n")
    whole = "".join(parts)
    for long, short in SHORTER.items():
        assert long in whole
        whole = whole.replace(long, short)
    return whole


@pytest.mark.soak
def test_every_block_runs_after_the_ones_before_it(tmp_path):
    folder = copy_of_project(tmp_path / "project")
    programs = [str(Path(sys.executable).parent), "/usr/bin", "/bin"]
    kept = {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")}
    environment = {
        **kept,
        "PATH": ":".join(programs),
        "HOME": str(tmp_path),
        "JAX_PLATFORMS": "cpu",
    }
    shell = ["bash", "-euo", "pipefail", "-c", script()]
    done = subprocess.run(shell, cwd=folder, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert [name for name in MADE if not (folder / name).exists()] == []
