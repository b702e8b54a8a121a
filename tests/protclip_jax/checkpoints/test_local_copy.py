"""`--checkpoint gs://…`: what is copied of a checkpoint in a bucket, and that it is the same
model."""

import jax
import numpy as np
import pyarrow.parquet
import pytest

from data_pipelines.common.errors import UserError
from eval import __main__ as evaluation
from protclip_jax import ProtCLIP
from protclip_jax.checkpoints.best import resolve_step
from protclip_jax.checkpoints.local_copy import local_checkpoint
from protclip_jax.checkpoints.manager import CheckpointManager
from protclip_jax.embed import __main__ as embed
from tests.support import searching, tiny


@pytest.fixture
def folder(gcs, tmp_path):
    """A workdir with three steps, of which the second is best; also as gs://bucket/run."""
    folder = searching.make_checkpoint(tmp_path / "run")
    with CheckpointManager(folder, keep_best=3) as store:
        for step, mrr in ((2, 0.1), (4, 0.3), (6, 0.2)):
            params = jax.tree.map(lambda x, by=step: x + 1e-3 * by, tiny.params())
            store.save(
                step,
                params=params,
                optimizer={"count": np.zeros((), np.int32)},
                data=np.zeros(3),
                metrics={"retrieval/mrr": mrr},
            )
    upload(gcs, folder)
    return folder


def upload(gcs, folder):
    for path in folder.rglob("*"):
        if path.is_file():
            gcs.put(f"bucket/run/{path.relative_to(folder).as_posix()}", path.read_bytes())


def test_a_folder_is_used_as_it_is(tmp_path):
    assert local_checkpoint(tmp_path) == tmp_path
    assert local_checkpoint("runs/demo").as_posix() == "runs/demo"


def test_the_model_in_a_bucket_is_the_model(gcs, folder):
    for step in (None, 2, "latest"):
        assert (
            ProtCLIP.load("gs://bucket/run", step=step).fingerprint
            == ProtCLIP.load(folder, step=step).fingerprint
        )


def test_only_the_parameters_of_the_step_are_copied(gcs, folder):
    gcs.requests.clear()
    copy = local_checkpoint("gs://bucket/run", "latest")
    assert resolve_step(copy) == resolve_step(folder) == 4
    assert resolve_step(copy, "latest") == 6
    assert [path.parts[-3] for path in copy.glob("checkpoints/*/params/_METADATA")] == ["6"]
    assert not [path for path in copy.glob("checkpoints/*/optimizer/**/*") if path.is_file()]
    assert not [path for method, path in gcs.requests if method != "GET"]


def test_damage_in_the_bucket_is_reported(gcs, folder):
    name = next(
        name for name in gcs.names("bucket/run/checkpoints/4/params/") if gcs.objects[name].content
    )
    content = bytearray(gcs.objects[name].content)
    content[len(content) // 2] ^= 1
    gcs.put(name, content)
    with pytest.raises(
        UserError, match=r"bucket/run/checkpoints/4 is damaged \(params/.* is not as it was saved\)"
    ):
        ProtCLIP.load("gs://bucket/run")


def test_an_unsealed_step_does_not_count(gcs, folder):
    del gcs.objects["bucket/run/checkpoints/6/SHA256SUMS"]
    with pytest.raises(UserError, match="has no step 6; it has 2, 4"):
        local_checkpoint("gs://bucket/run", 6)


def test_what_is_no_checkpoint_is_reported(gcs):
    with pytest.raises(UserError, match=r"bucket/nothing .*config.json and checkpoints/"):
        local_checkpoint("gs://bucket/nothing")


def test_commands_read_a_bucket(gcs, folder, tmp_path):
    fasta = tmp_path / "x.fasta"
    fasta.write_text(">a\nMKTAYIAKQR\n>b\nGGHHLLKK\n")
    outputs = []
    for checkpoint, name in ((folder, "one.parquet"), ("gs://bucket/run", "two.parquet")):
        output = tmp_path / name
        assert (
            embed.main(
                ["--checkpoint", str(checkpoint), "--input", str(fasta), "--output", str(output)]
            )
            == 0
        )
        outputs.append(pyarrow.parquet.read_table(output).to_pylist())
    assert len(outputs[0]) == 2
    assert outputs[0] == outputs[1]


def test_an_evaluation_of_a_bucket_wants_a_folder_for_its_report(gcs, folder, capsys):
    assert evaluation.main(["--checkpoint", "gs://bucket/run"]) == 2
    assert (
        "--output is missing; name a folder for the report on gs://bucket/run"
        in capsys.readouterr().err
    )
