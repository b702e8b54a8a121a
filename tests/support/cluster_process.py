"""Joins whatever cluster the environment describes: `python -m tests.support.cluster_process
[tpu_vm|kubernetes|impatient]`.

Prints this process's number, how many there are, and which GPUs it sees. `tpu_vm` and `kubernetes`
stand in for what a machine there has beside its environment; `impatient` gives absent hosts up
early.
"""

import os
import sys

if "tpu_vm" in sys.argv:
    os.environ["JAX_FORCE_TPU_INIT"] = "1"

import jax
from jax._src import xla_bridge
from jax._src.clusters.k8s_cluster import K8sCluster

from data_pipelines.common.errors import command
from protclip_jax.distributed import multihost


@command
def main():
    """Joins, and says so."""
    if "tpu_vm" in sys.argv:
        # JAX sets it on a machine without a TPU chip.
        del os.environ["TPU_SKIP_MDS_QUERY"]
    if "kubernetes" in sys.argv:
        K8sCluster._namespace = classmethod(lambda cls: "default")
    if "impatient" in sys.argv:
        multihost.NOTE_SECONDS, multihost.JOIN_SECONDS = 1, 3
    with multihost.joined():
        print(
            jax.process_index(),
            "of",
            jax.process_count(),
            "sees",
            xla_bridge.CUDA_VISIBLE_DEVICES.value,
        )


if __name__ == "__main__":
    sys.exit(main())
