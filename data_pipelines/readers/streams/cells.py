"""Cells of tables as spreadsheets and statistics programs write them."""

_WORDS = frozenset(["nan", "na", "n/a", "#n/a", "none", "null", "nil", "-"])


def is_missing(cell: str) -> bool:
    """Whether a table's cell says that there is no value, as pandas, R and spreadsheets write
    it."""
    return cell.strip().lower() in _WORDS


def unquoted(cell: str) -> str:
    """A cell of a tab-separated table as it was before a spreadsheet put it in quotation marks."""
    inner = cell[1:-1]
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if quoted else cell
