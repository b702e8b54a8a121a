"""Measures variants per second of `ProtCLIP.variant_scores` and of PyTorch's `EsmForMaskedLM`.

    MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=40000000000 \\
        python -m benchmarks.variants --output variants.json

Both use the same random weights of a published shape, random proteins, and float32 on all CPU
cores. A scan masks one position at a time and scores its 19 substitutions; of a long protein only
some positions are scanned, which makes no difference per pass. PyTorch gets the same passes in
batches without padding, with SDPA and the best of several token budgets. The two alternate run by
run in one process; rates come from the medians. `wild_type` is one pass for all substitutions.
Needs PyTorch.
"""

import argparse
import json
import os

import jax
import numpy as np
import torch
from transformers import EsmConfig, EsmForMaskedLM

from benchmarks.embedding import MALLOC_VARIABLES, TORCH_BUDGETS, alternate
from data_pipelines.common.errors import command
from data_pipelines.common.markdown import table
from data_pipelines.inputs.substitutions import AMINO_ACIDS, Variant, single_substitutions
from data_pipelines.tokenizers import protein_tokenizer
from protclip_jax.config.build import model_config
from protclip_jax.convert.hf import esm2_params
from protclip_jax.distributed import sharding
from protclip_jax.distributed.cpu_devices import split_cpu
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.inference.variant_effects import SINGLY, WILD_TYPE
from protclip_jax.models.esm2 import SIZES
from protclip_jax.models.protclip import ProtCLIPModel

LENGTHS = (100, 286, 1000)
"""Protein lengths in residues."""


def torch_model(size: str) -> EsmForMaskedLM:
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
    return EsmForMaskedLM(config).eval()


def our_model(size: str, reference: EsmForMaskedLM) -> ProtCLIP:
    """Our model with the same weights; the shared space has the width of the tower, as in ESM-2."""
    num_layers, hidden_size, num_heads = SIZES[size]
    tower = {
        "num_layers": num_layers,
        "hidden_size": hidden_size,
        "num_heads": num_heads,
        "intermediate_size": 4 * hidden_size,
    }
    shared = {"dtype": "float32", "attention": "blockwise", "remat": "none"}
    heads = {"projection_dim": hidden_size, "num_prototypes": 512, "prototype_temperature": 0.9}
    config = {"model": {"protein": tower, "text": None, **shared, **heads}}
    model = ProtCLIPModel(model_config(config, text_vocab_size=0))
    tensors = {name: tensor.detach().numpy() for name, tensor in reference.state_dict().items()}
    own = {name: x for name, x in tensors.items() if not name.startswith("lm_head.")}
    head = {
        "input": {
            "kernel": tensors["lm_head.dense.weight"].T,
            "bias": tensors["lm_head.dense.bias"],
        },
        "norm": {
            "scale": tensors["lm_head.layer_norm.weight"],
            "bias": tensors["lm_head.layer_norm.bias"],
        },
        "output": {"kernel": tensors["lm_head.decoder.weight"].T, "bias": tensors["lm_head.bias"]},
    }
    params = {"protein": esm2_params(own, model.config.protein), "mlm_head": head}
    return ProtCLIP(model, jax.device_put(params), None, config={}, mesh=sharding.make_mesh(-1, 1))


def torch_scores(
    model: EsmForMaskedLM,
    sequence: str,
    variants: list[Variant],
    budget: int,
) -> np.ndarray:
    """`masked_singly` scores of single substitutions, in batches of `budget` tokens."""
    tokens = protein_tokenizer.encode(sequence)
    sites = sorted({own[0].index for own in variants})
    step, of_site = max(1, budget // tokens.size), {}
    for start in range(0, len(sites), step):
        some = sites[start : start + step]
        ids = np.tile(tokens, (len(some), 1)).astype(np.int64)
        ids[np.arange(len(some)), np.array(some) + 1] = protein_tokenizer.MASK
        with torch.no_grad():
            logits = model(torch.from_numpy(ids)).logits.numpy()
        of_site |= {site: logits[row, site + 1] for row, site in enumerate(some)}
    column = protein_tokenizer.VOCABULARY.index
    changes = [change for (change,) in variants]
    mutant = [of_site[change.index][column(change.residue)] for change in changes]
    wild_type = [of_site[change.index][column(change.wild_type)] for change in changes]
    return np.array(mutant) - np.array(wild_type)


def measure(size: str, *, most: int, repeats: int, seed: int) -> dict[str, dict]:
    """Measures rates and errors for one shape, by protein length; scans up to `most` positions."""
    reference = torch_model(size)
    ours = our_model(size, reference)
    rng, found = np.random.default_rng(seed), {}
    for length in LENGTHS:
        positions = min(most, length)
        sequence = "".join(rng.choice(list(AMINO_ACIDS), length))
        everything = single_substitutions(sequence)
        scanned = set(np.linspace(0, length - 1, positions).astype(int).tolist())
        variants = [own for own in everything if own[0].index in scanned]

        def score(method: str, scored: list[Variant], sequence: str = sequence) -> np.ndarray:
            return ours.variant_scores([sequence], [scored], method=method)[0]

        runs = {
            f"torch {budget}": lambda budget=budget, s=sequence, v=variants: torch_scores(
                reference, s, v, budget
            )
            for budget in TORCH_BUDGETS
        }
        runs["ours"] = lambda score=score, v=variants: score(SINGLY, v)
        runs["ours, wild_type"] = lambda score=score, v=everything: score(WILD_TYPE, v)
        seconds = alternate(runs, repeats=repeats)
        best = min(value for name, value in seconds.items() if name.startswith("torch"))
        expected = torch_scores(reference, sequence, variants, TORCH_BUDGETS[0])
        own = score(SINGLY, variants)
        found[str(length)] = {
            "positions": positions,
            "variants_per_second": len(variants) / seconds["ours"],
            "tokens_per_second": positions * (length + 2) / seconds["ours"],
            "torch_variants_per_second": len(variants) / best,
            "ratio_to_best_torch": best / seconds["ours"],
            "wild_type_variants_per_second": len(everything) / seconds["ours, wild_type"],
            "relative_error": float(np.abs(own - expected).max() / np.abs(expected).max()),
        }
    return found


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
        "--positions", type=int, default=96, help="maximum positions to scan (default: 96)"
    )
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each (default: 3)")
    parser.add_argument(
        "--cpu_devices",
        type=int,
        help="virtual CPU devices for our model (default: as in `protclip_jax.variants`)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the residues (default: 0)")
    parser.add_argument("--output", help="JSON file to write")
    options = parser.parse_args(arguments)

    split_cpu(options.cpu_devices)
    report = {
        "jax": jax.__version__,
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "devices": jax.device_count(),
        "load_average_before": os.getloadavg()[0],
        "environment": {name: os.environ.get(name) for name in MALLOC_VARIABLES},
    }
    rows = []
    for size in options.sizes:
        report[size] = measure(
            size,
            most=options.positions,
            repeats=options.repeats,
            seed=options.seed,
        )
        for length, own in report[size].items():
            rates = [own[f"{name}variants_per_second"] for name in ("", "torch_", "wild_type_")]
            cells = [f"{rate:,.0f}" for rate in rates]
            rows.append(
                [
                    size,
                    length,
                    *cells,
                    f"{own['ratio_to_best_torch']:.2f}",
                    f"{own['relative_error']:.0e}",
                ]
            )
    header = [
        "ESM-2",
        "residues",
        "scan",
        "PyTorch, scan",
        "wild_type",
        "ratio of scans",
        "relative error",
    ]
    print(f"variants per second\n\n{table(header, rows)}")
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    raise SystemExit(main())
