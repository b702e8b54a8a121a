"""Zero-shot effects of variants: nothing is trained, so there is little to choose."""

from protclip_jax.config.plain_values import Config


def get_config() -> Config:
    """One position masked at a time, as ProteinGym's own program scores language models."""
    return Config(dict(method="masked_singly"))
