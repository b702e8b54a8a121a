"""Turns a record into arrays ready to pack: tokens, crop and masks, from (record, seed, draw)."""

import dataclasses
import itertools
import sys
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Int32, Int64, Shaped, UInt8, UInt32

from data_pipelines.common.hashing import hash32, hash32_bytes
from data_pipelines.protanno.features import property_bits
from data_pipelines.protanno.record import Record, property_texts
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.tokenizers.text_tokenizer import TextSegments, TextTokenizer, token_bytes
from data_pipelines.training.batch import NUM_TEXT_SEGMENTS

Masks = Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""(residues bool [L], rng) → (MLM mask, segment mask), as in `masking.MASKS`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """A tokenised record: Lp protein tokens; Lt text tokens, full biotext, then properties."""

    protein_tokens: Int32[np.ndarray, " Lp"]
    """<cls> residues <eos>, not masked."""
    mlm_mask: Bool[np.ndarray, " Lp"]
    segment_mask: Bool[np.ndarray, " Lp"]
    residue_properties: UInt8[np.ndarray, " Lp"]
    """As in `Batch`; 0 at <cls> and <eos>."""
    text_tokens: Int32[np.ndarray, " Lt"]
    """[CLS] … [SEP] of each segment."""
    text_property_ids: Int32[np.ndarray, " Lt"]
    """0 full biotext, 1…4 the properties."""
    text_positions: Int32[np.ndarray, " Lt"]
    """Restart at 0 in each segment."""
    text_hashes: UInt32[np.ndarray, "5"]
    """Hashes of the tokens of full biotext and properties, after truncation; 0 = absent."""
    sequence_hash: int
    """32-bit hash of the whole sequence, before cropping; never 0."""
    noise_seed: int
    """32-bit seed of the record's Gumbel noise."""
    text_cut: int
    """Number of text tokens that did not fit."""

    @property
    def protein_length(self) -> int:
        """Number of protein tokens, including <cls> and <eos>."""
        return self.protein_tokens.size

    @property
    def text_length(self) -> int:
        """Number of text tokens in all segments."""
        return self.text_tokens.size


_NO_IDS = np.zeros(0, np.int32)
_EMPTY_EXAMPLE = Example(
    protein_tokens=_NO_IDS,
    mlm_mask=_NO_IDS.astype(bool),
    segment_mask=_NO_IDS.astype(bool),
    residue_properties=_NO_IDS.astype(np.uint8),
    text_tokens=_NO_IDS,
    text_property_ids=_NO_IDS,
    text_positions=_NO_IDS,
    text_hashes=np.zeros(NUM_TEXT_SEGMENTS, np.uint32),
    sequence_hash=0,
    noise_seed=0,
    text_cut=0,
)


