import dataclasses
import json
import os
import random
import subprocess
import sys
from types import SimpleNamespace

import pytest

from data_pipelines import vocabulary
from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import Record, biotext, with_names
from data_pipelines.tokenizers.text_tokenizer import SPECIAL_TOKENS, TextTokenizer

LEARN = (
    "import json, sys; from data_pipelines.vocabulary import learn_vocabulary; texts, size = "
    "json.load(sys.stdin); "
)
LEARN += "json.dump(learn_vocabulary(texts, size=size), sys.stdout)"


def texts_of(seed):
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefgh", k=rng.randint(2, 8))) for _ in range(400)]
    return [" ".join(["FUNCTION: Kinase É", *rng.choices(words, k=30)]) for _ in range(150)]


TEXTS = texts_of(0)


def test_special_tokens_come_first_and_the_size_is_kept():
    learnt = vocabulary.learn_vocabulary(TEXTS, size=300)
    assert learnt[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert len(learnt) == len(set(learnt)) == 300
    # Frequent words become whole tokens, in lower case; accents go.
    assert {"function", "kinase", "e"} <= set(learnt)
    assert not {"É", "é", "F"} & set(learnt)


def test_every_text_is_covered():
    tokenizer = TextTokenizer(vocabulary.learn_vocabulary(TEXTS, size=250))
    for text in TEXTS:
        assert tokenizer.unk_id not in tokenizer.encode(text, max_tokens=4096)
    assert tokenizer.unk_id not in tokenizer.encode("Zinc (Zn2+) x/y, 37-fold?")


def test_same_vocabulary_in_every_process_and_order():
    shuffled = random.Random(1).sample(TEXTS, len(TEXTS))
    learnt = []
    for hash_seed, texts in [("1", TEXTS), ("2", shuffled)]:
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "RAYON_NUM_THREADS": hash_seed}
        run = subprocess.run(
            [sys.executable, "-c", LEARN],
            input=json.dumps([texts, 400]),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        learnt.append(json.loads(run.stdout))
    assert learnt[0] == learnt[1] == vocabulary.learn_vocabulary(TEXTS, size=400)


def test_size_below_the_characters_is_refused():
    with pytest.raises(UserError, match="--size 10 is too small"):
        vocabulary.learn_vocabulary(TEXTS, size=10)


def records_named(*names):
    return [Record("P1", "A_B", "swissprot", "MKT", 1, name) for name in names]


@pytest.fixture
def dataset(monkeypatch):
    splits = {
        "swissprot_c1_r1": records_named(*["alpha one"] * 6),
        "trembl_c3_r1": records_named(*["beta two"] * 4),
        "validation": records_named(*["gamma"] * 6),
        "test": records_named(*["delta"] * 6),
    }

    def open_dataset(directory, *, names):
        read = {}
        for name, split in splits.items():
            read[name] = [with_names(one, names) for one in split]
        return SimpleNamespace(splits=read)

    monkeypatch.setattr(vocabulary, "open_dataset", open_dataset)
    return splits


def test_command_learns_from_the_training_splits(dataset, tmp_path, capsys):
    output = tmp_path / "new" / "vocab.txt"
    assert vocabulary.main(["--data_dir", "DIR", "--output", str(output), "--size", "400"]) == 0
    learnt = output.read_text(encoding="utf-8").splitlines()
    assert f"wrote {output}: {len(learnt)} tokens from " in capsys.readouterr().err.splitlines()[-1]
    assert learnt[:5] == list(SPECIAL_TOKENS)
    assert {"alpha", "beta"} <= set(learnt)
    # Words that only held-out records have.
    assert not {"gamma", "delta"} & set(learnt)


def test_large_datasets_are_thinned_evenly(dataset):
    texts = list(vocabulary.training_texts("DIR", max_records=5))
    assert texts == [
        biotext(record)
        for record in [*dataset["swissprot_c1_r1"][::2], *dataset["trembl_c3_r1"][::2]]
    ]


def test_words_of_other_names_are_learnt_if_asked_for(dataset, tmp_path):
    for index, record in enumerate(dataset["swissprot_c1_r1"]):
        dataset["swissprot_c1_r1"][index] = dataclasses.replace(record, other_names=("omega",))
    for names, learnt in (("recommended", False), ("all", True)):
        output = tmp_path / names
        assert (
            vocabulary.main(
                ["--data_dir", "DIR", "--output", str(output), "--size", "400", "--names", names]
            )
            == 0
        )
        assert ("omega" in output.read_text(encoding="utf-8").splitlines()) == learnt


def test_dataset_without_training_records_is_one_sentence(dataset, tmp_path, capsys):
    dataset["swissprot_c1_r1"].clear()
    dataset["trembl_c3_r1"].clear()
    assert vocabulary.main(["--data_dir", "DIR", "--output", str(tmp_path / "vocab.txt")]) == 2
    assert "error: DIR " in capsys.readouterr().err
