"""`--aot`: the step compiled for abstract TPUs, in subprocesses because JAX keeps its platform."""

import json
import subprocess
import sys
from typing import NamedTuple

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.aot.report import needed_bytes
from protclip_jax.aot.topology import topology_devices

pytest.importorskip("libtpu", reason="libtpu, of the [tpu] extra, is not installed")

SMALL = [
    "--config.batch.rows=8",
    "--config.batch.protein_tokens=256",
    "--config.batch.text_tokens=256",
    "--config.tokenizer.max_protein_tokens=256",
    "--config.tokenizer.max_text_tokens=64",
    "--config.model.protein.num_layers=3",
    "--config.model.protein.hidden_size=256",
    "--config.model.protein.num_heads=4",
    "--config.model.protein.intermediate_size=512",
    "--config.model.text.num_layers=2",
    "--config.model.text.hidden_size=128",
    "--config.model.text.num_heads=2",
    "--config.model.text.intermediate_size=256",
    "--config.model.projection_dim=128",
    "--config.model.num_prototypes=128",
    "--config.mesh.fsdp=2",
    "--config.model.remat=full",
]


def aot(topology, *options):
    """Returns (exit code, report or None, stderr)."""
    command = [
        sys.executable,
        "train.py",
        "--config",
        "configs/protclip_650m.py",
        f"--aot={topology}",
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


CONTRAST = [f"--config.loss.{name}=0" for name in ("bsr", "mlm", "pda")]
"""Only the global contrast; every further masked objective adds a pass."""


class Objectives(NamedTuple):
    """What is trained: options, and protein tower passes per step."""

    options: list[str]
    passes: int


PARAMS = [
    pytest.param(Objectives(CONTRAST, 1), id="contrast"),
    pytest.param(Objectives([], 3), id="all", marks=pytest.mark.soak),
]


@pytest.fixture(scope="module", params=PARAMS)
def objectives(request):
    return request.param


@pytest.fixture(scope="module")
def small(objectives):
    code, report, errors = aot("v5e:2x2", *SMALL, *objectives.options)
    assert code == 0, errors
    return report


@pytest.fixture(scope="module")
def deeper(objectives):
    """Adds two protein layers."""
    options = [option.replace("num_layers=3", "num_layers=5") for option in SMALL]
    code, report, errors = aot("v5e:2x2", *options, *objectives.options)
    assert code == 0, errors
    return report


def test_the_report_says_what_fits_and_at_what_rate(small):
    assert small["topology"] == "v5e:2x2"
    assert small["devices"] == 4
    assert small["mesh"] == {"data": 2, "fsdp": 2}
    assert small["fits"]
    assert (
        0
        < small["hbm_bytes_per_device"]
        == sum(small["hbm"].values())
        < small["hbm_capacity_bytes"]
    )
    assert (
        small["predicted_step_seconds"] >= small["flops_per_device"] / small["rates"]["peak_flops"]
    )
    assert small["run_steps"] == round(35 * 1_215_000 / small["pairs_per_step"])
    hours = small["run_steps"] * small["predicted_step_seconds"] * small["devices"] / 3600
    assert small["run_chip_hours"] == pytest.approx(hours)
    assert small["pairs_per_second"] == pytest.approx(
        small["pairs_per_step"] / small["predicted_step_seconds"]
    )
    # Eight rows of 256 tokens hold about one protein each.
    assert 8 <= small["pairs_per_step"] < 16


def test_flops_are_those_of_the_layers_times_their_number(objectives, small, deeper):
    """FLOPs of a protein layer's products, from the difference between two depths."""
    tokens = objectives.passes * 2 * 256
    # Forward, backward twice, and the forward products again except for the last, whose result is
    # not read.
    a_layer = 2 * tokens * (4 * (4 * 256**2 + 2 * 256 * 512) - 256 * 512)
    products = (deeper["flops_per_device"] - deeper["attention_kernel_flops_per_device"]) - (
        small["flops_per_device"] - small["attention_kernel_flops_per_device"]
    )
    assert products == pytest.approx(2 * a_layer, rel=0.02)


def test_a_layer_gathers_its_weights_twice_and_scatters_their_gradients(small, deeper):
    """Shards over two devices; the other pair of devices adds its gradients."""
    weights = 2 * (4 * 256**2 + 2 * 256 * 512)

    def added(kind):
        reports = deeper["collectives"], small["collectives"]
        sent_deeper, sent = (report[kind]["bytes_sent"] for report in reports)
        return sent_deeper - sent

    # bfloat16 in the forward and backward pass; float32 for the gradients, half of which each
    # device keeps.
    assert added("all-gather") == 2 * 2 * weights / 2
    assert added("reduce-scatter") == 4 * weights / 2
    whole = deeper["collective_bytes_if_scatters_are_sums"]
    scattered = deeper["collectives"]["reduce-scatter"]["bytes_sent"]
    assert whole == deeper["collective_bytes_per_device"] + scattered


def test_no_gather_is_larger_than_one_weight_or_the_batch_of_embeddings(small):
    largest_weight, embeddings = 256 * 3 * 256 * 2, 8 * 16 * 128 * 4
    assert small["collectives"]["all-gather"]["largest"] <= max(largest_weight, embeddings)
    assert small["collectives"].keys() <= {
        "all-gather",
        "all-reduce",
        "reduce-scatter",
        "collective-permute",
    }


def test_what_does_not_fit_ends_with_1_and_says_by_how_much():
    wide = [
        "--config.batch.rows=4096",
        "--config.model.remat=none",
        "--config.model.protein.num_layers=8",
    ]
    code, report, errors = aot(
        "v5e:2x2",
        *[x for x in SMALL if "batch.rows" not in x and "protein.num_layers" not in x],
        *wide,
    )
    assert code == 1, errors
    assert "GiB more than a v5e:2x2 device" in errors
    assert not report["fits"]
    assert report["hbm_bytes_per_device"] > report["hbm_capacity_bytes"]


@pytest.mark.parametrize(
    ("message", "needed"),
    [
        (
            "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 3.5G of 1.25G "
            "hbm. Exceeded by 2G.",
            3.5 * 2**30,
        ),
        (
            "RESOURCE_EXHAUSTED: the total memory required for HLO temporaries (2.50M) "
            "exceeds available HBM",
            2.5 * 2**20 + 7,
        ),
        ("RESOURCE_EXHAUSTED: something else", None),
        ("INTERNAL: Used 3.5G of 1.25G hbm", None),
    ],
)
def test_a_shortfall_counts_the_arguments_once(message, needed):
    assert needed_bytes(message, argument_bytes=7) == needed


@pytest.mark.soak
def test_auto_takes_the_first_remat_policy_that_fits():
    changed = ("batch.rows", "model.remat", "protein.num_layers")

    def is_changed(option):
        return any(name in option for name in changed)

    options = [option for option in SMALL if not is_changed(option)]
    code, report, errors = aot(
        "v5e:2x2", *options, "--config.batch.rows=1024", "--config.model.protein.num_layers=16"
    )
    assert code == 0, errors
    assert report["remat"] == "dots"
    assert report["fits"]


@pytest.mark.parametrize("topology", ["v5e:3x5", "h300:8", "h100:0", "h100:8x2x2", "v5e"])
def test_an_unknown_topology_is_one_sentence(topology):
    with pytest.raises(UserError, match=f"--aot={topology}; .*v5e:8x8"):
        topology_devices(topology)


def test_a_mesh_that_does_not_go_with_the_devices_is_one_sentence():
    code, report, errors = aot("v5e:2x2", "--config.mesh.fsdp=3")
    assert (code, report) == (2, None)
    assert "mesh.fsdp=3 does not use all 4 devices" in errors
    assert "Traceback" not in errors
