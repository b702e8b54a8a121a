"""Scores substitutions by the masked language model, without training on measured effects.

All scores are differences of the MLM head's logits ℓ, which equal differences of its log
probabilities, log p = ℓ − logsumexp(ℓ). With a protein x, a variant's substituted positions M,
its residues v and the wild type's w (Meier et al. 2021, section 3 and appendix A):

- `masked_jointly`, "masked marginals": Σ_{i∈M} ℓ(v_i | x without M) − ℓ(w_i | x without M). All
  positions of M are masked at once, which takes a pass of the tower per variant.
- `masked_singly`: Σ_{i∈M} ℓ(v_i | x without i) − ℓ(w_i | x without i). One position is masked at
  a time, and variants share passes: at most one per residue. ESM's and ProteinGym's programs call
  this method masked marginals. The two agree on single substitutions.
- `wild_type`, "wild-type marginals": Σ_{i∈M} ℓ(v_i | x) − ℓ(w_i | x). One pass without masks.

In a protein longer than a window, a masked position is read in the window around it
(`Windows.around`), where the other positions of M are masked too; wild-type logits are averaged
over all windows that contain the residue. Scores are 0 for the wild type, and mostly negative.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.substitutions import (
    AMINO_ACIDS,
    NO_VARIANT,
    Variant,
    scorable_fault,
    substituted,
    substitutions,
    written,
)
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.training.batch import Batch
from data_pipelines.training.examples import Example, protein_example
from protclip_jax.inference.batched_calls import SLOTS, everywhere
from protclip_jax.inference.windows import Windows, piece_weights
from protclip_jax.models.protclip import ProtCLIPModel

JOINTLY, SINGLY, WILD_TYPE = METHODS = ("masked_jointly", "masked_singly", "wild_type")
"""The methods above."""

Run = Callable[..., Iterator]
"""`ProtCLIP._run` with function and batch size bound: maps examples to their outputs."""

TOKENS_AT_ONCE = 1 << 19
"""Tokens of the passes prepared at a time: 4 MiB, or 16 calls of a GPU's size."""

_TOKENS = np.array([protein_tokenizer.VOCABULARY.index(letter) for letter in AMINO_ACIDS])
_COLUMN = {letter: column for column, letter in enumerate(AMINO_ACIDS)}


class Pass(NamedTuple):
    """A stretch of a protein that the tower reads in one pass."""

    protein: int
    """Index of the protein."""
    start: int
    stop: int
    """Start and stop are 0-based; they replace a slice, which cannot be hashed."""
    masked: tuple[int, ...]
    """0-based positions in the protein."""


@functools.partial(jax.jit, static_argnums=0)
def amino_acid_logits(
    model: ProtCLIPModel,
    params: Mapping,
    batch: Batch,
    _,
) -> Float[jax.Array, "R L 20"]:
    """The MLM head's logits of `AMINO_ACIDS` at every token; `batch.mlm_mask` is masked."""
    bound = model.bind({"params": params})
    tokens = jnp.where(batch.mlm_mask, protein_tokenizer.MASK, batch.protein_tokens)
    rows = tokens, batch.protein_slot_ids, batch.protein_positions
    logits = bound.predict_masked(bound.encode_protein(*rows, SLOTS))
    return everywhere(logits[:, :, _TOKENS])


def variant_scores(
    run: Run,
    sequences: Sequence[str],
    variants: Sequence[Sequence[Variant]],
    *,
    method: str,
    windows: Windows,
) -> list[Float32[np.ndarray, " _"]]:
    """Scores each variant of each protein with one of the methods above.

    Raises:
      UserError: the method is unknown, or a variant does not fit its protein or is not read.
    """
    check_method(method)
    for sequence, of_protein in zip(sequences, variants, strict=True):
        _check(sequence, of_protein, windows)
    if method == JOINTLY:
        return _joint_scores(run, sequences, variants, windows)
    sites = [_sites(of_protein) for of_protein in variants]
    tables = site_scores(run, sequences, sites, method=method, windows=windows)
    pairs = zip(tables, variants, strict=True)
    return [_summed(table, of_protein) for table, of_protein in pairs]


