"""One record as arrays, ready to pack: tokens, crop and masks, a pure function of (record, seed,
draw)."""

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
"""(residues bool [L], rng) -> (MLM mask, segment mask), as in `masking.MASKS`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """A tokenised record. Lp protein tokens; Lt text tokens, the full biotext first, then the
    present properties."""

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
    """Restart at 0 in every segment."""
    text_hashes: UInt32[np.ndarray, "5"]
    """Of the tokens of the full biotext and of each property, after any cut; 0 = absent."""
    sequence_hash: int
    """32 bits, of the whole sequence before the crop; never 0."""
    noise_seed: int
    """32 bits, for the record's Gumbel noise."""
    text_cut: int
    """How many text tokens did not fit."""

    @property
    def protein_length(self) -> int:
        """Protein tokens, <cls> and <eos> included."""
        return self.protein_tokens.size

    @property
    def text_length(self) -> int:
        """Text tokens of all segments."""
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
    """A record as drawn for training: crop, masks, noise seed and shown properties are random, from
    (seed, draw) alone.

    A record without text has no segments to reconstruct: that reads the text.

    With the probability `property_subset` its text is of a `random_subset` of its properties.
    Without `crop_ends` a crop has <cls> and <eos> only where it reaches the protein's own ends.
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
    # Last, so that nothing else depends on it.
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
    """For evaluation and inference: the whole protein, nothing masked, nothing random.

    `texts` maps properties to `PREFIX: content`, as `record.property_texts` does; without any
    there are no text tokens.
    """
    return dataclasses.replace(
        protein_example(sequence), **_text_fields(texts, text_tokenizer, max_text_tokens)
    )


def _text_fields(
    texts: Mapping[str, str], text_tokenizer: TextTokenizer, max_text_tokens: int
) -> dict:
    """The fields of an `Example` that tell of its text."""
    text = text_tokenizer.encode_properties(texts, max_tokens=max_text_tokens)
    return {
        "text_tokens": text.tokens,
        "text_property_ids": text.property_ids,
        "text_positions": text.positions,
        "text_hashes": text_hashes(text),
        "text_cut": text.cut,
    }


def protein_example(sequence: str) -> Example:
    """A whole protein without any text, nothing masked."""
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
    """Any text in the place of a full biotext, without a protein."""
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
    """Of tokens or their indices, a uniformly drawn window of max_tokens - 2 residues between <cls>
    and <eos>.

    Shorter proteins stay as they are.
    """
    excess = tokens.size - max_tokens
    if excess <= 0:
        return tokens
    start = 1 + rng.integers(excess + 1)
    return np.concatenate([tokens[:1], tokens[start : start + max_tokens - 2], tokens[-1:]])


def without_false_ends(kept: Int64[np.ndarray, " N"], length: int) -> Int64[np.ndarray, " M"]:
    """The token indices of a crop, without those of <cls> and <eos> (0 and `length` − 1) where
    the protein goes on."""
    begins = kept[1] == 1
    ends = kept[-2] == length - 2
    return kept[0 if begins else 1 : None if ends else -1]


def random_subset(texts: Mapping[str, str], rng: np.random.Generator) -> dict[str, str]:
    """Some of the texts but not all, each such choice as likely; a single text stays."""
    if len(texts) < 2:
        return dict(texts)
    # The bits of a number tell which are kept: neither none of them nor all.
    chosen = int(rng.integers(1, 2 ** len(texts) - 1))
    return {name: text for bit, (name, text) in enumerate(texts.items()) if chosen >> bit & 1}


def text_hashes(text: TextSegments) -> UInt32[np.ndarray, "5"]:
    """Hashes of the tokens of each segment, in the order of the properties' ids; 0 = absent.

    Texts that the text tower cannot tell apart have the same: those that differ in case only, or
    beyond the cut.
    """
    hashes = np.zeros(NUM_TEXT_SEGMENTS, np.uint32)
    starts = np.flatnonzero(text.positions == 0).tolist()
    for start, end in itertools.pairwise([*starts, text.tokens.size]):
        hashes[text.property_ids[start]] = hash32_bytes(token_bytes(text.tokens[start:end]))
    return hashes
