"""BERT's WordPiece tokenizer for biotexts; gives the ids of Hugging Face's `BertTokenizer`."""

import functools
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import MAX_FILE_BYTES, read_json
from data_pipelines.protanno.record import PREFIXES, PROPERTIES

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

UNCASED = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
"""BERT's normalization, with Hugging Face's names; `strip_accents` None follows `do_lower_case`."""

_CACHED_WORDS = 1 << 17
_MAX_TOKENS = 1 << 20


class TextSegments(NamedTuple):
    """A record's text segments, concatenated: the full biotext, then its present properties."""

    tokens: Int32[np.ndarray, " T"]
    """[CLS] … [SEP] of each segment."""
    property_ids: Int32[np.ndarray, " T"]
    """0 full biotext, 1…4 the properties."""
    positions: Int32[np.ndarray, " T"]
    """Restart at 0 in each segment."""
    cut: int
    """Number of tokens that did not fit, of the full biotext and all properties."""


class TextTokenizer:
    """WordPiece with a fixed vocabulary. Picklable; caches the ids of words.

    Attributes:
      vocabulary: the tokens in id order.
      normalization: as `UNCASED`.
      pad_id, unk_id, cls_id, sep_id, mask_id: ids of the special tokens.

    Example:
        >>> tokenizer = TextTokenizer([*SPECIAL_TOKENS, "cuts", "dna"])
        >>> tokenizer.encode("Cuts DNA").tolist()
        [2, 5, 6, 3]
    """

    def __init__(
        self, vocabulary: Sequence[str], *, normalization: Mapping[str, bool | None] = UNCASED
    ):
        """Raises UserError if a BERT special token is missing or the vocabulary is too large."""
        if len(vocabulary) > _MAX_TOKENS:
            raise UserError(
                f"the text vocabulary has {len(vocabulary)} tokens, more than {_MAX_TOKENS}; "
                "use the vocabulary of a BERT model."
            )
        self.vocabulary = tuple(vocabulary)
        self.normalization = dict(normalization)
        ids = {token: index for index, token in enumerate(self.vocabulary)}
        missing = [token for token in SPECIAL_TOKENS if token not in ids]
        if missing:
            raise UserError(
                f"the text vocabulary lacks {', '.join(missing)}; "
                "use the vocab.txt of an uncased BERT model."
            )
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (
            ids[token] for token in SPECIAL_TOKENS
        )
        self._tokenizer = wordpiece(ids, normalization=self.normalization)
        self._word_ids = functools.lru_cache(_CACHED_WORDS)(self._encode_word)

    @property
    def fingerprint(self) -> str:
        """A digest of the vocabulary and its normalization, equal for equivalent tokenizers."""
        return hashlib.sha256(
            json.dumps([self.vocabulary, self.normalization], sort_keys=True).encode()
        ).hexdigest()

    def __reduce__(self):
        return functools.partial(TextTokenizer, normalization=self.normalization), (
            self.vocabulary,
        )

    @classmethod
    def load(cls, path: str | Path) -> "TextTokenizer":
        """Loads a vocab.txt (uncased), or a folder with tokenizer.json or vocab.txt.

        A folder is cased if its configuration says so.

        Raises:
          UserError: the file is missing or unreadable, or is not a BERT vocabulary.
        """
        path = Path(path)
        try:
            return cls.load_folder(path) if path.is_dir() else cls(_read_vocabulary(path))
        except OSError as error:
            raise UserError(
                f"{path} is not a text vocabulary; "
                "expected a vocab.txt, or a folder with vocab.txt or tokenizer.json."
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} is not a WordPiece vocabulary ({error}); use a BERT vocab.txt."
            ) from error

    @classmethod
    def load_folder(cls, folder: Path) -> "TextTokenizer":
        """Loads tokenizer.json, or vocab.txt with the settings of tokenizer_config.json."""
        if (folder / "tokenizer.json").is_file():
            return cls.from_description(read_json(folder / "tokenizer.json"))
        config = folder / "tokenizer_config.json"
        given = read_json(config) if config.is_file() else {}
        return cls(
            _read_vocabulary(folder / "vocab.txt"),
            normalization={key: given.get(key, UNCASED[key]) for key in UNCASED},
        )

    @classmethod
    def from_description(cls, description: dict) -> "TextTokenizer":
        """Converts the JSON of a `tokenizers.Tokenizer`.

        Raises:
          ValueError, KeyError: the result would not give the same ids.
        """
        model, normalizer = description["model"], description["normalizer"]
        if (model["type"], normalizer["type"]) != ("WordPiece", "BertNormalizer"):
            raise ValueError(f"it has a {model['type']} model and a {normalizer['type']}")
        vocabulary = sorted(model["vocab"], key=model["vocab"].get)
        if [model["vocab"][token] for token in vocabulary] != list(range(len(vocabulary))):
            raise ValueError("its ids are not consecutive; perhaps a token is repeated")
        names = {
            "do_lower_case": "lowercase",
            "strip_accents": "strip_accents",
            "tokenize_chinese_chars": "handle_chinese_chars",
        }
        normalization = {key: normalizer[name] for key, name in names.items()}
        tokenizer = cls(vocabulary, normalization=normalization)
        added = [token["content"] for token in description["added_tokens"]]
        if unknown := [token for token in added if token not in SPECIAL_TOKENS]:
            raise ValueError(f"it adds the token {unknown[0]!r}")
        ours = json.loads(tokenizer._tokenizer.to_str())
        for part in ("added_tokens", "normalizer", "pre_tokenizer", "model"):
            if description[part] != ours[part]:
                raise ValueError(f"its {part} differs from a plain BERT's")
        return tokenizer

    def save(self, directory: str | Path, *, max_tokens: int | None = None) -> None:
        """Writes vocab.txt and tokenizer_config.json, which transformers loads as `BertTokenizer`.

        The loaded tokenizer truncates to `max_tokens`, if given.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "vocab.txt").write_text(
            "".join(f"{token}\n" for token in self.vocabulary), encoding="utf-8"
        )
        special = {f"{token.strip('[]').lower()}_token": token for token in SPECIAL_TOKENS}
        config = {"tokenizer_class": "BertTokenizer", **self.normalization, **special}
        if max_tokens:
            config["model_max_length"] = max_tokens
        (directory / "tokenizer_config.json").write_text(
            json.dumps(config, indent=2) + "\n", encoding="utf-8"
        )

    def encode(self, text: str, *, max_tokens: int = 512) -> Int32[np.ndarray, " T"]:
        """Encodes [CLS] text [SEP], truncated to max_tokens (at least 2) with [SEP] kept."""
        return np.array(self._segment(self._ids(text), max_tokens), np.int32)

    def key(self, text: str, *, max_tokens: int = 512) -> bytes:
        """A key that is equal for texts with the same tokens after truncation to `max_tokens`.

        Such texts may differ in case or at the end.
        """
        return token_bytes(self.encode(text, max_tokens=max_tokens))

    def unknown_words(self, text: str) -> list[str]:
        """Lists the space-separated words of a text that are partly missing from the vocabulary."""
        return [word for word in text.split() if self.unk_id in self._word_ids(word)]

    def is_unknown(self, text: str) -> bool:
        """Whether all words of a text, except for a property prefix, are unknown."""
        content = text
        for prefix in PREFIXES.values():
            content = content.removeprefix(f"{prefix}:")
        return len(self.unknown_words(content)) == len(content.split())

    @property
    def prefix_tokens(self) -> tuple[int, ...]:
        """The token counts of the property prefixes with colon, as ordered in `PROPERTIES`."""
        return tuple(len(self._ids(f"{PREFIXES[name]}:")) for name in PROPERTIES)

    def encode_properties(self, texts: Mapping[str, str], *, max_tokens: int = 512) -> TextSegments:
        """Encodes the full biotext and each present property as separate segments.

        `texts` maps properties to `PREFIX: content`, as returned by `record.property_texts`; the
        full biotext joins them with spaces. It is truncated to `max_tokens`. All properties
        together also have `max_tokens`; if they need more, the longest are shortened first.
        `max_tokens` is at least 8, for [CLS] and [SEP] of four properties.
        """
        # WordPiece never looks across a space, so the full text has the same pieces as the
        # properties.
        contents = [self._ids(texts[name]) for name in PROPERTIES if texts.get(name)]
        present = [index for index, name in enumerate(PROPERTIES, start=1) if texts.get(name)]
        if not present:
            return TextSegments(*(np.zeros(0, np.int32) for _ in range(3)), cut=0)
        full = list(itertools.chain.from_iterable(contents))
        shares = fair_shares([len(ids) + 2 for ids in contents], max_tokens)
        limits = [max_tokens, *shares]
        segments = list(map(self._segment, [full, *contents], limits))
        lengths = np.array(list(map(len, segments)))
        tokens = np.array(list(itertools.chain.from_iterable(segments)), np.int32)
        return TextSegments(
            tokens=tokens,
            property_ids=np.array([0, *present], np.int32).repeat(lengths),
            positions=np.arange(tokens.size, dtype=np.int32)
            - (lengths.cumsum() - lengths).astype(np.int32).repeat(lengths),
            cut=2 * len(full) + 2 * len(segments) - tokens.size,
        )

    def _segment(self, ids: list[int], max_tokens: int) -> list[int]:
        return [self.cls_id, *ids[: max_tokens - 2], self.sep_id]

    def _ids(self, text: str) -> list[int]:
        return list(itertools.chain.from_iterable(map(self._word_ids, text.split(" "))))

    def _encode_word(self, word: str) -> list[int]:
        return self._tokenizer.encode(word, add_special_tokens=False).ids


def token_bytes(tokens: Int32[np.ndarray, " T"]) -> bytes:
    """Converts ids to bytes that are the same on every machine."""
    return tokens.astype("<i4", copy=False).tobytes()


def wordpiece(
    vocabulary: Mapping[str, int], *, normalization: Mapping[str, bool | None]
) -> Tokenizer:
    """Builds a `tokenizers` WordPiece with BERT's normalizer and word splitting.

    It recognises special tokens by name inside a text.
    """
    tokenizer = Tokenizer(models.WordPiece(dict(vocabulary), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        lowercase=normalization["do_lower_case"],
        strip_accents=normalization["strip_accents"],
        handle_chinese_chars=normalization["tokenize_chinese_chars"],
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def fair_shares(lengths: Sequence[int], total: int) -> list[int]:
    """Divides `total` among the lengths: the longest are shortened first, all to the same level.

    The remainder of an even division goes to the longest. No share exceeds its length, and the sum
    is min(total, sum(lengths)).
    """
    shares = [0] * len(lengths)
    for waiting, index in zip(
        range(len(lengths), 0, -1),
        sorted(range(len(lengths)), key=lengths.__getitem__),
        strict=True,
    ):
        shares[index] = min(lengths[index], total // waiting)
        total -= shares[index]
    return shares


def _read_vocabulary(path: Path) -> list[str]:
    if path.exists() and not path.is_file():
        raise ValueError("it is not a regular file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"it has {path.stat().st_size} bytes")
    # Lines only end at \n: str.splitlines would also split at characters that are tokens
    # themselves.
    with open(path, encoding="utf-8") as lines:
        return [line.rstrip("\n") for line in lines]
