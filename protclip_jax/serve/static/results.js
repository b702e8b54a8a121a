// The answer to a query: a table of proteins, and for a protein query a table of each library of labels.

import { cell, h, plainButton, row, rowHead, table } from "./dom.js";
import { downloads } from "./files.js";
import { confidenceCell } from "./confidence.js";

// `actions` are openProtein(id), openSequence(), readAs(kind), only(organism) and showMessage(sentence); `of` is the chosen organism.
export function showResults(section, answer, of, actions) {
  const { understood, proteins, labels, matches } = answer;
  const isProtein = understood.kind === "protein";
  const tables = [];
  if (proteins) tables.push({ title: isProtein ? "Similar proteins" : "Proteins", answer: proteins, isProtein: true });
  for (const [name, found] of Object.entries(labels)) tables.push({ title: `Descriptions: ${name}`, answer: found, isProtein: false });
  const panels = tables.map((each, i) => panel(each, { understood, matches, of }, actions, i, tables.length > 1));
  section.replaceChildren(h("div", {},
    h("div", { class: "heading" },
      h("h2", { tabindex: "-1", id: "results-title" }, isProtein ? "Closest to this protein" : "Closest to this text"),
      isProtein ? plainButton({ id: "open-query" }, "Show this protein's residues", actions.openSequence) : null),
    understanding(understood, actions),
    named(matches, actions),
    panels.length > 1 ? tabs(tables, panels) : null,
    ...panels,
  ));
  section.hidden = false;
}

// WAI-ARIA's tabs pattern: the Tab key reaches the selected tab; arrow keys, Home and End select another.
function tabs(tables, panels) {
  const select = (chosen) => {
    panels.forEach((element, i) => { element.hidden = i !== chosen; });
    buttons.forEach((tab, i) => {
      tab.setAttribute("aria-selected", i === chosen);
      tab.tabIndex = i === chosen ? 0 : -1;
    });
  };
  const choose = (event, i) => {
    const to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: -1 }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const chosen = (to + buttons.length) % buttons.length;
    select(chosen);
    buttons[chosen].focus();
  };
  const buttons = tables.map(({ title }, i) => h("button", { type: "button", role: "tab", id: `tab-${i}`, "aria-controls": `panel-${i}`,
    on: { click: () => select(i), keydown: (event) => choose(event, i) } }, title));
  select(0);
  return h("div", { class: "tabs", role: "tablist", "aria-label": "Results" }, ...buttons);
}

// Proteins that the text names: exact matches as buttons, then those whose names contain it.
function named(matches, { openProtein }) {
  if (!matches.length) return null;
  const open = (hit) => plainButton({ "data-match": hit.id }, `Open ${hit.id} →`, () => openProtein(hit.id));
  const about = (hit) => [hit.by === "name" ? null : `by ${hit.by}`, hit.gene, hit.name, hit.organism].filter(Boolean).join(" · ");
  return h("div", {}, h("h3", { id: "matches-title" }, "Found by name"),
    h("ul", { id: "matches", "aria-labelledby": "matches-title" }, ...matches.map((hit) => h("li", {}, open(hit), h("span", {}, about(hit))))));
}

function understanding(understood, { readAs }) {
  const link = (label, kind) => h("button", { type: "button", class: "link", "data-read-as": kind, on: { click: () => readAs(kind) } }, label);
  if (!understood.is_asked) {
    return h("p", { class: "note", id: "understood" }, "Only looked up, because the model's vocabulary has none of its words.");
  }
  if (understood.kind === "text") {
    const isList = understood.asked[0].includes("\n");
    return h("p", { class: "note", id: "understood" }, `Read as text and searched as “${understood.asked.join("” + “")}”` +
      (understood.cut ? "; it is longer than the model reads, and its end was cut off" : "") +
      (understood.unknown.length ? `; not in the model's vocabulary: ${understood.unknown.slice(0, 10).join(", ")}.` : "."),
      ...(isList ? [" ", link("Search each line separately", "lines")] : []));
  }
  const changes = Object.entries(understood.changes).map(([what, count]) => `${count} ${what}`).join(", ");
  const name = understood.name ? ` ${understood.name}` : "";
  return h("p", { class: "note", id: "understood" },
    `Read as the protein${name} of ${understood.sequence.length.toLocaleString("en")} residues`,
    changes ? ` (changed: ${changes})` : "",
    understood.doubt ? `; it looks like ${understood.doubt}, not like a protein. ` : ". ",
    link("Read it as text instead", "name"));
}

