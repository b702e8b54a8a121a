"""Progress messages of a run: setup, evaluations and end."""

import math
import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from data_pipelines.training.sampling import make_sampler
from protclip_jax.config.schema import completed
from protclip_jax.distributed.sharding import make_mesh
from protclip_jax.training import run_messages
from protclip_jax.training.train_state import TrainState


def test_the_beginning_says_what_is_trained_on_what_and_where():
    tower = {"num_layers": 2, "hidden_size": 32}
    config = {
        "model": {"protein": tower, "text": tower | {"num_layers": 1}},
        "loss": completed({})["loss"] | {"gc": 1.0, "bsr": 0.7, "mlm": 0.0, "pda": 0.0},
        "data": {"dir": "made/protanno"},
        "batch": {"rows": 8},
    }
    trainable, frozen = {"protein/a": np.zeros((3, 4))}, {"text/b": np.zeros(1000)}
    state = TrainState(jax.numpy.int32(0), trainable, frozen, ())
    sampler = SimpleNamespace(sizes=(1500, 20, 3), weights=(1, 0, 2), epoch_draws=1600)
    lines = run_messages.beginning(config, state, SimpleNamespace(sampler=sampler), make_mesh(4, 2))
    assert lines == [
        "model: protein 2 layers × 32, text 1 layer × 32; 12 of 1,012 parameters are "
        "trained; the text tower is frozen.",
        "objectives: gc 1, bsr 0.7.",
        "data: 1,503 training records in 2 clusters of made/protanno; config.sampling excludes 20; "
        "one epoch is 1,600 draws.",
        "devices: 8 × cpu on 1 host, as data 4 × fsdp 2; 8 rows per step.",
    ]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (0, "steps: 0 to 1,000, into run."),
        (250, "steps: resuming run after step 250 of 1,000."),
        (1000, "steps: all 1,000 are done; run is unchanged."),
    ],
)
def test_a_run_says_from_which_step_it_goes(step, message):
    assert run_messages.steps(step, 1000, "run") == message


def test_an_evaluation_is_one_line():
    metrics = {
        "retrieval/r1": 0.125,
        "retrieval/mrr": 0.21053,
        "ec/f1/macro": math.nan,
        "losses/gc": 3,
    }
    found = "step 1,500: retrieval r1 0.125, mrr 0.2105; ec f1/macro none; losses gc 3."
    assert run_messages.evaluation(1500, metrics) == found


def test_the_end_says_what_can_be_done_next():
    assert "--checkpoint run" in run_messages.ending(1500, workdir="run", done=True)
    stopped = run_messages.ending(1500, workdir="run", done=False)
    assert stopped.startswith("stopped: step 1,500 is saved in run; rerun the same command")


def test_a_source_that_is_rarely_drawn_is_named():
    sizes = {"swissprot/C1/R4": 100, "trembl/C3/R4": 300, "trembl/C4/R4": 5000}
    # TrEMBL has three quarters of the 400 records that are drawn, and 300 / 27 : 100 of the draws.
    found = run_messages.rarely_drawn(make_sampler(sizes, seed=0))
    assert len(found) == 1
    assert re.search(r"trembl .*75%.*10\.0%.*sampling\.sources", found[0])
    assert (
        run_messages.rarely_drawn(
            make_sampler(sizes, seed=0, sources={"swissprot": 1, "trembl": 1})
        )
        == []
    )
    assert run_messages.rarely_drawn(make_sampler({"swissprot/C1/R4": 100}, seed=0)) == []
