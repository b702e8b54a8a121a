// What is shown while the server computes: grey rows, and how long it has been.

import { h } from "./dom.js";

const SHOWN_AFTER = 200, SLOW_AFTER = 5000, EVERY = 200, ROWS = 5;

export const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

// Shows it in a section when the answer does not come at once; returns what ends it.
export function showWaiting(section) {
  const start = performance.now();
  const elapsed = h("span", { id: "elapsed" }), slow = h("span", {});
  const skeleton = h("div", { class: "waiting" },
    h("div", { class: "heading" }, h("h2", { id: "results-title" }, "Searching")),
    h("p", { class: "note" }, "The model reads the question: ", elapsed, slow),
    h("div", { "aria-hidden": "true" }, ...Array.from({ length: ROWS }, () =>
      h("div", { class: "skeleton" }, h("i", { class: "short" }), h("i", {}), h("i", { class: "short" })))));
  const timer = setInterval(() => {
    const passed = performance.now() - start;
    if (passed < SHOWN_AFTER) return;
    if (!skeleton.isConnected) {
      section.replaceChildren(skeleton);
      section.hidden = false;
    }
    elapsed.textContent = seconds(start);
    if (passed > SLOW_AFTER) slow.textContent = " – it is busy with other questions, or the protein is long.";
  }, EVERY);
  return () => clearInterval(timer);
}
