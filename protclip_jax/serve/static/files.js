// The files that the page saves. A spreadsheet or terminal that opens them must not execute any of their content.

import { ask } from "./api.js";
import { h } from "./dom.js";

const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
const FORMULA = /^[=+\-@\uff1d\uff0b\uff0d\uff20]/;
const FACTS = ["id", "entry_name", "name", "gene", "organism", "taxon", "length", "source", "function", "location"];
const COLUMNS = ["query", "by", "rank", ...FACTS, "cosine", "margin", "confidence", "low", "base_rate", "trait", "q"];

export function download(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// A cell on one line without control characters. Text that begins like a formula gets a leading '; numbers do not.
export function plainCell(value) {
  const text = String(value ?? "").replace(CONTROLS, "\ufffd").replace(/\s+/g, " ").trim();
  return FORMULA.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
}

export const tsv = (rows) => rows.map((row) => `${row.map(plainCell).join("\t")}\n`).join("");

const quoted = (text) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
export const csv = (rows) => rows.map((row) => `${row.map(plainCell).map(quoted).join(",")}\r\n`).join("");

// A file name that is valid on every system.
export const fileName = (text, otherwise) => text.replace(/[^\w.-]+/g, "_").slice(0, 80) || otherwise;

function numbers({ cosine, margin, confidence, q_value: q }) {
  const sure = confidence ? [confidence.share.toFixed(3), confidence.low.toFixed(3), confidence.base_rate.toFixed(5), confidence.trait]
    : [null, null, null, null];
  return [cosine?.toFixed(6), margin?.toFixed(6), ...sure, q?.toPrecision(4)];
}

// Rows of a table of hits; `found` is a list of {query, hits}.
function rowsOf(found) {
  const rows = found.flatMap(({ query, hits }) =>
    hits.map((hit) => [query, hit.by, hit.rank, ...FACTS.map((name) => hit[name]), ...numbers(hit)]));
  return [COLUMNS, ...rows];
}

export const saveTsv = (name, found) => download(`${name}.tsv`, "text/tab-separated-values", tsv(rowsOf(found)));
export const saveCsv = (name, found) => download(`${name}.csv`, "text/csv", csv(rowsOf(found)));

// Saves the sequences of all proteins found; returns a sentence about proteins without a sequence in the index.
export async function saveFasta(name, found) {
  const ids = [...new Set(found.flatMap(({ hits }) => hits).filter((hit) => hit.length !== undefined).map((hit) => hit.id))];
  const { fasta, missing } = await ask("/api/fasta", { ids });
  if (fasta) download(`${name}.fasta`, "text/x-fasta", fasta);
  return missing.length ? `The index has no sequence of ${missing.slice(0, 5).join(", ")}${missing.length > 5 ? ", …" : ""}.` : "";
}

// The download buttons; `found` is called when one is pressed.
export function downloads(name, found, { showMessage, hasProteins }) {
  const button = (kind, save) => h("button", { type: "button", class: "plain download", "data-kind": kind,
    "aria-label": `Download ${kind}`, on: { click: save } }, kind);
  const fasta = async () => {
    try {
      showMessage(await saveFasta(name, found()));
    } catch (error) {
      showMessage(error.message);
    }
  };
  return h("div", { class: "tools" }, h("span", { class: "note", "aria-hidden": "true" }, "Download"),
    button("TSV", () => saveTsv(name, found())), button("CSV", () => saveCsv(name, found())),
    hasProteins ? button("FASTA", fasta) : null);
}