function panel({ title, answer, isProtein }, { understood, matches, of }, actions, number, hasTab) {
  const { hits, items, confident, verdict } = answer;
  const query = understood.kind === "text" ? understood.asked.join(" + ") : understood.name || "query";
  const found = () => [{ query, hits: isProtein ? [...matches, ...hits] : hits }];
  const what = isProtein ? "proteins" : "labels";
  return h("div", { ...(hasTab ? { role: "tabpanel", "aria-labelledby": `tab-${number}` } : {}), id: `panel-${number}` },
    verdict ? h("p", { class: confident === false ? "caution verdict" : "note verdict" }, verdict) : null,
    isProtein ? facet(hits, of, actions) : null,
    isProtein ? proteinTable(title, hits, actions) : labelTable(title, hits),
    h("div", { class: "heading" },
      h("p", { class: "note" }, `Best ${hits.length} of ${items.toLocaleString("en")} ${what}.`),
      downloads("results", found, { showMessage: actions.showMessage, hasProteins: isProtein })));
}

// The organisms among the hits, as buttons that restrict the search to one.
function facet(hits, of, { only }) {
  const counts = new Map();
  for (const { organism, taxon } of hits) {
    if (!organism) continue;
    const key = taxon ? String(taxon) : organism;
    counts.set(key, { organism, count: (counts.get(key)?.count || 0) + 1 });
  }
  if (of) {
    return h("p", { class: "facet" }, h("span", {}, `Organism: ${of}`), plainButton({ id: "any-organism" }, "all organisms", () => only("")));
  }
  if (counts.size < 2) return null;
  const chips = [...counts].sort((a, b) => b[1].count - a[1].count).slice(0, 8).map(([key, { organism, count }]) =>
    plainButton({ class: "plain chip", "data-taxon": key }, `${organism} (${count})`, () => only(key)));
  return h("p", { class: "facet" }, h("span", {}, "Organisms:"), ...chips);
}

const measured = (hits) => (hits.some((hit) => hit.confidence) ? "Confidence" : "q-value");

function proteinTable(title, hits, { openProtein }) {
  const sure = measured(hits);
  const head = [{ label: "#", kind: "number" }, { label: "Protein" }, { label: "Gene, organism" }, { label: "Residues", kind: "number" },
    { label: sure }, { label: "Cosine", kind: "number" }, { label: "Source", kind: "source" }, { label: "" }];
  const rows = hits.map((hit) => row(
    cell("number rank", "#", String(hit.rank)),
    rowHead(h("button", { type: "button", class: "link", "data-id": hit.id, title: "Show its residues",
      on: { click: () => openProtein(hit.id) } }, hit.id), entryName(hit), hit.name ? h("small", {}, hit.name) : null, line(hit)),
    cell("organism", "Organism", hit.gene ? h("strong", {}, hit.gene) : null,
      hit.organism ? h("small", { title: hit.taxon ? `NCBI taxon ${hit.taxon}` : null }, hit.organism) : null),
    cell("number residues", "Residues", hit.length ? hit.length.toLocaleString("en") : "?"),
    cell("match", sure, ...confidenceCell(hit)),
    cell("number cosine", "Cosine", hit.cosine.toFixed(3)),
    cell("source", "Source", hit.source),
    cell("out", null, hit.link ? h("a", { href: hit.link, target: "_blank", rel: "noopener noreferrer",
      "aria-label": `${hit.id} at UniProt` }, "UniProt ↗") : null)));
  return table(title, head, rows, { class: "cards" });
}

function labelTable(title, hits) {
  const sure = measured(hits);
  const head = [{ label: "#", kind: "number" }, { label: "Description" }, { label: sure }, { label: "Cosine", kind: "number" }];
  const rows = hits.map((hit) => row(
    cell("number rank", "#", String(hit.rank)), rowHead(h("strong", {}, hit.id), hit.name ? h("small", {}, hit.name) : null),
    cell("match", sure, ...confidenceCell(hit)), cell("number cosine", "Cosine", hit.cosine.toFixed(3))));
  return table(title, head, rows, { class: "cards" });
}

// The entry name, unless the id contains it.
function entryName(hit) {
  return hit.entry_name && !hit.id.includes(hit.entry_name) ? h("span", { class: "entry" }, ` ${hit.entry_name}`) : null;
}

function line(hit) {
  const about = [hit.function, hit.location].filter(Boolean).join(" · ");
  return about ? h("small", { class: "about" }, about) : null;
}
