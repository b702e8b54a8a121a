"""Text tokenizers beside weights: transformers' ids, or a refusal; never other ids."""

import contextlib
import json
import subprocess
import sys

import pytest
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers.text_tokenizer import SPECIAL_TOKENS
from protclip_jax.convert.tokenizers import read_text_tokenizer
from tests.support.paths import ROOT

WORDS = [
    *SPECIAL_TOKENS,
    *"abé:.,()+",
    "zinc",
    "Zinc",
    "kin",
    "##ase",
    "##s",
    "binds",
    "protein",
    "protéin",
]
TEXTS = [
    "",
    "binds Zinc: a",
    "Kinases (protéin) zn2+ [PROT] kinases",
    "[MASK]zinc [sep] b",
    "中 BINDS\tÉ\u0301 é",
]


def folder_of(tmp_path, *, kind="BertTokenizer", change=None, **settings):
    """A tokenizer's folder as transformers saves it, with `change` made to what is in
    tokenizer.json."""
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    transformers.BertTokenizerFast(vocab=vocabulary, **settings).save_pretrained(tmp_path)
    if change is not None:
        backend = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        change(backend)
        backend.save(str(tmp_path / "tokenizer.json"))
    edit(tmp_path / "tokenizer_config.json", tokenizer_class=kind)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    return tmp_path


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def assert_transformers_ids(folder, texts=TEXTS):
    ours, theirs = (
        read_text_tokenizer(folder, vocab_size=64),
        transformers.AutoTokenizer.from_pretrained(folder),
    )
    for text in texts:
        assert ours.encode(text).tolist() == theirs(text)["input_ids"], text
    return ours


@pytest.mark.parametrize(
    "kind", ["BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"]
)
@pytest.mark.parametrize(
    "casing",
    [{}, {"do_lower_case": False}, {"strip_accents": False}, {"tokenize_chinese_chars": False}],
)
def test_casing_is_that_of_transformers(tmp_path, kind, casing):
    assert_transformers_ids(folder_of(tmp_path, kind=kind, **casing))


@pytest.mark.parametrize("kind", ["BertTokenizer", "PreTrainedTokenizerFast"])
def test_files_that_disagree_about_casing(tmp_path, kind):
    """The class decides which one counts."""
    edit(
        folder_of(tmp_path, kind=kind, do_lower_case=False) / "tokenizer_config.json",
        do_lower_case=True,
    )
    tokenizer = assert_transformers_ids(tmp_path)
    assert tokenizer.normalization["do_lower_case"] is (kind == "BertTokenizer")


