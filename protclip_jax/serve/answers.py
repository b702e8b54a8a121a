"""The forms of the API's answers."""

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
"""What an answer on a protein tells of it beside its texts and features."""
RESIDUES_A_LINE = 60


class PlainJSON(JSONResponse):
    """JSON without characters that a terminal would act on."""

    def render(self, content: object) -> bytes:
        return json.dumps(plain(content), ensure_ascii=False, allow_nan=False).encode()


def protein_answer(item: Mapping, links: str | None) -> dict:
    """What the index knows of a protein, each feature with the property that it stands for."""
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
    """The address of a UniProt entry; None where the id is of none, or there are no links."""
    accession = uniprot_accession(id)
    return links.format(accession=accession) if links and accession else None


def hit_answer(hit: Hit, *, links: str | None) -> dict:
    """A hit, a protein with its link."""
    (facts,) = as_dicts([hit])
    return facts | {"link": entry_link(hit.id, links) if hit.length is not None else None}


def index_answer(
    answer: Answer, items: int, *, linked: Callable[[Hit], dict], least: float
) -> dict:
    """The hits of an index of so many items, and how sure they are."""
    background = {"mean": answer.mean, "items": answer.background}
    sure = {"confident": is_confident(answer, least), "verdict": verdict(answer, least)}
    return {"hits": list(map(linked, answer.hits)), "background": background, "items": items} | sure


def fasta(items: Iterable[Mapping]) -> str:
    """Proteins as FASTA, their names and organisms in the header."""
    return "".join(map(_fasta_record, items))


def _fasta_record(item: Mapping) -> str:
    named = [item["id"], item["name"], f"OS={item['organism']}" if item["organism"] else ""]
    taxon = f"OX={item['taxon']}" if item["taxon"] else ""
    # A header is no formula: `>` comes before it.
    header = without_controls(" ".join(" ".join([*named, taxon]).split()))
    sequence = item["sequence"]
    starts = range(0, len(sequence), RESIDUES_A_LINE)
    lines = [sequence[start : start + RESIDUES_A_LINE] for start in starts]
    return "\n".join([f">{header}", *lines, ""])
