"""Cross-modal retrieval on a fixed pool, in both directions, beside baselines without a network.

For each query, protein or biotext, the candidates of the other modality are ranked by cosine. A
candidate with the query's own biotext is a hit, and the best-ranked hit counts. Every number is the
expectation over random orders of ties (`eval.metrics.ranking`): a model that embeds everything
alike scores exactly chance.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Self

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from data_pipelines.common.errors import UserError
from data_pipelines.common.markdown import interval, number, table
from data_pipelines.protanno.dataset import ProtAnno
from eval.baselines import kmer_transfer
from eval.baselines.judge import fit_judge, matched
from eval.metrics.ranking import best_hit, recall, reciprocal_rank
from eval.metrics.statistics import bootstrap_interval
from eval.pretraining.evaluation import Encoder, Evaluation, Model
from eval.pretraining.groups import by_nearness, everything, group_table, measured
from eval.pretraining.pool import fixed_pool
from eval.pretraining.retrieval_figure import RETRIEVAL, retrieval_over_steps
from eval.pretraining.trained_baselines import Linear, TrainedBaselines
from eval.pretraining.training_labels import by_family
from eval.pretraining.transfer_retrieval import transfer_results

RECALLS = (1, 5, 10)
SCORES_AT_ONCE = 2**24
MAX_POOL = 1 << 22
"""Far above any pool for which all pairs of similarities fit in memory."""
DIRECTIONS = {"p2t": "protein → text", "t2p": "text → protein"}
COLUMNS = ("r1", "r5", "r10", "mrr", "median_rank")
SECTION = """## Retrieval

A pool of {pool} records{fewer} with distinct biotexts from the split `{split}` of {split_records}
records: the first in the order of their accessions' hashes. Biotexts count as equal if the model
sees the same tokens after truncation.

{table}

95 % interval of R@1: {intervals} (bootstrap over queries).

Candidates are ranked by cosine. A candidate whose biotext equals the query's is a hit, and the
best-ranked hit counts; tied candidates count by their expected rank in random order. *k-mer
baseline*: the training protein with the most similar 3-mers (tf-idf cosine, {references} training
records) lends its biotext, which is compared with the candidates by the tf-idf cosine of their
words. *Linear model*: {linear}. {judge}*Chance*: a random order.{transfers}{groups}"""
TRANSFERS = """

Annotation transfer takes, for each property, the text of the nearest training protein that has one,
or without any the average training text. Each way is chosen on validation, by the mean of both
directions' MRR:
{chosen}."""
NEARNESS = """

MRR (mean of both directions, all candidates of the pool) by the nearest training record with text.
A training record counts as a relative if the match covers at least half of the held-out protein:

{table}"""
FAMILIES = """

MRR over all proteins, and by whether training names a family of the protein:

{table}"""
JUDGE = """*Ceiling (judge)*: knows what is planted in every protein, what every text says and how
often texts err, but not which belong together. """
LINEAR = """a matrix for bags of 3-mers and one for bags of words,
trained on {records} training records with the network's contrast, draws and texts; learning rate
{learning_rate} and stopping point chosen by MRR on validation ({validation_mrr})"""


def competition(
    scores: Float[np.ndarray, "N M"],
    query_labels: Int[np.ndarray, " N"],
    candidate_labels: Int[np.ndarray, " M"],
) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " N"]]:
    """How many wrong candidates score above each query's best hit, and how many tie with it.

    Equal labels mean equal texts.
    """
    return best_hit(scores, query_labels[:, None] == candidate_labels[None])


def summarize(competitions: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """R@1/5/10, MRR and median rank of each direction, and `mrr`, the mean of both directions."""
    summary = {}
    for name, (above, tied) in competitions.items():
        summary |= {f"{name}_r{k}": float(recall(above, tied, k).mean()) for k in RECALLS}
        summary[f"{name}_mrr"] = float(reciprocal_rank(above, tied).mean())
        summary[f"{name}_median_rank"] = float(np.median(above + tied / 2 + 1))
    return summary | {"mrr": float(np.mean([summary[f"{name}_mrr"] for name in competitions]))}


def mean_of_directions(
    competitions: dict[str, tuple[np.ndarray, np.ndarray]],
) -> Float[np.ndarray, " N"]:
    """For each record, the mean of both directions' reciprocal ranks."""
    return np.mean([reciprocal_rank(above, tied) for above, tied in competitions.values()], axis=0)