def encode_example(
    record: Record,
    *,
    seed: int,
    draw: int,
    text_tokenizer: TextTokenizer,
    masks: Masks,
    max_protein_tokens: int = 1024,
    max_text_tokens: int = 512,
    property_subset: float = 0.0,
    crop_ends: bool = True,
) -> Example:
    """Encodes a drawn record for training.

    Crop, masks, noise seed and shown properties are random, from (seed, draw) alone. A record
    without text has no segments to reconstruct, because reconstruction reads the text. With
    probability `property_subset`, the text has a `random_subset` of the properties. Without
    `crop_ends`, a crop has <cls> and <eos> only if it reaches the protein's own ends.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, draw])))
    protein = protein_example(record.sequence)
    noise_seed = int(rng.integers(1 << 32))
    kept = random_crop(np.arange(protein.protein_length), rng, max_tokens=max_protein_tokens)
    if not crop_ends:
        kept = without_false_ends(kept, protein.protein_length)
    tokens = protein.protein_tokens[kept]
    mlm, segments = masks(protein_tokenizer.is_residue(tokens), rng)
    texts = property_texts(record)
    if not texts:
        segments = np.zeros_like(segments)
    # Last, so that it does not affect any other random value.
    if rng.random() < property_subset:
        texts = random_subset(texts, rng)
    return dataclasses.replace(
        protein,
        protein_tokens=tokens,
        mlm_mask=mlm,
        segment_mask=segments,
        residue_properties=np.pad(property_bits(record), 1)[kept],
        noise_seed=noise_seed,
        **_text_fields(texts, text_tokenizer, max_text_tokens),
    )


def plain_example(
    sequence: str,
    texts: Mapping[str, str],
    *,
    text_tokenizer: TextTokenizer,
    max_text_tokens: int = 512,
) -> Example:
    """Encodes a whole protein and its texts for evaluation and inference: no masks, no randomness.

    `texts` maps properties to `PREFIX: content`, as returned by `record.property_texts`; if empty,
    there are no text tokens.
    """
    return dataclasses.replace(
        protein_example(sequence), **_text_fields(texts, text_tokenizer, max_text_tokens)
    )


def _text_fields(
    texts: Mapping[str, str], text_tokenizer: TextTokenizer, max_text_tokens: int
) -> dict:
    """Builds the text fields of an `Example`."""
    text = text_tokenizer.encode_properties(texts, max_tokens=max_text_tokens)
    return {
        "text_tokens": text.tokens,
        "text_property_ids": text.property_ids,
        "text_positions": text.positions,
        "text_hashes": text_hashes(text),
        "text_cut": text.cut,
    }


def protein_example(sequence: str) -> Example:
    """Encodes a whole protein without text and without masks."""
    tokens = protein_tokenizer.encode(sequence)
    return dataclasses.replace(
        _EMPTY_EXAMPLE,
        protein_tokens=tokens,
        mlm_mask=np.zeros(tokens.size, bool),
        segment_mask=np.zeros(tokens.size, bool),
        residue_properties=np.zeros(tokens.size, np.uint8),
        sequence_hash=hash32(sequence),
    )


def text_example(
    text: str, *, text_tokenizer: TextTokenizer, max_text_tokens: int = 512
) -> Example:
    """Encodes any text in place of a full biotext, without a protein."""
    whole = text_tokenizer.encode(text, max_tokens=sys.maxsize)
    tokens = (
        whole
        if whole.size <= max_text_tokens
        else np.append(whole[: max_text_tokens - 1], whole[-1:])
    )
    return dataclasses.replace(
        _EMPTY_EXAMPLE,
        text_tokens=tokens,
        text_property_ids=np.zeros_like(tokens),
        text_positions=np.arange(tokens.size, dtype=np.int32),
        text_cut=whole.size - tokens.size,
    )


def properties_example(
    texts: Mapping[str, str], *, text_tokenizer: TextTokenizer, max_text_tokens: int = 512
) -> Example:
    """The texts of properties without a protein; `texts` as for `plain_example`."""
    fields = _text_fields(texts, text_tokenizer, max_text_tokens)
    return dataclasses.replace(_EMPTY_EXAMPLE, **fields)


def random_crop(
    tokens: Shaped[np.ndarray, " L"], rng: np.random.Generator, *, max_tokens: int
) -> Shaped[np.ndarray, " N"]:
    """Draws a window of max_tokens - 2 residues uniformly and keeps <cls> and <eos> around it.

    The input are tokens or their indices. Shorter proteins are unchanged.
    """
    excess = tokens.size - max_tokens
    if excess <= 0:
        return tokens
    start = 1 + rng.integers(excess + 1)
    return np.concatenate([tokens[:1], tokens[start : start + max_tokens - 2], tokens[-1:]])


def without_false_ends(kept: Int64[np.ndarray, " N"], length: int) -> Int64[np.ndarray, " M"]:
    """Drops <cls> and <eos> (0, `length` − 1) from a crop's indices where the protein goes on."""
    begins = kept[1] == 1
    ends = kept[-2] == length - 2
    return kept[0 if begins else 1 : None if ends else -1]


def random_subset(texts: Mapping[str, str], rng: np.random.Generator) -> dict[str, str]:
    """Draws a non-empty proper subset of the texts uniformly; a single text is kept."""
    if len(texts) < 2:
        return dict(texts)
    # The bits of the number mark the kept texts; 0 and all ones are excluded.
    chosen = int(rng.integers(1, 2 ** len(texts) - 1))
    return {name: text for bit, (name, text) in enumerate(texts.items()) if chosen >> bit & 1}


def text_hashes(text: TextSegments) -> UInt32[np.ndarray, "5"]:
    """Hashes the tokens of each segment, in the order of the property ids; 0 = absent.

    Texts that the text tower cannot distinguish, because they differ only in case or after the
    truncation, have equal hashes.
    """
    hashes = np.zeros(NUM_TEXT_SEGMENTS, np.uint32)
    starts = np.flatnonzero(text.positions == 0).tolist()
    for start, end in itertools.pairwise([*starts, text.tokens.size]):
        hashes[text.property_ids[start]] = hash32_bytes(token_bytes(text.tokens[start:end]))
    return hashes
