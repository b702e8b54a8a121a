"""Handles wrappers of training programs: prefixes of tensor names, and adapters."""

import re
import sys
from collections.abc import Iterable

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints.other_folders import MERGE_ADAPTERS
from protclip_jax.convert.tensors import Tensors

_WRAPPERS = re.compile(r"((module|_orig_mod|model|base_model\.model)\.)+")
"""Prefixes that DataParallel, torch.compile, Lightning and peft add to every name.

No name of our own models begins with one.
"""

_LAYERS = (
    r"lora_\w+|base_layer|original_module|modules_to_save|ia3_l|hada_\w+|lokr_\w+|oft_\w+|adapters?"
)
_ADAPTER = re.compile(rf"(.*\.)?({_LAYERS})(\..*)?")
"""Tensors of peft's and other libraries' adapters, and of the layers that have some."""


def unwrapped(tensors: Tensors, *, source: object) -> Tensors:
    """Strips a wrapper's prefix if all names have it, with a note on stderr.

    `source` says in messages where they come from.

    Raises:
      UserError: there are adapters among them: the model computes with weights that are not in
        the file.
    """
    if adapters := sorted(filter(_ADAPTER.fullmatch, tensors)):
        raise UserError(
            f"{source} holds adapters that are not merged ({len(adapters)} tensors, such as "
            f"{adapters[0]}); {MERGE_ADAPTERS}."
        )
    prefix = _shared_prefix(tensors)
    if not prefix:
        return tensors
    print(
        f"note: all tensors of {source} begin with '{prefix}', which is left out.", file=sys.stderr
    )
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _shared_prefix(names: Iterable[str]) -> str:
    """The longest wrapper prefix that all names have, or ''."""
    matches = (_WRAPPERS.match(name) for name in names)
    wrapped = {match[0] if match else "" for match in matches}
    return wrapped.pop() if len(wrapped) == 1 else ""


def suggestion(name: str, present: Iterable[str]) -> str:
    """The fix for a missing tensor `name`: another one if it exists behind a prefix."""
    longer = next((other for other in present if other.endswith(f".{name}")), None)
    if longer is None:
        return "give the complete checkpoint"
    prefix = longer.removesuffix(name)
    return f"it has {longer}; save that part of the model alone, its names without '{prefix}'"
