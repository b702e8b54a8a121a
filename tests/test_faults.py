"""A run whose data make steps fail: they are skipped and written out, until there are too many."""

import json

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

import protclip_jax.config.build as config_lib
import protclip_train as train
from data_pipelines.protanno.dataset import open_dataset, split_name
from data_pipelines.protanno.record import property_texts
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from data_pipelines.training.examples import plain_example
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.parameters import save_params
from protclip_jax.models.initialize import init_params
from protclip_jax.models.protclip import ProtCLIPModel
from tests.support.training_runs import arguments, records

HOLDERS = 6
"""Training records that hold the word which stands for bad data."""


@pytest.fixture(scope="module")
def poison(sample_dataset, tmp_path_factory):
    """(a checkpoint with too large numbers for one rare word, the accessions of the training
    records that hold it)."""
    folder = tmp_path_factory.mktemp("poison") / "checkpoint"
    tokenizer = TextTokenizer.load(sample_dataset / "vocab.txt")
    dataset = open_dataset(sample_dataset / "protanno")
    holders = {}
    for cluster in dataset.statistics["clusters"]:
        for record in dataset.splits.get(split_name(cluster), ()):
            example = plain_example(
                record.sequence,
                property_texts(record),
                text_tokenizer=tokenizer,
                max_text_tokens=32,
            )
            for token in set(example.text_tokens.tolist()):
                holders.setdefault(token, set()).add(record.accession)
    token = min(holders, key=lambda token: (abs(len(holders[token]) - HOLDERS), token))
    config = train.parse_flags(arguments(sample_dataset, folder)).config
    model = ProtCLIPModel(
        config_lib.model_config(config, text_vocab_size=len(tokenizer.vocabulary))
    )
    params = jax.tree.map(np.array, jax.jit(lambda: init_params(model, jax.random.key(0)))())
    # Finite, as NaN would be refused; the sum over a row of it is not.
    params["text"]["token_embedding"]["embedding"][token] = np.finfo(np.float32).max
    metadata.write_metadata(folder, config.to_dict(), tokenizer)
    save_params(folder, params)
    return folder, holders[token]


FEW = ["--config.loss.bsr=0", "--config.loss.pda=0"]


@pytest.mark.parametrize(
    "fewer",
    [pytest.param(FEW, id="few objectives"), pytest.param([], id="all", marks=pytest.mark.soak)],
)
def test_bad_records_are_skipped_and_named_until_they_are_too_many(
    sample_dataset, poison, tmp_path, capfd, monkeypatch, fewer
):
    monkeypatch.setattr(train, "make_hooks", lambda *of_config: [])
    bad, accessions = poison
    run = tmp_path / "run"
    more = [f"--config.init.all={bad}", "--config.total_steps=12", *fewer]
    argv = arguments(sample_dataset, run, *more)
    assert train.main([*argv, "--config.max_skipped_steps=1"]) == 1
    errors = capfd.readouterr().err
    assert errors.count("was skipped: its loss or gradient is not finite") == 2
    (found,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert "max_skipped_steps is 1" in found
    stopped = sorted(path.name for path in (run / "faults").iterdir())
    assert len(stopped) == 2

    # The same line again is no way past the limit.
    assert train.main([*argv, "--config.max_skipped_steps=1"]) == 1
    capfd.readouterr()

    # A restart counts what was skipped before its checkpoint and meets the rest again.
    assert (
        train.main([*argv, "--config.max_skipped_steps=9", "--config.gradient_norms_every=12"]) == 0
    )
    faults = [json.loads(path.read_text()) for path in sorted((run / "faults").iterdir())]
    assert f"({len(faults)} of at most 9)" in capfd.readouterr().err
    logged = {record["step"]: record for record in records(run) if "loss" in record}
    skipped = [step for step, record in logged.items() if record["skipped_steps"]]
    assert [fault["step"] for fault in faults] == skipped
    assert 2 <= len(faults) < 12
    for fault in faults:
        blamed = {row["accession"] for row in fault["records"] if not row["finite_embedding"]}
        assert blamed == {row["accession"] for row in fault["records"]} & accessions
        assert blamed
        assert fault["losses"]["gc"] == "nan"
        assert logged[fault["step"]]["loss"] is None
    assert all(
        record["loss"] is not None for record in logged.values() if not record["skipped_steps"]
    )
    norms = [record for record in records(run) if "gradient_norm/gc" in record]
    assert [record["step"] for record in norms] == [12]

    trained, start = (
        ocp.load_checkpointables((folder / "checkpoints" / step).absolute())["params"]
        for folder, step in ((run, "12"), (bad, "0"))
    )
    assert np.isfinite(trained["protein"]["token_embedding"]["embedding"]).all()
    assert (
        trained["protein"]["token_embedding"]["embedding"]
        != start["protein"]["token_embedding"]["embedding"]
    ).any()