class Retrieval(Evaluation):
    """Retrieval among a split's first `pool` records with distinct biotexts."""

    name = "retrieval"
    compares_transfers = True
    captions = {
        "retrieval": "Retrieval on the training run's own pool over steps, beside baselines on "
        "that pool. The linear model was chosen on validation records. The judge knows what is "
        "planted: the ceiling."
    }

    def __init__(
        self, dataset: ProtAnno, *, split: str, pool: int = 256, max_existence: int | None = None
    ):
        self._pool = fixed_pool(dataset, split=split, size=pool, max_existence=max_existence)
        self._dataset, self._splits = dataset, dataset.splits
        # A pool's biotexts are distinct, so each text gets its own label.
        self._labels = np.arange(len(self._pool.texts))

    @property
    def accessions(self) -> list[str]:
        """Of the pool, in its order."""
        return [record.accession for record in self._pool.records]

    def reciprocal_ranks(self, model: Encoder) -> Float[np.ndarray, " N"]:
        """For each record, the mean of both directions."""
        return mean_of_directions(self._competitions(model))

    def metrics(self, model: Model) -> dict[str, float]:
        """The numbers of `summarize` and the size of the pool."""
        return summarize(self._competitions(model)) | {"pool": float(len(self._pool.texts))}

    def report(
        self, model: Model, *, control: Model | None, baselines: TrainedBaselines | None = None
    ) -> dict:
        """Adds intervals of R@1, chance, baselines, and MRR by nearness and by family."""
        competitions = self._competitions(model)
        linear = baselines and baselines.linear
        transfers = transfer_results(model, baselines, self._pool.records) if baselines else {}
        of_transfers = {name: self._ranked(found.scores) for name, found in transfers.items()}
        compared = {"ProtCLIP": competitions}
        compared |= {"linear model": self._competitions(linear.model)} if linear else {}
        values = {
            name: mean_of_directions(found) for name, found in (compared | of_transfers).items()
        }
        intervals = {
            f"{name}_r1_interval": bootstrap_interval(recall(above, tied, 1))
            for name, (above, tied) in competitions.items()
        }
        size = len(self._pool.texts)
        described = {
            "pool": size,
            "requested_pool": self._pool.requested,
            "split": self._pool.split,
        }
        described |= {"split_records": self._pool.split_records, "chance": chance(size)}
        beside = {"kmer": self.baseline(), "linear": self._linear(linear), "judge": self.judge()}
        beside["transfers"] = {
            name: summarize(of_transfers[name])
            | {"chosen": found.chosen, "validation_mrr": found.validation_mrr}
            for name, found in transfers.items()
        }
        families = (
            [everything(size), *by_family(self._pool.records, baselines.labels)]
            if baselines
            else []
        )
        beside["by_nearness"] = measured(by_nearness(self._dataset, self.accessions), values)
        beside["by_family"] = measured(families, values)
        return described | summarize(competitions) | intervals | beside

    def baseline(self) -> dict[str, float]:
        """The k-mer baseline's numbers on this pool; empty without training records."""
        references = kmer_transfer.read_references(self._splits)
        if not references.texts:
            return {}
        scores = kmer_transfer.annotation_transfer(references, self._pool.records, self._pool.texts)
        return summarize(self._ranked(scores)) | {"reference_records": len(references.texts)}

    def judge(self) -> dict[str, float]:
        """The numbers of a judge who knows what is planted.

        Empty for a dataset that does not say what its texts state.
        """
        scores = self._judged()
        return {} if scores is None else summarize(self._ranked(scores))

    def judged_ranks(self) -> Float[np.ndarray, " N"] | None:
        """The judge's `reciprocal_ranks`."""
        scores = self._judged()
        return None if scores is None else mean_of_directions(self._ranked(scores))

    def _judged(self) -> Float[np.ndarray, "N N"] | None:
        if not self._dataset.said:
            return None
        training = kmer_transfer.reference_records(self._splits)
        judge = fit_judge(self._dataset.questions, self._dataset.said, training, self._pool.records)
        return matched(judge.scores(self._pool.records, self._pool.records))

    def _ranked(self, scores: Float[np.ndarray, "N N"]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Both directions' competitions, from the scores of proteins against texts."""
        both = {"p2t": scores, "t2p": scores.T}
        return {
            name: competition(matrix, self._labels, self._labels) for name, matrix in both.items()
        }

    def _linear(self, trained: Linear | None) -> dict[str, float]:
        """The linear model's numbers on this pool, and how it was trained; empty without one."""
        if trained is None:
            return {}
        how = {
            name: getattr(trained, name) for name in ("records", "learning_rate", "validation_mrr")
        }
        return summarize(self._competitions(trained.model)) | how

    def _competitions(self, model: Encoder) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        proteins = model.encode_proteins([record.sequence for record in self._pool.records])
        texts = model.encode_texts(self._pool.texts)
        return {"p2t": self._rank(proteins, texts), "t2p": self._rank(texts, proteins)}

    def _rank(
        self, queries: Float[np.ndarray, "N D"], candidates: Float[np.ndarray, "N D"]
    ) -> tuple[np.ndarray, np.ndarray]:
        rows = max(1, SCORES_AT_ONCE // len(candidates))
        chunks = [slice(start, start + rows) for start in range(0, len(queries), rows)]
        parts = [
            competition(queries[chunk] @ candidates.T, self._labels[chunk], self._labels)
            for chunk in chunks
        ]
        above, tied = (np.concatenate(part) for part in zip(*parts, strict=True))
        return above, tied

    @classmethod
    def training_figures(
        cls,
        logged: Sequence[Mapping],
        followed: Callable[[], Self | None],
        baselines: TrainedBaselines | None = None,
    ) -> dict[str, Figure | None]:
        """Plots R@1 and MRR over steps.

        Raises:
          UserError: the run logged an impossible pool size.
        """
        pools = [line[f"{RETRIEVAL}pool"] for line in logged if line.get(f"{RETRIEVAL}pool")]
        if not pools:
            return {"retrieval": None}
        if not 2 <= pools[-1] <= MAX_POOL:
            raise UserError(
                f"metrics.jsonl has a retrieval pool of {pools[-1]}; remove it to evaluate "
                "without its figures."
            )
        evaluation = followed()
        beside = {}
        if evaluation:
            linear = evaluation._linear(baselines and baselines.linear)
            beside = {
                "linear model": linear,
                "k-mer baseline": evaluation.baseline(),
                "ceiling (judge)": evaluation.judge(),
            }
        beside["chance"] = chance(int(pools[-1]))
        return {
            "retrieval": retrieval_over_steps(
                logged, {name: found for name, found in beside.items() if found}
            )
        }

    @staticmethod
    def markdown(result: dict) -> str:
        """A table of both directions: model, baselines, chance."""
        compared = {
            "ProtCLIP": result,
            "linear model": result["linear"],
            "k-mer baseline": result["kmer"],
        }
        if result["judge"]:
            compared["ceiling (judge)"] = result["judge"]
        compared |= result["transfers"]
        compared["chance"] = result["chance"]
        rows = [
            _row(f"{direction}, {who}", name, values)
            for name, direction in DIRECTIONS.items()
            for who, values in compared.items()
        ]
        intervals = [
            f"{interval(result[f'{name}_r1_interval'])} {text}" for name, text in DIRECTIONS.items()
        ]
        fields = result["linear"] and result["linear"] | {
            "validation_mrr": number(result["linear"]["validation_mrr"])
        }
        linear = (
            LINEAR.format(**fields)
            if fields
            else "not trained, because there is no validation split to choose it on"
        )
        return SECTION.format(
            **{name: result[name] for name in ("pool", "split", "split_records")},
            fewer=f" ({result['requested_pool']} were requested)"
            if result["pool"] < result["requested_pool"]
            else "",
            table=table(["", "R@1", "R@5", "R@10", "MRR", "median rank"], rows),
            intervals=" and ".join(intervals),
            references=result["kmer"].get("reference_records", "no"),
            linear=linear,
            judge=JUDGE if result["judge"] else "",
            transfers=_transfers(result["transfers"]),
            groups=_groups(result),
        )


def _row(title: str, name: str, values: Mapping) -> list[str]:
    return [title, *(number(values.get(f"{name}_{column}")) for column in COLUMNS)]


def _transfers(found: Mapping[str, Mapping]) -> str:
    if not found:
        return ""
    chosen = [
        f"{name}: {one['chosen']} ({number(one['validation_mrr'])})" for name, one in found.items()
    ]
    return TRANSFERS.format(chosen="; ".join(chosen))


def _groups(result: Mapping) -> str:
    parts = [
        (NEARNESS, group_table(result["by_nearness"], "nearest in training")),
        (FAMILIES, group_table(result["by_family"], "family")),
    ]
    return "".join(text.format(table=shown) for text, shown in parts if shown)


def chance(size: int) -> dict[str, float]:
    """The expectations of a random order of `size` candidates with one hit."""
    everything_tied = np.zeros(1, int), np.array([size - 1])
    return summarize(dict.fromkeys(DIRECTIONS, everything_tied))
