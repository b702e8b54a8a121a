"""A manifest to start from: every benchmark with the paper's files under their usual names."""

import json

from eval.benchmarks.families import BENCHMARKS


def template() -> str:
    """The text of a `benchmarks.json` with an entry per benchmark or group and with comments."""
    entries = {}
    for benchmark in BENCHMARKS.values():
        if benchmark.formats:
            entries[benchmark.entry_names[-1]] = {"comment": benchmark.wanted} | dict(
                benchmark.template
            )
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"
