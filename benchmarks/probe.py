"""Measures the frozen probe on 20,000 proteins and estimates all benchmarks on one H200.

    python -m benchmarks.probe --output probe.json

Measured are: heads of all seeds on 20,000 generated rows of 1280 features, for at most the
configured number of epochs, with a validation split scored after each; the scoring of a validation
split as large as GO-BP's; and the FLOPs that XLA counts in ESM-2 650M, compared with the formula
(protclip_jax/training/flops.py). The estimate uses the published sizes of the data sets (unknown
ones are assumed and marked), each protein once at the mean length of its data set, and two shares
of the device's bfloat16 peak: for large products (the tower) and for small ones (heads, graphs).
The shares are assumptions, not measured on a GPU.
"""

import argparse
import dataclasses
import json
import os
import time
from typing import NamedTuple

import jax
import numpy as np

from configs.eval import cross_modal as cross_modal_config
from configs.eval import probe as probe_config
from configs.eval import protein_interaction as interaction_config
from data_pipelines.common.errors import command
from data_pipelines.common.markdown import table
from eval.benchmarks.cross_modal.bridge import Bridge
from eval.benchmarks.cross_modal.bridge import forward_flops as bridge_flops
from eval.benchmarks.interaction.network import InteractionNetwork
from eval.benchmarks.interaction.network import forward_flops as interaction_flops
from eval.benchmarks.interaction.splits import TEST_FRACTION
from eval.data.base.task import INTERACTIONS
from eval.data.published import SIZES
from eval.metrics import accuracy, fmax
from eval.protocols import probe
from eval.protocols.heads import TwoLayerHead
from protclip_jax.distributed.chips import GPUS
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import esm2_config
from protclip_jax.models.initialize import abstract_params
from protclip_jax.models.protclip import ProtCLIPConfig, ProtCLIPModel
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.training.flops import step_flops

WIDTH, CLASSES, VALID_ROWS = 1280, 10, 2000
GO_BP = (3053, 1943)
"""Number of validation chains and terms."""
VALID_SCORES = (GO_BP, (3053, 489), (3053, 320), (1664, 538))
"""The score matrices of all multi-label tasks: rows and classes."""
SPECIAL_TOKENS = 2


class Proteins(NamedTuple):
    """Distinct proteins to embed; an upper bound, as every row counts as a different one."""

    benchmarks: str
    residues: int
    """Mean length; known if all are variants of one protein, otherwise assumed."""
    assumed: int | None = None
    """Number of rows if the published size is unknown."""
    heads: tuple[int, ...] = (1,)
    """Outputs of each head trained on them; without heads, only embeddings are counted."""


DATA = (
    # Mean lengths are those of the validation files; for STRING, of SHS148k's proteins.
    Proteins("localisation", 525, heads=(10,)),
    Proteins("membrane", 525, heads=(2,)),
    Proteins("ec", 277, heads=(538,)),
    # The three ontologies share their chains.
    Proteins("go_bp", 264, heads=(1943, 489, 320)),
    Proteins("reaction", 277, heads=(384,)),
    Proteins("beta_lactamase", 286),
    Proteins("fluorescence", 237),
    Proteins("stability", 45),
    Proteins("aav", 200, assumed=83_000),
    Proteins("thermostability", 573, assumed=8_000),
    # The proteins of the smaller graphs are a subset of STRING's.
    Proteins("string", 597, heads=()),
    Proteins("similarity_mf, similarity_bp, similarity_cc", 560, assumed=1_500, heads=()),
    Proteins("prot2bp … disease2prot", 560, assumed=20_000, heads=()),
)
TRIPLETS = 4_000_000
"""Triplets of PrimeKG's six node types, in both directions; assumed."""
NODE_WIDTHS = (WIDTH, *[768] * 5)


def rows_of(data: Proteins) -> int:
    """The number of rows, published or assumed."""
    if data.assumed is not None:
        return data.assumed
    counts = next(size.counts for size in SIZES if size.benchmark == data.benchmarks)
    return counts["proteins"] if "proteins" in counts else sum(counts.values())


def embedding_flops(proteins: int, residues: int) -> float:
    """Forward FLOPs of ESM-2 650M for proteins of the mean length."""
    network = ProtCLIPConfig(
        esm2_config("650m"),
        BertConfig(num_layers=1, hidden_size=8, num_heads=1, intermediate_size=8, vocab_size=8),
    )
    tokens = residues + SPECIAL_TOKENS
    counts = {
        "protein_tokens": proteins * tokens,
        "protein_squares": proteins * tokens**2,
        "text_tokens": 0,
        "text_squares": 0,
    }
    objective = ObjectiveConfig(bsr=0.0, mlm=0.0, pda=0.0)
    # A training step costs three forward passes.
    return step_flops(counts, network, objective, text_trained=False) / 3


