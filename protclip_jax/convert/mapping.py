"""One table for both directions: which tensors of a file each parameter is made of.

A table maps a parameter's path to the names of its tensors. The kernels of a path that ends in
`/kernel` are Linear weights [out, in] transposed; several tensors are joined along the last axis;
`{layer}` in a name stands for the layers that the parameter stacks along its first axis.
"""

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from data_pipelines.common.errors import UserError
from protclip_jax.convert.tensors import FLOATS, Tensors
from protclip_jax.convert.wrapped_names import suggestion

Table = Mapping[str, tuple[str, ...]]


def linear(path: str, *modules: str) -> Table:
    """The kernel and bias at `path` of one or several joined Linear modules."""
    weights = tuple(f"{module}.weight" for module in modules)
    biases = tuple(f"{module}.bias" for module in modules)
    return {f"{path}/kernel": weights, f"{path}/bias": biases}


def norm(path: str, module: str) -> Table:
    """The scale and bias at `path` of a LayerNorm."""
    return {f"{path}/scale": (f"{module}.weight",), f"{path}/bias": (f"{module}.bias",)}


def parts(path: str, array: np.ndarray, names: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors of a parameter: their names, and views of `array` shaped like them."""
    for layer, of_layer in enumerate(array if "{layer}" in names[0] else (array,)):
        joined = np.split(of_layer, len(names), axis=-1) if len(names) > 1 else [of_layer]
        for name, part in zip(names, joined, strict=True):
            yield name.format(layer=layer), part.T if path.endswith("/kernel") else part


def fill(
    shapes: Mapping[str, tuple[int, ...]],
    tensors: Tensors,
    table: Table,
    *,
    unused: re.Pattern,
    original: Callable[[str], str] = str,
) -> dict:
    """The parameter tree (float32) of the given shapes, filled with the tensors that `table` names.

    Args:
      unused: matches the whole names of tensors that our networks have no use for.
      original: from the tensors' names here to those in the file, for errors.

    Raises:
      UserError: a tensor is missing, of another shape than its parameter needs, no float, not
        finite, or left over.
    """
    used = set()
    # All is checked before anything is allocated: a wrong config may ask for any size.
    for path, shape in shapes.items():
        for name, part in parts(path, np.broadcast_to(np.float32(0), shape), table[path]):
            used.add(name)
            if name not in tensors:
                fix = suggestion(name, map(original, tensors))
                raise UserError(
                    f"The checkpoint lacks the tensor {original(name)}, needed for {path}; {fix}."
                )
            _check(tensors[name], part.shape, name=original(name), path=path)
    if left := sorted(
        original(name) for name in tensors if name not in used and not unused.fullmatch(name)
    ):
        count = f"{len(left)} tensors" if len(left) > 1 else "1 tensor"
        surplus = f"{count} that the config has no place for, such as {left[0]}"
        raise UserError(f"The checkpoint has {surplus}; use the config that belongs to it.")
    params = {path: np.empty(shape, np.float32) for path, shape in shapes.items()}
    for path, array in params.items():
        for name, part in parts(path, array, table[path]):
            part[...] = tensors[name]
            if not np.isfinite(part).all():
                broken = (
                    f"Tensor {original(name)} holds NaN or infinity, as left by a training run "
                    "that diverged"
                )
                raise UserError(f"{broken}; give other weights.")
    return unflatten_dict(params, sep="/")


def _check(tensor: np.ndarray, shape: tuple[int, ...], *, name: str, path: str) -> None:
    if tensor.shape != shape:
        raise UserError(
            f"Tensor {name} has the shape {list(tensor.shape)}, but the config asks for "
            f"{list(shape)} in {path}; "
            "use the config that belongs to the checkpoint."
        )
    if tensor.dtype not in FLOATS.values():
        raise UserError(
            f"Tensor {name} is of dtype {tensor.dtype}; give a checkpoint in {', '.join(FLOATS)}."
        )


def unfill(params: Mapping, table: Table) -> dict[str, np.ndarray]:
    """The tensors behind a parameter tree of NumPy arrays, as views; the reverse of `fill`."""
    tensors = {}
    for path, array in flatten_dict(params, sep="/").items():
        tensors |= dict(parts(path, array, table[path]))
    return tensors
