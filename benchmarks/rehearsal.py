"""A full-size rehearsal: random weights in the released layout pass through every command.

    python -m benchmarks.rehearsal --folder runs/rehearsal

Writes 813 tensors like those of the released checkpoint (float16, 1.5 GB, random numbers) and
converts them. Loads, embeds, explains, indexes and searches with the result, exports it to
transformers, and trains one step with a frozen text tower. Each step is a separate process.
FOLDER/rehearsal.json and a table record its wall time and peak resident memory. A second run
continues after the last successful step. `--steps` selects steps, `--shape miniature` makes
everything small.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save_file

from data_pipelines.common.errors import RunError, UserError, command
from data_pipelines.common.markdown import table
from data_pipelines.tokenizers import protein_tokenizer

ROOT = Path(__file__).resolve().parents[1]
PROTEINS, RESIDUES = 4, 300
"""The random proteins to embed and index; their length is UniProt's median."""
ACIDS = "ACDEFGHIKLMNPQRSTVWY"


class Tower(NamedTuple):
    """The shape of an encoder."""

    layers: int
    width: int
    heads: int
    feed_forward: int


class Shape(NamedTuple):
    """The shape of a released checkpoint, and of the training step's batch."""

    protein: Tower
    text: Tower
    vocabulary: int
    projection: int
    prototypes: int
    predictor: int
    protein_tokens: int
    text_tokens: int


SHAPES = {
    "released": Shape(
        protein=Tower(33, 1280, 20, 5120),
        text=Tower(12, 768, 12, 3072),
        vocabulary=30522,
        projection=512,
        prototypes=512,
        predictor=256,
        protein_tokens=384,
        text_tokens=256,
    ),
    "miniature": Shape(
        protein=Tower(2, 32, 2, 64),
        text=Tower(1, 32, 2, 64),
        vocabulary=600,
        projection=16,
        prototypes=8,
        predictor=8,
        protein_tokens=256,
        text_tokens=256,
    ),
}


class Step(NamedTuple):
    """One command: name in the table, module, arguments, output, and required memory."""

    name: str
    module: str
    arguments: list[str]
    output: Path | None = None
    needs_gib: float = 0.0


