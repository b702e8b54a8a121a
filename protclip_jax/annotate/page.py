"""Renders the summary page of an annotation: one self-contained HTML file with figures."""

import base64
import io
import operator
from collections.abc import Iterable, Sequence
from html import escape

from matplotlib.figure import Figure

from data_pipelines.common.figure_style import DPI
from protclip_jax.annotate import figures
from protclip_jax.annotate.rows import SURE
from protclip_jax.annotate.summary import SHOWN, Summary
from protclip_jax.retrieval.answer import BOTH, HOMOLOGY, MODEL
from protclip_jax.retrieval.scores import DEFINITION

LISTED = ("protein", "aspect", "sure", "by", "id", "name", "organism", "evidence", "confidence")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 70rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: 0.85rem; }
th, td { border-bottom: 1px solid #ddd; padding: 0.25rem 0.6rem; text-align: left;
  vertical-align: top; }
td { overflow-wrap: anywhere; min-width: 4rem; }
td.number { text-align: right; }
img { max-width: 100%; height: auto; }
figure { margin: 1rem 0; } figcaption, footer { color: #555; font-size: 0.85rem; }
.wide { overflow-x: auto; }
"""
_CAPTIONS = (
    (figures.outcomes, "Number of proteins by how sure their best hit is, for each aspect."),
    (
        figures.confidences,
        "Confidence of the best hits. The line marks the minimum confidence.",
    ),
    (
        figures.most_common,
        "The organisms and labels found for the most proteins, among best hits that are sure or "
        "whose confidence is not known.",
    ),
)


def html_page(summary: Summary, *, provenance: str, table: str) -> str:
    """Renders the page.

    Args:
      provenance: one line that identifies the checkpoint, indexes and options.
      table: file name of the TSV with all lines.
    """
    drawn = [_figure(draw(summary), caption) for draw, caption in _CAPTIONS]
    rows = map(operator.itemgetter(*LISTED), summary.shown)
    sections = [
        f"<h1>Annotation of {summary.proteins:,} proteins</h1>",
        f"<p>All lines are in <code>{escape(table)}</code>, next to this page. Each aspect "
        "is ranked separately.</p>",
        _counts(summary),
        *drawn,
        f"<h2>The first {min(SHOWN, summary.proteins):,} proteins</h2>",
        _table(LISTED, rows),
        f"<footer><p>{escape(DEFINITION)}.</p><p>{escape(provenance)}</p></footer>",
    ]
    return "\n".join([*_head(), *sections, "</body>", "</html>", ""])


def _head() -> list[str]:
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        "<title>Annotation</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
    ]


def _counts(summary: Summary) -> str:
    """Renders a table row for each aspect: outcomes, and sources of the best hits."""
    header = ("aspect", "proteins", "sure", "not known", "not sure enough")
    header = (*header, "found by the model", "by homology", "by both")
    rows = []
    for aspect, outcomes in summary.outcomes.items():
        counts = (outcomes.total(), *(outcomes[SURE[sure]] for sure in (True, None, False)))
        sources = summary.sources[aspect]
        counts += tuple(sources[by] for by in (MODEL, HOMOLOGY, BOTH))
        rows.append([aspect, *(f"{count:,}" for count in counts)])
    return _table(header, rows, numbers_from=1)


def _table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int | None = None
) -> str:
    lines = ["".join(f"<th>{escape(name)}</th>" for name in header)]
    for row in rows:
        cells = []
        for place, text in enumerate(row):
            is_number = numbers_from is not None and place >= numbers_from
            cells.append(f"<td{' class=number' if is_number else ''}>{escape(text)}</td>")
        lines.append("".join(cells))
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>\n{body}\n</table></div>'


def _figure(figure: Figure, caption: str) -> str:
    """Embeds a figure in the page."""
    picture = io.BytesIO()
    figure.savefig(picture, dpi=DPI, format="png")
    data = base64.b64encode(picture.getvalue()).decode("ascii")
    text = escape(caption)
    image = f'<img alt="{text}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"
