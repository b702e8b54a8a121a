"""The interface of a loss term: a subclass defines `loss`, or `embed` and `contrast`.

`loss` reads tokens, but only those of its own row. A contrast reads every record of the global
batch, but only their embeddings. Rows can therefore be computed on many devices, or in
micro-batches one after another.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Array, Bool, Float

from data_pipelines.common.settings import Setting
from data_pipelines.training.batch import Batch
from protclip_jax.objectives.global_batch import GlobalBatch
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.rows import Rows


class Objective:
    """One term of the loss; subclasses set the class attributes below.

    A subclass defines either `loss`, or `embed` and `contrast`.

    Attributes:
      name: name in the config and the metrics; the weight is `loss.NAME`.
      title: name in figures.
      weight: the default weight and the values allowed for it; 0 turns the objective off.
      options: additional config fields, `NAME.OPTION`. Names are unique across objectives.
      masked: whether `loss` is a mean over the residues of `mask`, which are masked in the protein
        tower's input; otherwise the objective reads the pass over the unmasked proteins. The FLOP
        count depends on it.
      reads_features: whether the objective reads `Batch.residue_properties`, which takes time to
        decode.
      config: the `ObjectiveConfig` of the run.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    weight: ClassVar[Setting]
    options: ClassVar[Mapping[str, Setting]] = {}
    masked: ClassVar[bool] = False
    reads_features: ClassVar[bool] = False

    def __init_subclass__(cls):
        if cls.masked and cls.embed is not Objective.embed:
            # With micro-batches, contrasts are computed before the masked passes and without them.
            raise TypeError(
                f"{cls.__name__} is masked and has a contrast; define `loss`, or leave "
                "`masked` False"
            )

    def __init__(self, config: Any):
        self.config = config

    @classmethod
    def check(cls, config: Mapping) -> None:
        """Raises UserError if options of the whole training config contradict each other."""

    def mask(self, batch: Batch) -> Bool[Array, "R L"]:
        """The residues to mask in the protein tower's input; only for `masked` objectives."""
        raise NotImplementedError

    def loss(self, rows: Rows) -> Mean | None:
        """The loss of these rows, which reads no other rows; None if this is a contrast."""

    def embed(self, rows: Rows) -> tuple[Float[Array, "R S ..."], ...] | None:
        """The arrays that `contrast` needs from each record; None if this is not a contrast."""

    def contrast(
        self, rows: Rows, embedded: tuple[Float[Array, "R S ..."], ...], global_batch: GlobalBatch
    ) -> Mean:
        """The loss of this device's records against the global batch, from `embed`'s arrays."""
        raise NotImplementedError