def flops_by_xla(residues: int) -> float:
    """Forward FLOPs of ESM-2 650M on one protein by XLA's count, with dense attention.

    Nothing is executed.
    """
    tower = dataclasses.replace(esm2_config("650m"), attention="dense")
    text = BertConfig(num_layers=1, hidden_size=8, num_heads=1, intermediate_size=8, vocab_size=8)
    model = ProtCLIPModel(ProtCLIPConfig(tower, text))
    ids = jax.ShapeDtypeStruct((1, residues + SPECIAL_TOKENS), np.int32)

    def encode(params, *inputs):
        return model.bind({"params": params}).encode_protein(*inputs, 1)

    lowered = jax.jit(encode).lower({"protein": abstract_params(model)["protein"]}, ids, ids, ids)
    # The layers are one loop, whose body XLA counts once; the rest is negligible.
    return lowered.cost_analysis()["flops"] * tower.num_layers


def _bridges(config) -> int:
    """The number of trained bridges: one and a control per seed and kind of reverse triplets."""
    return 2 * config.seeds * len(config.reverse_triplets)


def graph_flops() -> dict[str, float]:
    """Training FLOPs of GNN-PPI's network and of the bridge with its control.

    The network is trained on all graphs, splits, messages and seeds.
    """
    config, total = interaction_config.get_config(), 0.0
    network = InteractionNetwork(len(INTERACTIONS), **config.network)
    for counts in (size.counts for size in SIZES if "pairs" in size.counts):
        fit = (1 - TEST_FRACTION) * (1 - config.valid_fraction) * counts["pairs"]
        sizes = {"nodes": counts["proteins"], "features": WIDTH, "messages": 2 * counts["pairs"]}
        step = 3 * interaction_flops(network, **sizes, pairs=config.batch_edges)
        epoch = fit / config.batch_edges * step + interaction_flops(
            network, **sizes, pairs=counts["pairs"]
        )
        total += len(config.splits) * len(config.messages) * config.seeds * config.epochs * epoch
    config = cross_modal_config.get_config()
    bridge = Bridge(len(NODE_WIDTHS), 1, **config.bridge)
    triplet = 3 * bridge_flops(bridge, widths=NODE_WIDTHS, negatives=config.negatives)
    return {
        # The composition baseline trains as often on narrower features: at most twice in total.
        "shs27k, shs148k, string": 2 * total,
        "prot2bp … disease2prot": _bridges(config) * config.epochs * TRIPLETS * triplet,
    }


