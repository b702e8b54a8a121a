// Several queries at once: each is searched separately, and its row is filled when its answer arrives.

import { Refusal } from "./api.js";
import { cell, h, plainButton, row, rowHead, table } from "./dom.js";
import { downloads } from "./files.js";
import { confidenceCell } from "./confidence.js";
import { seconds } from "./waiting.js";

export const MOST_QUERIES = 500;
const AT_ONCE = 3, BUSY_SECONDS = 1;

// The queries of a text: its FASTA records, or its lines if they were selected; null for a single query.
export function queriesOf({ text, as, of }) {
  if (as === "lines") return lines(text).map((line) => ({ text: line, as: "auto", of }));
  const records = ["auto", "protein"].includes(as) && text.trim().startsWith(">") ? text.trim().split(/^(?=>)/m) : [];
  return records.length > 1 ? records.map((record) => ({ text: record.trim(), as: "protein", of })) : null;
}

const lines = (text) => text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);

// `entries` are {query, answer, error} and receive the answers; an entry that has an answer is not searched again.
export async function showBatch(section, entries, { search, openQuery, openProtein, showMessage, announce, signal }) {
  const start = performance.now();
  const bodies = entries.map((entry, i) => pendingRow(entry, i, openQuery));
  const progress = h("progress", { max: entries.length, value: 0, "aria-label": "Queries answered" });
  const counted = h("span", { id: "batch-counted" });
  const stopping = new AbortController();
  const stop = plainButton({ id: "stop" }, "Stop", () => stopping.abort());
  const hasLabels = () => entries.some(({ answer }) => answer && Object.keys(answer.labels).length);
  section.replaceChildren(
    h("div", { class: "heading" }, h("h2", { tabindex: "-1", id: "results-title" }, `${entries.length} queries`), stop),
    h("p", { class: "note", id: "batch-progress" }, progress, " ", counted),
    table("The best hit of each query", [{ label: "#", kind: "number" }, { label: "Query" }, { label: "Best protein" },
      { label: "Confidence" }, { label: "Cosine", kind: "number" }, { label: "Best description" }], bodies, { class: "cards batch" }),
    h("div", { class: "heading" }, h("p", { class: "note" }, "Downloads contain all hits of the answered queries."),
      downloads("answers", () => foundOf(entries), { showMessage, hasProteins: true })));
  section.hidden = false;
  const fill = (i) => {
    const filled = filledRow(entries[i], i, { openQuery, openProtein });
    const hadFocus = bodies[i].contains(document.activeElement);
    bodies[i].replaceWith(filled);
    bodies[i] = filled;
    if (hadFocus) filled.querySelector("button")?.focus();
  };
  const count = () => {
    const done = entries.filter(({ answer, error }) => answer || error).length;
    progress.value = done;
    counted.textContent = `${done} of ${entries.length} answered · ${seconds(start)}`;
    section.querySelector("table").classList.toggle("no-labels", !hasLabels());
    return done;
  };
  entries.forEach((entry, i) => { if (entry.answer) fill(i); });
  count();
  const both = AbortSignal.any([signal, stopping.signal]);
  const timer = setInterval(count, 500);
  try {
    await answerAll(entries, search, fill, both);
  } finally {
    clearInterval(timer);
    stop.hidden = true;
    if (!signal.aborted) announce(`${count()} of ${entries.length} queries answered.`);
  }
}

async function answerAll(entries, search, fill, signal) {
  const open = entries.map((_, i) => i).filter((i) => !entries[i].answer);
  const next = async () => {
    while (open.length && !signal.aborted) {
      const i = open.shift();
      try {
        entries[i].answer = await retryWhileBusy(() => search(entries[i].query, signal), signal);
        entries[i].error = null;
      } catch (error) {
        if (signal.aborted) return;
        entries[i].error = error.message;
      }
      fill(i);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
}

// Retries while the server is busy.
async function retryWhileBusy(request, signal) {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (signal.aborted || !(error instanceof Refusal) || error.status !== 429) throw error;
      await new Promise((resolve) => setTimeout(resolve, BUSY_SECONDS * 1000));
    }
  }
}

// The title of a query: a record's header, or the text.
export function titleOf({ text }) {
  const head = text.startsWith(">") ? text.slice(1).split("\n", 1)[0] : text;
  return head.trim().slice(0, 80) || "unnamed";
}

function queryHead(entry, openQuery, i) {
  return rowHead(h("button", { type: "button", class: "link", "data-query": i, on: { click: () => openQuery(entry.query) } },
    titleOf(entry.query)));
}

function pendingRow(entry, i, openQuery) {
  return h("tr", { role: "row", class: "pending" }, cell("number rank", "#", String(i + 1)), queryHead(entry, openQuery, i),
    h("td", { role: "cell", colspan: 4, class: "skeleton" }, h("i", {}), h("span", { class: "unseen" }, "waiting")));
}

function filledRow(entry, i, { openQuery, openProtein }) {
  const start = [cell("number rank", "#", String(i + 1)), queryHead(entry, openQuery, i)];
  if (entry.error) return row(...start, h("td", { role: "cell", colspan: 4, class: "bad" }, entry.error));
  const { proteins, labels, matches } = entry.answer;
  const best = matches[0] || proteins?.hits[0];
  const label = Object.values(labels)[0]?.hits[0];
  const shown = proteins?.hits[0] || label;
  return row(...start, cell("what", "Best protein", ...(best ? protein(best, openProtein) : ["none"])),
    cell("match", "Confidence", ...(matches.length ? [`by ${matches[0].by}`] : shown ? confidenceCell(shown) : ["–"]), unsure(proteins)),
    cell("number cosine", "Cosine", matches.length || !shown ? "–" : shown.cosine.toFixed(3)),
    cell("label", "Best description", label ? h("strong", {}, label.id) : "–", label?.name ? h("small", {}, label.name) : null));
}

const unsure = (proteins) => (proteins?.confident === false ? h("small", { class: "bad" }, "no confident answer") : null);

function protein(hit, openProtein) {
  return [h("button", { type: "button", class: "link", "data-id": hit.id, on: { click: () => openProtein(hit.id) } }, hit.id),
    h("small", {}, [hit.name, hit.organism].filter(Boolean).join(" · "))];
}

function foundOf(entries) {
  return entries.filter(({ answer }) => answer).map(({ query, answer }) => ({
    query: titleOf(query),
    hits: [...answer.matches, ...(answer.proteins?.hits || []), ...Object.values(answer.labels).flatMap(({ hits }) => hits)],
  }));
}
