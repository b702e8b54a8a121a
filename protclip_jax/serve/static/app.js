// The page: the query, its answer, and one protein. The address after '#' selects what is shown, so that "back" works.

import { ask, Refusal, takeToken } from "./api.js";
import { MOST_QUERIES, queriesOf, showBatch, titleOf } from "./batch.js";
import { h, sentence } from "./dom.js";
import { keepFocus, restoreFocus } from "./focus.js";
import { PROPERTIES, showProtein } from "./protein.js";
import { showResults } from "./results.js";
import { showWaiting } from "./waiting.js";

const byId = (id) => document.getElementById(id);
const [queryBox, kind, taxon, button] = ["query", "kind", "taxon", "search"].map(byId);
const [message, results, protein] = ["message", "results", "protein"].map(byId);
const NAME = "ProtCLIP search", KINDS = [...kind.options].map((option) => option.value);
let shown = new AbortController(); // aborts the requests of an address when the address changes
let last = null; // the latest answer and its query
let lastBatch = null; // the latest list of queries and their answers
let texts = {}; // texts from the query, for proteins without texts

function showMessage(sentence) {
  message.textContent = sentence || "";
  message.hidden = !sentence;
}

// For screen readers.
const announce = (sentence) => { byId("status").textContent = sentence; };
const setTitle = (title) => { document.title = title ? `${title} – ${NAME}` : NAME; };

function go(address) {
  if (location.hash === address) route();
  else location.hash = address;
}

// A query is {text, as, of}: the text, how to read it, and the organisms as typed.
function address(path, { text, as = "auto", of = "" }) {
  return `#/${path}?${new URLSearchParams({ q: text, ...(as === "auto" ? {} : { as }), ...(of ? { of } : {}) })}`;
}
const searchAddress = (query) => address("search", query);
const isSame = (one, other) => ["text", "as", "of"].every((key) => one[key] === other[key]);
const typed = () => ({ text: queryBox.value, as: kind.value, of: taxon.value.trim() });

// Not `disabled`, because that would remove the focus.
function setBusy(busy) {
  button.setAttribute("aria-disabled", busy);
  button.textContent = busy ? "Searching…" : "Search";
}

function answerTo({ text, as, of }, signal) {
  const taxa = of.split(";").map((one) => one.trim()).filter(Boolean);
  return ask("/api/search", { query: text, kind: as, taxon: taxa }, signal);
}

// Sets `last` to the answer to a query.
async function search(query, signal) {
  if (last && isSame(last.query, query)) return;
  setBusy(true);
  const end = showWaiting(results, signal);
  try {
    last = { query, answer: await answerTo(query, signal) };
  } finally {
    end();
    if (!signal.aborted) {
      results.hidden = true;
      setBusy(false);
    }
  }
}

function noteTexts({ understood, proteins, labels }) {
  texts = understood.kind === "text" ? propertiesOf(understood.asked[0]) : described({ proteins, labels });
}

const openProteinPage = (id) => go(`#/protein?${new URLSearchParams({ id })}`);

function show() {
  const { query, answer } = last;
  setTitle(titleOf(query));
  showResults(results, answer, query.of, {
    openProtein: openProteinPage, showMessage,
    openSequence: () => go(address("sequence", query)),
    readAs: (other) => go(searchAddress({ ...query, as: other })),
    only: (organism) => go(searchAddress({ ...query, of: organism })),
  });
  announce(summary(answer));
  restoreFocus("results-title");
}

function summary({ proteins, matches, labels }) {
  const best = proteins?.hits[0];
  const parts = [matches.length ? `${matches.length} proteins match by name` : null,
    best ? `${proteins.hits.length} proteins; the nearest is ${best.id}, ${best.name}` : null,
    ...Object.entries(labels).map(([name, { hits }]) => `${hits.length} descriptions of ${name}`)];
  return `${parts.filter(Boolean).join(". ")}.`;
}

async function showList(query, queries, signal) {
  if (queries.length > MOST_QUERIES) {
    throw new Error(`There are ${queries.length.toLocaleString("en")} queries; the page accepts at most ${MOST_QUERIES}. ` +
      "For a whole file, run python -m protclip_jax.annotate.");
  }
  if (!queries.length) throw new Error("The lines are empty; enter one query per line.");
  if (!lastBatch || !isSame(lastBatch.query, query)) {
    lastBatch = { query, entries: queries.map((each) => ({ query: each })) };
  }
  setTitle(`${queries.length} queries`);
  const done = showBatch(results, lastBatch.entries, { search: answerTo, openProtein: openProteinPage, showMessage, announce, signal,
    openQuery: (one) => go(searchAddress(one)) });
  restoreFocus("results-title");
  await done;
}

// The property that a text's prefix names, with its content, which also fills the boxes of a hit's tracks.
function propertiesOf(text) {
  const prefixes = { "PROTEIN NAME": "name", FUNCTION: "function", "SUBCELLULAR LOCATION": "location", SIMILARITY: "similarity" };
  for (const [prefix, name] of Object.entries(prefixes)) {
    if (text.startsWith(`${prefix}:`)) return { [name]: text.slice(prefix.length + 1).trim() };
  }
  return {};
}

