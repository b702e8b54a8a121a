"""The error on data that are not there."""

from data_pipelines.common.errors import UserError


class MissingData(UserError):
    """The data folder lacks files of a benchmark; the sentence names them and their source."""
