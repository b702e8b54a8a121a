"""The report on a calibration: tables and the reliability diagram."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from data_pipelines.common.figure_style import BLUE, INK, VERMILION, tidy
from data_pipelines.common.markdown import number, table
from eval.calibration.fitting import Checked, Reliability
from eval.reporting.base.curves import small_multiples

CAPTIONS = {
    "reliability": "Confidence of hits against the share that agrees, on questions that the tables "
    "were not fitted on. Points are bins of confidence, sized by their hits; the line is perfect "
    "calibration, the dashes the base rate of random items."
}
QUESTIONS = {"text": "text → protein", "sequence": "protein → protein", "label": "protein → label"}
SECTION = """## Calibration

What share of hits agrees with a held-out question, by the cosine and its margin. A table was fitted
on one held-out split and checked on another; a record that says nothing of a trait is not counted,
nor is the protein that a question is of, as what is asked need not be in an index. Bins join until
the shares grow by more than chance: a single bin says that cosines tell nothing. The Brier score is
to be below that of the constant, the share of all hits that the table was fitted on.

{tables}

Agreement is {meanings}.

## On questions that the tables were not fitted on

{checked}

{groups}"""


def markdown(checked: Sequence[Checked]) -> str:
    """The tables, and how well they hold overall and by group."""
    meanings = dict.fromkeys((one.table.trait, one.meaning) for one in checked)
    rows = [_table_row(one) for one in checked]
    header = [
        "question",
        "trait",
        "base rate",
        "bins",
        "least confidence",
        "largest",
        "bins' questions",
    ]
    held = [_row(_named(one), one.whole) for one in checked if one.whole]
    groups = [
        _row(f"{_named(one)}, {name}", found)
        for one in checked
        for name, found in one.groups.items()
    ]
    named = [
        "question",
        "questions",
        "hits",
        "calibration error",
        "Brier score",
        "Brier of the constant",
    ]
    return SECTION.format(
        tables=table(header, rows),
        meanings="; ".join(f"in {trait}: {meaning}" for trait, meaning in meanings),
        checked=table(named, held),
        groups=f"In groups:\n\n{table(named, groups)}" if groups else "",
    )


def _named(one: Checked) -> str:
    return f"{QUESTIONS[one.table.question]}, {one.table.trait}"


def _table_row(one: Checked) -> list[str]:
    shares = one.table.shares
    facts = [number(one.table.base_rate), str(len(shares)), number(shares[0]), number(shares[-1])]
    return [QUESTIONS[one.table.question], one.table.trait, *facts, f"{sum(one.table.questions):,}"]


def _row(name: str, found: Reliability) -> list[str]:
    return [
        name,
        f"{found.questions:,}",
        f"{found.hits:,}",
        *map(number, (found.error, found.brier, found.constant)),
    ]


def reliability_diagram(checked: Sequence[Checked]) -> Figure:
    """Small multiples, one per question and trait."""
    figure, axes = small_multiples(len(checked))
    for axis, one in zip(axes, checked, strict=True):
        axis.plot([0, 1], [0, 1], color=INK, linewidth=0.8)
        axis.axhline(one.table.base_rate, color=VERMILION, linewidth=1, linestyle="--")
        curve = one.whole.curve if one.whole else []
        most = max((count for *_, count in curve), default=1)
        for confidence, share, count in curve:
            axis.plot(confidence, share, color=BLUE, marker="o", markersize=3 + 7 * count / most)
        axis.set_title(_named(one), fontsize=9, color=INK, loc="left")
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1)
        tidy(axis)
    figure.supxlabel("confidence", fontsize=10, color=INK)
    figure.supylabel("share that agrees", fontsize=10, color=INK)
    return figure
