"""A server under load: latency at 1, 8 and 32 clients, memory, refusals when there are too many,
and its end.

    python -m benchmarks.serve_load --checkpoint runs/demo --index runs/demo/index \\
        --output serve_load.json

Starts `python -m protclip_jax.serve` and lets clients ask one thing after the other, half of them
texts, a third sequences, the rest tracks; the questions differ all the time. Then more clients than
the queue holds ask at once: some must get 429, and none may wait long. Last, SIGTERM arrives
while requests are under way, which must be answered.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np

from data_pipelines.common.errors import command
from tests.support.serving_process import Server, serving

CLIENTS = (1, 8, 32)
ACIDS = "ACDEFGHIKLMNPQRSTVWY"
WORDS = (
    "zinc",
    "binding",
    "protease",
    "nuclear",
    "membrane",
    "transport",
    "kinase",
    "oxidase",
    "of",
    "the",
    "mitochondrial",
    "ATP",
    "dependent",
    "DNA",
    "repair",
)
OVERLOAD_CLIENTS, OVERLOAD_SECONDS = 256, 8


def question(rng: random.Random) -> tuple[str, dict]:
    """A path and a body."""
    kind = rng.random()
    text = " ".join(rng.choices(WORDS, k=rng.randint(2, 12)))
    if kind < 1 / 2:
        return "/api/search", {"query": text}
    sequence = "".join(rng.choices(ACIDS, k=rng.randint(60, 400)))
    if kind < 5 / 6:
        return "/api/search", {"query": sequence}
    return "/api/tracks", {"sequence": sequence, "properties": {"function": text}}


class Load:
    """Clients that ask one thing after the other until told to stop; what they got."""

    def __init__(self, server: Server, clients: int):
        self._server, self._stop = server, threading.Event()
        self.seconds: list[float] = []
        self.statuses: Counter = Counter()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(clients)
        ]

    def run(self, seconds: float) -> dict:
        """Asks for so long; returns what was measured."""
        memory = [self._server.resident_mib()]
        start = time.perf_counter()
        for thread in self._threads:
            thread.start()
        while time.perf_counter() - start < seconds:
            time.sleep(0.5)
            memory.append(self._server.resident_mib())
        self._stop.set()
        for thread in self._threads:
            thread.join()
        elapsed = time.perf_counter() - start
        percentiles = dict(
            zip(
                ("p50", "p90", "p99", "max"),
                np.percentile(self.seconds, [50, 90, 99, 100]) * 1000,
                strict=True,
            )
        )
        return {
            "clients": len(self._threads),
            "requests": len(self.seconds),
            "per_second": len(self.seconds) / elapsed,
            "statuses": {
                str(status): count for status, count in sorted(self.statuses.items(), key=str)
            },
            "ms": {name: round(float(value), 2) for name, value in percentiles.items()},
            "memory_mib": {"start": round(memory[0], 1), "largest": round(max(memory), 1)},
        }

    def _ask(self, number: int) -> None:
        rng = random.Random(number)
        while not self._stop.is_set():
            path, body = question(rng)
            start = time.perf_counter()
            try:
                status, _ = self._server.ask(path, body)
            except OSError as error:
                status = type(error).__name__
            self.seconds.append(time.perf_counter() - start)
            self.statuses[status] += 1


def drain(server: Server, clients: int = 8) -> dict:
    """SIGTERM while requests are under way: what they got, how long the server took, and its
    exit code."""
    answers: list = []
    # Long proteins of a new length: they are under way for a while.
    body = {"sequence": "ACDEFGHIKL" * 300, "properties": {"function": "FUNCTION: x"}}
    threads = [
        threading.Thread(target=lambda: answers.append(server.ask("/api/tracks", body)))
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    before = len(answers)
    start = time.perf_counter()
    os.kill(server.process.pid, signal.SIGTERM)
    for thread in threads:
        thread.join()
    code = server.process.wait(60)
    return {
        "under_way": clients - before,
        "statuses": dict(Counter(str(status) for status, _ in answers)),
        "seconds": round(time.perf_counter() - start, 2),
        "exit_code": code,
    }


def measure(arguments: list[str], log: Path, seconds: float) -> dict:
    """Everything, with one server; its queue is the default's."""
    with serving(*arguments, log=log, xla_flags="") as server:
        # Whatever shapes occur are compiled before anything is timed.
        Load(server, max(CLIENTS)).run(min(seconds, 15))
        result = {"load": [Load(server, clients).run(seconds) for clients in CLIENTS]}
        result["overload"] = Load(server, OVERLOAD_CLIENTS).run(min(seconds, OVERLOAD_SECONDS))
        result["after_overload"] = Load(server, 1).run(min(seconds, 2))
        result["drain"] = drain(server)
    return result


@command
def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--index", required=True)
    parser.add_argument(
        "--seconds", type=float, default=30, help="of each number of clients (default %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=Path("serve_load.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--checkpoint", options.checkpoint, "--index", options.index]
        result = measure(arguments, Path(folder) / "log", options.seconds)
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    columns = (
        "clients",
        "requests/s",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "max ms",
        "statuses",
        "memory MiB",
    )
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for load in [*result["load"], result["overload"]]:
        times = " | ".join(f"{load['ms'][name]:.0f}" for name in ("p50", "p90", "p99", "max"))
        statuses = ", ".join(f"{status}: {count:,}" for status, count in load["statuses"].items())
        memory = f"{load['memory_mib']['start']:.0f} to {load['memory_mib']['largest']:.0f}"
        print(f"| {load['clients']} | {load['per_second']:.0f} | {times} | {statuses} | {memory} |")
    print(f"\ndrain: {result['drain']}")


if __name__ == "__main__":
    sys.exit(main())
