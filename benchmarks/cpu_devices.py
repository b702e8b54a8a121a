"""Times training steps with a CPU as one device and as several, on the demo's sample.

    python -m benchmarks.cpu_devices [--sample runs/sample] [--devices 1 2] [--repeats 3] \\
        [--output cpu_devices.json]

Every measurement is a run of `configs/quickstart.py` in a process of its own; the numbers of
devices alternate. The first half of a run, with compilation, is left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import jax

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.markdown import table
from data_pipelines.common.progress import progress

STEPS = 60
"""Half of which are measured."""


def seconds_per_step(sample: Path, devices: int) -> float:
    """Trains with so many devices; returns the wall time of a step without evaluations.

    Raises:
      UserError: the training failed.
    """
    flags = f"--xla_force_host_platform_device_count={devices}"
    with tempfile.TemporaryDirectory() as folder:
        arguments = {
            "data.dir": sample / "protanno",
            "tokenizer.text": sample / "vocab.txt",
            "total_steps": STEPS,
            "log_every": STEPS // 2,
            "eval_every": STEPS,
            "checkpoint_every": STEPS,
            "gradient_norms_every": 0,
        }
        options = [f"--config.{name}={value}" for name, value in arguments.items()]
        ran = subprocess.run(
            [
                *(sys.executable, "train.py", "--config", "configs/quickstart.py"),
                *("--workdir", folder + "/run", *options),
            ],
            env={**os.environ, "XLA_FLAGS": flags},
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise UserError(f"training with {devices} devices failed: {ran.stderr[-500:]}")
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    (last,) = [record for record in records if "loss" in record and record["step"] == STEPS]
    return (last["seconds/step"] + last["seconds/input"]) / (STEPS // 2)


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--sample", type=Path, default=Path("runs/sample"), metavar="DIR", help="of `make demo`")
    add("--devices", type=int, nargs="+", default=[1, 2], metavar="N", help="numbers to compare")
    add("--repeats", type=int, default=3, help="runs of each (default: %(default)s)")
    add("--output", type=Path, metavar="FILE", help="a JSON file")
    options = parser.parse_args(arguments)

    measured = {devices: [] for devices in options.devices}
    for _ in progress(range(options.repeats), description="measuring", unit="repeats"):
        for devices, seconds in measured.items():
            seconds.append(seconds_per_step(options.sample, devices))
    medians = {devices: statistics.median(seconds) for devices, seconds in measured.items()}
    first = medians[options.devices[0]]
    rows = [
        [str(devices), f"{seconds:.3f}", f"{seconds / first:.2f}"]
        for devices, seconds in medians.items()
    ]
    print(table(["devices", "seconds per step", "ratio"], rows))
    if options.output:
        facts = {"cores": len(os.sched_getaffinity(0)), "jax": jax.__version__, "seconds": measured}
        atomic_write(options.output, json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
