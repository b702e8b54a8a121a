"""Processes find each other on every kind of cluster; real processes, simulated environments."""

import contextlib
import http.server
import os
import socket
import subprocess
import sys
import threading

import pytest

from data_pipelines.common.errors import RunError, UserError
from protclip_jax.distributed import multihost
from tests.support.paths import ROOT
from tests.support.training_runs import free_port

FAKE_KUBERNETES = '''
"""A cluster whose only job has two pods."""
from types import SimpleNamespace as Thing

class config:
    load_incluster_config = staticmethod(lambda: None)

class Core:
    def list_namespaced_pod(self, namespace, field_selector):
        owner = Thing(controller=True, kind="Job")
        return Thing(items=[Thing(metadata=Thing(name="run-0", labels={"job-name": "run"}, owner_references=[owner]))])

class Batch:
    def read_namespaced_job(self, name, namespace):
        return Thing(spec=Thing(parallelism=2))

class client:
    CoreV1Api, BatchV1Api = Core, Batch
    class exceptions:
        class ApiException(Exception):
            pass
'''

CLUSTER_VARIABLES = (
    "JAX_COORD",
    "JAX_NUM_",
    "JAX_PROCESS_ID",
    "JAX_LOCAL",
    "SLURM_",
    "OMPI_",
    "KUBERNETES_",
    "JOB_",
    "TPU_",
)


def run_processes(*environments, program="", path=()):
    """Starts a process per set of variables; returns exit codes, stdout and stderr."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(CLUSTER_VARIABLES)
    }
    clean |= {"JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join([*map(str, path), str(ROOT)])}
    command = [sys.executable, "-m", "tests.support.cluster_process", program]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen(command, env=clean | environment, **pipes) for environment in environments
    ]
    try:
        outputs = [process.communicate(timeout=100) for process in started]
    finally:
        for process in started:
            process.kill()
    return [
        (process.returncode, out.strip(), err)
        for process, (out, err) in zip(started, outputs, strict=True)
    ]


def answers(*environments, **options):
    results = run_processes(*environments, **options)
    assert [code for code, _, _ in results] == [0] * len(results), results
    return [out for _, out, _ in results]


def test_without_a_cluster_one_process_runs_and_says_nothing():
    assert run_processes({}) == [(0, "0 of 1 sees all", "")]


class Metadata(http.server.BaseHTTPRequestHandler):
    """What a TPU VM's metadata server tells one worker of a slice of two."""

    def do_GET(self):
        attributes = {
            "agent-worker-number": str(self.server.worker),
            "worker-network-endpoints": "127.0.0.1,127.0.0.1",
            "tpu-env": "ACCELERATOR_TYPE: 'v5litepod-16'\n",
        }
        answer = attributes.get(self.path.rpartition("/")[2])
        self.send_response(200 if answer else 404)
        self.end_headers()
        self.wfile.write((answer or "").encode())

    def log_message(self, *args):
        """Logs nothing."""


@contextlib.contextmanager
def metadata_server(worker):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        server.worker = worker
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"GCE_METADATA_IP": f"127.0.0.1:{server.server_port}"}
        server.shutdown()


def test_the_hosts_of_a_tpu_vm_slice_find_each_other_through_its_metadata_server():
    with metadata_server(0) as first, metadata_server(1) as second:
        port = {"JAX_COORDINATOR_PORT": str(free_port())}
        assert answers(first | port, second | port, program="tpu_vm") == [
            "0 of 2 sees all",
            "1 of 2 sees all",
        ]


def slurm(index, *, nodes, **more):
    """The variables of one of a step's two tasks."""
    return {
        "SLURM_JOB_ID": "4242",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_NUM_NODES": str(nodes),
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": str(index),
        "SLURM_LOCALID": str(index % (2 // nodes)),
        "CUDA_VISIBLE_DEVICES": "0,1,2,3",
        **more,
    }


def test_one_slurm_task_on_each_host_sees_all_gpus_of_its_host():
    port = str(free_port())
    tasks = [slurm(i, nodes=2, JAX_COORDINATOR_PORT=port) for i in range(2)]
    assert answers(*tasks) == ["0 of 2 sees all", "1 of 2 sees all"]


def test_several_slurm_tasks_on_a_host_see_one_gpu_each():
    port = str(free_port())
    tasks = [slurm(i, nodes=1, JAX_COORDINATOR_PORT=port) for i in range(2)]
    assert answers(*tasks) == ["0 of 2 sees 0", "1 of 2 sees 1"]


@pytest.mark.parametrize("kind", ["batch script", "interactive shell"])
def test_a_slurm_job_that_is_not_a_step_is_one_process(kind):
    variables = slurm(0, nodes=2)
    if kind == "batch script":
        del (
            variables["SLURM_STEP_NODELIST"],
            variables["SLURM_STEP_NUM_NODES"],
            variables["SLURM_NTASKS"],
        )
    else:
        variables["SLURM_STEP_ID"] = "4294967290"
    assert run_processes(variables) == [(0, "0 of 1 sees all", "")]


def test_open_mpi_processes_find_each_other():
    launched = {
        "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://127.0.0.1:34911",
        "OMPI_COMM_WORLD_SIZE": "2",
    }
    launched |= {
        "JAX_COORDINATOR_PORT": str(free_port()),
        "OMPI_COMM_WORLD_LOCAL_SIZE": "1",
        "OMPI_COMM_WORLD_LOCAL_RANK": "0",
    }
    assert answers(*(launched | {"OMPI_COMM_WORLD_RANK": str(i)} for i in range(2))) == [
        "0 of 2 sees all",
        "1 of 2 sees all",
    ]


def pod(index=None):
    # JAX would query the cluster's name server for the first pod's address, which is known here.
    address = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}"} if index is None else {}
    named = {} if index is None else {"JOB_COMPLETION_INDEX": str(index)}
    return {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "localhost"} | address | named


def test_the_pods_of_a_kubernetes_job_find_each_other(tmp_path):
    (tmp_path / "kubernetes.py").write_text(FAKE_KUBERNETES)
    address = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}"}
    pods = [pod(i) | address for i in range(2)]
    assert answers(*pods, program="kubernetes", path=[tmp_path]) == [
        "0 of 2 sees all",
        "1 of 2 sees all",
    ]


