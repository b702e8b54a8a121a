"""Table cells as spreadsheets and statistics programs write them."""

_WORDS = frozenset(["nan", "na", "n/a", "#n/a", "none", "null", "nil", "-"])


def is_missing(cell: str) -> bool:
    """Whether a cell marks a missing value the way pandas, R or spreadsheets write it."""
    return cell.strip().lower() in _WORDS


def unquoted(cell: str) -> str:
    """Undoes the quoting that a spreadsheet added to a cell of a tab-separated table."""
    inner = cell[1:-1]
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if quoted else cell
