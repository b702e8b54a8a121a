"""Measures records per second and padding of the training input pipeline, with synthetic records.

    python -m benchmarks.input_pipeline [--workers 0 1 2] [--output input_pipeline.json]

Protein lengths are log-normal (median 300 residues, sigma 0.6) and cropped to 1022. Biotexts have a
median of about 90 tokens (sigma 0.5) with evidence tags to strip, from a Zipf vocabulary whose tail
is split into word pieces, and a dozen features each. The measurement covers everything: draws,
reading the dataset, tokenisation, crops, masks, packing, and transfer between processes.
"""

import argparse
import itertools
import json
import string
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_pipelines.common.progress import progress
from data_pipelines.protanno import dataset as protanno
from data_pipelines.protanno.record import Feature, Record
from data_pipelines.tokenizers.text_tokenizer import SPECIAL_TOKENS, TextTokenizer
from data_pipelines.training.masking import separate_masks
from data_pipelines.training.pipeline import StreamSource, TrainPipeline
from data_pipelines.training.sampling import make_sampler

RESIDUES = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
STREAMS, ROWS = 8, 32


def synthetic_words(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draws words of 3 to 12 letters; common words come first and are in the vocabulary."""
    lengths = rng.integers(3, 13, count)
    return np.array(
        ["".join(rng.choice(list(string.ascii_lowercase), length)) for length in lengths]
    )


def synthetic_tokenizer(words: np.ndarray) -> TextTokenizer:
    """A tokenizer with common words, all letter pairs as continuations, letters and punctuation."""
    letters = string.ascii_lowercase + string.digits
    pairs = map("".join, itertools.product(string.ascii_lowercase, repeat=2))
    pieces = [*letters, *(f"##{piece}" for piece in [*letters, *pairs]), *":.,;{}()|-"]
    prefixes = ["protein", "name", "function", "subcellular", "location", "similarity"]
    return TextTokenizer([*SPECIAL_TOKENS, *dict.fromkeys([*pieces, *prefixes, *words.tolist()])])


def synthetic_records(rng: np.random.Generator, words: np.ndarray, count: int) -> Iterator[Record]:
    """Yields Swiss-Prot records with UniProt's evidence tags.

    Each has a name, and each other property with probability 0.8.
    """
    zipf = np.cumsum(1 / np.arange(1, len(words) + 1))
    for index in range(count):
        sequence = "".join(rng.choice(RESIDUES, int(np.exp(rng.normal(np.log(300), 0.6)))))
        # A word has 1.3 word pieces; prefixes and special tokens take about ten tokens.
        length = max(6, int((np.exp(rng.normal(np.log(90), 0.5)) - 10) / 1.3))
        text = words[np.searchsorted(zipf, rng.random(length) * zipf[-1])]
        present = [True, *(rng.random(3) < 0.8)]
        cuts = np.sort(rng.integers(1, length, sum(present) - 1))
        parts = iter(
            [" ".join(part) + f". {{ECO:0000269|PubMed:{index}}}" for part in np.split(text, cuts)]
        )
        name, function, location, similarity = (next(parts) if there else "" for there in present)
        features = tuple(Feature("BINDING", start, start + 4, "a ligand") for start in range(1, 13))
        yield Record(
            f"P{index:05d}",
            "X",
            "swissprot",
            sequence,
            1,
            name,
            function,
            location,
            similarity,
            features,
        )


def synthetic_source(directory: Path, *, seed: int, records: int) -> StreamSource:
    """Writes a synthetic dataset and opens it; rows have 2048 / 1536 tokens and 16 slots."""
    rng = np.random.default_rng(seed)
    words = synthetic_words(rng, 30_000)
    cluster = "swissprot/C1/R4"
    split = protanno.split_name(cluster)
    made = progress(
        synthetic_records(rng, words, records),
        description="synthesise",
        unit="record",
        total=records,
    )
    protanno.write(directory, {split: list(made)}, statistics={})
    return StreamSource(
        records={cluster: protanno.open_dataset(directory).splits[split].without_features()},
        sampler=make_sampler({cluster: records}, seed=seed),
        text_tokenizer=synthetic_tokenizer(words[:20_000]),
        masks=separate_masks,
        streams=STREAMS,
        slots=16,
        protein_tokens=2048,
        text_tokens=1536,
    )


def measure(source: StreamSource, *, workers: int, steps: int) -> dict[str, float]:
    """Measures throughput and padding over `steps` batches, after one warm-up batch."""
    with TrainPipeline(
        source, rows=ROWS, local_streams=range(STREAMS), workers=workers
    ) as pipeline:
        pipeline.next()
        before = pipeline.counts()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in progress(range(steps), description=f"{workers} workers", unit="batch"):
            pipeline.next()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        counts = type(before)(*np.subtract(pipeline.counts(), before).tolist())
    rows = ROWS * steps
    return {
        "workers": workers,
        "records": counts.records,
        "records_per_second": counts.records / wall,
        "records_per_cpu_second_of_this_process": counts.records / cpu,
        "records_per_row": counts.records / rows,
        "protein_padding": 1 - counts.protein_tokens / (rows * source.protein_tokens),
        "text_padding": 1 - counts.text_tokens / (rows * source.text_tokens),
        "protein_tokens_per_record": counts.protein_tokens / counts.records,
        "text_tokens_per_record": counts.text_tokens / counts.records,
        "cropped_proteins": counts.cropped_proteins / counts.records,
        "cut_text_tokens_per_record": counts.cut_text_tokens / counts.records,
    }


def main() -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[0, 1, 2], help="worker processes (0 = a thread)"
    )
    parser.add_argument("--steps", type=int, default=60, help=f"batches of {ROWS} rows to measure")
    parser.add_argument("--records", type=int, default=20_000, help="number of synthetic records")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="also write the results to this JSON file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        source = synthetic_source(Path(directory), seed=arguments.seed, records=arguments.records)
        results = [
            measure(source, workers=workers, steps=arguments.steps) for workers in arguments.workers
        ]
    for name in results[0]:
        print(f"{name:40}" + "".join(f"{result[name]:12.4g}" for result in results))
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
