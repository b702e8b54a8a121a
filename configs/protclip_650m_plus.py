"""The paper's recipe with the best segments of docs/segments.md, which goes beyond the paper."""

from ml_collections import ConfigDict

from configs import protclip_650m


def beyond_the_paper(config: ConfigDict) -> ConfigDict:
    """Contrasts property texts with those of other records, without prototypes.

    Segments also learn from UniProt's features.
    """
    config.loss.features = 1.0
    # The loss also moves the texts, as in the measurements of docs/segments.md.
    config.pda.update(negatives="across_records", prototypes=False, text_gradient=True)
    return config


def get_config() -> ConfigDict:
    """The 650M config with these changes."""
    return beyond_the_paper(protclip_650m.get_config())
