// The page: the question, its answer, and one protein. The address behind '#' says which, so that "back" works.

import { ask, takeToken } from "./api.js";
import { h } from "./dom.js";
import { showProtein } from "./protein.js";
import { showResults } from "./results.js";

const byId = (id) => document.getElementById(id);
const [query, kind, button, message, results, protein] = ["query", "kind", "search", "message", "results", "protein"].map(byId);
let running = null;
let last = null; // the answer that is shown, and the question that it is of
let texts = {}; // of the question, for proteins that have no texts of their own

function tell(sentence) {
  message.textContent = sentence || "";
  message.hidden = !sentence;
}

function go(address) {
  if (location.hash === address) route();
  else location.hash = address;
}

const searchAddress = (text, as) => `#/search?${new URLSearchParams(as === "auto" ? { q: text } : { q: text, as })}`;

async function search(text, as) {
  running?.abort();
  const mine = (running = new AbortController());
  tell(null);
  button.disabled = true;
  button.textContent = "Searching…";
  try {
    const answer = await ask("/api/search", { query: text, kind: as }, mine.signal);
    last = { text, as, answer };
    show();
  } catch (error) {
    if (error.name === "AbortError") return;
    results.hidden = true;
    tell(error.message);
  } finally {
    if (running === mine) {
      button.disabled = false;
      button.textContent = "Search";
    }
  }
}

function show() {
  const { text, answer } = last;
  texts = answer.understood.kind === "text" ? propertiesOf(answer.understood.asked[0]) : described(answer);
  showResults(results, answer, {
    openProtein: (id) => go(`#/protein?${new URLSearchParams({ id })}`),
    openSequence: () => go("#/sequence"),
    readAs: (as) => go(searchAddress(text, as)),
  });
}

// A text's property by its prefix: what it says is also what the residues of a hit can be weighed for.
function propertiesOf(text) {
  const prefixes = { "PROTEIN NAME": "name", FUNCTION: "function", "SUBCELLULAR LOCATION": "location", SIMILARITY: "similarity" };
  for (const [prefix, name] of Object.entries(prefixes)) {
    if (text.startsWith(`${prefix}:`)) return { [name]: text.slice(prefix.length + 1).trim() };
  }
  return {};
}

// For a pasted protein: the best hit's name, or the best label.
function described({ proteins, labels }) {
  const first = proteins?.hits[0]?.name || Object.values(labels)[0]?.hits[0]?.name;
  return first ? { name: first } : {};
}

async function openProtein(id) {
  const known = await ask(`/api/protein?${new URLSearchParams({ id })}`);
  await showProtein(protein, known, texts, { back, tell, search: (sequence) => go(searchAddress(sequence, "auto")) });
}

async function openSequence() {
  const { name, sequence } = last.answer.understood;
  const pasted = { id: name || "Your protein", sequence, length: sequence.length };
  await showProtein(protein, pasted, texts, { back, tell, search: (sequence) => go(searchAddress(sequence, "auto")) });
}

function back() {
  if (last) go(searchAddress(last.text, last.as));
  else go("#/");
}

async function route() {
  const [path, parameters] = location.hash.slice(1).split("?", 2);
  const given = new URLSearchParams(parameters || "");
  tell(null);
  protein.hidden = true;
  results.hidden = true;
  byId("intro").hidden = ["/search", "/protein", "/sequence"].includes(path);
  try {
    if (path === "/search" && given.get("q")) {
      query.value = given.get("q");
      kind.value = ["text", "protein"].includes(given.get("as")) ? given.get("as") : "auto";
      if (last && last.text === query.value && last.as === kind.value) show();
      else await search(query.value, kind.value);
    } else if (path === "/protein" && given.get("id")) {
      await openProtein(given.get("id"));
    } else if (path === "/sequence" && last?.answer.understood.kind === "protein") {
      await openSequence();
    }
  } catch (error) {
    tell(error.message);
  }
}

async function start() {
  takeToken();
  window.addEventListener("hashchange", () => (takeToken() ? location.reload() : route()));
  try {
    const about = await ask("/api/about");
    const parts = [about.title];
    if (about.proteins) parts.push(`${about.proteins.items.toLocaleString("en")} proteins, ${about.proteins.search} search`);
    for (const [name, items] of Object.entries(about.labels)) parts.push(`${items.toLocaleString("en")} labels of ${name}`);
    byId("about").textContent = parts.filter(Boolean).join(" · ");
    byId("score").textContent = `Exactly: ${about.score}.`;
    byId("examples").append(...about.examples.map(({ label, query: text }) =>
      h("button", { type: "button", class: "plain chip", title: text, on: { click: () => go(searchAddress(text, "auto")) } }, label)));
    byId("examples").hidden = !about.examples.length;
  } catch (error) {
    tell(error.message);
    return;
  }
  await route();
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!query.value.trim()) tell("The question is empty: describe a protein in words, or paste a sequence.");
  else go(searchAddress(query.value, kind.value));
});
query.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !query.value.startsWith(">")) {
    event.preventDefault();
    byId("ask").requestSubmit();
  }
});
start();
