"""Records what users see of the project, to verify that a change alters none of it.

    python -m benchmarks.golden record --repo CHECKOUT --output DIR [--earlier DIR] [--peer DIR]
    python -m benchmarks.golden compare DIR DIR

`record` runs every command of a checkout on the sample: help, output, exit codes, all files that
they write, 60 training steps, and some mistakes. With `--earlier` it also loads the checkpoint and
the index of an earlier recording. `compare` prints the differences and exits with 1 if there are
any. Numbers depend on the machine, so make both recordings on the same one with the same libraries.
"""

import argparse
import difflib
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

PAPER = ["train.py", "--config", "configs/quickstart_paper.py"]
TRAIN = [
    "--config.data.dir=sample/protanno",
    "--config.tokenizer.text=sample/vocab.txt",
    "--config.total_steps=60",
    "--config.eval_every=30",
    "--config.checkpoint_every=30",
    "--config.gradient_norms_every=30",
    "--config.evals.retrieval.pool=64",
]
COMMANDS = [
    *(
        "data_pipelines.build",
        "data_pipelines.report",
        "data_pipelines.download",
        "data_pipelines.sample",
    ),
    *(
        "data_pipelines.vocabulary",
        "protclip_jax.convert",
        "protclip_jax.embed",
        "protclip_jax.explain",
    ),
    *("protclip_jax.index", "protclip_jax.search", "protclip_jax.serve", "eval"),
]
WRITTEN = "work"
"""The folder in a recording with the files that its steps wrote."""

TEXT = ["--text", "FUNCTION: Cleaves peptide bonds."]
SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV"
FASTA = f">one first protein\n{SEQUENCE}\n>two\n{SEQUENCE[::-1]}\n>bad\nMK1\n"
LABELS = """\
id\tname\tfunction
L1\tprotease\tCleaves peptide bonds.
L2\tkinase\tPhosphorylates proteins.
"""

VARYING = re.compile(
    r"(\.tfevents\.|/lock$|/serve\.log$|/_CHECKPOINT_METADATA$|/d/[0-9a-f]{32}$|manifest\.ocdbt$|SHA256SUMS$|/commit_success\.txt$)"
)
"""Files that differ between any two recordings: they have times, random names, or such hashes."""
TIMED = re.compile(
    r'"(seconds/\w+|goodput|mfu|pairs_per_second|tokens_per_second|time|written|seconds)": [\d.e-]+'
)
CLOCK = re.compile(
    r"[\d,]+ a second|\d+(\.\d+)? ?(s|min|records/s|entries/s|steps?/s|[A-Za-z]+/s)\b"
    r"|\d\d:\d\d(:\d\d)?|127\.0\.0\.1:\d+|pid \d+"
)


