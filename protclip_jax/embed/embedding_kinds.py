"""How a model embeds proteins and texts: kinds of embeddings, and treatment of long items."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.survey import Measure, Measured
from protclip_jax.checkpoints import metadata
from protclip_jax.inference.prefixes import check_dimensions, first_dimensions
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.inference.windows import Windows

LONG_PROTEINS = {
    "windows": "of more than {0.max_residues:,} residues: read in windows of this length that "
    "share at least {0.overlap:,} residues, and averaged residue by residue",
    "truncate": "of more than {0.max_residues:,} residues: CUT, only the first {0.max_residues:,} "
    "residues are read",
    "whole": "of more than {0.max_residues:,} residues: read whole, longer than the proteins that "
    "ESM-2 was trained on",
}

Vectors = np.ndarray | list[np.ndarray]
"""[n, D], or a list of [L, D] for residues."""


class Embedder(NamedTuple):
    """How the items of one modality are embedded."""

    measure: Measure
    long_items: str
    """A phrase on how items are treated that are too long to read at once."""
    facts: Mapping[str, str | int]
    """Settings that affect the numbers, besides the checkpoint."""
    embed: Callable[[ProtCLIP, Sequence[str]], Mapping[str, Vectors]]


def protein_embedder(kinds: Sequence[str], windows: Windows, batch_tokens: int) -> Embedder:
    """Embeds proteins with `ProtCLIP.represent`."""

    def measure(sequence: str) -> Measured:
        pieces = windows.pieces(len(sequence))
        return Measured(
            sum(piece.stop - piece.start + 2 for piece in pieces),
            len(sequence) > windows.max_residues,
        )

    def embed(model: ProtCLIP, sequences: Sequence[str]) -> Mapping[str, Vectors]:
        return model.represent(sequences, kinds=kinds, windows=windows, batch_tokens=batch_tokens)

    facts = {
        "long_proteins": windows.policy,
        "max_residues": windows.max_residues,
        "overlap": windows.overlap,
    }
    return Embedder(measure, LONG_PROTEINS[windows.policy].format(windows), facts, embed)


TEXT_KINDS = {"projected": "encode_texts", "mean": "mean_text_embeddings"}
"""Kinds of text embeddings, and the methods of `ProtCLIP` that compute them."""


def text_embedder(
    checkpoint: Path, batch_tokens: int, *, kinds: Sequence[str] = ("projected",)
) -> Embedder:
    """Embeds texts with the methods of `ProtCLIP`; `kinds` are keys of `TEXT_KINDS`."""
    limit = metadata.read_model_config(checkpoint)["tokenizer"]["max_text_tokens"]
    tokenizer = metadata.load_text_tokenizer(checkpoint)

    def measure(text: str) -> Measured:
        tokens = tokenizer.encode(text, max_tokens=limit + 1)
        unknown = len(tokenizer.unknown_words(text)) if tokenizer.unk_id in tokens else 0
        return Measured(
            min(tokens.size, limit),
            tokens.size > limit,
            unknown,
            bool(unknown) and tokenizer.is_unknown(text),
        )

    def embed(model: ProtCLIP, texts: Sequence[str]) -> Mapping[str, Vectors]:
        with warnings.catch_warnings():
            # The number of cut texts was already reported, before the first one was embedded.
            warnings.simplefilter("ignore", UserWarning)
            return {
                kind: getattr(model, TEXT_KINDS[kind])(texts, batch_tokens=batch_tokens)
                for kind in kinds
            }

    long_items = f"of more than {limit} tokens: CUT, only the first {limit} tokens are read"
    return Embedder(measure, long_items, {"max_text_tokens": limit}, embed)


def prefix_embedder(
    reading: Embedder, dimensions: int, *, kinds: Sequence[str], config: Mapping
) -> Embedder:
    """Keeps the first `dimensions` of the embeddings of `reading`.

    `config` is the checkpoint's.

    Raises:
      UserError: another kind than projected embeddings is requested, or they have fewer dimensions.
    """
    if others := [kind for kind in kinds if kind != "projected"]:
        raise UserError(
            f"--dimensions applies only to projected embeddings; omit --include {' '.join(others)}."
        )
    check_dimensions(dimensions, config["model"]["projection_dim"])

    def embed(model: ProtCLIP, texts: Sequence[str]) -> Mapping[str, Vectors]:
        return {"projected": first_dimensions(reading.embed(model, texts)["projected"], dimensions)}

    return reading._replace(facts={**reading.facts, "dimensions": dimensions}, embed=embed)


def choose_kinds(
    include: Sequence[str] | None, *, modality: str, groups: frozenset[str]
) -> list[str]:
    """Returns the distinct `EMBEDDING_KINDS` to embed.

    The default is the kind for which these parameter groups suffice.

    Raises:
      UserError: the groups do not suffice for a requested kind.
    """
    if modality == "text" and (others := sorted(set(include or ()) - TEXT_KINDS.keys())):
        raise UserError(
            f"texts have no embeddings of kind {others[0]}, only {' and '.join(TEXT_KINDS)}; "
            "omit --include."
        )
    default = "projected" if f"{modality}_projection" in groups else "mean"
    kinds = list(dict.fromkeys(include or [default]))
    needed = {modality} | ({f"{modality}_projection"} if "projected" in kinds else set())
    if missing := sorted(needed - groups):
        raise UserError(
            f"the checkpoint has no {', '.join(missing)} parameters, only "
            f"{', '.join(sorted(groups))}, so it cannot embed {modality}s as "
            f"{', '.join(kinds)}; choose another checkpoint or --include."
        )
    return kinds
