"""The second pass over a user's input: chunks of consecutive items, each worth a file of
results."""

import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple

from data_pipelines.common.hashing import sequence_hash
from data_pipelines.common.unique_ids import UniqueIds
from data_pipelines.inputs.model_input import Source
from data_pipelines.inputs.survey import Measure, Survey

MAX_LETTERS = 1 << 25
"""Of the ids and texts of a chunk: a model may read few tokens of a long text, and an id is as
long as its author likes."""


class Chunk(NamedTuple):
    """Consecutive items: their unique ids, clean texts, and the tokens that a model reads of them
    all.

    `hashes` are the `sequence_hash` of each text as the input has it.
    """

    ids: list[str]
    texts: list[str]
    tokens: int
    hashes: list[str]

    @property
    def digest(self) -> str:
        """64 bits (hex) that tell this chunk from any other content."""
        return hashlib.blake2b(
            json.dumps([self.ids, self.texts, self.hashes]).encode(), digest_size=8
        ).hexdigest()


def chunks(source: Source, survey: Survey, *, measure: Measure, min_tokens: int) -> Iterator[Chunk]:
    """All usable items in their order; a chunk ends with the item that brings it to `min_tokens`,
    or to `MAX_LETTERS`.

    Where chunks begin and end depends on the input and `min_tokens` alone.
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
