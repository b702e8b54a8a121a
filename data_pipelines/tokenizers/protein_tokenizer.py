"""ESM-2's protein tokenizer, vectorised: the same ids as Hugging Face's `EsmTokenizer` on every
input."""

import json
import re
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, Int32

VOCABULARY = (
    "<cls>",
    "<pad>",
    "<eos>",
    "<unk>",
    *"LAGVSERTIDPKQNFYMHWCXBUZO.-",
    "<null_1>",
    "<mask>",
)
"""The 33 tokens in ESM-2's order; a token's id is its place."""

CLS, PAD, EOS, UNK = range(4)
MASK = VOCABULARY.index("<mask>")

_IDS = {token: index for index, token in enumerate(VOCABULARY)}
_LETTERS = "".join(token for token in VOCABULARY if len(token) == 1)
_NOT_A_TOKEN = -1
_ID_OF_BYTE = np.full(256, _NOT_A_TOKEN, np.int32)
_ID_OF_BYTE[np.frombuffer(_LETTERS.encode("ascii"), np.uint8)] = [
    _IDS[letter] for letter in _LETTERS
]

# Tokens are found anywhere in the text; what stands between two of them, up to white space, is one
# unknown word.
_TOKEN = "|".join(
    [f"[{re.escape(_LETTERS)}]", *(re.escape(token) for token in VOCABULARY if len(token) > 1)]
)
_WORD = re.compile(rf"{_TOKEN}|(?:(?!{_TOKEN})\S)+")


def encode(sequence: str) -> Int32[np.ndarray, " n"]:
    """<cls> tokens <eos>: one token for each residue of a plain upper-case sequence.

    Any text is accepted, as Hugging Face does: white space separates, names of tokens such as
    `<mask>` count as these tokens, and a run of other characters (lower case, `*`, …) becomes a
    single <unk>.
    """
    ids = (
        _ID_OF_BYTE[np.frombuffer(sequence.encode("ascii"), np.uint8)]
        if sequence.isascii()
        else None
    )
    if ids is None or (ids == _NOT_A_TOKEN).any():
        ids = [_IDS.get(word, UNK) for word in _WORD.findall(sequence)]
    tokens = np.empty(len(ids) + 2, np.int32)
    tokens[0], tokens[1:-1], tokens[-1] = CLS, ids, EOS
    return tokens


def decode(tokens: Int[np.ndarray, " n"]) -> str:
    """The tokens' names joined, without <cls>, <pad> and <eos>: `decode(encode(s)) == s` for a
    plain sequence s."""
    return "".join(VOCABULARY[token] for token in tokens if token > EOS)


def is_residue(tokens: Int[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
    """Which tokens stand for residues: all but <cls>, <pad> and <eos>."""
    # These three are the lowest ids.
    return tokens > EOS


def save(directory: str | Path, *, max_tokens: int | None = None) -> None:
    """Writes vocab.txt and tokenizer_config.json, a folder that transformers loads as an
    `EsmTokenizer`.

    There it truncates to `max_tokens`, if given.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    config = {
        "tokenizer_class": "EsmTokenizer",
        "clean_up_tokenization_spaces": False,
        **{f"{name}_token": f"<{name}>" for name in ("cls", "pad", "eos", "unk", "mask")},
    }
    if max_tokens:
        config["model_max_length"] = max_tokens
    (directory / "tokenizer_config.json").write_text(
        json.dumps(config, indent=2) + "\n", encoding="utf-8"
    )
