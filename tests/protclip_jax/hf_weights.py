"""Random weights and errors for comparisons with the Hugging Face encoders."""

import numpy as np


def random_tensors(model, seed: int) -> dict[str, np.ndarray]:
    """Gives a torch model random weights far from their initial values and returns its state dict as NumPy arrays.

    Attention is then far from uniform and norms from the identity, so that a wrong mask, scale or order shows.
    """
    import torch

    rng = np.random.default_rng(seed)
    tensors = {}
    for name, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        if not tensor.dtype.is_floating_point or name.endswith("inv_freq"):
            tensors[name] = tensor.numpy().copy()
            continue
        scale = 1.5 / np.sqrt(shape[-1]) if len(shape) == 2 and "embeddings" not in name else 0.3
        centre = 1.0 if name.endswith("LayerNorm.weight") or name.endswith("layer_norm_after.weight") else 0.0
        tensors[name] = (centre + scale * rng.normal(size=shape)).astype(np.float32)
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in tensors.items()})
    return tensors


def relative_error(value, reference) -> float:
    """Largest absolute difference over the largest absolute reference value."""
    value, reference = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    assert value.shape == reference.shape
    return float(np.abs(value - reference).max() / np.abs(reference).max())


def rows_of(lengths, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Segment ids and positions [rows, width] of one segment a row, with the given lengths."""
    positions = np.broadcast_to(np.arange(width), (len(lengths), width))
    inside = positions < np.asarray(lengths)[:, None]
    return inside.astype(np.int32), np.where(inside, positions, 0).astype(np.int32)


def pack(rows: list[np.ndarray], width: int, padding: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens, segment ids and positions [1, width] of all rows behind one another, padded at the end."""
    tail = width - sum(map(len, rows))
    tokens = np.concatenate([*rows, np.full(tail, padding)])
    ids = np.concatenate([*(np.full(len(row), i + 1) for i, row in enumerate(rows)), np.zeros(tail)])
    positions = np.concatenate([*(np.arange(len(row)) for row in rows), np.zeros(tail)])
    return tuple(array[None].astype(np.int32) for array in (tokens, ids, positions))