def steps(earlier, peer):
    """Yields name and arguments of each run, in order; a module name means `python -m`."""
    for module in COMMANDS:
        yield f"help/{module}", [module, "--help"]
        yield f"no_arguments/{module}", [module]
    for kind in ("hf", "protclip", "to_hf", "params"):
        yield f"help/convert_{kind}", ["protclip_jax.convert", kind, "--help"]
    yield "help/train", ["train.py", "--help"]
    yield "no_arguments/train", ["train.py"]

    yield "sample", ["data_pipelines.sample", "--output", "sample", "--records", "1500"]
    inputs = ["--input", "sample/sample.dat.gz", "--clusters", "sample/clusters.tsv"]
    yield "build", ["data_pipelines.build", *inputs, "--output", "sample/protanno"]
    yield (
        "build_minhash",
        ["data_pipelines.build", *inputs[:2], "--cluster", "minhash", "--output", "minhash"],
    )
    yield "report", ["data_pipelines.report", "--data_dir", "sample/protanno"]
    yield (
        "vocabulary",
        [
            "data_pipelines.vocabulary",
            "--data_dir",
            "sample/protanno",
            "--output",
            "sample/vocab.txt",
        ],
    )
    unreachable = ["--base_url", "http://127.0.0.1:9", "--tries", "1"]
    yield "download", ["data_pipelines.download", "swissprot", "--output", "download", *unreachable]
    yield "train", [*PAPER, "--workdir", "run", *TRAIN]
    yield (
        "train_plus",
        [
            "train.py",
            "--config",
            "configs/quickstart.py",
            "--workdir",
            "plus",
            *TRAIN,
            "--config.total_steps=30",
        ],
    )
    yield "train_again", [*PAPER, "--workdir", "run", *TRAIN, "--config.seed=5"]
    for key in ("totl_steps=3", "batch.rows=7", "loss.gc=-1", "pda.negatives=none", "mesh.fsdp=3"):
        yield (
            f"mistake/{key}",
            [*PAPER, "--workdir", "w", *TRAIN, f"--config.{key}"],
        )
    yield from readings("run", "index", "labels", own=True)
    if earlier:
        made = [str(pathlib.Path(earlier) / WRITTEN / name) for name in ("run", "index", "labels")]
        yield from readings(*made, own=False)
    yield "eval", ["eval", "--checkpoint", "run", "--benchmarks", "all", "--output", "report"]
    yield (
        "eval_mistake",
        ["eval", "--checkpoint", "run", "--benchmarks", "membrain", "--output", "report2"],
    )
    yield "params", ["protclip_jax.convert", "params", "--checkpoint", "run", "--output", "params"]
    yield "to_hf", ["protclip_jax.convert", "to_hf", "--checkpoint", "run", "--output", "hf"]
    from_hf = ["--protein", "hf/protein", "--text", "hf/text"]
    yield "hf", ["protclip_jax.convert", "hf", *from_hf, "--output", "from_hf"]
    if peer:
        yield (
            "protclip",
            [
                "protclip_jax.convert",
                "protclip",
                "--source",
                f"{peer}/tiny_release",
                "--output",
                "released",
            ],
        )
        yield (
            "embed_released",
            [
                "protclip_jax.embed",
                "--checkpoint",
                "released",
                "--input",
                "x.fasta",
                "--output",
                "released.h5",
            ],
        )


def readings(run, index, labels, *, own):
    """Yields the runs that use a checkpoint and its indexes."""
    of, to = ["--checkpoint", run], "own" if own else "earlier"
    if own:
        yield "index", ["protclip_jax.index", *of, "--input", "sample/protanno", "--output", index]
        yield "labels", ["protclip_jax.index", *of, "--labels", "labels.tsv", "--output", labels]
    for suffix in ("h5", "parquet"):
        include = ["--include", "projected", "mean", "residues"]
        yield (
            f"embed_{suffix}_{to}",
            [
                "protclip_jax.embed",
                *of,
                "--input",
                "x.fasta",
                "--output",
                f"{to}.{suffix}",
                *include,
            ],
        )
    yield (
        f"search_text_{to}",
        ["protclip_jax.search", *of, "--index", index, *TEXT, "--output", f"{to}_text.tsv"],
    )
    yield (
        f"search_sequence_{to}",
        ["protclip_jax.search", *of, "--index", index, "--sequence", SEQUENCE],
    )
    yield (
        f"search_labels_{to}",
        ["protclip_jax.search", *of, "--labels", labels, "--input", "x.fasta"],
    )
    yield f"search_mistake_{to}", ["protclip_jax.search", *of, "--index", "nowhere", *TEXT]
    words = ["--name", "protease", "--function", "Cleaves peptide bonds."]
    yield (
        f"explain_{to}",
        ["protclip_jax.explain", *of, "--sequence", SEQUENCE, *words, "--output", f"{to}.png"],
    )


