"""The blocks of a document as one script, run in a copy of the project after a short demo."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.support.contributing import copy_of_project
from tests.support.paths import ROOT
from tests.support.shell_lines import FENCE

SHORT_DEMO = """
python -m data_pipelines.sample --records 400 --output runs/sample
python -m data_pipelines.build --input runs/sample/sample.dat.gz --clusters runs/sample/clusters.tsv \\
    --questions runs/sample/questions.tsv --random_test_fraction 0 --validation_fraction 0.2 --test_fraction 0.2 \\
    --output runs/sample/protanno
python -m data_pipelines.vocabulary --data_dir runs/sample/protanno --output runs/sample/vocab.txt
python train.py --config configs/quickstart.py --workdir runs/demo --config.total_steps=1 \\
    --config.data.dir=runs/sample/protanno --config.tokenizer.text=runs/sample/vocab.txt
python -m eval --checkpoint runs/demo --calibrate
python -m protclip_jax.index --checkpoint runs/demo --input runs/sample/protanno --output runs/demo/index
"""
"""In place of `make demo`: as many files, from fewer records and steps. Calibration takes 20 held-out
records of each split."""
LEFT_OUT = ("protclip_jax.serve", "curl ", "runs/650m", "mmseqs", "hits.m8")
"""What the lines name that do not end by themselves, ask a server, or need weights, data and
programs that are not there."""


def script(document: str, shorter: Mapping[str, str] = MappingProxyType({})) -> str:
    """Everything that a document shows and that needs no mark, as lines of a shell.

    Args:
      document: its path in the project.
      shorter: what stands in the place of long runs.
    """
    parts = [SHORT_DEMO]
    for needs, language, text in FENCE.findall((ROOT / document).read_text(encoding="utf-8")):
        if language == "python":
            parts.append(f"python - <<'PYTHON'\n{text}PYTHON\n")
        elif language == "sh" and not needs:
            lines = text.replace("\\\n", " ").splitlines()
            parts.append("\n".join(line for line in lines if not is_left_out(line)) + "\n")
    whole = "".join(parts)
    for long, short in shorter.items():
        assert long in whole
        whole = whole.replace(long, short)
    return whole


def is_left_out(line: str) -> bool:
    """Whether a line cannot be run here."""
    return any(word in line for word in LEFT_OUT)


def run_document(
    document: str, folder: Path, shorter: Mapping[str, str] = MappingProxyType({})
) -> Path:
    """Runs a document's script in a clean shell; returns the copy of the project that it ran in."""
    project = copy_of_project(folder / "project")
    programs = [str(Path(sys.executable).parent), "/usr/bin", "/bin"]
    kept = {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")}
    environment = {
        **kept,
        "PATH": ":".join(programs),
        "HOME": str(folder),
        "JAX_PLATFORMS": "cpu",
    }
    shell = ["bash", "-euo", "pipefail", "-c", script(document, shorter)]
    done = subprocess.run(shell, cwd=project, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return project
