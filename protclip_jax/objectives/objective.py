"""What every term of the loss is: a class with a `loss` of the rows, or with `embed` and
`contrast`.

A loss of the rows needs tokens, but only those of its own row. A contrast needs every record of the
global batch, but of each record only its embeddings. So rows can be computed on many devices, or
one micro-batch after the other.
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
    """One term of the loss. A subclass states its facts as class attributes and defines `loss`, or
    `embed` and `contrast`.

    Attributes:
      name: in the config and the metrics; the weight is `loss.NAME`.
      title: in figures.
      weight: the default weight, and what a weight may be; 0 leaves the objective out.
      options: further fields of the config, `NAME.OPTION`. Names are unique over all objectives.
      masked: whether the protein tower reads the proteins with the residues of `mask` hidden, in a
        pass of its own, and `loss` is a mean over these residues; otherwise the objective reads the
        pass over the unmasked proteins. FLOPs are counted from this.
      reads_features: whether `Batch.residue_properties` is read, which takes time to decode.
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
            # Contrasts of micro-batches are computed before, and without, the masked passes.
            raise TypeError(
                f"{cls.__name__} is masked and has a contrast; define `loss`, or leave "
                "`masked` False"
            )

    def __init__(self, config: Any):
        self.config = config

    @classmethod
    def check(cls, config: Mapping) -> None:
        """Raises `UserError` where options of a whole training config do not go together."""

    def mask(self, batch: Batch) -> Bool[Array, "R L"]:
        """The residues that are hidden from the protein tower, for a `masked` objective."""
        raise NotImplementedError

    def loss(self, rows: Rows) -> Mean | None:
        """The loss of these rows, which reads no other rows; None for a contrast."""

    def embed(self, rows: Rows) -> tuple[Float[Array, "R S ..."], ...] | None:
        """What `contrast` needs of each record; None for a loss of the rows."""

    def contrast(
        self, rows: Rows, embedded: tuple[Float[Array, "R S ..."], ...], global_batch: GlobalBatch
    ) -> Mean:
        """The loss of this device's records against those of the global batch, from what `embed`
        gave."""
        raise NotImplementedError
