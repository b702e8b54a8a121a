"""Measures the training step on packed rows and on padded ones: rates, memory, and each objective.

    python -m benchmarks.train_step [--protein 8m] [--pairs 22] [--repeats 3] [--variants NAME…] \\
        [--output train_step.json]

All variants use the same records with UniProt's lengths (`data_pipelines.training.synthetic`) and,
unless stated otherwise, the same four objectives; the text tower is frozen. Variants alternate, and
figures are medians. Peak memory is measured in a separate process per variant. MFU compares the
model FLOPs of real tokens (`protclip_jax.training.flops`) with the device's stated peak, which CPUs
do not have. The same FLOPs are also compared with the rate that the devices reach in the matrix
products of a feed-forward layer alone, measured in the same run.
"""

import argparse
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import jax
import numpy as np
import optax

from data_pipelines.training.packing import pack_all, pack_rows
from data_pipelines.training.synthetic import synthetic_examples
from protclip_jax.attention.registry import AUTO, backend_for
from protclip_jax.config.build import own_target
from protclip_jax.distributed import sharding
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import esm2_config
from protclip_jax.models.layers import REMAT_POLICIES
from protclip_jax.models.protclip import ProtCLIPConfig, ProtCLIPModel
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.training import flops
from protclip_jax.training.gradients import make_loss_and_gradients
from protclip_jax.training.initial_state import init_optimizer, sharded_params
from protclip_jax.training.optimizer import partition
from protclip_jax.training.train_state import TrainState
from protclip_jax.training.train_step import make_train_step

PACKED = {"slots": 16, "protein_tokens": 2048, "text_tokens": 1536}
TEXT_VOCAB_SIZE = 30_522
ALL = ObjectiveConfig()


@dataclasses.dataclass(frozen=True)
class Variant:
    """How records are arranged in rows, and what is computed."""

    shape: str = "packed"
    """`packed`, `longest` (one record per row, padded to a multiple of 128) or `static` (1,024)."""
    passes: str = "separate"
    objective: ObjectiveConfig = ALL
    remat: str = "none"


VARIANTS = {
    "packed": Variant(),
    "packed, shared masked pass": Variant(passes="shared"),
    "padded to the longest": Variant("longest"),
    "padded to 1024": Variant("static"),
    "packed, full remat": Variant(remat="full"),
    "packed, MLM alone": Variant(objective=ObjectiveConfig(gc=0, bsr=0, pda=0)),
    "packed, GC alone": Variant(objective=ObjectiveConfig(bsr=0, mlm=0, pda=0)),
    "packed, GC and PDA": Variant(objective=ObjectiveConfig(bsr=0, mlm=0)),
    "packed, GC, PDA and MLM": Variant(objective=ObjectiveConfig(bsr=0)),
}


