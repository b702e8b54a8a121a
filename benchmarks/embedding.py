"""Compares the embedding throughput of `ProtCLIP.represent` with PyTorch's transformers.

    MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=40000000000 \\
        python -m benchmarks.embedding --output embedding.json

Both use the same random ESM-2 weights of a published shape, random proteins of UniProt's lengths,
the mean over residues, and float32 on all CPU cores. PyTorch gets length-sorted padded batches with
SDPA and the best of several token budgets; ours packs. The two alternate run by run in one process;
rates are real tokens per second from the median of the runs. The table also shows where our time
goes: the same rows through dense layers alone (without attention), and bfloat16 with its error.
Needs PyTorch.
"""

import argparse
import json
import os
import statistics
import time

import jax
import numpy as np
import torch
from transformers import EsmConfig, EsmModel

from data_pipelines.common.errors import command
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.training.examples import protein_example
from data_pipelines.training.packing import pack_all
from protclip_jax.attention.backend import AttentionBackend
from protclip_jax.attention.registry import BACKENDS
from protclip_jax.config.build import model_config
from protclip_jax.convert.hf import esm2_params
from protclip_jax.distributed import sharding
from protclip_jax.distributed.cpu_devices import split_cpu
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.models.esm2 import SIZES
from protclip_jax.models.protclip import ProtCLIPModel

MEDIAN, SIGMA, SHORTEST, LONGEST = 300, 0.6, 50, 1022
"""Log-normal lengths as in UniProt, clipped to the range ESM-2 was trained on."""
TORCH_BUDGETS = (2048, 4096)
MALLOC_VARIABLES = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_")


def sequences(count: int, *, seed: int) -> list[str]:
    """Generates random proteins with UniProt's lengths."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.lognormal(np.log(MEDIAN), SIGMA, count), SHORTEST, LONGEST).astype(int)
    return ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), length)) for length in lengths]


def torch_model(size: str) -> EsmModel:
    """PyTorch's model with random weights of a published shape."""
    num_layers, hidden_size, num_heads = SIZES[size]
    config = EsmConfig(
        vocab_size=33,
        mask_token_id=protein_tokenizer.MASK,
        pad_token_id=protein_tokenizer.PAD,
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        intermediate_size=4 * hidden_size,
        layer_norm_eps=1e-5,
        position_embedding_type="rotary",
        token_dropout=True,
        emb_layer_norm_before=False,
        attn_implementation="sdpa",
    )
    return EsmModel(config, add_pooling_layer=False).eval()


def our_model(
    size: str, torch_weights: EsmModel, *, dtype: str, attention: str = "blockwise"
) -> ProtCLIP:
    """Our model with the same weights, like a checkpoint converted from ESM-2 alone."""
    num_layers, hidden_size, num_heads = SIZES[size]
    tower = {
        "num_layers": num_layers,
        "hidden_size": hidden_size,
        "num_heads": num_heads,
        "intermediate_size": 4 * hidden_size,
    }
    shared = {"dtype": dtype, "attention": attention, "remat": "none"}
    heads = {"projection_dim": 512, "num_prototypes": 512, "prototype_temperature": 0.9}
    model = ProtCLIPModel(
        model_config(
            {"model": {"protein": tower, "text": None, **shared, **heads}}, text_vocab_size=0
        )
    )
    tensors = {name: tensor.numpy() for name, tensor in torch_weights.state_dict().items()}
    params = {"protein": jax.device_put(esm2_params(tensors, model.config.protein))}
    return ProtCLIP(model, params, None, config={}, mesh=sharding.make_mesh(-1, 1))


