// The answer to a question: a table of proteins, and for a protein one of each library of labels.

import { download, h, tsv } from "./dom.js";

const FACTS = ["id", "entry_name", "name", "gene", "organism", "taxon", "length", "source", "function", "location"];
const COLUMNS = ["query", "by", "rank", ...FACTS, "cosine", "margin", "confidence", "low", "base_rate", "trait", "q"];

export function showResults(section, answer, { openProtein, openSequence, readAs }) {
  const { understood, proteins, labels, matches } = answer;
  const isProtein = understood.kind === "protein";
  const tables = [];
  if (proteins) tables.push({ title: isProtein ? "Similar proteins" : "Proteins", answer: proteins, isProtein: true });
  for (const [name, found] of Object.entries(labels)) tables.push({ title: `Descriptions: ${name}`, answer: found, isProtein: false });
  const panels = tables.map((table, i) => panel(table, { understood, matches }, openProtein, i, tables.length > 1));
  const select = (chosen) => {
    panels.forEach((element, i) => { element.hidden = i !== chosen; });
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", i === chosen);
      tab.tabIndex = i === chosen ? 0 : -1;
    });
  };
  // As in WAI-ARIA's pattern of tabs: the Tab key reaches the chosen one, arrows, Home and End choose among them.
  const choose = (event, i) => {
    const to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: -1 }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const chosen = (to + tabs.length) % tabs.length;
    select(chosen);
    tabs[chosen].focus();
  };
  const tabs = tables.map((table, i) => h("button", { type: "button", role: "tab", id: `tab-${i}`, "aria-controls": `panel-${i}`,
    on: { click: () => select(i), keydown: (event) => choose(event, i) } }, table.title));
  section.replaceChildren(h("div", {},
    h("div", { class: "heading" },
      h("h2", {}, isProtein ? "Closest to this protein" : "Closest to this text"),
      isProtein ? h("button", { type: "button", class: "plain", id: "open-query", on: { click: openSequence } },
        "Show this protein's residues") : null),
    understanding(understood, readAs),
    named(matches, openProtein),
    tabs.length > 1 ? h("div", { class: "tabs", role: "tablist", "aria-label": "Results" }, ...tabs) : null,
    ...panels,
  ));
  section.hidden = false;
  if (panels.length) select(0);
}

// Proteins that the text names: exact matches as buttons, then those whose names contain it.
function named(matches, openProtein) {
  if (!matches.length) return null;
  const open = (hit) => h("button", { type: "button", class: "plain", "data-match": hit.id, on: { click: () => openProtein(hit.id) } },
    `Open ${hit.id} →`);
  const about = (hit) => [hit.by === "name" ? null : `by ${hit.by}`, hit.gene, hit.name, hit.organism].filter(Boolean).join(" · ");
  return h("ul", { id: "matches" }, ...matches.map((hit) => h("li", {}, open(hit), ` ${about(hit)}`)));
}

function understanding(understood, readAs) {
  if (!understood.is_asked) {
    return h("p", { class: "note", id: "understood" }, "Looked up only: the model's vocabulary has no word of it.");
  }
  if (understood.kind === "text") {
    return h("p", { class: "note", id: "understood" }, `Read as text and asked as “${understood.asked.join("” + “")}”` +
      (understood.cut ? "; it is longer than the model reads, and its end was cut off" : "") +
      (understood.unknown.length ? `; not in the model's vocabulary: ${understood.unknown.slice(0, 10).join(", ")}.` : "."));
  }
  const changes = Object.entries(understood.changes).map(([what, count]) => `${count} ${what}`).join(", ");
  const name = understood.name ? ` ${understood.name}` : "";
  return h("p", { class: "note", id: "understood" },
    `Read as the protein${name} of ${understood.sequence.length.toLocaleString("en")} residues`,
    changes ? ` (changed: ${changes})` : "",
    understood.doubt ? `; it looks like ${understood.doubt}, not like a protein. ` : ". ",
    h("button", { type: "button", class: "link", on: { click: () => readAs("text") } }, "Read it as text instead"));
}

