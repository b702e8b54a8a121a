import string

import numpy as np
import pytest
import transformers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_pipelines.tokenizers import protein_tokenizer

ESM2_ORDER = [
    "<cls>",
    "<pad>",
    "<eos>",
    "<unk>",
    *"LAGVSERTIDPKQNFYMHWCXBUZO.-",
    "<null_1>",
    "<mask>",
]
RESIDUES = "LAGVSERTIDPKQNFYMHWCXBUZO.-"
# Whole and broken names of tokens, characters that str.split and BERT treat as white space or not,
# and astral ones.
ODD = [
    *ESM2_ORDER,
    "<mas",
    "ask>",
    "null_1",
    "<",
    ">",
    "_",
    "*",
    " ",
    "\n",
    "\x1c",
    "\x85",
    "\xa0",
    "\u3000",
    "\u200b",
    "\ud800",
]
TEXTS = st.lists(
    st.sampled_from([*RESIDUES, *string.ascii_lowercase, *ODD]) | st.characters(), max_size=40
).map("".join)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("esm")
    (folder / "vocab.txt").write_text("\n".join(ESM2_ORDER), encoding="utf-8")
    return transformers.EsmTokenizer(str(folder / "vocab.txt"))


def test_vocabulary_is_esm2s():
    assert list(protein_tokenizer.VOCABULARY) == ESM2_ORDER
    names = [
        protein_tokenizer.VOCABULARY[i]
        for i in (protein_tokenizer.CLS, protein_tokenizer.PAD, protein_tokenizer.EOS)
    ]
    assert names == ["<cls>", "<pad>", "<eos>"]
    assert protein_tokenizer.VOCABULARY[protein_tokenizer.UNK] == "<unk>"
    assert protein_tokenizer.VOCABULARY[protein_tokenizer.MASK] == "<mask>"


@settings(max_examples=500, deadline=None)
@given(TEXTS)
@example("")
@example("MKT*")
@example("mkt MKT")
@example("MK<mask>T<cls><eos> <pad>X")
@example("M<null_1><null_1")
@example("JJJ**J A")
@example("A b  c\nD")
def test_ids_equal_hugging_face(reference, text):
    assert protein_tokenizer.encode(text).tolist() == reference(text)["input_ids"]


@settings(max_examples=100, deadline=None)
@given(st.text(RESIDUES, max_size=60))
def test_plain_sequences_round_trip(sequence):
    tokens = protein_tokenizer.encode(sequence)
    assert tokens.dtype == np.int32
    assert tokens.shape == (len(sequence) + 2,)
    assert protein_tokenizer.decode(tokens) == sequence


def test_decode_names_what_is_no_residue():
    assert protein_tokenizer.decode(protein_tokenizer.encode("M<mask>K**<pad>")) == "M<mask>K<unk>"


def test_is_residue_leaves_out_cls_eos_and_padding():
    tokens = np.arange(len(ESM2_ORDER)).reshape(3, 11)
    expected = np.array([name not in ("<cls>", "<pad>", "<eos>") for name in ESM2_ORDER]).reshape(
        3, 11
    )
    np.testing.assert_array_equal(protein_tokenizer.is_residue(tokens), expected)


def test_saved_folder_loads_in_transformers(tmp_path):
    protein_tokenizer.save(tmp_path / "protein")
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "protein")
    assert isinstance(loaded, transformers.EsmTokenizer)
    text = "MKTlower<mask>*W"
    assert loaded(text)["input_ids"] == protein_tokenizer.encode(text).tolist()
    assert (loaded.cls_token_id, loaded.pad_token_id, loaded.eos_token_id) == (0, 1, 2)
