// The confidence of a hit: a bar with a number, which opens an explanation.

import { h, table, cell, rowHead, row } from "./dom.js";

const WORDS = { family: "family", function: "words of the function", ec: "EC number", go: "GO terms", location: "location" };
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

// The measured share of agreement with its trait, or else the q-value, or else "unknown".
export function confidenceCell(hit) {
  const { confidence, q_value: q } = hit;
  const text = confidence ? `${percent(confidence.share)} ${confidence.trait}` : q === undefined ? "unknown" : `q = ${q.toPrecision(2)}`;
  const share = confidence ? confidence.share : q === undefined ? null : 1 - q;
  const open = h("button", { type: "button", class: "link confidence", "aria-haspopup": "dialog", "data-confidence": hit.id,
    on: { click: () => explain(hit) } }, text, h("span", { class: "unseen" }, ": explain"));
  return [share === null ? null : bar(share), open];
}

function bar(share) {
  const inner = h("i");
  inner.style.width = `${100 * Math.max(0, Math.min(1, share))}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, inner);
}

// Opens a modal dialog: Escape closes it, and the browser returns the focus to the button that opened it.
function explain(hit) {
  const dialog = document.getElementById("confidence");
  dialog.replaceChildren(
    h("h2", { id: "confidence-title" }, `Confidence in ${hit.id}`),
    ...(hit.confidence ? measured(hit) : [h("p", {}, hit.q_value === undefined ? UNKNOWN : shuffled(hit.q_value))]),
    h("p", { class: "note" }, `Its cosine is ${hit.cosine.toFixed(3)}, which is ${Math.abs(hit.margin).toFixed(3)} ` +
      `${hit.margin < 0 ? "below" : "above"} the mean of a random sample of the index.`),
    h("div", { class: "tools" }, h("button", { type: "button", autofocus: true, on: { click: () => dialog.close() } }, "Close")));
  dialog.showModal();
}

function measured({ confidence, confidences }) {
  const rows = Object.values(confidences).map((one) => row(
    rowHead(WORDS[one.trait] || one.trait), cell("number", "Share", percent(one.share)), cell("number", "At least", percent(one.low)),
    cell("number", "Random", percent(one.base_rate)), cell("number", "Queries", one.questions.toLocaleString("en"))));
  const head = [{ label: "Agreed in" }, { label: "Share", kind: "number" }, { label: "At least", kind: "number" },
    { label: "Random items", kind: "number" }, { label: "Queries", kind: "number" }];
  return [
    h("p", {}, `This was measured with queries for proteins that the model was not trained on. Of the hits with a similar cosine and ` +
      `margin, ${percent(confidence.share)} agreed with their query in the ${WORDS[confidence.trait] || confidence.trait}. ` +
      `“At least” is the lower end of the 95 % interval; “random items” is the share of random items that agree.`),
    table("Shares that agreed, by trait", head, rows, { class: "cards shares" }),
    h("p", {}, "It applies to queries and indexes like those that were measured."),
  ];
}

const shuffled = (q) => `In a list that is cut off at this hit, about ${percent(q)} would be shuffled proteins, which no query should ` +
  "find. This shows whether the hit is nearer than chance, not whether it agrees with the query, which was not measured for this checkpoint.";
const UNKNOWN = "How often such hits agree with their query was not measured. Cosines only rank the hits.";
