"""Synthetic examples with UniProt's lengths and random content, for measuring without a dataset.

Protein lengths are log-normal (median 300 residues, σ 0.6, cropped), and so are biotext lengths
(median 90 tokens, σ 0.5). Each has a name, and each other property with probability 0.8; the
property segments share the words of the biotext.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from data_pipelines.tokenizers.protein_tokenizer import CLS, EOS
from data_pipelines.training.examples import Example
from data_pipelines.training.masking import MASKS
from data_pipelines.training.packing import Drawn, RowPacker

MEDIAN_RESIDUES, SIGMA_RESIDUES = 300, 0.6
MEDIAN_TEXT_TOKENS, SIGMA_TEXT_TOKENS = 90, 0.5
PROPERTY_SHARE = 0.8

_FIRST_RESIDUE, _END_RESIDUES = 4, 24
"""Token ids of the twenty amino acids."""


def synthetic_examples(
    rng: np.random.Generator,
    *,
    max_protein_tokens: int,
    max_text_tokens: int,
    text_vocab_size: int,
    passes: str,
) -> Iterator[Example]:
    """Yields endless examples; masks are drawn by `masking.MASKS[passes]`."""
    while True:
        residues = min(
            max_protein_tokens - 2,
            max(1, int(rng.lognormal(np.log(MEDIAN_RESIDUES), SIGMA_RESIDUES))),
        )
        present = np.flatnonzero([True, *(rng.random(3) < PROPERTY_SHARE)]) + 1
        biotext = int(rng.lognormal(np.log(MEDIAN_TEXT_TOKENS), SIGMA_TEXT_TOKENS))
        biotext = int(np.clip(biotext, 3 * len(present), max_text_tokens))
        # Each property has its own [CLS] and [SEP]; all properties together also obey the limit.
        words = min(biotext, max_text_tokens) - 2 * len(present)
        words = np.diff(np.linspace(0, words, len(present) + 1).astype(int))
        lengths = [biotext, *(words + 2).tolist()]
        inside = np.pad(np.ones(residues, bool), 1)
        # A separate generator, so that records do not depend on the masks.
        mlm_mask, segment_mask = MASKS[passes](inside, np.random.default_rng(rng.integers(2**32)))
        tokens = rng.integers(_FIRST_RESIDUE, _END_RESIDUES, residues + 2)
        hashes = np.zeros(5, np.uint32)
        hashes[[0, *present]] = rng.integers(1, 2**32, 1 + len(present))
        yield Example(
            protein_tokens=np.where(inside, tokens, [CLS, *[CLS] * residues, EOS]).astype(np.int32),
            mlm_mask=mlm_mask,
            segment_mask=segment_mask,
            residue_properties=np.zeros(residues + 2, np.uint8),
            text_tokens=rng.integers(1, text_vocab_size, sum(lengths)).astype(np.int32),
            text_property_ids=np.repeat([0, *present], lengths).astype(np.int32),
            text_positions=np.concatenate([np.arange(n) for n in lengths]).astype(np.int32),
            text_hashes=hashes,
            sequence_hash=int(rng.integers(1, 2**32)),
            noise_seed=int(rng.integers(2**32)),
            text_cut=0,
        )


def synthetic_rows(
    rows: int, *, seed: int, slots: int, protein_tokens: int, text_tokens: int, **lengths
) -> Sequence[Sequence[Example]]:
    """Packs `rows` rows with the training packer; `lengths` as in `synthetic_examples`."""
    packer = RowPacker(slots=slots, protein_tokens=protein_tokens, text_tokens=text_tokens)
    closed = []
    for draw, example in enumerate(synthetic_examples(np.random.default_rng(seed), **lengths)):
        if row := packer.add(Drawn(draw, example, cropped=False)):
            closed.append([drawn.example for drawn in row])
            if len(closed) == rows:
                return closed
