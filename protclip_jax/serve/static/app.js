// The page: the question, its answer, and one protein. The address behind '#' says which, so that "back" works.

import { ask, Refusal, takeToken } from "./api.js";
import { MOST_QUESTIONS, questionsOf, showBatch, titleOf } from "./batch.js";
import { h, sentence } from "./dom.js";
import { keepFocus, restoreFocus } from "./focus.js";
import { PROPERTIES, showProtein } from "./protein.js";
import { showResults } from "./results.js";
import { showWaiting } from "./waiting.js";

const byId = (id) => document.getElementById(id);
const [query, kind, taxon, button] = ["query", "kind", "taxon", "search"].map(byId);
const [message, results, protein] = ["message", "results", "protein"].map(byId);
const NAME = "ProtCLIP search", KINDS = [...kind.options].map((option) => option.value);
let shown = new AbortController(); // ends the requests of an address when there is another
let last = null; // the latest answer, and the question that it is of
let lastBatch = null; // the latest list of questions, and their answers
let texts = {}; // of the question, for proteins that have no texts of their own

function tell(sentence) {
  message.textContent = sentence || "";
  message.hidden = !sentence;
}

// For those who cannot see what has come.
const say = (sentence) => { byId("status").textContent = sentence; };
const entitle = (what) => { document.title = what ? `${what} – ${NAME}` : NAME; };

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

// Not `disabled`, which would take the focus away.
function setBusy(busy) {
  button.setAttribute("aria-disabled", busy);
  button.textContent = busy ? "Searching…" : "Search";
}

function answerTo({ text, as, of }, signal) {
  const taxa = of.split(";").map((one) => one.trim()).filter(Boolean);
  return ask("/api/search", { query: text, kind: as, taxon: taxa }, signal);
}

// Makes `last` the answer to a question.
async function search(question, signal) {
  if (last && isSame(last.question, question)) return;
  setBusy(true);
  const end = showWaiting(results);
  try {
    last = { question, answer: await answerTo(question, signal) };
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
  const { question, answer } = last;
  entitle(titleOf(question));
  showResults(results, answer, question.of, {
    openProtein: openProteinPage, tell,
    openSequence: () => go(address("sequence", question)),
    readAs: (other) => go(searchAddress({ ...question, as: other })),
    only: (organism) => go(searchAddress({ ...question, of: organism })),
  });
  say(summary(answer));
  restoreFocus("results-title");
}

function summary({ proteins, matches, labels }) {
  const best = proteins?.hits[0];
  const parts = [matches.length ? `${matches.length} proteins are named so` : null,
    best ? `${proteins.hits.length} proteins; the nearest is ${best.id}, ${best.name}` : null,
    ...Object.entries(labels).map(([name, { hits }]) => `${hits.length} descriptions of ${name}`)];
  return `${parts.filter(Boolean).join(". ")}.`;
}

async function showList(question, questions, signal) {
  if (questions.length > MOST_QUESTIONS) {
    throw new Error(`There are ${questions.length.toLocaleString("en")} questions; at most ${MOST_QUESTIONS} are asked at once. ` +
      "For a whole file, run python -m protclip_jax.annotate.");
  }
  if (!questions.length) throw new Error("There is no question in these lines.");
  if (!lastBatch || !isSame(lastBatch.question, question)) {
    lastBatch = { question, entries: questions.map((each) => ({ question: each })) };
  }
  entitle(`${questions.length} questions`);
  const done = showBatch(results, lastBatch.entries, { search: answerTo, openProtein: openProteinPage, tell, say, signal,
    openQuestion: (one) => go(searchAddress(one)) });
  restoreFocus("results-title");
  await done;
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

async function openProtein(id, given, signal) {
  entitle(id);
  try {
    await open(await ask(`/api/protein?${new URLSearchParams({ id })}`, undefined, signal), given, signal);
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) entitle("Not found");
    throw error;
  }
}

async function openSequence({ kind: read, name, sequence }, given, signal) {
  if (read !== "protein") throw new Error("This is a text and has no residues to show; paste a sequence.");
  await open({ id: name || "Your protein", sequence, length: sequence.length }, given, signal);
}

function open(known, given, signal) {
  entitle([known.id, known.name].filter(Boolean).join(" · "));
  const edited = Object.fromEntries(Object.keys(PROPERTIES).filter((name) => given.has(name)).map((name) => [name, given.get(name)]));
  const drawn = showProtein(protein, known, { ...texts, ...known.properties, ...edited }, {
    back, tell, signal, remember, search: (sequence) => go(searchAddress({ text: sequence })) });
  restoreFocus("protein-title");
  return drawn;
}

// Keeps the texts of a protein's tracks in its address; `isNew` makes a step that "back" undoes.
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
  if (last) go(searchAddress(last.question));
  else if (lastBatch) go(searchAddress(lastBatch.question));
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
  tell(["", "/", "/search", "/sequence", "/protein"].includes(path) ? null : `This page has nothing at #${path}.`);
  say("");
  protein.hidden = true;
  results.hidden = true;
  byId("intro").hidden = Boolean(asked || id);
  byId("sureness").close();
  try {
    if (asked) await answer(path, asked, given, signal);
    else if (id) await openProtein(id, given, signal);
    else entitle("");
  } catch (error) {
    if (!signal.aborted) tell(error.message);
  }
}

async function answer(path, asked, given, signal) {
  query.value = asked;
  const as = given.get("as") === "text" ? "name" : given.get("as");
  kind.value = KINDS.includes(as) ? as : "auto";
  taxon.value = given.get("of") || "";
  const question = typed(), questions = path === "/search" ? questionsOf(question) : null;
  entitle(titleOf(question));
  if (questions) {
    last = null;
    await showList(question, questions, signal);
    return;
  }
  await search(question, signal);
  noteTexts(last.answer);
  if (path === "/search") show();
  else await openSequence(last.answer.understood, given, signal);
}

function about(told) {
  const parts = [told.title];
  if (told.proteins) parts.push(`${told.proteins.items.toLocaleString("en")} proteins, ${told.proteins.search} search`);
  for (const [name, items] of Object.entries(told.labels)) parts.push(`${items.toLocaleString("en")} labels of ${name}`);
  byId("about").textContent = parts.filter(Boolean).join(" · ");
  byId("score").textContent = `Exactly: ${told.score}.`;
  byId("weights").replaceChildren(...sentence(told.weights));
  taxon.parentElement.hidden = !told.proteins;
  byId("organisms").append(...told.organisms.map(({ organism, taxon: number, proteins }) =>
    h("option", { value: number || organism }, `${organism} (${proteins.toLocaleString("en")} proteins)`)));
  byId("examples").hidden = !told.examples.length;
  byId("examples").append(...told.examples.map(({ label, query: text }) => h("button", { type: "button", class: "plain chip", title: text,
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
    about(await ask("/api/about"));
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
  const isList = query.value.startsWith(">") || kind.value === "lines";
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !isList) {
    event.preventDefault();
    byId("ask").requestSubmit();
  }
});
start();