// The texts for a pasted protein: the name of the best protein, or else the best label, which may have a prefix.
function described({ proteins, labels }) {
  const first = proteins?.hits[0]?.name || Object.values(labels)[0]?.hits[0]?.name || "";
  const properties = propertiesOf(first);
  return first && !Object.keys(properties).length ? { name: first } : properties;
}

async function openProtein(id, given, signal) {
  setTitle(id);
  try {
    await open(await ask(`/api/protein?${new URLSearchParams({ id })}`, undefined, signal), given, signal);
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) setTitle("Not found");
    throw error;
  }
}

async function openSequence({ kind: read, name, sequence }, given, signal) {
  if (read !== "protein") throw new Error("A text has no residues to show; paste a sequence.");
  await open({ id: name || "Your protein", sequence, length: sequence.length }, given, signal);
}

function open(known, given, signal) {
  setTitle([known.id, known.name].filter(Boolean).join(" · "));
  const edited = Object.fromEntries(Object.keys(PROPERTIES).filter((name) => given.has(name)).map((name) => [name, given.get(name)]));
  const drawn = showProtein(protein, known, { ...texts, ...known.properties, ...edited }, {
    back, showMessage, signal, remember, search: (sequence) => go(searchAddress({ text: sequence })) });
  restoreFocus("protein-title");
  return drawn;
}

// Keeps the texts of a protein's tracks in its address; `isNew` adds a history entry, so that "back" undoes it.
function remember(given, isNew) {
  const [path, parameters] = location.hash.split(/\?(.*)/s);
  const all = new URLSearchParams(parameters || "");
  for (const name of Object.keys(PROPERTIES)) all.delete(name);
  for (const [name, text] of Object.entries(given)) all.set(name, text);
  const changed = `${path}?${all}`;
  if (changed === location.hash) return;
  if (isNew) keepFocus(location.hash);
  history[isNew ? "pushState" : "replaceState"](null, "", changed);
}

function back() {
  if (last) go(searchAddress(last.query));
  else if (lastBatch) go(searchAddress(lastBatch.query));
  else go("#/");
}

async function route() {
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  setBusy(false);
  const [path, parameters] = location.hash.slice(1).split(/\?(.*)/s);
  const given = new URLSearchParams(parameters || "");
  const text = ["/search", "/sequence"].includes(path) ? given.get("q") : null;
  const id = path === "/protein" ? given.get("id") : null;
  showMessage(["", "/", "/search", "/sequence", "/protein"].includes(path) ? null : `Unknown address #${path}; start a new search.`);
  announce("");
  protein.hidden = true;
  results.hidden = true;
  byId("intro").hidden = Boolean(text || id);
  byId("confidence").close();
  try {
    if (text) await answer(path, text, given, signal);
    else if (id) await openProtein(id, given, signal);
    else setTitle("");
  } catch (error) {
    if (!signal.aborted) showMessage(error.message);
  }
}

async function answer(path, text, given, signal) {
  queryBox.value = text;
  const as = given.get("as") === "text" ? "name" : given.get("as");
  kind.value = KINDS.includes(as) ? as : "auto";
  taxon.value = given.get("of") || "";
  const query = typed(), queries = path === "/search" ? queriesOf(query) : null;
  setTitle(titleOf(query));
  if (queries) {
    last = null;
    await showList(query, queries, signal);
    return;
  }
  await search(query, signal);
  noteTexts(last.answer);
  if (path === "/search") show();
  else await openSequence(last.answer.understood, given, signal);
}

function showAbout(about) {
  const parts = [about.title];
  if (about.proteins) parts.push(`${about.proteins.items.toLocaleString("en")} proteins, ${about.proteins.search} search`);
  for (const [name, items] of Object.entries(about.labels)) parts.push(`${items.toLocaleString("en")} labels of ${name}`);
  byId("about").textContent = parts.filter(Boolean).join(" · ");
  byId("score").textContent = `Definitions: ${about.score}.`;
  byId("weights").replaceChildren(...sentence(about.weights));
  taxon.parentElement.hidden = !about.proteins;
  byId("organisms").append(...about.organisms.map(({ organism, taxon: number, proteins }) =>
    h("option", { value: number || organism }, `${organism} (${proteins.toLocaleString("en")} proteins)`)));
  byId("examples").hidden = !about.examples.length;
  byId("examples").append(...about.examples.map(({ label, query: text }) => h("button", { type: "button", class: "plain chip", title: text,
    on: { click: () => go(searchAddress({ text })) } }, label)));
}

async function start() {
  takeToken();
  window.addEventListener("hashchange", (event) => {
    if (takeToken()) return location.reload();
    keepFocus(new URL(event.oldURL).hash);
    return route();
  });
  try {
    showAbout(await ask("/api/about"));
  } catch (error) {
    showMessage(error.message);
    return;
  }
  await route();
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!queryBox.value.trim()) showMessage("The query is empty; describe a protein in words, or paste a sequence.");
  else go(searchAddress(typed()));
});
queryBox.addEventListener("keydown", (event) => {
  const isList = queryBox.value.startsWith(">") || kind.value === "lines";
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !isList) {
    event.preventDefault();
    byId("ask").requestSubmit();
  }
});
start();