@pytest.mark.parametrize("kept", ["tokenizer.json", "vocab.txt"])
def test_one_file_alone_is_enough(tmp_path, kept):
    folder_of(tmp_path)
    (tmp_path / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    for path in (
        tmp_path / "tokenizer_config.json",
        tmp_path / {"vocab.txt", "tokenizer.json"}.difference([kept]).pop(),
    ):
        path.unlink()
    ours = read_text_tokenizer(tmp_path, vocab_size=len(WORDS))
    theirs = transformers.BertTokenizerFast.from_pretrained(tmp_path)
    for text in TEXTS:
        assert ours.encode(text).tolist() == theirs(text)["input_ids"]
    assert ours.vocabulary == tuple(WORDS)


def add(*tokens):
    return lambda backend: backend.add_tokens(list(tokens))


def set_part(name, value):
    return lambda backend: setattr(backend, name, value)


SEQUENCE = normalizers.Sequence([normalizers.NFC(), normalizers.BertNormalizer()])
ONLY_CLS = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
REFUSED = {
    "added tokens": (add("zn2+", "kinases"), "adds the token 'zn2\\+'"),
    "a known word as a token": (add("binds"), "adds the token 'binds'"),
    "a token that eats spaces": (
        add(AddedToken("[MASK]", lstrip=True)),
        "its added_tokens differs from a plain BERT",
    ),
    "normalizers": (set_part("normalizer", SEQUENCE), "Sequence"),
    "word splitting": (
        set_part("pre_tokenizer", pre_tokenizers.Whitespace()),
        "its pre_tokenizer differs",
    ),
    "template": (set_part("post_processor", ONLY_CLS), r"between \[CLS\] and \[SEP\]"),
    "long words": (
        lambda backend: setattr(backend.model, "max_input_chars_per_word", 7),
        "its model differs",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_give_other_ids_is_refused(tmp_path, kind):
    change, message = REFUSED[kind]
    folder_of(tmp_path, kind="PreTrainedTokenizerFast", change=change)
    with pytest.raises(UserError, match=message):
        read_text_tokenizer(tmp_path, vocab_size=64)
    edit(tmp_path / "tokenizer_config.json", tokenizer_class="BertTokenizer")
    # This class makes normalizer, word splitting and model itself.
    with contextlib.suppress(UserError):
        assert_transformers_ids(tmp_path)


def test_tokens_added_by_transformers_are_refused(tmp_path):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder_of(tmp_path))
    tokenizer.add_tokens(["zn2+"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["[PROT]"]})
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"adds the token 'zn2\+'"):
        read_text_tokenizer(tmp_path, vocab_size=64)


def test_other_classes_are_refused_and_code_is_not_run(tmp_path):
    folder_of(tmp_path)
    marker = tmp_path / "executed"
    (tmp_path / "code.py").write_text(f"import os\nos.mkdir({str(marker)!r})\nclass Mine: pass\n")
    edit(tmp_path / "tokenizer_config.json", auto_map={"AutoTokenizer": ["code.Mine", "code.Mine"]})
    read_text_tokenizer(tmp_path, vocab_size=64)
    for named in ("Mine", "T5Tokenizer", ["BertTokenizer"]):
        edit(tmp_path / "tokenizer_config.json", tokenizer_class=named)
        with pytest.raises(UserError, match="; give a model with one of BertTokenizer"):
            read_text_tokenizer(tmp_path, vocab_size=64)
    assert not marker.exists()


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-1, 9)
    | st.floats()
    | st.text(max_size=3)
    | st.just([])
    | st.just({})
)
PLACES = [
    ("model", "vocab"),
    ("model", "unk_token"),
    ("model", "type"),
    ("normalizer", "lowercase"),
    ("normalizer", "type"),
]
PLACES += [
    ("model",),
    ("normalizer",),
    ("pre_tokenizer",),
    ("added_tokens",),
    ("post_processor",),
    ("truncation",),
]
PLACES += [
    ("model", "vocab", "zinc"),
    ("model", "vocab", "[CLS]"),
    ("added_tokens", 2, "id"),
    ("added_tokens", 2, "content"),
]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    place=st.sampled_from(PLACES),
    value=VALUES,
    kind=st.sampled_from(["BertTokenizer", "PreTrainedTokenizerFast"]),
)
def test_any_tokenizer_json_gives_transformers_ids_or_is_refused(
    tmp_path_factory, place, value, kind
):
    folder = folder_of(tmp_path_factory.mktemp("any"), kind=kind)
    description = json.loads((folder / "tokenizer.json").read_text())
    parent = description
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    (folder / "tokenizer.json").write_text(json.dumps(description))
    with contextlib.suppress(UserError):
        assert_transformers_ids(folder)


LINES = st.lists(
    st.sampled_from(["a", "##a", "", " ", "\t", "\r", "[unused0]", "\u2028"]) | st.text(max_size=5),
    max_size=8,
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=LINES)
def test_any_vocabulary_gives_transformers_ids_or_is_refused(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("any")
    (folder / "vocab.txt").write_text(
        "\n".join([*SPECIAL_TOKENS, *lines]), encoding="utf-8", newline=""
    )
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with contextlib.suppress(UserError):
        assert_transformers_ids(folder, ["a", "".join(lines), " ".join(lines)])


def test_transformers_is_imported_by_a_conversion_only_and_says_nothing():
    """PyTorch is hidden, which transformers would tell."""
    program = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torch" else find(name, *rest)
import protclip_jax, protclip_jax.convert.__main__
from protclip_jax.convert.quiet_transformers import transformers
assert not {"transformers", "torch"} & sys.modules.keys()
assert not transformers().is_torch_available()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
