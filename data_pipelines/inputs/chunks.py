"""The second pass over an input: chunks of consecutive items, one result file each."""

import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple

from data_pipelines.common.hashing import sequence_hash
from data_pipelines.common.unique_ids import UniqueIds
from data_pipelines.inputs.model_input import Source
from data_pipelines.inputs.survey import Measure, Survey

MAX_LETTERS = 1 << 25
"""Limit for the ids and texts of a chunk; models may truncate long texts, and ids may be long."""


class Chunk(NamedTuple):
    """Consecutive items: unique ids, clean texts, and the total number of tokens the model reads.

    `hashes` are the `sequence_hash` of each text as written in the input.
    """

    ids: list[str]
    texts: list[str]
    tokens: int
    hashes: list[str]

    @property
    def digest(self) -> str:
        """64 bits (hex) that identify the content of this chunk."""
        return hashlib.blake2b(
            json.dumps([self.ids, self.texts, self.hashes]).encode(), digest_size=8
        ).hexdigest()


def chunks(source: Source, survey: Survey, *, measure: Measure, min_tokens: int) -> Iterator[Chunk]:
    """Yields all usable items in order, in chunks of at least `min_tokens` tokens.

    A chunk ends with the item that reaches `min_tokens` or `MAX_LETTERS`, so chunk borders depend
    only on the input and `min_tokens`.
    """
    names = UniqueIds(survey.id_hashes)
    ids, texts, hashes, tokens, letters = [], [], [], 0, 0
    for item in source.prepared():
        name = names.unique(item.id)
        if item.fault:
            continue
        ids.append(name)
        texts.append(item.text)
        hashes.append(sequence_hash(item.written or item.text))
        tokens += measure(item.text).tokens
        letters += len(name) + len(item.text)
        if tokens >= min_tokens or letters >= MAX_LETTERS:
            yield Chunk(ids, texts, tokens, hashes)
            ids, texts, hashes, tokens, letters = [], [], [], 0, 0
    if ids:
        yield Chunk(ids, texts, tokens, hashes)
