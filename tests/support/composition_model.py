"""A model of nothing but composition; `python -m tests.support.composition_model ARGUMENT…`
evaluates it."""

import contextlib
import sys
import zlib
from typing import ClassVar
from unittest import mock

import numpy as np

from eval import __main__ as cli
from eval import checkpoint_data
from eval.protocols.sequence_features import composition
from tests.support.miniature import RESIDUES, SCALE


def residues_of(text):
    """The letters of a text that are residues, "A" if there are none."""
    return "".join(letter for letter in text.upper() if letter in RESIDUES) or "A"


def _effect(variant):
    return sum(SCALE[change.residue] - SCALE[change.wild_type] for change in variant)


class Composition:
    """A model whose embeddings are the composition of a sequence, and that counts what it is
    asked for."""

    fingerprint = "0" * 64
    config: ClassVar = {"model": {}, "tokenizer": {"max_text_tokens": 8}}
    text_tokenizer = None

    def __init__(self):
        self.asked = 0

    def represent(self, sequences, *, kinds, windows):
        self.asked += len(sequences)
        return {kinds[0]: composition(sequences)}

    def mean_text_embeddings(self, texts):
        return self.encode_texts(texts)

    def encode_texts(self, texts):
        return composition(list(map(residues_of, texts)))

    def with_random_weights(self):
        return Noise()

    def variant_scores(self, sequences, variants, *, method):
        """The composition's own scale, as the miniature data have it."""
        del sequences, method
        return [np.array(list(map(_effect, own)), np.float32) for own in variants]


class Noise(Composition):
    """The random weights of `Composition`: vectors and scores that tell nothing of what they are
    for."""

    fingerprint = "1" * 64

    def represent(self, sequences, *, kinds, windows):
        del windows
        return {kinds[0]: np.stack(list(map(_noise, sequences)))}

    def encode_texts(self, texts):
        return np.stack(list(map(_noise, texts)))

    def variant_scores(self, sequences, variants, *, method):
        del sequences, method
        return [np.array([_noise(str(one))[0] for one in own], np.float32) for own in variants]


def _noise(item):
    drawn = np.random.default_rng(zlib.crc32(item.encode())).normal(size=20)
    return drawn.astype(np.float32)


def _no_config(directory):
    del directory
    return {}


def main(arguments):
    """`python -m eval` with this model in the place of the checkpoint's."""
    replaced = {
        cli: {"load": lambda directory, step: (Composition(), 3), "read_config": _no_config},
        checkpoint_data: {"read_config": _no_config},
    }
    with contextlib.ExitStack() as stack:
        for module, names in replaced.items():
            stack.enter_context(mock.patch.multiple(module, **names))
        return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
