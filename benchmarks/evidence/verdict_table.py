"""A table of announced claims and their results."""

from collections.abc import Mapping

from data_pipelines.common.markdown import interval, number, table


def verdict_table(claims: Mapping[str, str], rows: Mapping[str, Mapping], column: str) -> str:
    """A row per claim, by endpoint; claims without a row in `rows` are shown as not measured.

    Args:
      rows: for each endpoint `mean`, `interval`, `adjusted_p`, `verdict`, and the field `column`.
    """
    lines = []
    for name, claim in claims.items():
        if name not in rows:
            lines.append([claim, "", "", "", "not measured"])
            continue
        row = rows[name]
        measured = f"{number(row['mean'])} {interval(row['interval'])}"
        lines.append(
            [claim, str(row[column]), measured, number(row["adjusted_p"]), f"**{row['verdict']}**"]
        )
    return table(["claim", column, "difference", "p (Holm)", "verdict"], lines)
