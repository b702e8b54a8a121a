// Shows grey rows and the elapsed time while the server computes.

import { h } from "./dom.js";

const SHOWN_AFTER = 200, SLOW_AFTER = 5000, EVERY = 200, ROWS = 5;

export const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

// Shows them in a section if the answer takes a while, until the signal aborts; returns a function that stops it.
export function showWaiting(section, signal) {
  const start = performance.now();
  const elapsed = h("span", { id: "elapsed" }), slow = h("span", {});
  const skeleton = h("div", { class: "waiting" },
    h("div", { class: "heading" }, h("h2", { id: "results-title" }, "Searching")),
    h("p", { class: "note" }, "The model is reading the query: ", elapsed, slow),
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
    if (passed > SLOW_AFTER) slow.textContent = " – the server is busy with other queries, or the protein is long.";
  }, EVERY);
  const stop = () => clearInterval(timer);
  signal.addEventListener("abort", stop, { once: true });
  return stop;
}