def test_a_pod_of_a_job_without_the_package_that_finds_the_others_names_the_package(
    tmp_path,
):
    (tmp_path / "kubernetes.py").write_text("raise ImportError")
    ((code, out, error),) = run_processes(pod(0), path=[tmp_path])
    assert (code, out) == (2, "")
    assert error.startswith("error: this pod belongs to an indexed Kubernetes job")
    assert error.endswith("install protclip-jax[k8s].\n")


def test_a_pod_that_is_not_one_of_several_runs_alone():
    alone = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert run_processes(alone) == [(0, "0 of 1 sees all", "")]


def test_named_coordinates_count_wherever_the_processes_are():
    port = free_port()
    named = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": "2"}
    started = [
        slurm(0, nodes=1) | named | {"JAX_PROCESS_ID": str(i), "SLURM_NTASKS": "1"}
        for i in range(2)
    ]
    assert answers(*started) == ["0 of 2 sees all", "1 of 2 sees all"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"JAX_NUM_PROCESSES": "two"}, "JAX_NUM_PROCESSES=two is not a whole number"),
        ({"JAX_PROCESS_ID": "-1"}, "JAX_PROCESS_ID=-1 is not a whole number"),
        ({"JAX_PROCESS_ID": "2"}, "JAX_PROCESS_ID=2 must be below JAX_NUM_PROCESSES=2"),
        ({"JAX_PROCESS_ID": None}, "JAX_PROCESS_ID is not set"),
        ({"JAX_COORDINATOR_ADDRESS": None}, "JAX_COORDINATOR_ADDRESS is not set"),
        ({"JAX_COORDINATOR_ADDRESS": "node1"}, "JAX_COORDINATOR_ADDRESS=node1 has no port"),
    ],
)
def test_wrong_coordinates_are_refused(changed, sentence):
    named = {
        "JAX_COORDINATOR_ADDRESS": "127.0.0.1:1",
        "JAX_NUM_PROCESSES": "2",
        "JAX_PROCESS_ID": "0",
    } | changed
    with pytest.raises(UserError, match=sentence):
        multihost.coordinates({name: value for name, value in named.items() if value is not None})


def test_a_cluster_that_cannot_be_asked_is_one_sentence(monkeypatch):
    def refuse(**arguments):
        raise OSError("the metadata server does not answer\nat all")

    monkeypatch.setattr(multihost.jax.distributed, "initialize", refuse)
    multihost.initialize.cache_clear()
    with pytest.raises(RunError, match="other hosts .the metadata server does not answer at all"):
        multihost.initialize()


def test_a_process_whose_others_stay_away_says_who_waits_and_where():
    name = socket.gethostname()
    run = {"JAX_NUM_PROCESSES": "3"}
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    # Processes 0 and 1 join and wait for the third; another process is alone at its address.
    present = [(0, addresses[0]), (1, addresses[0]), (1, addresses[1])]
    named = [{"JAX_PROCESS_ID": str(i), "JAX_COORDINATOR_ADDRESS": at} for i, at in present]
    results = run_processes(*(run | one for one in named), program="impatient")
    for (index, at), (code, _, error) in zip(present, results, strict=True):
        waits = f"process {index} ({name}) of 3 is waiting for the others at {at}"
        gave_up = f"error: gave up after 3 s: {waits}; start every host with the same command."
        assert code == 1
        assert error.splitlines() == [f"note: {waits}.", "", gave_up]


@pytest.mark.parametrize("address", [None, "node1:9876"])
def test_a_process_that_jax_gives_its_number_waits_by_the_name_of_its_host(address):
    named = {} if address is None else {"JAX_COORDINATOR_ADDRESS": address}
    found = multihost._waiting(*multihost.coordinates(named))
    expected = f"{socket.gethostname()} is waiting for the others"
    assert found == (expected if address is None else f"{expected} at node1:9876")
