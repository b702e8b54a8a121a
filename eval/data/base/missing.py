"""The error raised when benchmark data are missing."""

from data_pipelines.common.errors import UserError


class MissingData(UserError):
    """The data folder lacks files of a benchmark; the message names them and their source.

    `lacking` holds their names alone, for tables.
    """

    def __init__(self, message: str, *, lacking: str = "data"):
        super().__init__(message)
        self.lacking = lacking
