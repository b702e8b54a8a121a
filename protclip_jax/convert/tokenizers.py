"""Reads tokenizers beside weights: the text tower's, and a check that the protein's is ESM-2's."""

import itertools
import json
import pathlib
import sys

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import MAX_FILE_BYTES, read_json
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.convert.quiet_transformers import transformers

TOKENIZER_FILES = (
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)

# Class named in a folder → the class for `AutoTokenizer`; others may run code or read pickles.
_CLASSES = {
    "BertTokenizer": "BertTokenizerFast",
    "BertTokenizerFast": "BertTokenizerFast",
    "PreTrainedTokenizerFast": "PreTrainedTokenizerFast",
    "TokenizersBackend": "PreTrainedTokenizerFast",
}


def tokenizer_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The tokenizer's files that a folder has."""
    return [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]


def read_text_tokenizer(folder: pathlib.Path, *, vocab_size: int) -> TextTokenizer:
    """The WordPiece tokenizer of a folder, for a model with `vocab_size` embeddings.

    Its ids are those of transformers.

    A model may embed more tokens than its tokenizer has (tables are often rounded up): the
    vocabulary is then filled up with names `[unusedN]`, which no text contains as a token.

    Raises:
      UserError: there is none, it is damaged, it has more tokens than the model, or it gives ids
        that ours cannot.
    """
    tokenizer = _read(folder)
    known = tokenizer.vocabulary
    if len(known) > vocab_size:
        raise UserError(
            f"{folder} has a vocabulary of {len(known)} tokens, but the text model's config "
            f"says {vocab_size}; "
            "give the tokenizer that belongs to the weights."
        )
    if len(known) < vocab_size:
        print(
            f"{folder} has {len(known)} tokens and its model {vocab_size}: filled up with "
            "unused names.",
            file=sys.stderr,
        )
    fresh = itertools.filterfalse(
        set(known).__contains__, map("[unused{}]".format, itertools.count())
    )
    filling = itertools.islice(fresh, vocab_size - len(known))
    return TextTokenizer([*known, *filling], normalization=tokenizer.normalization)


def _read(folder: pathlib.Path) -> TextTokenizer:
    files = tokenizer_files(folder)
    if not {"vocab.txt", "tokenizer.json"} & {path.name for path in files}:
        raise UserError(
            f"no text vocabulary at {folder}: give a folder with vocab.txt or tokenizer.json."
        )
    for path in files:
        _check_size(path)
    config = (
        read_json(folder / "tokenizer_config.json")
        if folder / "tokenizer_config.json" in files
        else {}
    )
    kind = str(config.get("tokenizer_class") or "BertTokenizer")
    if kind not in _CLASSES:
        raise UserError(f"{folder} has a {kind}; give a model with one of {', '.join(_CLASSES)}.")
    try:
        theirs = getattr(transformers(), _CLASSES[kind]).from_pretrained(
            str(folder), local_files_only=True
        )
        ours = TextTokenizer.from_description(json.loads(theirs.backend_tokenizer.to_str()))
        if theirs("")["input_ids"] != ours.encode("").tolist():
            raise ValueError("it does not put a text between [CLS] and [SEP]")
    except Exception as error:  # whatever a damaged or hostile file leads to
        raise UserError(
            f"{folder} holds no supported text tokenizer ({error}); give that of a plain BERT."
        ) from error
    return ours


def check_protein_vocabulary(folder: pathlib.Path) -> None:
    """Raises `UserError` where a folder has a vocab.txt and it is not ESM-2's."""
    path = folder / "vocab.txt"
    if path.is_file() and _tokens(path) != list(protein_tokenizer.VOCABULARY):
        raise UserError(
            f"{path} is not ESM-2's vocabulary of {len(protein_tokenizer.VOCABULARY)} tokens; "
            "give an ESM-2 model."
        )


def is_protein_tokenizer(folder: pathlib.Path) -> bool:
    """Whether a folder's vocab.txt is of ESM's kind."""
    return (folder / "vocab.txt").is_file() and "<cls>" in _tokens(folder / "vocab.txt")


def _tokens(path: pathlib.Path) -> list[str]:
    _check_size(path)
    return path.read_bytes().decode("utf-8", errors="replace").split()


def _check_size(path: pathlib.Path) -> None:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UserError(
            f"{path} has {path.stat().st_size} bytes, too many for a vocabulary; give the "
            "original one."
        )