def layout(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Maps every tensor of a released checkpoint to its shape; Linear weights are [out, in]."""
    protein, text, p = shape.protein, shape.text, shape.projection
    decoder: dict[str, tuple[int, ...]] = {}
    for part in ("query", "key", "value"):
        decoder |= _linear(f"decoder.{part}", p, p)
    return {
        "logit_scale": (),
        "local_logit_scale": (2,),
        "proto_bank.prototype.weight": (shape.prototypes, p),
        **_protein_tower("protein_model", protein),
        **_text_tower("text_model", text, shape.vocabulary),
        **_perceptron("protein_projection", protein.width, p, p, names="0 2"),
        **_perceptron("text_projection", text.width, p, p, names="0 2"),
        **_token_head("mlm_head", protein.width, p),
        **_token_head("t2p_mlm_head", p, p),
        **decoder,
        **_unused(p, shape.predictor),
    }


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _perceptron(
    name: str, inputs: int, hidden: int, outputs: int, *, names: str
) -> dict[str, tuple[int, ...]]:
    first, second = names.split()
    return _linear(f"{name}.{first}", inputs, hidden) | _linear(f"{name}.{second}", hidden, outputs)


def _token_head(name: str, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
    letters = len(protein_tokenizer.VOCABULARY)
    return _perceptron(name, inputs, hidden, letters, names="0 3") | _norm(f"{name}.2", hidden)


def _unused(p: int, predictor: int) -> dict[str, tuple[int, ...]]:
    """Modules that the released model never uses."""
    attention = {}
    for part, side in itertools.product(("query", "key", "value"), "12"):
        attention |= _linear(f"local_cross_attention.{part}{side}", p, p)
    return attention | _perceptron("predictor", p, predictor, p, names="0 2")


def _layer(name: str, tower: Tower) -> dict[str, tuple[int, ...]]:
    """The tensors of a layer in both towers, except for the norms, which differ."""
    sizes = _linear(f"{name}.attention.output.dense", tower.width, tower.width)
    for part in ("query", "key", "value"):
        sizes |= _linear(f"{name}.attention.self.{part}", tower.width, tower.width)
    sizes |= _linear(f"{name}.intermediate.dense", tower.width, tower.feed_forward)
    return sizes | _linear(f"{name}.output.dense", tower.feed_forward, tower.width)


def _protein_tower(name: str, tower: Tower) -> dict[str, tuple[int, ...]]:
    sizes = {
        f"{name}.embeddings.word_embeddings.weight": (
            len(protein_tokenizer.VOCABULARY),
            tower.width,
        ),
        f"{name}.embeddings.position_embeddings.weight": (1026, tower.width),
        **_norm(f"{name}.encoder.emb_layer_norm_after", tower.width),
        **_linear(f"{name}.pooler.dense", tower.width, tower.width),
        **_linear(f"{name}.contact_head.regression", tower.layers * tower.heads, 1),
    }
    for layer in (f"{name}.encoder.layer.{number}" for number in range(tower.layers)):
        sizes |= (
            _layer(layer, tower)
            | _norm(f"{layer}.attention.LayerNorm", tower.width)
            | _norm(f"{layer}.LayerNorm", tower.width)
        )
        sizes[f"{layer}.attention.self.rotary_embeddings.inv_freq"] = (
            tower.width // tower.heads // 2,
        )
    return sizes


def _text_tower(name: str, tower: Tower, vocabulary: int) -> dict[str, tuple[int, ...]]:
    tables = {"word": vocabulary, "position": 512, "token_type": 2}
    sizes = {
        f"{name}.embeddings.{table}_embeddings.weight": (rows, tower.width)
        for table, rows in tables.items()
    }
    sizes |= _norm(f"{name}.embeddings.LayerNorm", tower.width) | _linear(
        f"{name}.pooler.dense", tower.width, tower.width
    )
    for layer in (f"{name}.encoder.layer.{number}" for number in range(tower.layers)):
        sizes |= _layer(layer, tower)
        sizes |= _norm(f"{layer}.attention.output.LayerNorm", tower.width) | _norm(
            f"{layer}.output.LayerNorm", tower.width
        )
    return sizes


def random_tensor(name: str, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random numbers of trained size: N(0, 0.02²) in matrices, 1 and 0 in norms and biases."""
    if name.endswith("inv_freq"):
        return (10000.0 ** (-np.arange(size[0]) / size[0])).astype(np.float16)
    if name == "logit_scale" or name == "local_logit_scale":
        return np.full(size, np.log(1 / 0.07), np.float16)
    if len(size) == 1:
        return np.full(size, 1.0 if name.endswith("weight") else 0.0, np.float16)
    return (0.02 * rng.standard_normal(size, np.float32)).astype(np.float16)


def tower_config(tower: Tower, kind: str) -> dict:
    """A tower's part of the released config.json."""
    shared = {
        "num_hidden_layers": tower.layers,
        "hidden_size": tower.width,
        "num_attention_heads": tower.heads,
        "intermediate_size": tower.feed_forward,
        "hidden_act": "gelu",
        "model_type": kind,
    }
    if kind == "bert":
        return shared | {
            "max_position_embeddings": 512,
            "layer_norm_eps": 1e-12,
            "type_vocab_size": 2,
        }
    return shared | {
        "vocab_size": len(protein_tokenizer.VOCABULARY),
        "max_position_embeddings": 1026,
        "position_embedding_type": "rotary",
        "token_dropout": True,
        "mask_token_id": protein_tokenizer.MASK,
        "pad_token_id": protein_tokenizer.PAD,
        "layer_norm_eps": 1e-5,
    }


def write_release(folder: Path, shape: Shape, vocabulary: Path) -> None:
    """Writes model.safetensors, config.json and the text tokenizer, with random weights."""
    rng = np.random.default_rng(0)
    (folder / "backbones/text").mkdir(parents=True, exist_ok=True)
    shutil.copy(vocabulary, folder / "backbones/text/vocab.txt")
    config = {
        "projection_dim": shape.projection,
        "proto_dim": shape.projection,
        "proto_num": shape.prototypes,
        "protein_model_config": tower_config(shape.protein, "esm"),
        "text_model_config": tower_config(shape.text, "bert") | {"vocab_size": shape.vocabulary},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    tensors = {name: random_tensor(name, size, rng) for name, size in layout(shape).items()}
    save_file(tensors, folder / "model.safetensors")


def proteins() -> list[str]:
    """Generates the random proteins."""
    rng = np.random.default_rng(0)
    return ["M" + "".join(rng.choice(list(ACIDS), RESIDUES - 1)) for _ in range(PROTEINS)]


def preparation(folder: Path, shape: str) -> Iterator[Step]:
    """Yields the commands that make a small dataset, its vocabulary and the release."""
    sample, dataset, vocabulary, release = (
        folder / name for name in ("sample", "protanno", "vocab.txt", "release")
    )
    yield Step(
        "sample", "data_pipelines.sample", ["--output", str(sample), "--records", "200"], sample
    )
    given = ["--input", str(sample / "sample.dat.gz"), "--clusters", str(sample / "clusters.tsv")]
    yield Step("build", "data_pipelines.build", [*given, "--output", str(dataset)], dataset)
    given = ["--data_dir", str(dataset), "--size", "500"]
    yield Step(
        "vocabulary", "data_pipelines.vocabulary", [*given, "--output", str(vocabulary)], vocabulary
    )
    given = ["--write_release", str(vocabulary), "--shape", shape, "--folder", str(release)]
    yield Step("release", "benchmarks.rehearsal", given, release / "model.safetensors")


def rehearsal(folder: Path, shape: Shape) -> Iterator[Step]:
    """Yields the measured commands, in order; proteins.fasta must exist."""
    release, checkpoint, fasta = (
        str(folder / name) for name in ("release", "checkpoint", "proteins.fasta")
    )
    given = ["--checkpoint", checkpoint]
    sequence = proteins()[0]

    def step(name: str, module: str, arguments: list[str], output: str) -> Step:
        return Step(
            name,
            f"protclip_jax.{module}",
            [*arguments, "--output", str(folder / output)],
            folder / output,
        )

    yield step("convert protclip", "convert", ["protclip", "--source", release], "checkpoint")
    yield Step("load", "benchmarks.rehearsal", ["--load", checkpoint])
    yield step("embed", "embed", [*given, "--input", fasta, "--cpu_devices", "1"], "proteins.h5")
    texts = ["--function", "Binds zinc.", "--location", "Nucleus."]
    yield step("explain", "explain", [*given, "--sequence", sequence, *texts], "explain.png")
    yield step("index", "index", ["--input", str(folder / "proteins.h5")], "index")
    arguments = [
        *given,
        "--index",
        str(folder / "index"),
        "--text",
        "Binds zinc.",
        "--cpu_devices",
        "1",
    ]
    yield step("search", "search", arguments, "hits.tsv")
    yield step("convert to_hf", "convert", ["to_hf", *given], "hf")
    yield Step(
        "one training step",
        "protclip_train",
        training(folder, shape),
        folder / "run",
        training_gib(shape),
    )


def training(folder: Path, shape: Shape) -> list[str]:
    """The arguments for one step of the 650M recipe on one row, from the converted weights.

    Its text tower is frozen.
    """
    fields = {
        "data.dir": folder / "protanno",
        "init.all": folder / "checkpoint",
        "tokenizer.text": folder / "checkpoint/tokenizers/text/vocab.txt",
        "total_steps": 1,
        "total_epochs": None,
        "log_every": 1,
        "eval_every": 1,
        "checkpoint_every": 1,
        "gradient_norms_every": 0,
        "best.patience": 0,
        "keep_best": 0,
        "data.streams": 1,
        "data.workers": 0,
        "batch.rows": 1,
        "batch.slots": 4,
        "batch.protein_tokens": shape.protein_tokens,
        "batch.text_tokens": shape.text_tokens,
        "tokenizer.max_protein_tokens": shape.protein_tokens // 2,
        "tokenizer.max_text_tokens": shape.text_tokens // 4,
        "evals.retrieval.pool": 2,
        "evals.losses.pool": 2,
        "model.protein.num_layers": shape.protein.layers,
        "model.protein.hidden_size": shape.protein.width,
        "model.protein.num_heads": shape.protein.heads,
        "model.protein.intermediate_size": shape.protein.feed_forward,
        "model.text.num_layers": shape.text.layers,
        "model.text.hidden_size": shape.text.width,
        "model.text.num_heads": shape.text.heads,
        "model.text.intermediate_size": shape.text.feed_forward,
        "model.projection_dim": shape.projection,
        "model.num_prototypes": shape.prototypes,
        "model.dtype": "float32",
        "model.remat": "full",
        "mesh.fsdp": 1,
    }
    config = ["--config", str(ROOT / "configs/protclip_650m.py"), "--workdir", str(folder / "run")]
    return [*config, *(f"--config.{name}={value}" for name, value in fields.items())]


def training_gib(shape: Shape) -> float:
    """The memory of the training step: its float32 state, plus half of it for activations.

    The state has the parameters, and gradients and both moments of all but the text tower.
    """
    sizes = layout(shape)
    numbers = {name: int(np.prod(size)) for name, size in sizes.items()}
    trained = sum(count for name, count in numbers.items() if not name.startswith("text_model."))
    return 1.5 * 4 * (sum(numbers.values()) + 3 * trained) / 2**30


def available_gib() -> float:
    """The memory that Linux can give to a new process without swapping."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) / 2**20


def measured(step: Step) -> dict:
    """Runs a step in a separate process; returns `seconds`, `peak_gib` and `output_gib`.

    `peak_gib` is resident memory, `output_gib` is disk space.

    Raises:
      RunError: the step failed, or there is too little memory for it.
    """
    if step.needs_gib > available_gib():
        raise RunError(
            f"{step.name} needs about {step.needs_gib:.1f} GiB, but only {available_gib():.1f} GiB "
            "are available; end other processes, then rerun the command."
        )
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", step.module, *step.arguments], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise RunError(
            f"{step.name} failed with exit code {process.returncode} after {seconds:.0f} s; "
            "see its message above."
        )
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_gib": usage.ru_maxrss / 2**20,
        "output_gib": _size(step.output) / 2**30 if step.output else 0.0,
    }


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def markdown(results: dict[str, dict]) -> str:
    """Formats the table of measurements."""
    rows = [
        [
            name,
            f"{one['seconds']:.0f} s",
            f"{one['cpu_seconds']:.0f} s",
            f"{one['peak_gib']:.1f} GiB",
            f"{one['output_gib']:.2f} GiB",
        ]
        for name, one in results.items()
    ]
    return table(["step", "wall time", "CPU time", "peak memory", "written"], rows)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rehearsal", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="folder for all files; 25 GB at full size"
    )
    parser.add_argument(
        "--shape", choices=SHAPES, default="released", help="model shape (default: %(default)s)"
    )
    parser.add_argument(
        "--steps",
        nargs="+",
        metavar="STEP",
        help="steps to run (default: all that are not in DIR/rehearsal.json)",
    )
    alone = parser.add_argument_group("internal options of the steps")
    alone.add_argument("--load", type=Path, metavar="CHECKPOINT", help="only load this checkpoint")
    alone.add_argument(
        "--write_release", type=Path, metavar="VOCABULARY", help="only write a release to DIR"
    )
    return parser.parse_args(arguments)


def load(checkpoint: Path) -> None:
    """Loads a checkpoint like a Python user."""
    from protclip_jax import ProtCLIP

    print(f"loaded {ProtCLIP.load(checkpoint).fingerprint}")


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the steps and prints the table after each."""
    options = parse_arguments(arguments)
    if options.load:
        return load(options.load)
    if not options.folder:
        raise UserError("--folder is missing; give a folder with 25 GB of free space.")
    folder, shape = options.folder.resolve(), SHAPES[options.shape]
    if options.write_release:
        return write_release(folder, shape, options.write_release)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "rehearsal.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    for step in preparation(folder, options.shape):
        if not step.output.exists():
            measured(step)
    fasta = [f">protein{number}\n{sequence}\n" for number, sequence in enumerate(proteins())]
    (folder / "proteins.fasta").write_text("".join(fasta))
    steps = list(rehearsal(folder, shape))
    names = options.steps or [step.name for step in steps if step.name not in results]
    known = [step.name for step in steps]
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"unknown step {unknown[0]!r}; expected {', '.join(known)}.")
    for step in (step for step in steps if step.name in names):
        print(f"== {step.name}", file=sys.stderr)
        results[step.name] = measured(step)
        kept.write_text(json.dumps(results, indent=1))
        print(markdown(results))


if __name__ == "__main__":
    sys.exit(main())