def make_batch(variant: Variant, pairs: int, devices: int):
    """Arranges the records as the variant's rows, plus empty ones up to a multiple of `devices`."""
    drawn = synthetic_examples(
        np.random.default_rng(0),
        max_protein_tokens=1024,
        max_text_tokens=512,
        text_vocab_size=TEXT_VOCAB_SIZE,
        passes=variant.passes,
    )
    examples = list(itertools.islice(drawn, pairs))
    if variant.shape == "packed":
        rows, shape = pack_all(examples, **PACKED).rows, PACKED
    else:
        lengths = [(example.protein_length, example.text_length) for example in examples]
        longest = np.max(lengths, axis=0)
        rounded = (-(-longest // 128) * 128).tolist()
        protein, text = (1024, 1024) if variant.shape == "static" else rounded
        rows = [[example] for example in examples]
        shape = {"slots": 1, "protein_tokens": protein, "text_tokens": text}
    return pack_rows(rows + [[]] * (-len(rows) % devices), **shape)


class Step:
    """A compiled training step with its state and batch on the devices."""

    def __init__(self, variant: Variant, arguments: argparse.Namespace):
        shared = {
            "attention": arguments.attention,
            "dtype": arguments.dtype,
            "remat": arguments.remat or variant.remat,
        }
        protein = dataclasses.replace(esm2_config(arguments.protein), **shared)
        text_layers, text_width = (12, 768) if arguments.text == "base" else (4, 256)
        text = BertConfig(
            num_layers=text_layers,
            hidden_size=text_width,
            num_heads=text_width // 64,
            intermediate_size=4 * text_width,
            vocab_size=TEXT_VOCAB_SIZE,
            **shared,
        )
        self.model = ProtCLIPModel(ProtCLIPConfig(protein, text))
        self.objective = dataclasses.replace(variant.objective, masked_passes=variant.passes)
        mesh = sharding.make_mesh(-1, 1)
        batch = make_batch(variant, arguments.pairs, mesh.size)
        self.tokens = flops.count_tokens(batch)
        self.pairs = int(batch.slot_mask.sum())
        params = sharded_params(self.model, mesh, ((".", "replicate"),), seed=0)
        trainable, frozen = partition(params, (("rotary_inv_freq|^text/", "frozen"), (".", 1.0)))
        optimizer = optax.adam(1e-5)
        step = jax.device_put(np.int32(0), sharding.replicated(mesh))
        self.state = TrainState(step, trainable, frozen, init_optimizer(optimizer, trainable, mesh))
        gradients = make_loss_and_gradients(
            self.model,
            self.objective,
            self.state.shardings,
            arguments.microbatch_rows and arguments.microbatch_rows * mesh.size,
        )
        with jax.set_mesh(mesh):
            self.batch = sharding.global_batch(batch, mesh, len(batch.slot_mask))
            self.step = (
                make_train_step(gradients, optimizer, self.state)
                .lower(self.state, self.batch)
                .compile()
            )

    def seconds(self) -> float:
        """Runs one step and returns its seconds."""
        start = time.perf_counter()
        self.state, metrics = self.step(self.state, self.batch)
        jax.block_until_ready((self.state.step, metrics))
        return time.perf_counter() - start

    def figures(self, seconds: list[float]) -> dict[str, float | None]:
        """Computes the figures from the times of some steps."""
        median = statistics.median(seconds)
        tokens = self.tokens["protein_tokens"] + self.tokens["text_tokens"]
        model_flops = flops.step_flops(
            self.tokens, self.model.config, self.objective, text_trained=False
        )
        return {
            "seconds": median,
            "pairs": self.pairs,
            "pairs_per_second": self.pairs / median,
            "protein_tokens_per_second": self.tokens["protein_tokens"] / median,
            "padding_fraction": 1 - tokens / self.tokens["slots"],
            "model_flops_per_second": model_flops / median,
            "mfu": flops.mfu(model_flops / median),
        }


def make_product_rate(width: int, dtype: str) -> Callable[[], float]:
    """Measures FLOP/s of all devices in the two products of feed-forward layers of this width."""
    mesh = sharding.make_mesh(-1, 1)
    rows = jax.device_put(np.ones((4096 * mesh.size, width), dtype), sharding.rows_sharding(mesh))
    up, down = (
        jax.device_put(np.ones(shape, dtype), sharding.replicated(mesh))
        for shape in ((width, 4 * width), (4 * width, width))
    )
    products = jax.jit(lambda rows, up, down: rows @ up @ down).lower(rows, up, down).compile()

    def measure() -> float:
        seconds = []
        for _ in range(6):
            start = time.perf_counter()
            jax.block_until_ready(products(rows, up, down))
            seconds.append(time.perf_counter() - start)
        return 4 * rows.size * 4 * width / min(seconds)

    return measure


def peak_memory(name: str) -> float:
    """Peak memory in GB for one step of a variant, measured in a separate process."""
    done = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], "--only_memory_of", name],
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"'{name}' failed with exit code {done.returncode}; see its message above")
    return json.loads(done.stdout.splitlines()[-1])["peak_gb"]


