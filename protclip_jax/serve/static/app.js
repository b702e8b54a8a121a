// The page: the question, its answer, and one protein. The address behind '#' says which, so that "back" works.

import { ask, takeToken } from "./api.js";
import { h } from "./dom.js";
import { showProtein } from "./protein.js";
import { showResults } from "./results.js";

const byId = (id) => document.getElementById(id);
const [query, kind, taxon, button] = ["query", "kind", "taxon", "search"].map(byId);
const [message, results, protein] = ["message", "results", "protein"].map(byId);
let shown = new AbortController(); // ends the requests of an address when there is another
let last = null; // the latest answer, and the question that it is of
let texts = {}; // of the question, for proteins that have no texts of their own

function tell(sentence) {
  message.textContent = sentence || "";
  message.hidden = !sentence;
}

function go(address) {
  if (location.hash === address) route();
  else location.hash = address;
}

// `question` is {text, as, of}: what is asked, how it is read, and the organisms as they were typed.
function address(path, { text, as = "auto", of = "" }) {
  return `#/${path}?${new URLSearchParams({ q: text, ...(as === "auto" ? {} : { as }), ...(of ? { of } : {}) })}`;
}
const searchAddress = (question) => address("search", question);
const isSame = (one, other) => ["text", "as", "of"].every((key) => one[key] === other[key]);
const typed = () => ({ text: query.value, as: kind.value, of: taxon.value.trim() });

function setBusy(busy) {
  button.disabled = busy;
  button.textContent = busy ? "Searching…" : "Search";
}

// Makes `last` the answer to a question.
async function search(question, signal) {
  if (last && isSame(last.question, question)) return;
  const { text, as, of } = question;
  const taxa = of.split(";").map((one) => one.trim()).filter(Boolean);
  setBusy(true);
  try {
    last = { question, answer: await ask("/api/search", { query: text, kind: as, taxon: taxa }, signal) };
  } finally {
    if (!signal.aborted) setBusy(false);
  }
}

function noteTexts({ understood, proteins, labels }) {
  texts = understood.kind === "text" ? propertiesOf(understood.asked[0]) : described({ proteins, labels });
}

function show() {
  const { question, answer } = last;
  showResults(results, answer, {
    openProtein: (id) => go(`#/protein?${new URLSearchParams({ id })}`),
    openSequence: () => go(address("sequence", question)),
    readAs: (other) => go(searchAddress({ ...question, as: other })),
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

// For a pasted protein: the best hit's name, or the best label, which may be a text with its prefix.
function described({ proteins, labels }) {
  const first = proteins?.hits[0]?.name || Object.values(labels)[0]?.hits[0]?.name || "";
  const properties = propertiesOf(first);
  return first && !Object.keys(properties).length ? { name: first } : properties;
}

async function openProtein(id, signal) {
  await open(await ask(`/api/protein?${new URLSearchParams({ id })}`, undefined, signal), signal);
}

async function openSequence({ kind: read, name, sequence }, signal) {
  if (read !== "protein") throw new Error("This is a text and has no residues to show; paste a sequence.");
  await open({ id: name || "Your protein", sequence, length: sequence.length }, signal);
}

function open(known, signal) {
  return showProtein(protein, known, texts, { back, tell, signal, search: (sequence) => go(searchAddress({ text: sequence })) });
}

function back() {
  if (last) go(searchAddress(last.question));
  else go("#/");
}

async function route() {
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  setBusy(false);
  const [path, parameters] = location.hash.slice(1).split(/\?(.*)/s);
  const given = new URLSearchParams(parameters || "");
  const asked = ["/search", "/sequence"].includes(path) ? given.get("q") : null;
  const id = path === "/protein" ? given.get("id") : null;
  tell(null);
  protein.hidden = true;
  results.hidden = true;
  byId("intro").hidden = Boolean(asked || id);
  try {
    if (asked) {
      query.value = asked;
      kind.value = ["text", "protein"].includes(given.get("as")) ? given.get("as") : "auto";
      taxon.value = given.get("of") || "";
      await search(typed(), signal);
      noteTexts(last.answer);
      if (path === "/search") show();
      else await openSequence(last.answer.understood, signal);
    } else if (id) {
      await openProtein(id, signal);
    }
  } catch (error) {
    if (!signal.aborted) tell(error.message);
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
    byId("weights").textContent = about.weights;
    byId("of").hidden = !about.proteins;
    byId("score").textContent = `Exactly: ${about.score}.`;
    byId("examples").append(...about.examples.map(({ label, query: text }) =>
      h("button", { type: "button", class: "plain chip", title: text, on: { click: () => go(searchAddress({ text })) } }, label)));
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
  else go(searchAddress(typed()));
});
query.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !query.value.startsWith(">")) {
    event.preventDefault();
    byId("ask").requestSubmit();
  }
});
start();
