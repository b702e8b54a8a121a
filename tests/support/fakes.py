"""Models whose right answers are known, with the methods of `ProtCLIP` that evaluations use."""

import numpy as np

from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.features import annotated_residues
from data_pipelines.protanno.record import biotext, property_texts
from eval.pretraining.pool import record_rng


class FakeModel:
    """Answers by looking records up in the dataset."""

    def __init__(self, dataset):
        records = [record for source in dataset.splits.values() for record in source]
        self.by_sequence = {record.sequence: record for record in records}
        self.config = {}

    def losses(self, records):
        return {"total": 0.5 * len(records), "gc": 0.5 * len(records)}


class Oracle(FakeModel):
    """Right wherever it can be.

    Embeds a record's protein and text alike, weighs exactly the annotated residues of a property
    whose own text is given (all residues alike for another text), and recovers residues beside
    the record's own biotext only.
    """

    def encode_texts(self, texts):
        vectors = np.stack([np.random.default_rng(hash64(text)).normal(size=32) for text in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def encode_proteins(self, sequences):
        return self.encode_texts([biotext(self.by_sequence[sequence]) for sequence in sequences])

    def segments_batch(self, sequences, texts):
        return [
            self._weights(self.by_sequence[sequence], asked)
            for sequence, asked in zip(sequences, texts, strict=True)
        ]

    def _weights(self, record, asked):
        own, marked = property_texts(record), annotated_residues(record)
        uniform = np.ones(len(record.sequence))
        rows = [marked[name] if own.get(name) == text else uniform for name, text in asked.items()]
        return np.stack([row / row.sum() for row in rows]).astype(np.float32)

    def recover(self, sequences, masks, texts):
        recovered = []
        for sequence, mask, text in zip(sequences, masks, texts, strict=True):
            answer = self._answer(sequence, text)
            recovered.append("".join(answer[i] for i in mask.nonzero()[0]))
        return recovered

    def _answer(self, sequence, text):
        return sequence if biotext(self.by_sequence[sequence]) == text else "?" * len(sequence)


class Ignorant(FakeModel):
    """Embeds everything alike, weighs residues at random whatever the text says, and always
    answers leucine."""

    def encode_texts(self, texts):
        return np.full((len(texts), 4), 0.5, np.float32)

    encode_proteins = encode_texts

    def segments_batch(self, sequences, texts):
        return [
            self._weights(self.by_sequence[sequence], asked)
            for sequence, asked in zip(sequences, texts, strict=True)
        ]

    def _weights(self, record, asked):
        drawn = record_rng(record, str(asked)).random((len(asked), len(record.sequence)))
        return drawn / drawn.sum(1, keepdims=True)

    def recover(self, sequences, masks, texts):
        return ["L" * int(mask.sum()) for mask in masks]
