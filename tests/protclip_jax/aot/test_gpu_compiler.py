"""What XLA's compiler makes of the kernels and the step for abstract GPUs; nothing runs on one."""

import json
import re

import pytest

from protclip_jax.distributed.chips import GPUS, MULTIPROCESSORS
from tests.support import gpu_compiler

KERNELS = {"_forward_kernel", "_query_gradient_kernel", "_key_gradient_kernel"}
TARGETS = ("a100:bfloat16", "h100:bfloat16", "l4:float32", "t4:bfloat16")
LEAST_SHARED = min(
    MULTIPROCESSORS[gpu.capability].shared_bytes_of_block
    for name, gpu in GPUS.items()
    if name != "t4"
)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    done = gpu_compiler.run("-m", "tests.support.gpu_kernels", str(folder), *TARGETS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("target", [target for target in TARGETS if "t4" not in target])
def test_kernels_spill_no_register_and_fit_every_gpu(kernels, target):
    """A kernel that spills gets no code here."""
    assert "error" not in kernels[target]
    shared = kernels[target]["shared_bytes"]
    assert shared.keys() == kernels[target]["instructions"].keys() == KERNELS
    assert 0 < max(shared.values()) < LEAST_SHARED


def test_kernels_multiply_on_tensor_cores_in_bfloat16_and_beside_them_in_float32(kernels):
    """Tensor cores would round float32 to TF32."""

    def used(target, word):
        return [counts[word] > 0 for counts in kernels[target]["instructions"].values()]

    assert all(used("h100:bfloat16", "wgmma.mma_async"))
    assert all(used("a100:bfloat16", "mma.sync"))
    assert not any(used("l4:float32", "mma.sync"))


def test_gpus_without_triton_are_those_that_auto_spares_it(kernels):
    assert "compute capability 8.0" in kernels["t4:bfloat16"]["error"]


LAYERS, ROWS, TOKENS, HEADS, DIM = 2, 8, 256, 2, 64
SMALL = [
    f"--config.batch.rows={ROWS}",
    f"--config.batch.protein_tokens={TOKENS}",
    f"--config.batch.text_tokens={TOKENS}",
    f"--config.tokenizer.max_protein_tokens={TOKENS}",
    "--config.tokenizer.max_text_tokens=64",
    f"--config.model.protein.num_layers={LAYERS}",
    "--config.model.text.num_layers=1",
    "--config.model.projection_dim=64",
    "--config.model.num_prototypes=64",
    "--config.mesh.fsdp=2",
    "--config.model.remat=full",
    # Each objective has its own kernels to compile.
    "--config.loss.bsr=0",
    "--config.loss.mlm=0",
    "--config.loss.pda=0",
]
for tower in ("protein", "text"):
    SMALL += [
        f"--config.model.{tower}.hidden_size={HEADS * DIM}",
        f"--config.model.{tower}.num_heads={HEADS}",
        f"--config.model.{tower}.intermediate_size=256",
    ]


@pytest.fixture(scope="module")
def small():
    command = ("train.py", "--config", "configs/protclip_650m.py", "--aot=h100:1x2")
    done = gpu_compiler.run(*command, *SMALL)
    assert done.returncode == 0, done.stderr
    # Without a driver the plugin prints a lot, unless its log level is raised.
    assert not re.search("driver|cuInit|Traceback|CUDA", done.stderr)
    return json.loads(done.stdout)


def test_the_step_compiles_for_gpus_of_two_hosts(small):
    assert small["topology"] == "h100:1x2"
    assert small["mesh"] == {"data": 1, "fsdp": 2}
    assert small["attention"] == "triton"
    assert small["fits"]
    assert sum(small["hbm"].values()) == small["hbm_bytes_per_device"]
    assert small["hbm_bytes_per_device"] < small["hbm_capacity_bytes"]
    assert min(small["hbm"]["arguments"], small["hbm"]["temporaries"]) > 0
    # The network between hosts is slower than NVLink.
    assert small["rates"]["link_bytes_per_second"] == 50e9
    assert small["collectives"].keys() <= {"all-gather", "all-reduce", "reduce-scatter"}
    assert small["not_counted"]


def test_kernels_count_the_blocks_of_expected_rows(small):
    """Counts the products per pair of blocks.

    There are two in the forward pass and, with full remat, the same two and seven more in the
    backward pass. The frozen text tower only has the forward pass.
    """
    share = small["expected_row"]["visited_attention_blocks"][str(TOKENS)]
    product = 2 * DIM * HEADS * (ROWS // 2) * TOKENS**2 * share
    assert 0 < share < 1
    assert small["attention_kernel_flops_per_device"] == pytest.approx(product * (11 * LAYERS + 2))