def torch_means(model: EsmModel, proteins: list[str], budget: int) -> np.ndarray:
    """Means over residues, float32 [n, D], from padded batches of at most `budget` tokens.

    The longest proteins come first.
    """
    tokens = [protein_tokenizer.encode(protein) for protein in proteins]
    order = sorted(range(len(tokens)), key=lambda index: -len(tokens[index]))
    means = np.zeros((len(tokens), model.config.hidden_size), np.float32)
    start = 0
    while start < len(order):
        longest = len(tokens[order[start]])
        batch = order[start : start + max(1, budget // longest)]
        ids = np.full((len(batch), longest), protein_tokenizer.PAD, np.int64)
        for row, index in enumerate(batch):
            ids[row, : len(tokens[index])] = tokens[index]
        present = torch.from_numpy(ids != protein_tokenizer.PAD)
        with torch.no_grad():
            hidden = model(torch.from_numpy(ids), attention_mask=present.long()).last_hidden_state
        residues = (
            present
            & torch.from_numpy((ids != protein_tokenizer.CLS) & (ids != protein_tokenizer.EOS))
        )[:, :, None]
        means[batch] = ((hidden * residues).sum(1) / residues.sum(1)).numpy()
        start += len(batch)
    return means


def alternate(runs: dict, *, repeats: int) -> dict[str, float]:
    """Median seconds of each function, called in turn after one call that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(of_run) for name, of_run in seconds.items()}


class NoAttention(AttentionBackend):
    """Returns the values unchanged, which leaves everything but attention."""

    name = "none"

    def attend(self, q, k, v, *, q_segment_ids, kv_segment_ids):
        return v


def measure(size: str, *, count: int, repeats: int, seed: int) -> dict:
    """Measures rates, ratio and errors for one shape."""
    proteins = sequences(count, seed=seed)
    tokens = sum(map(len, proteins)) + 2 * count
    reference = torch_model(size)
    ours = our_model(size, reference, dtype="float32")
    rough = our_model(size, reference, dtype="bfloat16")
    BACKENDS["none"] = NoAttention()
    bare = our_model(size, reference, dtype="float32", attention="none")
    expected = torch_means(reference, proteins, TORCH_BUDGETS[0])
    runs = {
        f"torch {budget}": lambda budget=budget: torch_means(reference, proteins, budget)
        for budget in TORCH_BUDGETS
    }
    models = {"ours float32": ours, "ours without attention": bare, "ours bfloat16": rough}
    runs |= {
        name: lambda model=model: model.represent(proteins, kinds=["mean"])
        for name, model in models.items()
    }
    seconds = alternate(runs, repeats=repeats)
    rows = pack_all(
        [protein_example(protein) for protein in proteins],
        slots=32,
        protein_tokens=1024,
        text_tokens=0,
    ).rows

    def error(model: ProtCLIP) -> float:
        means = model.represent(proteins, kinds=["mean"])["mean"]
        return float(np.abs(means - expected).max() / np.abs(expected).max())

    best_torch = min(seconds[name] for name in runs if name.startswith("torch"))
    return {
        "proteins": count,
        "tokens": tokens,
        "padding_of_packed_rows": 1 - tokens / (1024 * len(rows)),
        "tokens_per_second": {name: tokens / value for name, value in seconds.items()},
        "ratio_to_best_torch": best_torch / seconds["ours float32"],
        "share_of_our_time_in_attention": 1
        - seconds["ours without attention"] / seconds["ours float32"],
        "relative_error": {"float32": error(ours), "bfloat16": error(rough)},
    }


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        choices=SIZES,
        default=["8m", "35m"],
        help="ESM-2 shapes (default: 8m 35m)",
    )
    parser.add_argument(
        "--proteins", type=int, default=24, help="number of proteins to embed (default: 24)"
    )
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each (default: 3)")
    parser.add_argument(
        "--cpu_devices",
        type=int,
        help="virtual CPU devices for our model (default: as in `protclip_jax.embed`)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of lengths and residues (default: 0)"
    )
    parser.add_argument("--output", help="JSON file to write")
    options = parser.parse_args(arguments)

    split_cpu(options.cpu_devices)
    report = {
        "jax": jax.__version__,
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "devices": jax.device_count(),
        "environment": {name: os.environ.get(name) for name in MALLOC_VARIABLES},
    }
    for size in options.sizes:
        report[size] = measure(
            size, count=options.proteins, repeats=options.repeats, seed=options.seed
        )
        print(f"{size}: {options.proteins} proteins, {report[size]['tokens']} tokens")
        for name, rate in report[size]["tokens_per_second"].items():
            print(f"  {name:<24} {rate:>8.0f} tokens/s")
        print(f"  ratio to the best PyTorch budget: {report[size]['ratio_to_best_torch']:.2f}")
        print(f"  relative error: {report[size]['relative_error']}", flush=True)
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    raise SystemExit(main())
