"""Matryoshka prefixes: the first dimensions of an embedding are to be an embedding themselves
(Kusupati et al. 2022).

Off by default (`loss.matryoshka`). The global contrast of the first m dimensions (arXiv 2205.13147,
equation 1), for each of some widths m below the model's own, whose contrast is `loss.gc`.
"""

from collections.abc import Mapping, Sequence

from jaxtyping import Array, Float, Int

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import is_number
from data_pipelines.common.settings import MAX_WIDTH, WEIGHT, Setting, list_of
from protclip_jax.models.heads import unit_norm
from protclip_jax.objectives.global_batch import GlobalBatch
from protclip_jax.objectives.global_contrastive import Pairs, global_contrastive, pairs_of
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.objective import Objective
from protclip_jax.objectives.rows import Rows

_WIDTHS = list_of(
    f"whole numbers from 1 to {MAX_WIDTH}",
    lambda x: type(x) is int and 1 <= x <= MAX_WIDTH,
    example="(64, 128, 256)",
)
_SHARES = list_of(
    "numbers above 0",
    lambda x: is_number(x) and x > 0,
    example="(1.0, 1.0, 2.0), or () for equal ones",
)


def matryoshka_contrastive(
    local: Pairs,
    global_: Pairs,
    *,
    widths: Sequence[int],
    shares: Sequence[float],
    first: int | Int[Array, ""],
    logit_scale: Float[Array, ""],
    mask_duplicates: bool,
    chunk: int = 0,
) -> Mean:
    """`global_contrastive` of the first m dimensions, brought back to unit norm, averaged over the
    widths m.

    Args:
      widths: the m's, at least one.
      shares: the weight of each width in the average.

    The others are those of `global_contrastive`, and so is what it returns.
    """
    options = {
        "first": first,
        "logit_scale": logit_scale,
        "mask_duplicates": mask_duplicates,
        "chunk": chunk,
    }
    means = [
        global_contrastive(*(prefixes(x, width) for x in (local, global_)), **options)
        for width in widths
    ]
    total = sum(share * mean.sum for share, mean in zip(shares, means, strict=True))
    return Mean(total / sum(shares), means[0].count)


def prefixes(pairs: Pairs, width: int) -> Pairs:
    """The pairs with the first dimensions of their embeddings, of unit norm."""
    return pairs._replace(
        protein=unit_norm(pairs.protein[:, :width]), text=unit_norm(pairs.text[:, :width])
    )


class Matryoshka(Objective):
    """GC over prefixes of the embeddings, with its scale and its rule for duplicates."""

    name = "matryoshka"
    title = "prefixes (Matryoshka)"
    weight = Setting(
        0.0, WEIGHT, "Weight of the global contrast of the embeddings' first dimensions."
    )
    options = {
        "widths": Setting(
            (64, 128, 256), _WIDTHS, "How many first dimensions, each below `model.projection_dim`."
        ),
        "width_weights": Setting(
            (), _SHARES, "The weight of each width in the average over the widths."
        ),
    }

    @classmethod
    def check(cls, config: Mapping) -> None:
        if not config["loss"][cls.name]:
            return
        widths, shares = config[cls.name]["widths"], config[cls.name]["width_weights"]
        whole = config["model"]["projection_dim"]
        if not widths or max(widths) >= whole:
            raise UserError(
                f"matryoshka.widths={tuple(widths)} must be one or more widths below "
                f"model.projection_dim={whole}; "
                "leave out those that are not, or set loss.matryoshka=0."
            )
        if shares and len(shares) != len(widths):
            raise UserError(
                f"matryoshka.width_weights has {len(shares)} numbers for the {len(widths)} "
                "of matryoshka.widths; "
                "give one for each, or () for equal ones."
            )

    def embed(self, rows: Rows) -> tuple[Float[Array, "R S P"], Float[Array, "R S P"]]:
        return rows.protein_embedding, rows.text_embedding

    def contrast(self, rows: Rows, embedded: tuple, global_batch: GlobalBatch) -> Mean:
        local, widths = pairs_of(rows, embedded, global_batch), self.config.widths
        return matryoshka_contrastive(
            local,
            global_batch.gather(local),
            widths=widths,
            shares=self.config.width_weights or (1.0,) * len(widths),
            first=global_batch.first,
            logit_scale=rows.logit_scale,
            mask_duplicates=self.config.mask_duplicates,
            chunk=self.config.contrast_chunk,
        )
