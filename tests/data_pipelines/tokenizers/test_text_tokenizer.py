import json
import pickle
import string

import numpy as np
import pytest
import transformers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import PROPERTIES
from data_pipelines.tokenizers.text_tokenizer import SPECIAL_TOKENS, TextTokenizer, fair_shares

LETTERS = string.ascii_lowercase + string.digits + "éßσς中あ:;.,-()µ"
PIECES = ["function", "protein", "name", "cell", "kin", "##ase", "##ing", "catal", "##yzes", "the"]
VOCABULARY = [*SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS), *PIECES]
ODD = [
    "[SEP]",
    "[MASK]",
    "[sep]",
    "x[CLS]y",
    " ",
    "\t",
    "\n",
    "\x00",
    "\x1c",
    "\xa0",
    "\u3000",
    "\u0301",
    "\ufffd",
    "É",
    "İ",
    "Σ",
    "ﬁ",
    "中",
    "a" * 101,
]
TEXTS = st.lists(
    st.sampled_from([*PIECES, "Kinase", "FUNCTION:", *LETTERS, *ODD])
    | st.characters(exclude_categories=["Cs"]),
    max_size=30,
)


@pytest.fixture(scope="module")
def vocab_txt(tmp_path_factory):
    path = tmp_path_factory.mktemp("bert") / "vocab.txt"
    path.write_text("".join(f"{token}\n" for token in VOCABULARY), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def reference(vocab_txt):
    return transformers.BertTokenizer.from_pretrained(str(vocab_txt.parent))


@pytest.fixture(scope="module")
def tokenizer(vocab_txt):
    return TextTokenizer.load(vocab_txt)


@settings(max_examples=300, deadline=None)
@given(TEXTS.map("".join) | TEXTS.map(" ".join))
@example("")
@example("  Catalyzes   the kinase. ")
@example("a\x1cb kin\x85ase the\u200bcell a\u0301 \u0301b x[SEP]y")
def test_ids_equal_hugging_face(tokenizer, reference, text):
    ids = tokenizer.encode(text, max_tokens=1 << 20)
    assert ids.dtype == np.int32
    assert ids.tolist() == reference(text)["input_ids"]


@settings(max_examples=100, deadline=None)
@given(TEXTS.map(" ".join), st.integers(3, 30))
def test_query_is_cut_as_hugging_face_does(tokenizer, reference, text, max_tokens):
    expected = reference(text, truncation=True, max_length=max_tokens)["input_ids"]
    assert tokenizer.encode(text, max_tokens=max_tokens).tolist() == expected


def split(segments):
    """[(property id, tokens)] from the concatenated arrays, cut where the positions restart."""
    starts = np.flatnonzero(segments.positions == 0)
    properties = np.split(segments.property_ids, starts[1:])
    assert all(len(set(ids.tolist())) == 1 for ids in properties)
    pieces = np.split(segments.tokens, starts[1:])
    return [(int(ids[0]), tokens.tolist()) for ids, tokens in zip(properties, pieces, strict=True)]


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(PROPERTIES), TEXTS.map(" ".join), min_size=1))
def test_full_text_and_properties_equal_hugging_face_on_their_own(tokenizer, reference, contents):
    texts = {name: f"PREFIX: {contents[name]}" for name in PROPERTIES if name in contents}
    segments = tokenizer.encode_properties(texts, max_tokens=1 << 20)
    assert segments.cut == 0
    expected = [(0, reference(" ".join(texts.values()))["input_ids"])]
    expected += [
        (PROPERTIES.index(name) + 1, reference(text)["input_ids"]) for name, text in texts.items()
    ]
    assert split(segments) == expected
    for array in segments[:3]:
        assert array.dtype == np.int32


def test_positions_restart_in_every_segment(tokenizer):
    segments = tokenizer.encode_properties({"name": "NAME: a b", "location": "L: c"})
    lengths = [len(tokens) for _, tokens in split(segments)]
    np.testing.assert_array_equal(
        segments.positions, np.concatenate([np.arange(length) for length in lengths])
    )


def test_longest_properties_are_shortened_first_and_counted(tokenizer, reference):
    words = {"name": 3, "function": 100, "location": 12, "similarity": 60}
    texts = {name: " ".join(["the"] * count) for name, count in words.items()}
    segments = tokenizer.encode_properties(texts, max_tokens=64)
    by_property = dict(split(segments))
    # Of 64, the name keeps 5 and the location 14; the other two share the remaining 45.
    assert {property_id: len(tokens) for property_id, tokens in by_property.items()} == {
        0: 64,
        1: 5,
        2: 23,
        3: 14,
        4: 22,
    }
    assert all(
        tokens[0] == reference.cls_token_id and tokens[-1] == reference.sep_token_id
        for tokens in by_property.values()
    )
    assert segments.cut == (175 + 2 - 64) + (102 - 23) + (62 - 22)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(2, 600), max_size=4), st.integers(8, 600))
