"""Folders from strangers at the commands that read them: one sentence, exit code 2, nothing run,
nothing written elsewhere."""

import json
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import protclip_train
from data_pipelines import vocabulary
from data_pipelines.build import __main__ as build
from data_pipelines.common.errors import UserError
from data_pipelines.download import __main__ as download
from data_pipelines.report import __main__ as report
from data_pipelines.sample import __main__ as sample
from data_pipelines.tokenizers.text_tokenizer import UNCASED, TextTokenizer, wordpiece
from eval import __main__ as eval_command
from eval.reporting.report import write_report
from eval.reporting.training_figures import training_figures
from protclip_jax.checkpoints import workdir
from protclip_jax.convert import __main__ as convert_command
from protclip_jax.embed import __main__ as embed
from protclip_jax.explain import __main__ as explain
from protclip_jax.index import __main__ as index
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.search import __main__ as search
from protclip_jax.serve import __main__ as serve
from protclip_jax.training import metrics, mixture
from protclip_jax.training.initial_state import check_fit
from protclip_jax.variants import __main__ as variants
from tests.support import hostile_checkpoint
from tests.support.hostile_checkpoint import edit_config


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return hostile_checkpoint.make(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def copied(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "checkpoint")


def refused(capsys, main, *arguments) -> str:
    """The one sentence of a command that exits with 2."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert line.isprintable()
    return line


def commands(folder, tmp_path):
    """Each command that reads a checkpoint, with its arguments."""
    fasta = tmp_path / "x.fasta"
    fasta.write_text(">a\nMKTAYIAK\n")
    return {
        "embed": (
            embed.main,
            "--checkpoint",
            folder,
            "--input",
            fasta,
            "--output",
            tmp_path / "o.h5",
        ),
        "index": (index.main, "--checkpoint", folder, "--input", fasta, "--output", tmp_path / "i"),
        "search": (
            search.main,
            "--checkpoint",
            folder,
            "--labels",
            tmp_path / "l.tsv",
            "--text",
            "x",
        ),
        "explain": (
            explain.main,
            "--checkpoint",
            folder,
            "--sequence",
            "MKT",
            "--name",
            "X",
            "--output",
            tmp_path / "o.png",
        ),
        "variants": (
            variants.main,
            "--checkpoint",
            folder,
            "--sequence",
            "MKT",
            "--scan",
            "--output",
            tmp_path / "o.tsv",
        ),
        "eval": (eval_command.main, "--checkpoint", folder, "--data_dir", tmp_path),
        "params": (
            convert_command.main,
            "params",
            "--checkpoint",
            folder,
            "--output",
            tmp_path / "p",
        ),
        "to_hf": (
            convert_command.main,
            "to_hf",
            "--checkpoint",
            folder,
            "--output",
            tmp_path / "h",
        ),
    }


CONFIGS = {
    "negative": lambda c: c["config"]["model"]["protein"].update(num_layers=-1),
    "enormous": lambda c: c["config"]["model"]["protein"].update(hidden_size=1 << 40),
    "of another type": lambda c: c["config"]["model"].update(protein=["os.system"]),
    "escapes": lambda c: c["config"]["model"].update(dtype="\x1b[2J\x07\n\u202e"),
    "long": lambda c: c["config"]["model"].update(dtype="x" * 1_000_000),
    "another version": lambda c: c.update(format_version=[[]]),
}


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize(
    "command", ["embed", "index", "search", "explain", "variants", "eval", "params", "to_hf"]
)
def test_every_command_refuses_a_wrong_config(copied, tmp_path, capsys, command, kind):
    edit_config(copied, CONFIGS[kind])
    before = sorted(tmp_path.rglob("*"))
    main, *arguments = commands(copied, tmp_path)[command]
    if command in ("embed", "variants"):
        arguments = [*arguments, "--cpu_devices", 1]
    assert "config.json" in refused(capsys, main, *arguments)
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != "x.fasta"] == before


NO_CHECKPOINTS = {
    "hugging_face": "is a Hugging Face folder; run `python -m protclip_jax.convert hf --protein",
    "checkpoint/checkpoints/0": "give that folder, and its step with --step 0.",
    "checkpoint/checkpoints/007": "give that folder, and its step with --step 7.",
    "back\\slash": "has a backslash, which TensorStore takes for a slash",
    "d\udcff": r"d\udcff' is not UTF-8",
}


@pytest.mark.parametrize("name", NO_CHECKPOINTS)
@pytest.mark.parametrize(
    "command", ["embed", "index", "search", "explain", "eval", "params", "to_hf"]
)
def test_every_command_says_what_a_path_is_that_is_no_checkpoint(
    copied, tmp_path, capsys, monkeypatch, command, name
):
    for other in ("back\\slash", "d\udcff"):
        shutil.copytree(copied, tmp_path / other)
    shutil.copytree(copied / "checkpoints" / "0", copied / "checkpoints" / "007")
    (tmp_path / "hugging_face").mkdir()
    (tmp_path / "hugging_face" / "config.json").write_text('{"model_type": "esm"}')
    monkeypatch.setattr(eval_command, "choose", lambda options: ([], []))
    main, *arguments = commands(tmp_path / name, tmp_path)[command]
    if command == "embed":
        arguments = [*arguments, "--cpu_devices", 1]
    printed = refused(capsys, main, *arguments)
    assert NO_CHECKPOINTS[name] in printed
    assert "damaged" not in printed


def test_no_command_begins_with_arguments_that_are_not_utf8(tmp_path, capsys):
    """Libraries in C++ refuse them in many words of their own."""
    mains = [
        embed.main,
        index.main,
        search.main,
        explain.main,
        eval_command.main,
        convert_command.main,
        serve.main,
    ]
    for main in (
        *mains,
        build.main,
        sample.main,
        vocabulary.main,
        report.main,
        download.main,
        protclip_train.main,
    ):
        assert "is not UTF-8" in refused(capsys, main, "--input", tmp_path / "d\udcff")


def test_a_config_that_the_weights_do_not_fit_allocates_nothing(copied):
    """The largest that a config may ask for: terabytes, which no array of the checkpoint
    confirms."""
    edit_config(
        copied,
        lambda c: c["config"]["model"]["protein"].update(num_layers=1 << 16, hidden_size=1 << 16),
    )
    with pytest.raises(UserError, match="should be"):
        ProtCLIP.load(copied)


def test_weights_to_start_from_are_read_alike(copied):
    config = hostile_checkpoint.CONFIG | {
        "tokenizer": {"text": str(copied / "tokenizers" / "text")}
    }
    check_fit(copied, "text", config)
    edit_config(copied, lambda c: c["config"]["model"].update(text={"num_layers": 1}))
    with pytest.raises(UserError, match=r"lacks the field model\.text\.hidden_size"):
        check_fit(copied, "text", config)


SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOKENIZERS = {
    "vocab.txt": (b"\xff\xfe[PAD]", "utf-8"),
    "tokenizer.json": (b"[" * 300_000, "nested too deeply"),
    "tokenizer_config.json": (b'{"do_lower_case": "yes"}', "WordPiece"),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_damaged_text_tokenizer(copied, capsys, tmp_path, name):
    content, message = TOKENIZERS[name]
    (copied / "tokenizers" / "text" / name).write_bytes(content)
    edit_config(copied, lambda c: None)
    assert message in refused(
        capsys, convert_command.main, "to_hf", "--checkpoint", copied, "--output", tmp_path / "h"
    )


def test_a_large_vocabulary_is_not_read(copied):
    os.truncate(copied / "tokenizers" / "text" / "vocab.txt", 1 << 30)
    with pytest.raises(UserError, match=r"vocab\.txt has changed"):
        ProtCLIP.load(copied)
    edit_config(copied, lambda c: None)
    with pytest.raises(UserError, match="1073741824 bytes"):
        ProtCLIP.load(copied)
    with pytest.raises(UserError, match="more than 1048576"):
        TextTokenizer([*SPECIAL, *map(str, range(1 << 20))])


LINES = st.lists(
    st.sampled_from([*SPECIAL, "a", "##a", "", " ", "\t", "[unused0]", "\ud7ff", "a" * 5000])
    | st.text(max_size=5)
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    lines=LINES,
    whole=st.booleans(),
    options=st.dictionaries(
        st.sampled_from(["do_lower_case", "strip_accents"]),
        st.none() | st.booleans() | st.text(max_size=3),
    ),
)
def test_any_vocabulary_is_read_or_refused(tmp_path_factory, lines, whole, options):
    folder = tmp_path_factory.getbasetemp() / "vocabulary"
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text(
        "\n".join((SPECIAL if whole else []) + lines), encoding="utf-8"
    )
    (folder / "tokenizer_config.json").write_text(json.dumps(options))
    try:
        tokenizer = TextTokenizer.load(folder)
    except UserError:
        return
    tokens = tokenizer.encode("FUNCTION: aa, [MASK] \0\ud7ff", max_tokens=64)
    assert tokens.max() < len(tokenizer.vocabulary)


JSON_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.integers(), max_size=2)
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_tokenizer_description_is_read_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "description"
    folder.mkdir(exist_ok=True)
    words = {token: index for index, token in enumerate(SPECIAL)}
    description = json.loads(wordpiece(words, normalization=UNCASED).to_str())
    words |= data.draw(
        st.dictionaries(st.text(max_size=3), st.integers(0, 8) | JSON_VALUES, max_size=3)
    )
    description["model"]["vocab"] = words
    part = data.draw(st.sampled_from(["normalizer", "pre_tokenizer", "model"]))
    description[part] |= data.draw(
        st.dictionaries(st.sampled_from([*description[part]]), JSON_VALUES, max_size=1)
    )
    description |= data.draw(
        st.dictionaries(st.sampled_from([*description]), JSON_VALUES, max_size=1)
    )
    (folder / "tokenizer.json").write_text(json.dumps(description))
    try:
        TextTokenizer.load(folder)
    except UserError as error:
        assert str(error).isprintable()  # noqa: PT017 - either is right


# --- What evaluation reads of a training run ---

METRICS = [
    b"{",
    b"[1]",
    b"null",
    b'{"loss": 1}',
    b'{"step": "1"}',
    b'{"step": 1, "loss": "x"}',
    b'{"step": 1, "loss": [1]}',
]
METRICS += [
    b'{"step": 1, "loss": ' + b"9" * 4000 + b"}",
    b"[" * 200_000,
    b"\xff",
    b'{"step": 1, "step": 2}',
    b'{"step": true}',
]


@pytest.mark.parametrize("line", METRICS)
def test_damaged_metrics_are_one_sentence(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1, "loss": 2.0}\n' + line)
    with pytest.raises(UserError, match=r"metrics\.jsonl"):
        metrics.read_metrics(tmp_path / "metrics.jsonl")


def test_metrics_and_pools_of_any_size_are_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 1, "eval/retrieval/pool": 1e18, "eval/retrieval/mrr": 0.1}\n'
    )
    with pytest.raises(UserError, match="pool of 1e"):
        training_figures(tmp_path)
    os.truncate(tmp_path / "metrics.jsonl", 1 << 30)
    with pytest.raises(UserError, match="1073741824 bytes"):
        metrics.read_metrics(tmp_path / "metrics.jsonl")


ROW = {"configured": 0.5, "drawn": 3}
MIXTURES = [
    {},
    {"total": 1},
    {"total": "x", "clusters": {}},
    {"total": 1, "clusters": [1]},
    {"total": 1, "clusters": {"a": ROW}},
]
MIXTURES += [
    {"total": 1, "clusters": {"swissprot/C1/R4": row}}
    for row in (1, {}, ROW | {"drawn": "3"}, ROW | {"drawn": -1})
]


@pytest.mark.parametrize("table", MIXTURES)
def test_a_damaged_mixture_is_one_sentence(tmp_path, table):
    (tmp_path / "mixture.json").write_text(json.dumps(table))
    with pytest.raises(UserError, match=r"mixture\.json is damaged"):
        mixture.read(tmp_path / "mixture.json")


# --- Links ---


def test_a_report_is_not_written_through_a_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    output = tmp_path / "eval"
    output.mkdir()
    for name in ("report.md", "report.json", "report.md.partial"):
        (output / name).symlink_to(victim)
    write_report(output, provenance={}, sections={}, figures={}, left_out={})
    assert victim.read_text() == "precious"
    assert not (output / "report.md").is_symlink()
    (output / "figures").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (output / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="figures is a link"):
        write_report(output, provenance={}, sections={}, figures={}, left_out={})


@pytest.mark.parametrize("name", ["eval", "embeddings"])
def test_evaluation_does_not_write_where_the_checkpoint_points(copied, tmp_path, capsys, name):
    (tmp_path / "elsewhere").mkdir()
    (copied / name).symlink_to(tmp_path / "elsewhere")
    assert f"{name} is a link" in refused(capsys, eval_command.main, "--checkpoint", copied)


@pytest.mark.parametrize("name", ["metrics.jsonl", "lock", "checkpoints"])
@pytest.mark.parametrize("victim", ["file", "folder", "nothing"])
def test_training_does_not_write_where_a_workdir_points(tmp_path, name, victim):
    (tmp_path / "run").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / victim)
    with pytest.raises(UserError, match=rf"{name} is a link"):
        workdir.lock(tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "new")
    (tmp_path / "new").mkdir()
    with workdir.lock(tmp_path / "link"):
        assert (tmp_path / "new" / "lock").exists()


@pytest.mark.parametrize("taken", ["dangling", "full"])
def test_a_conversion_makes_a_new_folder_only(copied, tmp_path, capsys, taken):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("precious")
    (tmp_path / "out").symlink_to(tmp_path / taken)
    arguments = ["params", "--checkpoint", str(copied), "--output", str(tmp_path / "out")]
    if taken == "full":
        assert "not empty" in refused(capsys, convert_command.main, *arguments)
    else:
        assert convert_command.main(arguments) == 0
        assert (tmp_path / "dangling" / "config.json").exists()
    assert (tmp_path / "full" / "x").read_text() == "precious"
