"""Zero-shot variant effects: nothing is trained, so there are few settings."""

from protclip_jax.config.plain_values import Config


def get_config() -> Config:
    """One position masked at a time, as ProteinGym's own program scores language models."""
    return Config(dict(method="masked_singly"))
