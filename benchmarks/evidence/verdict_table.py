"""Announced claims with what was found, as a table."""

from collections.abc import Mapping

from data_pipelines.common.markdown import interval, number, table


def verdict_table(claims: Mapping[str, str], rows: Mapping[str, Mapping], column: str) -> str:
    """A row for each claim, by endpoint; those without a row in `rows` are not measured.

    Args:
      rows: by endpoint `mean`, `interval`, `adjusted_p`, `verdict`, and what `column` names.
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
