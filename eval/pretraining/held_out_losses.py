"""The training objectives on held-out records, beside a model that knows only frequencies."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from data_pipelines.common.markdown import number, table
from data_pipelines.protanno.dataset import ProtAnno
from data_pipelines.protanno.record import Record, property_texts
from eval.pretraining.evaluation import Evaluation, Model
from eval.pretraining.pool import fixed_pool
from eval.pretraining.trained_baselines import TrainedBaselines
from protclip_jax.config.schema import completed

SECTION = """## Losses on held-out records

{table}

The objectives of training on {pool} records with distinct biotexts from the split `{split}`, as one
batch, without noise and with the same masks for every model. *Uninformed*: the loss of a model that
cannot distinguish texts and predicts each residue by its frequency among these records. `total` is
the sum weighted as in the run."""


def uninformed_losses(records: Sequence[Record]) -> dict[str, float]:
    """The objectives' values for a model that knows only the frequencies of residues.

    `gc`: ln N among N records. `mlm` and `bsr`: the entropy of the residues' distribution. `pda`:
    the mean of ln K over the records with K ≥ 2 properties.
    """
    counts = Counter("".join(record.sequence for record in records))
    shares = np.array(list(counts.values())) / counts.total()
    entropy = float(-np.sum(shares * np.log(shares)))
    properties = np.array([len(property_texts(record)) for record in records])
    several = properties[properties > 1]
    pda = float(np.log(several).mean()) if several.size else float("nan")
    return {"gc": float(np.log(len(records))), "bsr": entropy, "mlm": entropy, "pda": pda}


class HeldOutLosses(Evaluation):
    """The losses of a split's first `pool` records with distinct biotexts."""

    name = "losses"
    key = "loss"

    def __init__(
        self, dataset: ProtAnno, *, split: str, pool: int = 256, max_existence: int | None = None
    ):
        chosen = fixed_pool(dataset, split=split, size=pool, max_existence=max_existence)
        self._split, self._records = split, chosen.records

    def metrics(self, model: Model) -> dict[str, float]:
        """`total` and each objective's loss."""
        return model.losses(self._records)

    def report(
        self, model: Model, *, control: Model | None, baselines: TrainedBaselines | None = None
    ) -> dict:
        """Adds the losses of a model without knowledge, where they are defined."""
        losses = model.losses(self._records)
        uninformed = uninformed_losses(self._records)
        if completed(model.config)["pda"]["negatives"] != "within_record":
            del uninformed["pda"]
        described = {"split": self._split, "pool": len(self._records)}
        return described | {"losses": losses, "uninformed": uninformed}

    @staticmethod
    def markdown(result: dict) -> str:
        """A table of the objectives."""
        rows = []
        for name, loss in result["losses"].items():
            rows.append([name, number(loss), number(result["uninformed"].get(name))])
        columns = ["objective", "loss", "uninformed"]
        shown = table(columns, rows)
        return SECTION.format(table=shown, pool=result["pool"], split=result["split"])
