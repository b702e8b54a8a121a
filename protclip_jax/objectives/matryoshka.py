"""Matryoshka loss: trains prefixes of an embedding to be embeddings (Kusupati et al. 2022).

Off by default (`loss.matryoshka`). It is the global contrast of the first m dimensions (arXiv
2205.13147, equation 1) for several widths m below the model's own, which `loss.gc` covers.
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
    example="(1.0, 1.0, 2.0), or () for equal weights",
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
    """Averages `global_contrastive` of the renormalised first m dimensions over the widths m.

    The remaining arguments and the return value are those of `global_contrastive`.

    Args:
      widths: the values of m, at least one.
      shares: the weight of each width in the average.

    Example:
      >>> import jax.numpy as jnp
      >>> from protclip_jax.objectives.global_contrastive import Pairs
      >>> from protclip_jax.objectives.matryoshka import matryoshka_contrastive
      >>> hashes = jnp.array([1, 2], jnp.uint32)
      >>> embeddings = jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
      >>> pairs = Pairs(embeddings, embeddings, jnp.array([True, True]), hashes, hashes)
      >>> loss = matryoshka_contrastive(
      ...     pairs,
      ...     pairs,
      ...     widths=[2],
      ...     shares=[1.0],
      ...     first=0,
      ...     logit_scale=jnp.log(10.0),
      ...     mask_duplicates=True,
      ... )
      >>> print(f"{loss.value():.6f}")
      0.000045
    """
    options = {
        "first": first,
        "logit_scale": logit_scale,
        "mask_duplicates": mask_duplicates,
        "chunk": chunk,
    }
    means = []
    for width in widths:
        pairs = prefixes(local, width), prefixes(global_, width)
        means.append(global_contrastive(*pairs, **options))
    total = sum(share * mean.sum for share, mean in zip(shares, means, strict=True))
    return Mean(total / sum(shares), means[0].count)


def prefixes(pairs: Pairs, width: int) -> Pairs:
    """Cuts the embeddings to their first dimensions and normalises them."""
    return pairs._replace(
        protein=unit_norm(pairs.protein[:, :width]), text=unit_norm(pairs.text[:, :width])
    )


class Matryoshka(Objective):
    """GC over prefixes of the embeddings, with the same scale and handling of duplicates as GC."""

    name = "matryoshka"
    title = "prefixes (Matryoshka)"
    weight = Setting(0.0, WEIGHT, "Weight of the global contrast over prefixes of the embeddings.")
    options = {
        "widths": Setting(
            (64, 128, 256), _WIDTHS, "Prefix widths, each below `model.projection_dim`."
        ),
        "width_weights": Setting(
            (), _SHARES, "Weight of each width in the average over the widths; () = equal weights."
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
                f"matryoshka.widths={tuple(widths)} must list one or more widths below "
                f"model.projection_dim={whole}; remove the others, or set loss.matryoshka=0."
            )
        if shares and len(shares) != len(widths):
            raise UserError(
                f"matryoshka.width_weights has {len(shares)} numbers, but matryoshka.widths has "
                f"{len(widths)}; give one weight per width, or () for equal weights."
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