def measured_peak() -> float:
    """Peak memory in GB: of this process on a CPU, otherwise of the device."""
    statistics_ = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in statistics_:
        return statistics_["peak_bytes_in_use"] / 1e9
    # Not getrusage, whose maximum starts at that of the parent process.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e9


def main() -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--protein", default="8m", help="size of ESM-2 (default: %(default)s)")
    parser.add_argument(
        "--text",
        default="small",
        choices=("small", "base"),
        help="text tower: 4 layers of width 256, or BERT-base (default: %(default)s)",
    )
    parser.add_argument("--pairs", type=int, default=22, help="pairs (default: %(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="timed steps per variant (default: %(default)s)"
    )
    parser.add_argument(
        "--microbatch_rows", type=int, help="rows per device computed at a time (default: all)"
    )
    parser.add_argument("--attention", help="attention backend (default: that of training)")
    parser.add_argument("--remat", choices=REMAT_POLICIES, help="remat policy for all variants")
    parser.add_argument("--dtype", default="float32", help="(default: %(default)s)")
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=VARIANTS,
        default=list(VARIANTS),
        metavar="NAME",
        help="variants to measure (default: all)",
    )
    parser.add_argument(
        "--cpu_devices", type=int, default=2, help="virtual CPU devices (default: %(default)s)"
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="also measure peak memory, in a separate process per variant",
    )
    parser.add_argument("--only_memory_of", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    arguments = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", arguments.cpu_devices)
    arguments.attention = arguments.attention or backend_for(AUTO, own_target(), arguments.dtype)
    if arguments.only_memory_of:
        Step(VARIANTS[arguments.only_memory_of], arguments).seconds()
        print(json.dumps({"peak_gb": measured_peak()}))
        return

    make = functools.partial(Step, arguments=arguments)
    steps = {name: make(VARIANTS[name]) for name in arguments.variants}
    for step in steps.values():
        step.seconds()
    times = {name: [] for name in steps}
    width = esm2_config(arguments.protein).hidden_size
    product_rate, rates = make_product_rate(width, arguments.dtype), []
    for _ in range(arguments.repeats):
        rates.append(product_rate())
        for name, step in steps.items():
            times[name].append(step.seconds())
    rate = statistics.median(rates)
    results = {name: step.figures(times[name]) for name, step in steps.items()}
    for result in results.values():
        result["of_product_rate"] = result["model_flops_per_second"] / rate
    if arguments.memory:
        for name, result in results.items():
            result["peak_gb"] = peak_memory(name)
    device = jax.devices()[0].device_kind
    about = {
        "device": device,
        "devices": jax.device_count(),
        "cores": os.cpu_count(),
        "jax": jax.__version__,
        "product_flops_per_second": rate,
        **vars(arguments),
    }
    base = results[arguments.variants[0]]["seconds"]
    print(f"Products of feed-forward layers alone: {rate / 1e9:.1f} GFLOP/s.\n")
    columns = (
        "variant",
        "s/step",
        "of the first",
        "pairs/s",
        "protein tokens/s",
        "padding",
        "MFU",
        "of products",
        "GB",
    )
    print(f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|")
    for name, r in results.items():
        mfu, memory = (
            f"{r[key]:{form}}" if r.get(key) else "–"
            for key, form in (("mfu", ".3f"), ("peak_gb", ".1f"))
        )
        seconds = f"{r['seconds']:.2f} | {r['seconds'] / base:.2f}"
        speeds = f"{r['pairs_per_second']:.2f} | {r['protein_tokens_per_second']:.0f}"
        padding, products = 100 * r["padding_fraction"], r["of_product_rate"]
        print(
            f"| {name} | {seconds} | {speeds} | {padding:.0f} % | {mfu} | {products:.2f} "
            f"| {memory} |"
        )
    if arguments.output:
        arguments.output.write_text(
            json.dumps({"about": about, "results": results}, indent=2, default=str) + "\n"
        )


if __name__ == "__main__":
    main()