function panel({ answer, isProtein }, question, openProtein, number, hasTab) {
  const { hits, items, confident, verdict } = answer;
  const measured = hits.some((hit) => hit.confidence) ? "Confidence" : "q-value";
  const head = h("tr", {}, h("th", { class: "number" }, "#"), h("th", {}, isProtein ? "Protein" : "Description"),
    isProtein ? h("th", {}, "Gene, organism") : null, isProtein ? h("th", { class: "number" }, "Residues") : null,
    h("th", {}, measured), h("th", { class: "number" }, "Cosine"),
    isProtein ? h("th", { class: "source" }, "Source") : null, isProtein ? h("th", {}, "") : null);
  const rows = hits.map((hit) => h("tr", {},
    h("td", { class: "number" }, String(hit.rank)),
    h("td", { class: "what" },
      isProtein ? h("button", { type: "button", class: "link", "data-id": hit.id, title: "Show its residues",
        on: { click: () => openProtein(hit.id) } }, hit.id) : h("strong", {}, hit.id),
      isProtein ? entryName(hit) : null,
      hit.name ? h("small", {}, hit.name) : null, isProtein ? line(hit) : null),
    isProtein ? h("td", { class: "organism" }, hit.gene ? h("strong", {}, hit.gene) : null,
      hit.organism ? h("small", { title: hit.taxon ? `NCBI taxon ${hit.taxon}` : null }, hit.organism) : null) : null,
    isProtein ? h("td", { class: "number" }, hit.length ? hit.length.toLocaleString("en") : "?") : null,
    h("td", { class: "match" }, ...sureness(hit)),
    h("td", { class: "number" }, hit.cosine.toFixed(3)),
    isProtein ? h("td", { class: "source" }, hit.source) : null,
    isProtein ? h("td", { class: "out" }, hit.link ? h("a", { href: hit.link, target: "_blank", rel: "noopener noreferrer" },
      "UniProt ↗") : null) : null));
  const what = isProtein ? "proteins" : "labels";
  return h("div", { ...(hasTab ? { role: "tabpanel", "aria-labelledby": `tab-${number}` } : {}), id: `panel-${number}` },
    verdict ? h("p", { class: confident === false ? "caution verdict" : "note verdict" }, verdict) : null,
    h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows)),
    h("div", { class: "heading" },
      h("p", { class: "note" }, `Best ${hits.length} of ${items.toLocaleString("en")} ${what}.`),
      h("button", { type: "button", class: "plain download", on: { click: () => save(question, hits) } }, "Download TSV")));
}

// The entry name where the id does not hold it already.
function entryName(hit) {
  return hit.entry_name && !hit.id.includes(hit.entry_name) ? h("span", { class: "entry" }, ` ${hit.entry_name}`) : null;
}

function line(hit) {
  const about = [hit.function, hit.location].filter(Boolean).join(" · ");
  return about ? h("small", { class: "about" }, about) : null;
}

// The measured share that agrees, and in what; else the q-value; else that neither is known.
function sureness({ confidence, confidences, q_value: q }) {
  if (confidence) {
    const all = Object.values(confidences).map((one) =>
      `${one.trait}: ${percent(one.share)}, at least ${percent(one.low)} (${one.questions} questions; random items ${percent(one.base_rate)})`);
    return [bar(confidence.share), h("span", { title: all.join("\n") }, `${percent(confidence.share)} ${confidence.trait}`)];
  }
  return q === undefined ? ["unknown"] : [bar(1 - q), `q = ${q.toPrecision(2)}`];
}

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function bar(share) {
  const inner = h("i");
  inner.style.width = `${100 * Math.max(0, Math.min(1, share))}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, inner);
}

function numbers({ cosine, margin, confidence, q_value: q }) {
  const sure = confidence ? [confidence.share.toFixed(3), confidence.low.toFixed(3), confidence.base_rate.toFixed(5), confidence.trait]
    : [null, null, null, null];
  return [cosine?.toFixed(6), margin?.toFixed(6), ...sure, q?.toPrecision(4)];
}

function save({ understood, matches }, hits) {
  const query = understood.kind === "text" ? understood.asked.join(" + ") : understood.name || "query";
  const rows = [...matches, ...hits].map((hit) =>
    [query, hit.by, hit.rank, ...FACTS.map((name) => hit[name]), ...numbers(hit)]);
  download("results.tsv", "text/tab-separated-values", tsv([COLUMNS, ...rows]));
}
