"""ESM-2's protein tokenizer, vectorised; always gives the ids of Hugging Face's `EsmTokenizer`."""

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
"""The 33 tokens in ESM-2's order; a token's id is its index."""

CLS, PAD, EOS, UNK = range(4)
MASK = VOCABULARY.index("<mask>")

_IDS = {token: index for index, token in enumerate(VOCABULARY)}
_LETTERS = "".join(token for token in VOCABULARY if len(token) == 1)
_NOT_A_TOKEN = -1
_ID_OF_BYTE = np.full(256, _NOT_A_TOKEN, np.int32)
_ID_OF_BYTE[np.frombuffer(_LETTERS.encode("ascii"), np.uint8)] = [
    _IDS[letter] for letter in _LETTERS
]

# Tokens are found anywhere in the text. The characters between two of them, up to white space, are
# one unknown word.
_NAMES = [re.escape(token) for token in VOCABULARY if len(token) > 1]
_TOKEN = "|".join([f"[{re.escape(_LETTERS)}]", *_NAMES])
_WORD = re.compile(rf"{_TOKEN}|(?:(?!{_TOKEN})\S)+")


def encode(sequence: str) -> Int32[np.ndarray, " n"]:
    """Encodes <cls> tokens <eos>, with one token per residue of a plain upper-case sequence.

    Any text is accepted, as in Hugging Face: white space separates, token names such as `<mask>`
    are these tokens, and a run of other characters (lower case, `*`, …) becomes a single <unk>.

    Example:
        >>> encode("MKV").tolist()
        [0, 20, 15, 7, 2]
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
    """Joins the tokens' names, without <cls>, <pad> and <eos>.

    `decode(encode(s)) == s` for a plain sequence s.

    Example:
        >>> decode(encode("MKV"))
        'MKV'
    """
    return "".join(VOCABULARY[token] for token in tokens if token > EOS)


def is_residue(tokens: Int[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
    """Which tokens are residues: all except <cls>, <pad> and <eos>."""
    # These three have the lowest ids.
    return tokens > EOS


def save(directory: str | Path, *, max_tokens: int | None = None) -> None:
    """Writes vocab.txt and tokenizer_config.json, which transformers loads as an `EsmTokenizer`.

    The loaded tokenizer truncates to `max_tokens`, if given.
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
