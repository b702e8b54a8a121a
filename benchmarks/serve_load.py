"""Load-tests the server: latency with 1, 8 and 32 clients, memory, overload, and shutdown.

    python -m benchmarks.serve_load --checkpoint runs/demo --index runs/demo/index \\
        --output serve_load.json

Starts `python -m protclip_jax.serve`. Clients send one request after another: half are texts, a
third are sequences, the rest are tracks, and all differ. Then more clients than the queue holds
send requests at once; some must get 429, and none may wait long. Finally SIGTERM arrives during
requests, which must still be answered.
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
    """Draws a request: path and body."""
    kind = rng.random()
    text = " ".join(rng.choices(WORDS, k=rng.randint(2, 12)))
    if kind < 1 / 2:
        return "/api/search", {"query": text}
    sequence = "".join(rng.choices(ACIDS, k=rng.randint(60, 400)))
    if kind < 5 / 6:
        return "/api/search", {"query": sequence}
    return "/api/tracks", {"sequence": sequence, "properties": {"function": text}}


class Load:
    """Clients that send one request after another until stopped; collects their results."""

    def __init__(self, server: Server, clients: int):
        self._server, self._stop = server, threading.Event()
        self.seconds: list[float] = []
        self.statuses: Counter = Counter()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(clients)
        ]

    def run(self, seconds: float) -> dict:
        """Sends requests for `seconds` and returns the measurements."""
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
        names = ("p50", "p90", "p99", "max")
        quantiles = np.percentile(self.seconds, [50, 90, 99, 100]) * 1000
        milliseconds = np.round(quantiles, 2).tolist()
        statuses = sorted(self.statuses.items(), key=str)
        return {
            "clients": len(self._threads),
            "requests": len(self.seconds),
            "per_second": len(self.seconds) / elapsed,
            "statuses": {str(status): count for status, count in statuses},
            "ms": dict(zip(names, milliseconds, strict=True)),
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
    """Sends SIGTERM during requests; returns their statuses, shutdown time and exit code."""
    answers: list = []
    # Long proteins of a new length take a while, because they need compilation.
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
    """Runs all measurements with one server, whose queue has the default size."""
    with serving(*arguments, log=log, xla_flags="") as server:
        # Warm up, so that all shapes are compiled before anything is timed.
        Load(server, max(CLIENTS)).run(min(seconds, 15))
        result = {"load": [Load(server, clients).run(seconds) for clients in CLIENTS]}
        result["overload"] = Load(server, OVERLOAD_CLIENTS).run(min(seconds, OVERLOAD_SECONDS))
        result["after_overload"] = Load(server, 1).run(min(seconds, 2))
        result["drain"] = drain(server)
    return result


@command
def main() -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--checkpoint", required=True, help="checkpoint to serve")
    parser.add_argument("--index", required=True, help="index to search")
    parser.add_argument(
        "--seconds",
        type=float,
        default=30,
        help="duration per number of clients (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("serve_load.json"),
        help="result file (default: %(default)s)",
    )
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
