"""The error on data that are not there."""

from data_pipelines.common.errors import UserError


class MissingData(UserError):
    """The data folder lacks files of a benchmark; the sentence names them and their source.

    `lacking` names them alone, for tables.
    """

    def __init__(self, message: str, *, lacking: str = "data"):
        super().__init__(message)
        self.lacking = lacking
