"""The tiny ProtCLIP of the quickstart with the choices of `protclip_650m_plus`, whose property weights find their residues."""

from ml_collections import ConfigDict

from configs import quickstart
from configs.protclip_650m_plus import beyond_the_paper


def get_config() -> ConfigDict:
    """The quickstart, so changed."""
    return beyond_the_paper(quickstart.get_config())
