"""Predicts protein–protein interaction on the full SHS27k from amino-acid composition alone.

    python -m benchmarks.interaction --data_dir DIR --epochs 100 --seeds 3 --folder runs/interaction

It checks whether the splits rank as published. DIR has GNN-PPI's
`protein.actions.SHS27k.STRING.txt[.gz]` and `protein.SHS27k.sequences.dictionary.tsv[.gz]`. The
network, the splits and both message graphs are those of configs/eval/protein_interaction.py; only
the features do not come from a model. GNN-PPI reports random > DFS > BFS: the fewer test proteins
occur in training, the harder. Each split writes FOLDER/SPLIT.json, which a second run reuses, so
the script can be stopped and restarted.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from configs.eval import protein_interaction as interaction_config
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.json_object import to_json
from data_pipelines.common.markdown import interval, number, table
from eval.benchmarks.interaction import protein_interaction
from eval.data.base.task import InteractionGraph
from eval.data.importers.interactions import read_actions
from eval.data.published import completeness
from eval.protocols.sequence_features import composition

FILES = ("protein.actions.SHS27k.STRING.txt", "protein.SHS27k.sequences.dictionary.tsv")
ORDER = ("random", "dfs", "bfs")
HEADER = (
    *("split", "messages", "micro-F1", "each seed [95 %]", "constant answer"),
    *("test pairs with none / one / both proteins known", "best epochs"),
)


def found(folder: Path, name: str) -> Path:
    """Finds a file in the folder, plain or gzipped.

    Raises:
      UserError: the file is missing.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(
        f"{folder / name}[.gz] is missing; docs/benchmarks.md says where to download it."
    )


def rows(splits: Mapping) -> list[list[str]]:
    """Formats a row per split and message graph."""
    lines = []
    for split in ORDER:
        measured = splits[split]
        scores = measured["scores"]
        seen = measured["seen_endpoints"]
        shares = [
            sum(seen[name]) / sum(map(sum, seen.values())) for name in protein_interaction.ENDPOINTS
        ]
        for messages in protein_interaction.MESSAGES:
            score = scores[f"embeddings, {messages}"]
            lines.append(
                [
                    split,
                    messages,
                    f"{number(score['micro_f1'])} ± {number(score['std'])}",
                    ", ".join(map(_with_interval, score["by_seed"], score["intervals"])),
                    number(scores["constant"]["micro_f1"]),
                    " / ".join(f"{share:.0%}" for share in shares),
                    " ".join(map(str, score["chosen_epochs"])),
                ]
            )
    return lines


def _with_interval(value: float, bounds: Sequence[float]) -> str:
    return f"{number(value)} {interval(bounds)}"


def orders(splits: Mapping) -> list[str]:
    """Writes a sentence per message graph on how the splits rank, by mean and spread over seeds."""
    sentences = []
    for messages in protein_interaction.MESSAGES:
        scores = {split: splits[split]["scores"][f"embeddings, {messages}"] for split in ORDER}
        steps = []
        for higher, lower in zip(ORDER, ORDER[1:], strict=False):
            difference = scores[higher]["micro_f1"] - scores[lower]["micro_f1"]
            spread = (scores[higher]["std"] ** 2 + scores[lower]["std"] ** 2) ** 0.5
            steps.append(
                f"{higher} − {lower} = {difference:+.3f} "
                f"(spread of the difference over seeds {spread:.3f})"
            )
        sentences.append(f"messages over {messages} pairs: {'; '.join(steps)}")
    return sentences


def measured(graph: InteractionGraph, split: str, options: argparse.Namespace) -> dict:
    """The result of one split, read from the folder if it has the same options."""
    path = options.folder / f"{split}.json"
    chosen = {"epochs": options.epochs, "seeds": options.seeds}
    if path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.get("chosen") == chosen:
            return stored
    config = interaction_config.get_config()
    config.update(splits=(split,), composition_baseline=False, **chosen)
    start = time.perf_counter()
    result = protein_interaction.run(graph, composition, config)
    result |= {
        "chosen": chosen,
        "seconds": time.perf_counter() - start,
        "cores": len(os.sched_getaffinity(0)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_json(result), indent=2) + "\n", encoding="utf-8")
    return result


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data_dir", type=Path, required=True, metavar="DIR", help="folder of the two files"
    )
    parser.add_argument(
        "--epochs", type=int, default=300, help="epochs per training (default: %(default)s)"
    )
    parser.add_argument(
        "--seeds", type=int, default=3, help="number of seeds (default: %(default)s)"
    )
    parser.add_argument(
        "--folder", type=Path, required=True, metavar="DIR", help="folder for the results"
    )
    options = parser.parse_args(arguments)

    actions, sequences = (found(options.data_dir, name) for name in FILES)
    graph = read_actions(actions, sequences=[sequences])
    results = {split: measured(graph, split, options) for split in ORDER}
    splits = {split: result["splits"][split] for split, result in results.items()}
    print(table(HEADER, rows(splits)))
    print()
    print("\n".join(orders(splits)))
    size = {"proteins": len(graph.names), "pairs": len(graph.edges)}
    seconds = sum(result["seconds"] for result in results.values())
    flops = sum(result["flops"] for result in results.values())
    print(completeness("shs27k", size).sentence)
    print(f"{options.epochs} epochs, {options.seeds} seeds, {seconds:.0f} s, {flops:.2e} FLOPs.")


if __name__ == "__main__":
    raise SystemExit(main())
