"""Few-shot classification: nothing is trained, so there is little to choose."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Curves from one to 32 examples of each class, ten draws each."""
    return ConfigDict(
        dict(
            shots=(1, 2, 4, 8, 16, 32),
            draws=10,
            splits=dict(valid_fraction=0.1, test_fraction=0.2, remove_leaks=False),
        )
    )