def measure(rows: int, epochs: int) -> dict:
    """Measures seconds and FLOPs of the probe on generated features with `CLASSES` classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows + VALID_ROWS, WIDTH)).astype(np.float32)
    classes = (x[:, :CLASSES] + rng.normal(size=(len(x), CLASSES))).argmax(1)
    config = probe_config.get_config()
    config.update(max_epochs=epochs, patience=epochs)

    def run(some: int):
        config.max_epochs = some
        start = time.perf_counter()
        fitted = probe.fit(
            x[:rows],
            classes[:rows],
            x[rows:],
            lambda outputs: accuracy(outputs.argmax(1), classes[rows:]),
            kind="multiclass",
            outputs=CLASSES,
            config=config,
        )
        return fitted, time.perf_counter() - start

    _, first = run(1)
    fitted, seconds = run(epochs)
    facts = fitted.facts(width=WIDTH, rows={"train": rows, "valid": VALID_ROWS, "test": 0})
    return {
        "rows": rows,
        "seeds": len(config.seeds),
        "epochs": epochs,
        "seconds": seconds,
        "seconds_of_one_epoch_with_compiling": first,
        "flops": facts["flops"],
        "flops_per_second": facts["flops"] / seconds,
        "valid_accuracy": facts["best_valid"],
    }


def scoring_seconds() -> float:
    """Seconds for Fmax of one seed's outputs on a validation split of GO-BP's size."""
    rng = np.random.default_rng(0)
    labels = rng.random(GO_BP) < 0.012
    scores = (rng.normal(size=GO_BP) + 2 * labels).astype(np.float32)
    start = time.perf_counter()
    fmax(scores, labels)
    return time.perf_counter() - start


def estimate(share: float, head_share: float, fmax_seconds: float) -> dict:
    """Estimates FLOPs and H200 hours for embedding everything and training all heads and graphs.

    Everything is embedded once and trained for all epochs. `scoring_hours` are CPU hours of this
    machine for Fmax after each epoch, in proportion to the number of scores.
    """
    config = probe_config.get_config()
    peak = GPUS["h200"].peak_flops
    lines = []
    for data in DATA:
        rows = rows_of(data)
        counted = {"width": WIDTH, "rows": {"train": rows, "valid": 0, "test": 0}}
        counted |= {"epochs": config.max_epochs, "seeds": len(config.seeds)}
        heads = sum(probe.flops(TwoLayerHead(WIDTH, outputs), **counted) for outputs in data.heads)
        embedding = embedding_flops(rows, data.residues)
        lines.append(
            {
                "benchmarks": data.benchmarks,
                "proteins": rows,
                "assumed": data.assumed is not None,
                "residues": data.residues,
                "embedding_flops": embedding,
                "head_flops": heads,
                "hours": (embedding / share + heads / head_share) / peak / 3600,
            }
        )
    graphs = {
        name: {"flops": flops, "hours": flops / head_share / peak / 3600}
        for name, flops in graph_flops().items()
    }
    judged = sum(rows * classes for rows, classes in VALID_SCORES)
    scorings = config.max_epochs * len(config.seeds) * judged / (GO_BP[0] * GO_BP[1])
    return {
        "share_of_peak": share,
        "share_of_peak_of_heads": head_share,
        "peak": peak,
        "table": lines,
        "graphs": graphs,
        "hours": sum(row["hours"] for row in (*lines, *graphs.values())),
        "scoring_hours": scorings * fmax_seconds / 3600,
    }


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", type=int, default=20_000, help="training rows (default: %(default)s)"
    )
    parser.add_argument(
        "--epochs", type=int, default=20, help="epochs to measure (default: %(default)s)"
    )
    parser.add_argument(
        "--share",
        type=float,
        default=0.2,
        help="assumed share of an H200's bfloat16 peak (default: %(default)s)",
    )
    parser.add_argument(
        "--head_share",
        type=float,
        default=0.05,
        help="assumed share for heads and graph networks (default: %(default)s)",
    )
    parser.add_argument("--output", help="JSON file to write")
    options = parser.parse_args(arguments)

    report = {
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "measured": measure(options.rows, options.epochs),
        "fmax_seconds": (fmax_seconds := scoring_seconds()),
        "flops_of_500_residues": {"xla": flops_by_xla(500), "formula": embedding_flops(1, 500)},
        "estimate": estimate(options.share, options.head_share, fmax_seconds),
    }
    measured, estimated = report["measured"], report["estimate"]
    task = f"{measured['rows']} × {WIDTH} features, {measured['seeds']} seeds"
    rate = f"{measured['flops_per_second'] / 1e9:.0f} GFLOP/s"
    cost = f"{measured['seconds']:.1f} s, {measured['flops']:.2e} FLOPs, {rate}"
    print(f"probe: {task}, {measured['epochs']} epochs: {cost}")
    seconds = f"{report['fmax_seconds']:.2f} s per seed and epoch"
    print(f"Fmax of {GO_BP[0]} × {GO_BP[1]} scores: {seconds}")
    counted = report["flops_of_500_residues"]
    print(
        f"ESM-2 650M on 500 residues: {counted['xla']:.3e} FLOPs by XLA, "
        f"{counted['formula']:.3e} by the formula"
    )
    peak = f"{estimated['peak'] / 1e12:.0f} TFLOP/s"
    print(
        f"estimate at {options.share:.0%} of {peak} for embeddings, {options.head_share:.0%} "
        "for heads (assumptions):\n"
    )
    lines = [
        [
            row["benchmarks"],
            f"{row['proteins']:,}{' (assumed)' if row['assumed'] else ''}",
            str(row["residues"]),
            f"{row['embedding_flops']:.1e}",
            f"{row['head_flops']:.1e}",
            f"{60 * row['hours']:.1f} min",
        ]
        for row in estimated["table"]
    ]
    lines += [
        [f"{name}: networks", "", "", "", f"{own['flops']:.1e}", f"{60 * own['hours']:.1f} min"]
        for name, own in estimated["graphs"].items()
    ]
    header = ["benchmarks", "proteins", "residues", "embedding FLOPs", "head FLOPs", "one H200"]
    print(table(header, lines))
    scoring = f"{estimated['scoring_hours']:.2f} hours of a CPU core"
    print(f"\nall: {estimated['hours']:.2f} hours on the device, and {scoring} for scores")
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    raise SystemExit(main())
