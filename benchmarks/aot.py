"""Compiles the training step for absent TPUs or GPUs: memory, FLOPs, communication and bounds.

    python -m benchmarks.aot [--of tpu|gpu|cards] [--plans NAME…] [--output aot.json]

Every table row is one `train.py --aot` in a separate process; nothing is executed. Needs the
`[tpu]` extra, or `[gpu-aot]` for GPUs.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]

ROWS, REMAT = "--config.batch.microbatch_rows", "--config.model.remat"

TPU_PLANS = {
    # The paper's recipe: about 2,100 pairs per step on every slice.
    "v5e-16": ["--aot=v5e:4x4", f"{ROWS}=96"],
    "v5e-64": ["--aot=v5e:8x8"],
    "v5e-256": ["--aot=v5e:16x16", "--config.batch.rows=512", "--config.data.streams=128"],
    "v5p-64": ["--aot=v5p:4x4x4", f"{REMAT}=full"],
    "v5p-64 no remat": ["--aot=v5p:4x4x4", f"{REMAT}=none"],
    "v6e-64": ["--aot=v6e:8x8", f"{REMAT}=full"],
    # Six rows per chip, on 16 to 256 chips.
    "v5e-16 6 rows": ["--aot=v5e:4x4", "--config.batch.rows=96"],
    "v5e-256 6 rows": ["--aot=v5e:16x16", "--config.batch.rows=1536"],
    # The effect of remat and the shared masked pass on 64 chips.
    "v5e-64 dots": ["--aot=v5e:8x8", f"{REMAT}=dots"],
    "v5e-64 no remat": ["--aot=v5e:8x8", f"{REMAT}=none"],
    "v5e-64 shared": ["--aot=v5e:8x8", "--config.masking.passes=shared"],
}

H200_ROWS = {"full": (1, 2, 8, 16, 32, 64), "dots": (4, 8, 16), "none": (4, 8, 16)}
SHARED, FSDP_8 = "--config.masking.passes=shared", "--config.mesh.fsdp=8"
EIGHT_ROWS = f"{ROWS}=8"


def h200_plans() -> dict[str, list[str]]:
    """Plans for one GPU: rows at a time by remat policy, then the shared masked pass."""
    plans = {}
    for remat, counts in H200_ROWS.items():
        for rows in counts:
            plans[f"{remat}, {rows}"] = ["--aot=h200:1", f"{ROWS}={rows}", f"{REMAT}={remat}"]
        plans[f"{remat}, 8, shared"] = [
            "--aot=h200:1",
            EIGHT_ROWS,
            f"{REMAT}={remat}",
            SHARED,
        ]
    return plans


GPU_PLANS = h200_plans() | {
    "full, 8, dense": [
        "--aot=h200:1",
        EIGHT_ROWS,
        f"{REMAT}=full",
        "--config.model.attention=dense",
    ],
    "8 × H100": ["--aot=h100:8", f"{ROWS}=64", f"{REMAT}=full"],
    "8 × H100, fsdp=8": ["--aot=h100:8", f"{ROWS}=64", f"{REMAT}=full", FSDP_8],
    "2 × 8 × H100, fsdp=8": ["--aot=h100:8x2", f"{ROWS}=128", f"{REMAT}=full", FSDP_8],
    "4 × A100": ["--aot=a100:4", f"{ROWS}=32"],
}

CARDS = ("t4", "a10g", "l4", "rtx4090", "a100-40gb", "l40s", "a100", "h100", "h200", "b200")


def card_plans() -> dict[str, list[str]]:
    """Plans for one row at a time on one card, in each dtype."""
    plans = {}
    for card in CARDS:
        for dtype in ("bfloat16", "float32"):
            plans[f"{card} {dtype}"] = [
                f"--aot={card}:1",
                f"{ROWS}=1",
                f"{REMAT}=full",
                f"--config.model.dtype={dtype}",
            ]
    return plans


PLANS = {"tpu": TPU_PLANS, "gpu": GPU_PLANS, "cards": card_plans()}
CONFIGS = {"tpu": "configs/protclip_650m.py"}
"""The config of each group of plans; by default the GPU config."""

COLUMNS = {
    "fits": lambda r: "yes" if r["fits"] else "no",
    "remat": lambda r: r["remat"],
    "attention": lambda r: r["attention"],
    "GB": lambda r: f"{r['hbm_bytes_per_device'] / 1e9:.1f}",
    "of GB": lambda r: f"{r['hbm_capacity_bytes'] / 1e9:.1f}",
    "of GiB": lambda r: (
        f"{r['hbm_bytes_per_device'] / 2**30:.1f} of {r['hbm_capacity_bytes'] / 2**30:.1f}"
    ),
    "TFLOP/device": lambda r: f"{r['flops_per_device'] / 1e12:.0f}",
    "GFLOP/pair": lambda r: f"{r['flops_per_pair'] / 1e9:.0f}",
    "model FLOPs": lambda r: f"{100 * r['model_flops_share']:.0f} %",
    "GB to send/device": lambda r: f"{r['collective_bytes_per_device'] / 1e9:.2f}",
    "largest gather MB": lambda r: (
        f"{r['collectives'].get('all-gather', {}).get('largest', 0) / 1e6:.1f}"
    ),
    "pairs/step": lambda r: f"{r['pairs_per_step']:.0f}",
    "step s ≥": lambda r: f"{r['predicted_step_seconds']:.2f}",
    "pairs/s ≤": lambda r: f"{r['pairs_per_second']:.0f}",
    "device-hours ≥": lambda r: f"{r['run_chip_hours']:.0f}",
}


def compile_plan(config: str, arguments: list[str]) -> dict:
    """Compiles one plan and returns its report."""
    command = [sys.executable, "train.py", "--config", config, *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(
            f"{' '.join(command)} failed with exit code {done.returncode}; see its message above"
        )
    return json.loads(done.stdout)


def row(name: str, report: dict) -> str:
    """Formats a table row; values unknown for a step that does not fit are dashes."""
    cells = []
    for cell in COLUMNS.values():
        try:
            cells.append(str(cell(report) or "–"))
        except (TypeError, AttributeError):
            cells.append("–")
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--of", choices=PLANS, default="tpu", help="group of plans (default: tpu)")
    parser.add_argument("--plans", nargs="+", metavar="NAME", help="plans to run (default: all)")
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        help="JSON file for the full reports; an existing file is extended",
    )
    arguments = parser.parse_args()
    plans = PLANS[arguments.of]
    if unknown := set(arguments.plans or ()) - plans.keys():
        parser.error(f"unknown plans {', '.join(unknown)}; expected {', '.join(plans)}")
    known = arguments.output and arguments.output.exists()
    reports = json.loads(arguments.output.read_text()) if known else {}
    for name in arguments.plans or plans:
        if name not in reports:
            config = CONFIGS.get(arguments.of, "configs/protclip_650m_gpu.py")
            reports[name] = compile_plan(config, plans[name])
            if arguments.output:
                arguments.output.write_text(json.dumps(reports, indent=2) + "\n")
    print("| plan | " + " | ".join(COLUMNS) + " |\n" + "|---" * (len(COLUMNS) + 1) + "|")
    for name in arguments.plans or plans:
        print(row(name, reports[name]))


if __name__ == "__main__":
    main()
