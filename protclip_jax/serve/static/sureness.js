// How sure a hit is: a bar with a number, and what the number means behind one click.

import { h, table, cell, rowHead, row } from "./dom.js";

const WORDS = { family: "family", function: "words of the function", ec: "EC number", go: "GO terms", location: "location" };
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

// The measured share that agrees, and in what; else the q-value; else that neither is known.
export function sureness(hit) {
  const { confidence, q_value: q } = hit;
  const text = confidence ? `${percent(confidence.share)} ${confidence.trait}` : q === undefined ? "unknown" : `q = ${q.toPrecision(2)}`;
  const share = confidence ? confidence.share : q === undefined ? null : 1 - q;
  const open = h("button", { type: "button", class: "link sure", "aria-haspopup": "dialog", "data-sure": hit.id,
    on: { click: () => explain(hit) } }, text, h("span", { class: "unseen" }, ": what does it mean?"));
  return [share === null ? null : bar(share), open];
}

function bar(share) {
  const inner = h("i");
  inner.style.width = `${100 * Math.max(0, Math.min(1, share))}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, inner);
}

// A modal dialog: Escape closes it, and the browser gives the focus back to what opened it.
function explain(hit) {
  const dialog = document.getElementById("sureness");
  dialog.replaceChildren(
    h("h2", { id: "sureness-title" }, `How sure is ${hit.id}?`),
    ...(hit.confidence ? measured(hit) : [h("p", {}, hit.q_value === undefined ? UNKNOWN : shuffled(hit.q_value))]),
    h("p", { class: "note" }, `Its cosine is ${hit.cosine.toFixed(3)}, which lies ${Math.abs(hit.margin).toFixed(3)} ` +
      `${hit.margin < 0 ? "below" : "above"} the mean of a random sample of the index.`),
    h("div", { class: "tools" }, h("button", { type: "button", autofocus: true, on: { click: () => dialog.close() } }, "Close")));
  dialog.showModal();
}

function measured({ confidence, confidences }) {
  const rows = Object.values(confidences).map((one) => row(
    rowHead(WORDS[one.trait] || one.trait), cell("number", "Share", percent(one.share)), cell("number", "At least", percent(one.low)),
    cell("number", "Random", percent(one.base_rate)), cell("number", "Questions", one.questions.toLocaleString("en"))));
  const head = [{ label: "Agreed in" }, { label: "Share", kind: "number" }, { label: "At least", kind: "number" },
    { label: "Random items", kind: "number" }, { label: "Questions", kind: "number" }];
  return [
    h("p", {}, `The model was asked about proteins that it had not learnt from. Of the hits with such a cosine and margin, ` +
      `${percent(confidence.share)} agreed with their question in the ${WORDS[confidence.trait] || confidence.trait}. ` +
      `“At least” is the lower end of the 95 % interval, “random items” how often an item drawn at random agrees.`),
    table("Shares that agreed, by trait", head, rows, { class: "cards shares" }),
    h("p", {}, "It holds for questions and indexes like those that were measured."),
  ];
}

const shuffled = (q) => `In a list that is cut at this hit, about ${percent(q)} would be shuffled proteins, which nothing should ` +
  "find. That says whether the hit is nearer than chance, not whether it agrees with the question; nobody measured that for this checkpoint.";
const UNKNOWN = "Nobody measured how often such hits agree with their question: cosines rank the hits, and say nothing of their worth.";
