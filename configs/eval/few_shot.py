"""Few-shot classification: nothing is trained, so there are few settings."""

from protclip_jax.config.plain_values import Config


def get_config() -> Config:
    """Curves from 1 to 32 examples of each class, with ten draws each."""
    return Config(
        dict(
            shots=(1, 2, 4, 8, 16, 32),
            draws=10,
            splits=dict(valid_fraction=0.1, test_fraction=0.2, remove_leaks=False),
        )
    )