def test_fair_shares_fill_to_one_level(lengths, total):
    shares = fair_shares(lengths, total)
    assert sum(shares) == min(total, sum(lengths))
    shortened = [share for share, length in zip(shares, lengths, strict=True) if share < length]
    # What was shortened is at one level, and nothing kept is above it.
    if shortened:
        assert max(shares) - min(shortened) <= 1


def test_record_without_text_has_no_tokens(tokenizer):
    segments = tokenizer.encode_properties({})
    assert [array.size for array in segments[:3]] == [0, 0, 0]
    assert segments.cut == 0


def test_survives_pickling(tokenizer):
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.vocabulary == tokenizer.vocabulary
    assert (
        copy.encode("Kinase of the cell").tolist()
        == tokenizer.encode("Kinase of the cell").tolist()
    )


SAMPLE = "Catalyzes Éa in 中cell the KINase [MASK] á"


@pytest.mark.parametrize("do_lower_case", [True, False])
def test_saved_folder_loads_in_transformers_and_back(tmp_path, do_lower_case):
    normalization = {
        "do_lower_case": do_lower_case,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
    }
    tokenizer = TextTokenizer(VOCABULARY, normalization=normalization)
    tokenizer.save(tmp_path / "ours")
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    assert isinstance(reference, transformers.BertTokenizer)
    assert reference(SAMPLE)["input_ids"] == tokenizer.encode(SAMPLE).tolist()
    # transformers writes tokenizer.json instead of vocab.txt.
    reference.save_pretrained(tmp_path / "theirs")
    assert not (tmp_path / "theirs" / "vocab.txt").exists()
    for folder in ("ours", "theirs"):
        loaded = TextTokenizer.load(tmp_path / folder)
        assert loaded.vocabulary == tuple(VOCABULARY)
        assert loaded.normalization == normalization
        assert loaded.encode(SAMPLE).tolist() == tokenizer.encode(SAMPLE).tolist()


def test_special_ids(tokenizer):
    ids = [
        tokenizer.pad_id,
        tokenizer.unk_id,
        tokenizer.cls_id,
        tokenizer.sep_id,
        tokenizer.mask_id,
    ]
    assert ids == [VOCABULARY.index(token) for token in SPECIAL_TOKENS]


@pytest.mark.parametrize("missing", SPECIAL_TOKENS)
def test_vocabulary_without_a_special_token_is_refused(tmp_path, missing):
    (tmp_path / "vocab.txt").write_text(
        "\n".join(token for token in VOCABULARY if token != missing), encoding="utf-8"
    )
    with pytest.raises(UserError, match=rf"\{missing[:-1]}\]"):
        TextTokenizer.load(tmp_path / "vocab.txt")


def test_missing_and_unreadable_files_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "vocab.txt"):
        with pytest.raises(UserError, match="not a text vocabulary"):
            TextTokenizer.load(path)
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a WordPiece"):
        TextTokenizer.load(tmp_path / "vocab.txt")


def test_a_tokenizer_with_added_tokens_is_refused(tmp_path, reference):
    copy = pickle.loads(pickle.dumps(reference))
    copy.add_tokens(["zn2+"])
    copy.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"adds the token 'zn2\+'"):
        TextTokenizer.load(tmp_path)


@pytest.mark.parametrize(
    "description",
    [
        "not json",
        "[]",
        json.dumps(
            {"model": {"type": "BPE", "vocab": {}}, "normalizer": {"type": "BertNormalizer"}}
        ),
        json.dumps(
            {
                "model": {"type": "WordPiece", "vocab": {"[PAD]": 7}},
                "normalizer": {"type": "BertNormalizer"},
            }
        ),
    ],
)
def test_other_tokenizers_are_refused(tmp_path, description):
    (tmp_path / "tokenizer.json").write_text(description, encoding="utf-8")
    with pytest.raises(UserError, match="not a WordPiece|is damaged"):
        TextTokenizer.load(tmp_path)


def test_words_that_the_vocabulary_lacks_are_found():
    tokenizer = TextTokenizer([*SPECIAL_TOKENS, "kin", "##ase", "protein", "name", ":"])
    assert tokenizer.unknown_words("kinase zinc kin protein \u03b2") == ["zinc", "\u03b2"]
    assert not tokenizer.is_unknown("PROTEIN NAME: kinase zinc")
    assert tokenizer.is_unknown("PROTEIN NAME: zinc \u03b2")
    assert tokenizer.is_unknown("zinc")
