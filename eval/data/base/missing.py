"""The error on data that are not there."""

from data_pipelines.common.errors import UserError


class MissingData(UserError):
    """The data folder lacks a benchmark's files; the sentence names them and where they come from."""
