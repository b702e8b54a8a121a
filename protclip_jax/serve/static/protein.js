// One protein: what is known of it, texts that can be changed, and the tracks of their weights.

import { ask } from "./api.js";
import { h } from "./dom.js";
import { Tracks } from "./tracks.js";

const PROPERTIES = { name: "Name", function: "Function", location: "Location", similarity: "Family (similarity)" };

// `protein` is the answer of /api/protein, or {id, sequence} of one that was pasted; `texts` fill properties it lacks;
// `signal` aborts when something else is shown, after which nothing is told.
export function showProtein(section, protein, texts, { back, tell, signal, search }) {
  const boxes = {};
  for (const name of Object.keys(PROPERTIES)) {
    boxes[name] = h("textarea", { id: `property-${name}`, rows: 2, spellcheck: "false",
      placeholder: "empty: no track" });
    boxes[name].value = protein.properties?.[name] || texts[name] || "";
  }
  const figure = h("div", { class: "figure", hidden: true });
  const update = h("button", { type: "submit", id: "update" }, "Draw tracks");
  const form = h("form", { class: "bare", autocomplete: "off", on: { submit: (event) => { event.preventDefault(); draw(); } } },
    h("div", { class: "properties" }, ...Object.entries(PROPERTIES).map(([name, label]) =>
      h("div", {}, h("label", { for: `property-${name}`, class: name }, label), boxes[name]))),
    h("div", { class: "tools" }, update,
      h("span", { class: "note" }, "Change a text and draw again: do the weights follow what it says?")));
  const about = [protein.entry_name, protein.name, protein.genes?.[0], protein.organism, protein.length ? `${protein.length.toLocaleString("en")} residues` : null, protein.source];
  section.replaceChildren(
    h("div", { class: "heading" },
      h("h2", { tabindex: "-1", id: "protein-title" }, protein.id),
      h("div", { class: "tools" },
        protein.link ? h("a", { href: protein.link, target: "_blank", rel: "noopener noreferrer" }, "UniProt ↗") : null,
        protein.sequence ? h("button", { type: "button", class: "plain", id: "similar",
          on: { click: () => search(`>${protein.id.replace(/\s/g, "_")}\n${protein.sequence}`) } }, "Find similar proteins") : null,
        h("button", { type: "button", class: "plain", id: "back", on: { click: back } }, "← Back to the results"))),
    h("p", { class: "note" }, about.filter(Boolean).join(" · ")),
    protein.sequence ? form : h("p", {}, "The index does not hold this protein's sequence. Paste it into the box above to see its residues."),
    figure,
  );
  section.hidden = false;
  section.querySelector("#protein-title").focus();

  async function draw() {
    const properties = Object.fromEntries(Object.entries(boxes).map(([name, box]) => [name, box.value]).filter(([, text]) => text.trim()));
    tell(null);
    update.disabled = true;
    try {
      show(await ask("/api/tracks", { sequence: protein.sequence, properties }, signal));
    } catch (error) {
      if (signal.aborted) return;
      figure.hidden = true;
      tell(error.message);
    } finally {
      update.disabled = false;
    }
  }

  function show(answer) {
    const readout = h("div", { id: "readout", "aria-live": "off" });
    const hint = "Point at a residue to read its weights. Drag to zoom in, double-click for the whole protein.";
    const tracks = new Tracks(answer, protein.features || [], (here) => readout.replaceChildren(...(here ? described(here) : [hint])));
    readout.append(hint);
    const file = protein.id.replace(/[^\w.-]+/g, "_").slice(0, 80) || "protein";
    const button = (id, label, action, title) => h("button", { type: "button", class: "plain", id, title, on: { click: action } }, label);
    const cut = answer.tracks.filter((track) => track.cut).map((track) => PROPERTIES[track.property].toLowerCase());
    figure.replaceChildren(
      h("div", { class: "tools" },
        button("zoom-in", "Zoom in", () => tracks.zoom(0.5)), button("zoom-out", "Zoom out", () => tracks.zoom(2)),
        button("whole", "Whole protein", () => tracks.show(0, answer.sequence.length)),
        button("save-svg", "SVG", () => tracks.saveDrawing(file), "Download the drawing"),
        button("save-tsv", "TSV", () => tracks.saveTable(file), "Download the weights")),
      readout, tracks.svg,
      ...(cut.length ? [h("p", { class: "note", id: "cut" }, `Longer than the model reads, cut off behind: ${cut.join(", ")}.`)] : []),
      h("p", { class: "caution" }, `The weights say what the model attends to for each text. ${document.getElementById("weights").textContent} ` +
        "Shaded: residues that UniProt's features mark for the property."));
    figure.hidden = false;
  }

  if (protein.sequence && Object.values(boxes).some((box) => box.value.trim())) return draw();
  return Promise.resolve();
}

function described({ position, residue, weights, features }) {
  const parts = [h("strong", {}, `${residue}${position}`)];
  for (const [name, weight] of weights) parts.push("  ", h("span", { class: name }, `${name} ${weight ? weight.toPrecision(3) : "0"}`));
  if (features.length) parts.push(`  · ${features.join("; ")}`);
  return parts;
}
