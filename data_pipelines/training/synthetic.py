"""Examples of UniProt's lengths with random content, for measuring and planning without a dataset
or a tokenizer.

Proteins are log-normal (median 300 residues, σ 0.6, cropped), biotexts too (median 90 tokens, σ
0.5), with the name and each other property at 0.8; the properties' segments share the biotext's
words.
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
    """Endless examples; masks as `masking.MASKS[passes]` draws them."""
    while True:
        residues = min(
            max_protein_tokens - 2,
            max(1, int(rng.lognormal(np.log(MEDIAN_RESIDUES), SIGMA_RESIDUES))),
        )
        present = np.flatnonzero([True, *(rng.random(3) < PROPERTY_SHARE)]) + 1
        biotext = int(rng.lognormal(np.log(MEDIAN_TEXT_TOKENS), SIGMA_TEXT_TOKENS))
        biotext = int(np.clip(biotext, 3 * len(present), max_text_tokens))
        # A property has [CLS] and [SEP] of its own; all properties together keep to the limit too.
        words = np.diff(
            np.linspace(
                0, min(biotext, max_text_tokens) - 2 * len(present), len(present) + 1
            ).astype(int)
        )
        lengths = [biotext, *(words + 2).tolist()]
        inside = np.pad(np.ones(residues, bool), 1)
        # Of a generator of their own: the records are the same whatever the masks.
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
    """That many rows as the training's packer fills them; `lengths` as in `synthetic_examples`."""
    packer = RowPacker(slots=slots, protein_tokens=protein_tokens, text_tokens=text_tokens)
    closed = []
    for draw, example in enumerate(synthetic_examples(np.random.default_rng(seed), **lengths)):
        if row := packer.add(Drawn(draw, example, cropped=False)):
            closed.append([drawn.example for drawn in row])
            if len(closed) == rows:
                return closed
