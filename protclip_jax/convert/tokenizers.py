"""Tokenizers beside weights: the text tower's is taken over, the protein tower's must be ESM-2's."""

import itertools
import pathlib
import sys

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import MAX_FILE_BYTES, read_json
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer

TOKENIZER_FILES = ("vocab.txt", "tokenizer.json", "tokenizer_config.json")


def tokenizer_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The tokenizer's files that a folder has."""
    return [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]


def read_text_tokenizer(folder: pathlib.Path, *, vocab_size: int) -> TextTokenizer:
    """The WordPiece tokenizer of a folder, for a model that embeds `vocab_size` tokens.

    A model may embed more tokens than its tokenizer has (tables are often rounded up): the vocabulary is then filled up
    with names `[unusedN]`, which no text contains as a token.

    Raises:
      UserError: there is none, it is damaged, or it has more tokens than the model.
    """
    for path in tokenizer_files(folder):
        if path.suffix == ".json":
            read_json(path)
    tokenizer = TextTokenizer.load(folder)
    known, taken = tokenizer.vocabulary, set(tokenizer.vocabulary)
    if len(known) > vocab_size:
        raise UserError(
            f"{folder} has a vocabulary of {len(known)} tokens, but the text model's config says {vocab_size}; "
            "give the tokenizer that belongs to the weights."
        )
    if len(known) < vocab_size:
        print(f"{folder} has {len(known)} tokens and its model {vocab_size}: filled up with unused names.", file=sys.stderr)
    names = (f"[unused{number}]" for number in itertools.count())
    fresh = itertools.islice((name for name in names if name not in taken), vocab_size - len(known))
    return TextTokenizer([*known, *fresh], normalization=tokenizer.normalization)


def check_protein_vocabulary(folder: pathlib.Path) -> None:
    """Raises `UserError` where a folder has a vocab.txt and it is not ESM-2's."""
    path = folder / "vocab.txt"
    if path.is_file() and _tokens(path) != list(protein_tokenizer.VOCABULARY):
        raise UserError(f"{path} is not ESM-2's vocabulary of {len(protein_tokenizer.VOCABULARY)} tokens; give an ESM-2 model.")


def is_protein_tokenizer(folder: pathlib.Path) -> bool:
    """Whether a folder's vocab.txt is of ESM's kind."""
    return (folder / "vocab.txt").is_file() and "<cls>" in _tokens(folder / "vocab.txt")


def _tokens(path: pathlib.Path) -> list[str]:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UserError(f"{path} has {path.stat().st_size} bytes, too many for a vocabulary; give the original one.")
    return path.read_bytes().decode("utf-8", errors="replace").split()
