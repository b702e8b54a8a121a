"""Measures one GPU in at most eight minutes: parity, rates, memory and a profile, as JSON.

    pip install -c constraints.txt -e '.[gpu]'
    python -m benchmarks.gpu [--output gpu-results]

Needs Python 3.12 and a CUDA driver, but no data and no weights. Each part runs in a separate
process, so that a failure does not affect the others:

- parity     every attention backend against dense: values, gradients, leaks between segments
- steps      real protein tokens/s and MFU, for MLM alone and all objectives; a profile of one step
- memory     of the real training step, compared with the prediction of `train.py --aot`
- embedding  real tokens/s of embeddings in float32 and bfloat16
- tiles      kernel blocks of 64 tokens against blocks of 128

Prints a line per part and writes FOLDER/results.json. Exits with 1 if parity fails or a part does.
`--scale tiny` runs a small version on any machine, which measures nothing.
"""

import argparse
import importlib
import json
import pathlib
import subprocess
import sys
import time

import jax

from benchmarks.gpu.scale import SCALES
from protclip_jax.config.build import own_target

ROOT = pathlib.Path(__file__).parents[2]
PARTS = ("parity", "steps", "memory", "embedding", "tiles")
LIMIT = 480
"""Time limit for all parts together, in seconds."""

TARGETS = {"mlm_tokens_per_second": 96_000, "all_objectives_mfu": 0.45}
"""Targets for one H200."""


def measure_part(name: str, scale: str, folder: pathlib.Path) -> dict:
    """Runs one part in this process."""
    part = importlib.import_module(f"benchmarks.gpu.{name}")
    if name == "steps":
        return part.measure(SCALES[scale], folder / "profile")
    return part.measure(SCALES[scale])


def run_part(name: str, scale: str, folder: pathlib.Path, seconds: float) -> dict:
    """Runs one part in a separate process; reports the cause if it fails or times out."""
    if seconds < 20:
        return {"failed": "no time left"}
    command = [sys.executable, "-m", "benchmarks.gpu", "--part", name, "--scale", scale]
    log = folder / f"{name}.log"
    try:
        with open(log, "w", encoding="utf-8") as errors:
            done = subprocess.run(
                [*command, "--output", folder],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                timeout=seconds,
                text=True,
            )
    except subprocess.TimeoutExpired:
        return {"failed": f"took longer than {seconds:.0f} s"}
    if done.returncode:
        return {"failed": f"exit code {done.returncode}; see {log}"}
    return json.loads(done.stdout.splitlines()[-1])


def verdicts(found: dict) -> dict:
    """The measurements for which there are targets; None if a part is missing."""
    steps, memory = found["steps"], found["memory"]
    mlm, everything = (steps.get(name, {}) for name in ("packed, MLM alone", "packed"))
    aot, program = memory.get("aot_bytes"), memory.get("program_bytes")
    return {
        "parity": found["parity"].get("well"),
        "mlm_tokens_per_second": mlm.get("protein_tokens_per_second"),
        "all_objectives_mfu": everything.get("mfu"),
        "targets_on_an_h200": TARGETS,
        "program_over_aot": program / aot if aot and program else None,
    }


def measure_all(scale: str, folder: pathlib.Path) -> dict:
    """Runs all parts in turn and prints a line for each."""
    end, found = time.monotonic() + LIMIT, {}
    for name in PARTS:
        found[name] = run_part(name, scale, folder, end - time.monotonic())
        print(f"{name}: {json.dumps(found[name])}", flush=True)
    return found


def main() -> int:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("gpu-results"),
        help="folder for the results (default: %(default)s)",
    )
    parser.add_argument("--scale", choices=SCALES, default="full", help="(default: %(default)s)")
    parser.add_argument("--part", choices=PARTS, help="run only this part; JSON on stdout")
    arguments = parser.parse_args()
    folder = arguments.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.part:
        print(json.dumps(measure_part(arguments.part, arguments.scale, folder)))
        return 0
    found = measure_all(arguments.scale, folder)
    report = {"device": device(), **found, "verdicts": verdicts(found)}
    (folder / "results.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report["verdicts"], indent=2))
    failed = any("failed" in part for part in found.values())
    return int(failed or not found["parity"].get("well"))


def device() -> dict:
    """The measured device and versions."""
    target = own_target()
    return {
        "platform": target.platform,
        "kind": target.kind,
        "capability": target.capability,
        "jax": jax.__version__,
    }


if __name__ == "__main__":
    raise SystemExit(main())