def site_scores(
    run: Run,
    sequences: Sequence[str],
    sites: Sequence[Sequence[int]],
    *,
    method: str,
    windows: Windows,
) -> list[Float32[np.ndarray, "_ 20"]]:
    """Scores [residues, 20] of all single substitutions at each protein's `sites`.

    Columns are `AMINO_ACIDS`. Scores are NaN at other positions, at residues that are not one of
    `AMINO_ACIDS`, and where the windows' policy does not read.
    """
    check_method(method)
    if method == WILD_TYPE:
        tables = _wild_type_logits(run, sequences, windows)
    else:
        tables = _masked_logits(run, sequences, sites, windows)
    for sequence, table, of_protein in zip(sequences, tables, sites, strict=True):
        wild_types = [_COLUMN.get(residue) for residue in sequence]
        requested = set(of_protein)
        for index, column in enumerate(wild_types):
            known = column is not None and index in requested
            table[index] = table[index] - table[index, column] if known else np.nan
    return tables


def parse_variants(
    mutations: Sequence[str], sequence: str, *, first_position: int
) -> list[Variant]:
    """Parses texts such as `A24G` or `A24G:C30D` into variants of the protein.

    Raises:
      UserError: a text is not a mutation, or does not fit the protein with that numbering.
    """
    variants = []
    for mutation in mutations:
        changes = substitutions(mutation, first_position=first_position)
        problem = NO_VARIANT if changes is None else scorable_fault(changes, sequence)
        if problem:
            raise UserError(
                f"'{mutation}' cannot be scored with the first residue numbered {first_position}: "
                f"{problem}; correct the mutation or first_position."
            )
        variants.append(tuple(changes))
    return variants


