"""The format of the API's answers."""

import json
from collections.abc import Callable, Iterable, Mapping

from fastapi.responses import JSONResponse

from data_pipelines.common.plain_text import plain, without_controls
from data_pipelines.protanno.accession import uniprot_accession
from data_pipelines.protanno.features import feature_property
from data_pipelines.protanno.record import Feature
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.answer import Answer, Hit, as_dicts, is_confident, verdict

ITEM_FACTS = (
    "id",
    "entry_name",
    "name",
    "genes",
    "organism",
    "taxon",
    "existence",
    "ec",
    "go",
    "length",
    "source",
    "sequence",
)
"""Fields of an answer about a protein, besides its texts and features."""
RESIDUES_A_LINE = 60


class PlainJSON(JSONResponse):
    """JSON without control characters that a terminal would interpret."""

    def render(self, content: object) -> bytes:
        return json.dumps(plain(content), ensure_ascii=False, allow_nan=False).encode()


def protein_answer(item: Mapping, links: str | None) -> dict:
    """What the index knows about a protein, each feature with the property that it explains."""
    features = [
        feature | {"property": feature_property(Feature(**feature))}
        for feature in item["features"] or ()
    ]
    shown = {key: item[key] for key in ITEM_FACTS}
    return shown | {
        "properties": item_table.property_contents(item),
        "features": features,
        "link": entry_link(item["id"], links),
    }


def entry_link(id: str, links: str | None) -> str | None:
    """The address of a UniProt entry; None if the id is not UniProt's or links are off."""
    accession = uniprot_accession(id)
    return links.format(accession=accession) if links and accession else None


def hit_answer(hit: Hit, *, links: str | None) -> dict:
    """A hit as a dict, with a link if it is a protein."""
    (facts,) = as_dicts([hit])
    return facts | {"link": entry_link(hit.id, links) if hit.length is not None else None}


def index_answer(
    answer: Answer, items: int, *, linked: Callable[[Hit], dict], least: float
) -> dict:
    """The hits of an index of `items` items, and how confident they are."""
    background = {"mean": answer.mean, "items": answer.background}
    sure = {"confident": is_confident(answer, least), "verdict": verdict(answer, least)}
    return {"hits": list(map(linked, answer.hits)), "background": background, "items": items} | sure


def fasta(items: Iterable[Mapping]) -> str:
    """Writes proteins as FASTA, with name and organism in the header."""
    return "".join(map(_fasta_record, items))


def _fasta_record(item: Mapping) -> str:
    named = [item["id"], item["name"], f"OS={item['organism']}" if item["organism"] else ""]
    taxon = f"OX={item['taxon']}" if item["taxon"] else ""
    # The leading `>` keeps spreadsheets from taking a header for a formula.
    header = without_controls(" ".join(" ".join([*named, taxon]).split()))
    sequence = item["sequence"]
    starts = range(0, len(sequence), RESIDUES_A_LINE)
    lines = [sequence[start : start + RESIDUES_A_LINE] for start in starts]
    return "\n".join([f">{header}", *lines, ""])