def record(repo, output, earlier, peer):
    """Runs all steps; leaves the folder `WRITTEN` with their files, and `golden.json`."""
    work = output / WRITTEN
    if work.exists():
        raise SystemExit(f"{work} exists; remove it or choose another --output.")
    work.mkdir(parents=True)
    (work / "configs").symlink_to(repo / "configs")
    (work / "x.fasta").write_text(FASTA)
    (work / "labels.tsv").write_text(LABELS)
    environment = os.environ | {
        "PYTHONPATH": str(repo),
        "JAX_PLATFORMS": "cpu",
        "COLUMNS": "120",
        "PYTHONHASHSEED": "0",
    }
    runs = {}
    for name, (program, *arguments) in steps(earlier, peer):
        command = [str(repo / program)] if program.endswith(".py") else ["-m", program]
        command = [sys.executable, *command, *arguments]
        done = subprocess.run(
            command,
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        texts = {
            "stdout": plain(done.stdout, repo, output, earlier),
            "stderr": plain(done.stderr, repo, output, earlier),
        }
        runs[name] = {"arguments": [program, *arguments], "exit": done.returncode, **texts}
        print(f"{name}: {done.returncode}", flush=True)
    runs["serve"] = {
        "arguments": ["serve"],
        "exit": 0,
        "stdout": serve(work, environment),
        "stderr": "",
    }
    golden = {"runs": runs, "files": files(work)}
    (output / "golden.json").write_text(json.dumps(golden, indent=1, sort_keys=True))


def serve(work, environment):
    """Returns the API description and one page of the server."""
    command = [
        sys.executable,
        "-m",
        "protclip_jax.serve",
        "--checkpoint",
        "run",
        "--index",
        "index",
        "--port",
        "18761",
    ]
    with open(work / "serve.log", "w") as log:
        server = subprocess.Popen(command, cwd=work, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(240):
            time.sleep(0.5)
            try:
                with urllib.request.urlopen(
                    "http://127.0.0.1:18761/openapi.json", timeout=5
                ) as answer:
                    description = answer.read().decode()
                with urllib.request.urlopen("http://127.0.0.1:18761/", timeout=5) as answer:
                    return description + hashlib.sha256(answer.read()).hexdigest()
            except OSError:
                continue
        return "no response"
    finally:
        server.terminate()
        server.wait()


def plain(text, repo, output, earlier):
    """Removes progress, times and paths from output."""
    lines = [part.rstrip("\r").rpartition("\r")[2] for part in text.split("\n")]
    bar = re.compile(r"\d+%\||it/s|\[\d+:\d+<|\?.*/s\]|/s\]")
    kept = [CLOCK.sub("TIME", line) for line in lines if not bar.search(line)]
    joined = "\n".join(kept)
    for position, word in ((earlier, "EARLIER"), (output, "OUTPUT"), (repo, "REPO")):
        joined = joined.replace(str(position), word) if position else joined
    return joined


def files(work):
    """The SHA-256 of each file, or its text if it contains times."""
    found = {}
    for path in sorted(work.rglob("*")):
        name = f"/{path.relative_to(work)}"
        if (
            path.is_file()
            and not path.is_symlink()
            and not VARYING.search(name)
            and not name.startswith("/configs/")
        ):
            content = path.read_bytes()
            if path.suffix in (".json", ".jsonl", ".md"):
                text = TIMED.sub(r'"\1": TIME', content.decode())
                found[name] = (
                    text
                    if path.name == "metrics.jsonl"
                    else hashlib.sha256(text.encode()).hexdigest()
                )
            else:
                found[name] = hashlib.sha256(content).hexdigest()
    return found


def settled(golden):
    """Removes files, rates and blank lines that differ every time from a recording."""
    for run in golden["runs"].values():
        for stream in ("stdout", "stderr"):
            lines = [CLOCK.sub("TIME", line) for line in run[stream].split("\n") if line]
            run[stream] = "\n".join(lines)
    golden["files"] = {
        name: content for name, content in golden["files"].items() if not VARYING.search(name)
    }
    return golden


def compare(one, other):
    """Prints the differences between two recordings and returns their number."""
    a, b = (settled(json.loads((folder / "golden.json").read_text())) for folder in (one, other))
    differences = 0
    for kind in ("runs", "files"):
        for name in sorted(a[kind].keys() | b[kind].keys()):
            was, now = a[kind].get(name), b[kind].get(name)
            if was != now:
                differences += 1
                print(f"--- {kind}: {name}")
                texts = [
                    json.dumps(value, indent=1, sort_keys=True).replace("\\n", "\n").splitlines()
                    for value in (was, now)
                ]
                print("\n".join(list(difflib.unified_diff(*texts, lineterm="", n=0))[2:40]))
    print(f"{len(a['runs'])} runs and {len(a['files'])} files compared: {differences} differ.")
    return differences


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("--repo", type=pathlib.Path, default=pathlib.Path.cwd())
    for option in ("--output", "--earlier", "--peer"):
        recording.add_argument(option, type=pathlib.Path, required=option == "--output")
    comparing = commands.add_parser("compare")
    comparing.add_argument("one", type=pathlib.Path)
    comparing.add_argument("other", type=pathlib.Path)
    options = parser.parse_args()
    if options.command == "compare":
        return int(compare(options.one, options.other) > 0)
    positions = (
        path and path.resolve()
        for path in (options.repo, options.output, options.earlier, options.peer)
    )
    record(*positions)
    return 0


if __name__ == "__main__":
    sys.exit(main())
