import itertools
import os
import signal
import subprocess
import sys
import time

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.common.processes import worker_processes


def square(number):
    # Later tasks end earlier.
    time.sleep(0.02 * (number % 2 == 0))
    return number * number, os.getpid()


def fail(number):
    raise UserError(f"{number} is wrong")


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("count", [1, 2])
def test_results_come_in_the_order_of_the_tasks(count):
    with worker_processes(count) as ordered_map:
        results = list(ordered_map(square, range(9)))
        assert [result for result, _ in results] == [0, 1, 4, 9, 16, 25, 36, 49, 64]
        assert (
            {os.getpid()} == {process for _, process in results}
            if count == 1
            else os.getpid() not in dict(results).values()
        )
        # Tasks are taken a few ahead: an endless iterator of them does no harm.
        assert [
            result for result, _ in itertools.islice(ordered_map(square, itertools.count()), 3)
        ] == [0, 1, 4]
        with pytest.raises(UserError, match="0 is wrong"):
            list(ordered_map(fail, range(3)))


def test_a_killed_worker_is_one_sentence():
    with (
        pytest.raises(UserError, match="a worker process was killed"),
        worker_processes(2) as ordered_map,
    ):
        list(ordered_map(die, range(3)))


def test_workers_end_with_a_killed_parent(tmp_path):
    code = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from data_pipelines.common.processes import worker_processes\n"
        "def work(path):\n"
        "    Path(path).write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    with worker_processes(2) as ordered_map:\n"
        f"        list(ordered_map(work, [{str(tmp_path)!r} + '/' + name for name in 'ab']))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    process = subprocess.Popen(
        [sys.executable, script], env=os.environ | {"PYTHONPATH": os.getcwd()}
    )
    deadline = time.monotonic() + 60
    while (
        len(
            workers := [
                path
                for path in (tmp_path / "a", tmp_path / "b")
                if path.exists() and path.read_text()
            ]
        )
        < 2
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    numbers = [int(path.read_text()) for path in workers]
    while any(os.path.exists(f"/proc/{number}") for number in numbers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
