// One protein: its description, editable texts, and the tracks of their weights.

import { ask } from "./api.js";
import { h, plainButton, row, rowHead, cell, table } from "./dom.js";
import { download, fileName } from "./files.js";
import { Tracks } from "./tracks.js";

export const PROPERTIES = { name: "Name", function: "Function", location: "Location", similarity: "Family (similarity)" };
const HEAVIEST = 5;

// `protein` is the answer of /api/protein, or {id, sequence} of a pasted one; `texts` fill the boxes; `remember` receives the texts
// that are drawn; `signal` aborts when something else is shown, after which no message is shown.
export function showProtein(section, protein, texts, { back, showMessage, signal, search, remember }) {
  const boxes = Object.fromEntries(Object.keys(PROPERTIES).map((name) => [name, box(name, texts[name])]));
  const figure = h("div", { class: "figure", hidden: true });
  const update = h("button", { type: "submit", id: "update" }, "Draw tracks");
  const submit = (event) => { event.preventDefault(); draw(true); };
  const form = h("form", { class: "bare", autocomplete: "off", on: { submit } },
    h("div", { class: "properties" }, ...Object.entries(PROPERTIES).map(([name, label]) =>
      h("div", {}, h("label", { for: `property-${name}`, class: `of-${name}` }, label), boxes[name]))),
    h("div", { class: "tools" }, update,
      h("span", { class: "note" }, "Change a text and draw again to see whether the weights follow it.")));
  section.replaceChildren(
    head(protein, { back, search }),
    protein.sequence ? form : h("p", {}, "The index does not have this protein's sequence. Paste it into the box above to see its residues."),
    figure,
  );
  section.hidden = false;

  async function draw(isNew) {
    const given = Object.fromEntries(Object.entries(boxes).map(([name, each]) => [name, each.value]));
    const edited = Object.entries(given).filter(([name, text]) => text !== (protein.properties?.[name] || ""));
    const properties = Object.fromEntries(Object.entries(given).filter(([, text]) => text.trim()));
    remember(Object.fromEntries(edited), isNew);
    showMessage(null);
    update.setAttribute("aria-disabled", "true");
    figure.setAttribute("aria-busy", "true");
    try {
      show(await ask("/api/tracks", { sequence: protein.sequence, properties }, signal));
    } catch (error) {
      if (signal.aborted) return;
      figure.hidden = true;
      showMessage(error.message);
    } finally {
      update.setAttribute("aria-disabled", "false");
      figure.setAttribute("aria-busy", "false");
    }
  }

  function show(answer) {
    const readout = h("p", { id: "readout" });
    const tracks = new Tracks(answer, protein.features || [], (residue) => readout.replaceChildren(...(residue ? described(residue) : [HINT])));
    readout.append(HINT);
    const cut = answer.tracks.filter((track) => track.cut).map((track) => PROPERTIES[track.property].toLowerCase());
    figure.replaceChildren(
      tools(tracks, fileName(protein.id, "protein")), readout, tracks.svg,
      ...(cut.length ? [h("p", { class: "note", id: "cut" }, `Text longer than the model reads, end cut off: ${cut.join(", ")}.`)] : []),
      heaviest(answer, tracks),
      h("p", { class: "caution" }, "The weights show what the model attends to for each text. ",
        ...document.getElementById("weights").cloneNode(true).childNodes,
        " Shaded: residues that UniProt annotates for the property."));
    figure.hidden = false;
    tracks.follow(figure, signal);
  }

  if (protein.sequence && Object.values(boxes).some((each) => each.value.trim())) return draw(false);
  return Promise.resolve();
}

const HINT = "Point at a residue, tap it, or press the arrow keys to read its weights. Drag to zoom in, double-click for the whole protein.";

function box(name, text) {
  const element = h("textarea", { id: `property-${name}`, rows: 2, spellcheck: "false", placeholder: "empty: no track" });
  element.value = text || "";
  return element;
}

function head(protein, { back, search }) {
  const about = [protein.entry_name, protein.name, protein.genes?.[0], protein.organism,
    protein.length ? `${protein.length.toLocaleString("en")} residues` : null, protein.source];
  const similar = () => search(`>${protein.id.replace(/\s/g, "_")}\n${protein.sequence}`);
  return h("div", {},
    h("div", { class: "heading" },
      h("h2", { tabindex: "-1", id: "protein-title" }, protein.id),
      h("div", { class: "tools" },
        protein.link ? h("a", { href: protein.link, target: "_blank", rel: "noopener noreferrer" }, "UniProt ↗") : null,
        protein.sequence ? plainButton({ id: "similar" }, "Find similar proteins", similar) : null,
        plainButton({ id: "back" }, "← Back to the results", back))),
    h("p", { class: "note" }, about.filter(Boolean).join(" · ")));
}

function tools(tracks, file) {
  return h("div", { class: "tools", role: "group", "aria-label": "Tracks" },
    plainButton({ id: "zoom-in" }, "Zoom in", () => tracks.zoom(0.5)), plainButton({ id: "zoom-out" }, "Zoom out", () => tracks.zoom(2)),
    plainButton({ id: "whole" }, "Whole protein", () => tracks.whole()),
    plainButton({ id: "before", "aria-label": "Previous residue" }, "‹", () => tracks.step(-1)),
    plainButton({ id: "after", "aria-label": "Next residue" }, "›", () => tracks.step(1)),
    plainButton({ id: "save-svg", "aria-label": "Download the drawing as SVG" }, "SVG",
      () => download(`${file}.svg`, "image/svg+xml", tracks.drawing())),
    plainButton({ id: "save-tsv", "aria-label": "Download the weights as TSV" }, "TSV",
      () => download(`${file}.tsv`, "text/tab-separated-values", tracks.table())));
}

// The tracks as a table, for screen readers; each residue links to its position.
function heaviest({ sequence, tracks: all }, tracks) {
  const residues = ({ weights }) => weights.map((weight, i) => ({ weight, i })).sort((a, b) => b.weight - a.weight).slice(0, HEAVIEST);
  const button = ({ weight, i }) => h("button", { type: "button", class: "link", title: weight.toPrecision(3),
    on: { click: () => tracks.pin(i) } }, `${sequence[i]}${i + 1}`);
  const rows = all.map((track) => row(rowHead(PROPERTIES[track.property]),
    cell("", "Residues", ...residues(track).flatMap((each) => [button(each), " "]))));
  return h("details", { id: "heaviest", class: "bare" }, h("summary", {}, "Heaviest residues"),
    table("The heaviest residues of each track", [{ label: "Track" }, { label: "Residues" }], rows));
}

function described({ position, residue, weights, features }) {
  const parts = [h("strong", {}, `${residue}${position}`)];
  for (const [name, weight] of weights) parts.push(" ", h("span", { class: `of-${name}` }, `${name} ${weight ? weight.toPrecision(3) : "0"}`));
  if (features.length) parts.push(` · ${features.join("; ")}`);
  return parts;
}