def cosine_changes(
    represent: Callable[[Sequence[str]], Mapping[str, np.ndarray]],
    sequence: str,
    variants: Sequence[Variant],
    text: Float32[np.ndarray, " d"],
) -> Float32[np.ndarray, " n"]:
    """cos(variant, text) − cos(wild type, text), from embeddings `projected` of unit norm."""
    (wild_type,) = represent([sequence])["projected"]
    changes = [np.zeros(0, np.float32)]
    step = max(1, TOKENS_AT_ONCE // (len(sequence) + 2))
    for start in range(0, len(variants), step):
        made = [substituted(sequence, own) for own in variants[start : start + step]]
        # Subtract the embeddings first, since the two cosines are nearly equal.
        changes.append((represent(made)["projected"] - wild_type) @ text)
    return np.concatenate(changes)


def check_method(method: str) -> None:
    """Raises `UserError` unless `method` is one of `METHODS`."""
    if method not in METHODS:
        raise UserError(f"method '{method}' is unknown; expected one of {', '.join(METHODS)}.")


def _check(sequence: str, variants: Sequence[Variant], windows: Windows) -> None:
    for changes in variants:
        if problem := scorable_fault(changes, sequence):
            raise UserError(f"{written(changes)} cannot be scored: {problem}; correct it.")
        if any(windows.around(len(sequence), change.index) is None for change in changes):
            raise UserError(
                f"{written(changes)} lies beyond the first {windows.max_residues:,} residues, the "
                "only ones that the policy 'truncate' reads; use the policy 'windows'."
            )


def _sites(variants: Sequence[Variant]) -> list[int]:
    """The distinct positions that variants substitute, in order."""
    return sorted({change.index for changes in variants for change in changes})


def _summed(table: Float32[np.ndarray, "L 20"], variants: Sequence[Variant]) -> np.ndarray:
    """Sums the table's scores over each variant's substitutions."""
    scores = np.zeros(len(variants), np.float32)
    for row, changes in enumerate(variants):
        scores[row] = sum(table[change.index, _COLUMN[change.residue]] for change in changes)
    return scores


def passes_of(
    sequence: str,
    changes: Variant,
    *,
    method: str,
    windows: Windows,
    protein: int = 0,
) -> list[Pass]:
    """The passes needed to score one variant, one per substitution."""
    length, indices = len(sequence), [change.index for change in changes]
    if method == WILD_TYPE:
        return [Pass(protein, p.start, p.stop, ()) for p in windows.pieces(length)]
    passes = []
    for index in indices:
        piece = windows.around(length, index)
        hidden = indices if method == JOINTLY else [index]
        inside = sorted(at for at in hidden if piece.start <= at < piece.stop)
        passes.append(Pass(protein, piece.start, piece.stop, tuple(inside)))
    return passes


def _joint_scores(
    run: Run, sequences: Sequence[str], variants: Sequence[Sequence[Variant]], windows: Windows
) -> list[Float32[np.ndarray, " _"]]:
    """Scores by `masked_jointly`, with a pass per set of positions and window."""
    wanted: dict[Pass, list] = {}
    for protein, (sequence, of_protein) in enumerate(zip(sequences, variants, strict=True)):
        reads = functools.partial(passes_of, sequence, method=JOINTLY, windows=windows)
        for row, changes in enumerate(of_protein):
            for one, change in zip(reads(changes, protein=protein), changes, strict=True):
                wanted.setdefault(one, []).append((row, change))
    scores = [np.zeros(len(of_protein), np.float32) for of_protein in variants]
    for of_pass, logits in _logits(run, sequences, list(wanted)):
        for row, change in wanted[of_pass]:
            residues = logits[change.index - of_pass.start]
            gain = residues[_COLUMN[change.residue]] - residues[_COLUMN[change.wild_type]]
            scores[of_pass.protein][row] += gain
    return scores


def _masked_logits(
    run: Run, sequences: Sequence[str], sites: Sequence[Sequence[int]], windows: Windows
) -> list[Float32[np.ndarray, "_ 20"]]:
    """Logits [residues, 20] at each site with only that site masked; NaN elsewhere."""
    tables = [_unread(sequence) for sequence in sequences]
    passes = []
    for protein, (sequence, of_protein) in enumerate(zip(sequences, sites, strict=True)):
        for index in of_protein:
            if (piece := windows.around(len(sequence), index)) is not None:
                passes.append(Pass(protein, piece.start, piece.stop, (index,)))
    for (protein, start, _, (index,)), logits in _logits(run, sequences, passes):
        tables[protein][index] = logits[index - start]
    return tables


def _wild_type_logits(
    run: Run,
    sequences: Sequence[str],
    windows: Windows,
) -> list[Float32[np.ndarray, "_ 20"]]:
    """Logits [residues, 20] of unmasked proteins, averaged over the windows of each residue."""
    tables = [_unread(sequence) for sequence in sequences]
    weights = {}
    for protein, sequence in enumerate(sequences):
        pieces = windows.pieces(len(sequence))
        tables[protein][: pieces[-1].stop] = 0
        for piece, shares in zip(pieces, piece_weights(pieces), strict=True):
            weights[Pass(protein, piece.start, piece.stop, ())] = shares[1:-1]
    for of_pass, logits in _logits(run, sequences, list(weights)):
        read = slice(of_pass.start, of_pass.stop)
        tables[of_pass.protein][read] += logits * weights[of_pass][:, None]
    return tables


def _unread(sequence: str) -> Float32[np.ndarray, "_ 20"]:
    return np.full((len(sequence), len(AMINO_ACIDS)), np.nan, np.float32)


def _logits(
    run: Run,
    sequences: Sequence[str],
    passes: Sequence[Pass],
) -> Iterator[tuple[Pass, Float32[np.ndarray, "_ 20"]]]:
    """Yields each pass with its logits at the stretch's residues, in any order."""
    for some in _slices(passes):
        examples = [_example(sequences[one.protein], one) for one in some]
        for place, logits in run(examples):
            # Drop <cls> and <eos>.
            yield some[place.index], logits[place.row, place.tokens][1:-1]


def _slices(passes: Sequence[Pass]) -> Iterator[Sequence[Pass]]:
    """Splits passes into consecutive groups of `TOKENS_AT_ONCE` tokens or slightly more."""
    start = tokens = 0
    for end, one in enumerate(passes, 1):
        tokens += one.stop - one.start + 2
        if tokens >= TOKENS_AT_ONCE or end == len(passes):
            yield passes[start:end]
            start, tokens = end, 0


def _example(sequence: str, one: Pass) -> Example:
    example = protein_example(sequence[one.start : one.stop])
    mask = np.zeros(example.protein_length, bool)
    # Offset by <cls>.
    mask[[1 + index - one.start for index in one.masked]] = True
    return dataclasses.replace(example, mlm_mask=mask)
