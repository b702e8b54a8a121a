"""The head that a protein-level task trains, and its losses.

The head is a two-layer perceptron with ReLU, its hidden layer as wide as its input: TorchDrug's
`PropertyPrediction` and `MultipleBinaryClassification` with num_mlp_layer=2, as used by PEER,
ProtST and ProtCLIP. There is no dropout. Flax's initialisation (LeCun normal, zero biases) replaces
PyTorch's.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Float32, Int

from eval.data.base.task import Target


class TwoLayerHead(nn.Module):
    """Linear to `hidden` → ReLU → Linear to `outputs`.

    The first product is in `dtype`, the result float32.
    """

    hidden: int
    outputs: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "*N D"]) -> Float[Array, "*N C"]:
        hidden = nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name="hidden")(x))
        return nn.Dense(self.outputs, dtype=jnp.float32, name="output")(hidden)


def cross_entropy(outputs: Float[Array, "*N C"], classes: Int[Array, "*N"]) -> Float[Array, "*N"]:
    """−log softmax(outputs)[class]."""
    return optax.softmax_cross_entropy_with_integer_labels(outputs, classes)


def binary_cross_entropy(
    outputs: Float[Array, "*N C"], present: Bool[Array, "*N C"]
) -> Float[Array, "*N"]:
    """Mean over classes of −log sigmoid(±output), plus where the class is present."""
    return jnp.mean(
        optax.sigmoid_binary_cross_entropy(outputs, present.astype(jnp.float32)), axis=-1
    )


def squared_error(outputs: Float[Array, "*N 1"], values: Float[Array, "*N"]) -> Float[Array, "*N"]:
    """(output − value)²."""
    return jnp.square(outputs[..., 0] - values)


class Kind(NamedTuple):
    """What a kind of task means for a head."""

    loss: Callable[[Array, Array], Array]
    """(outputs [..., C], targets) -> the loss of each protein."""
    outputs: Callable[[int], int]
    """The number of outputs C, from the number of classes."""
    encode: Callable[[Sequence[Target], int], np.ndarray]
    """(targets, number of classes) -> encoded targets.

    int32 [n] classes, bool [n, C] presence, or float32 [n] values.
    """


def _presence(targets: Sequence[tuple[int, ...]], classes: int) -> Bool[np.ndarray, "n C"]:
    present = np.zeros((len(targets), classes), bool)
    for row, target in zip(present, targets, strict=True):
        row[list(target)] = True
    return present


KINDS = {
    "multiclass": Kind(
        cross_entropy, lambda classes: classes, lambda targets, _: np.array(targets, np.int32)
    ),
    "multilabel": Kind(binary_cross_entropy, lambda classes: classes, _presence),
    "regression": Kind(
        squared_error, lambda _: 1, lambda targets, _: np.array(targets, np.float32)
    ),
}
"""The kinds of `eval.data.base.task.Task`."""


class Scale(NamedTuple):
    """Mean and spread of a regression's training targets, the unit of the head's outputs.

    0 and 1 for other kinds.
    """

    mean: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, targets: np.ndarray) -> "Scale":
        """Computes the scale of encoded training targets; the spread of constant values is 1."""
        if not np.issubdtype(targets.dtype, np.floating):
            return cls()
        return cls(
            float(targets.mean(dtype=np.float64)), float(targets.std(dtype=np.float64)) or 1.0
        )

    def standardise(self, targets: np.ndarray) -> np.ndarray:
        """Targets as the loss expects them."""
        return (
            ((targets - self.mean) / self.spread).astype(np.float32) if self != Scale() else targets
        )

    def restore(self, outputs: Float32[np.ndarray, "*N C"]) -> Float32[np.ndarray, "*N C"]:
        """The head's outputs in the units of the data; only a regression's change."""
        return (outputs * self.spread + self.mean).astype(np.float32)
