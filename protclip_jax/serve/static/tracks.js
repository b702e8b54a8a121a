// Draws property weights along a protein, with hover, tap, keys, zoom, and export of the server's exact numbers.

import { s } from "./dom.js";
import { tsv } from "./files.js";

// The colours of a saved drawing; on the page, the style sheet overrides them.
export const COLOURS = { name: "#CC79A7", function: "#0072B2", location: "#D55E00", similarity: "#009E73" };
const GREY = "#6B757E", INK = "#333333", ACCENT = "#0B5D87";
const LANE = 64, GAP = 12, FEATURE = 18, AXIS = 36, OVERVIEW = 34, LABEL_ROW = 20, TEXT = 12;
const NARROW = 640, WIDE_LEFT = 124, RIGHT = 14, NARROW_SIDE = 6;
const SHORTEST_VIEW = 10, LETTER_WIDTH = 9, DRAGGED = 6;

export class Tracks {
  // Takes the answer of /api/tracks and the features of /api/protein; `onResidue` receives the residue under the pointer or the chosen one.
  constructor({ sequence, tracks }, features, onResidue) {
    Object.assign(this, { sequence, tracks, features, onResidue, pinned: null });
    this.lanes = [...new Set([...features].sort((a, b) => a.start - b.start).map((feature) => feature.type))];
    this.view = [0, sequence.length];
    this.svg = s("svg", {
      tabindex: "0", role: "slider", "font-family": "sans-serif", "font-size": TEXT,
      "aria-label": `Weights of ${sequence.length} residues for ${tracks.map((track) => track.property).join(", ")}. ` +
        "Arrow keys move from residue to residue, plus and minus zoom, 0 shows the whole protein.",
      "aria-valuemin": 1, "aria-valuemax": sequence.length, "aria-valuenow": 1, "aria-valuetext": "no residue chosen",
      on: {
        pointermove: (event) => this.hover(event), pointerleave: () => this.leave(), pointerdown: (event) => this.press(event),
        dblclick: () => this.whole(), keydown: (event) => this.key(event), wheel: (event) => this.wheel(event),
      },
    });
    this.resize(1040);
  }

  // Keeps the drawing as wide as its parent until `signal` aborts.
  follow(element, signal) {
    const observer = new ResizeObserver(() => {
      const width = Math.floor(this.svg.getBoundingClientRect().width);
      if (width > 0 && width !== this.width) this.resize(width);
    });
    observer.observe(element);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  // One unit of the drawing is a pixel. In a narrow drawing, the names of the lanes are above them.
  resize(width) {
    this.width = width;
    const narrow = width < NARROW;
    [this.left, this.right] = narrow ? [NARROW_SIDE, NARROW_SIDE] : [WIDE_LEFT, RIGHT];
    this.labelRow = narrow ? LABEL_ROW : 0;
    this.laneHeight = this.labelRow + LANE + GAP;
    this.featureHeight = narrow ? this.labelRow + 14 : FEATURE;
    this.plot = this.tracks.length * this.laneHeight;
    this.below = this.plot + this.lanes.length * this.featureHeight + (this.lanes.length ? 8 : 0);
    this.height = this.below + AXIS + this.labelRow + OVERVIEW;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.draw();
  }

  get plotWidth() { return this.width - this.left - this.right; }
  get scale() { return this.plotWidth / (this.view[1] - this.view[0]); }
  x(residue) { return this.left + (residue - this.view[0]) * this.scale; }

  whole() { this.show(0, this.sequence.length); }

  show(start, end) {
    const total = this.sequence.length;
    const length = Math.min(total, Math.max(Math.min(SHORTEST_VIEW, total), Math.round(end - start)));
    const first = Math.max(0, Math.min(total - length, Math.round(start)));
    this.view = [first, first + length];
    this.draw();
  }

  zoom(factor, middle = this.middle()) {
    const length = (this.view[1] - this.view[0]) * factor;
    const before = (middle - this.view[0]) / (this.view[1] - this.view[0]);
    this.show(middle - length * before, middle + length * (1 - before));
  }

  // The chosen residue if it is in view, else the middle of the view.
  middle() {
    const isShown = this.pinned !== null && this.view[0] <= this.pinned && this.pinned < this.view[1];
    return isShown ? this.pinned + 0.5 : (this.view[0] + this.view[1]) / 2;
  }

  draw() {
    const parts = [s("rect", { width: this.width, height: this.height, fill: "#fff", class: "paper" })];
    this.tracks.forEach((track, i) => parts.push(this.lane(track, i * this.laneHeight)));
    this.lanes.forEach((type, i) => parts.push(this.featureLane(type, this.plot + i * this.featureHeight)));
    parts.push(this.axis(), this.overview());
    if (this.pinned !== null) parts.push(this.pinMark());
    this.cursor = s("rect", { y: 0, height: this.below, fill: INK, opacity: "0.15", visibility: "hidden", class: "cursor ink" });
    this.svg.replaceChildren(...parts, this.cursor);
  }

  // Bars of single residues, or of the heaviest of several if these are narrower than half a pixel.
  lane(track, y) {
    const colour = COLOURS[track.property], highest = track.weights.reduce((a, b) => Math.max(a, b), 1e-9);
    const top = y + this.labelRow, bottom = top + LANE;
    const group = s("g", { "data-property": track.property, class: `of-${track.property}` });
    for (const feature of this.features) {
      const box = feature.property === track.property && this.clip(feature.start - 1, feature.end);
      if (box) group.append(s("rect", { ...box, y: top, height: LANE, fill: colour, opacity: "0.2", class: "fill" }));
    }
    group.append(
      s("path", { d: this.bars(track.weights, highest, bottom) || `M${this.left} ${bottom}`, fill: colour, class: "fill" }),
      s("line", { x1: this.left, x2: this.width - this.right, y1: bottom, y2: bottom, stroke: GREY, class: "rule" }),
      ...this.laneLabels(track.property, `max ${highest.toPrecision(2)}`, y, colour));
    return group;
  }

  bars(weights, highest, bottom) {
    const step = Math.max(1, Math.ceil(0.5 / this.scale));
    let path = "";
    for (let i = this.view[0]; i < this.view[1]; i += step) {
      const end = Math.min(i + step, this.view[1]), weight = Math.max(...weights.slice(i, end));
      if (weight > 0) {
        const height = (LANE - 8) * weight / highest;
        path += `M${this.x(i).toFixed(2)} ${bottom}V${(bottom - height).toFixed(2)}H${this.x(end).toFixed(2)}V${bottom}Z`;
      }
    }
    return path;
  }

  laneLabels(name, note, y, colour) {
    const bold = { "font-weight": "bold", fill: colour, class: "label" };
    if (this.labelRow) {
      return [s("text", { ...bold, x: this.left, y: y + 15 }, name),
        s("text", { x: this.width - this.right, y: y + 15, "text-anchor": "end", fill: GREY, class: "soft" }, note)];
    }
    return [s("text", { ...bold, x: this.left - 10, y: y + LANE / 2 + 4, "text-anchor": "end", "font-size": 13 }, name),
      s("text", { x: this.left - 10, y: y + LANE / 2 + 22, "text-anchor": "end", fill: GREY, class: "soft" }, note)];
  }

  featureLane(type, y) {
    const place = this.labelRow ? { x: this.left, y: y + 14 } : { x: this.left - 10, y: y + 13, "text-anchor": "end" };
    const group = s("g", { "data-feature": type }, s("text", { ...place, fill: INK, class: "ink" }, type.slice(0, 16)));
    for (const feature of this.features) {
      const box = feature.type === type && this.clip(feature.start - 1, feature.end);
      if (box) group.append(this.mark(feature, { ...box, y: y + (this.labelRow || 4), height: 10, rx: 2 }));
    }
    return group;
  }

  mark(feature, box) {
    return s("rect", { ...box, fill: COLOURS[feature.property] || GREY, class: `fill of-${feature.property || "none"}` });
  }

  // The part of residues start…end (0-based, end excluded) that is in view; null if none is.
  clip(start, end) {
    const from = Math.max(start, this.view[0]), to = Math.min(end, this.view[1]);
    return from < to ? { x: this.x(from).toFixed(2), width: Math.max(1, (to - from) * this.scale).toFixed(2) } : null;
  }

  axis() {
    const group = s("g", { fill: INK, "text-anchor": "middle", class: "ink" });
    const length = this.view[1] - this.view[0], most = Math.max(3, Math.floor(this.plotWidth / 80));
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((size) => length / size <= most) || 10000;
    // At least half the width of a number from both ends.
    const number = (position) => s("text", { y: this.below + 28,
      x: Math.max(this.left + 4, Math.min(this.width - 14, this.x(position - 0.5))).toFixed(2) }, String(position));
    for (let position = Math.ceil((this.view[0] + 1) / step) * step; position <= this.view[1]; position += step) group.append(number(position));
    if (this.view[0] === 0 && step > 1) group.append(number(1));
    if (this.scale >= LETTER_WIDTH) {
      for (let i = this.view[0]; i < this.view[1]; i++) {
        group.append(s("text", { x: this.x(i + 0.5).toFixed(2), y: this.below + 13, "font-family": "monospace" }, this.sequence[i]));
      }
    }
    return group;
  }

  get overviewTop() { return this.below + AXIS + this.labelRow + 8; }

  // The whole protein with a window over the visible part, which can be dragged or redrawn.
  overview() {
    const top = this.overviewTop, per = this.plotWidth / this.sequence.length;
    const place = this.labelRow ? { x: this.left, y: top - 6 } : { x: this.left - 10, y: top + 13, "text-anchor": "end" };
    const group = s("g", { class: "overview" },
      s("rect", { x: this.left, y: top, width: this.plotWidth, height: 18, rx: 4, fill: "#eef1f4", class: "trough" }),
      s("text", { ...place, fill: GREY, class: "soft" }, "whole protein"));
    for (const feature of this.features) {
      if (feature.property) group.append(this.mark(feature, { x: (this.left + (feature.start - 1) * per).toFixed(2), y: top + 6, height: 6,
        width: Math.max(1, (feature.end - feature.start + 1) * per).toFixed(2) }));
    }
    group.append(s("rect", { class: "window", x: this.left + this.view[0] * per, y: top, width: (this.view[1] - this.view[0]) * per,
      height: 18, rx: 4, fill: ACCENT, "fill-opacity": "0.2", stroke: ACCENT }));
    return group;
  }

  pinMark() {
    const box = this.clip(this.pinned, this.pinned + 1);
    return s("rect", { ...(box || { width: 0 }), y: 0, height: this.below, class: "pin", fill: ACCENT, "fill-opacity": "0.25", stroke: ACCENT });
  }

  // The pointer in the units of the drawing, and the residue under it in a view or in the whole protein.
  at(event) {
    const box = this.svg.getBoundingClientRect();
    const x = (event.clientX - box.left) * this.width / box.width, y = (event.clientY - box.top) * this.height / box.height;
    const share = Math.max(0, Math.min(1, (x - this.left) / this.plotWidth));
    return { x, y, residue: this.view[0] + share * (this.view[1] - this.view[0]), whole: share * this.sequence.length };
  }

  hover(event) {
    const { x, y, residue } = this.at(event);
    if (x < this.left || x > this.width - this.right || y > this.below + AXIS) return this.leave();
    const i = Math.min(this.view[1] - 1, Math.floor(residue));
    this.cursor.setAttribute("x", this.x(i));
    this.cursor.setAttribute("width", Math.max(1.5, this.scale));
    this.cursor.setAttribute("visibility", "visible");
    this.onResidue(this.facts(i));
  }

  facts(i) {
    return { position: i + 1, residue: this.sequence[i], weights: this.tracks.map((track) => [track.property, track.weights[i]]),
      features: this.covering(i) };
  }

  covering(i) {
    return this.features.filter((feature) => feature.start <= i + 1 && i + 1 <= feature.end)
      .map((feature) => `${feature.type} ${feature.note}`.trim());
  }

  leave() {
    this.cursor.setAttribute("visibility", "hidden");
    this.onResidue(this.pinned === null ? null : this.facts(this.pinned));
  }

  // Chooses a residue, whose numbers stay visible; the view moves if the residue is outside it.
  pin(i) {
    this.pinned = Math.max(0, Math.min(this.sequence.length - 1, i));
    const [first, last] = this.view, { position, residue, weights, features } = this.facts(this.pinned);
    const values = [`${residue}${position}`, ...weights.map(([name, weight]) => `${name} ${weight.toPrecision(3)}`), ...features];
    this.svg.setAttribute("aria-valuenow", position);
    this.svg.setAttribute("aria-valuetext", values.join(", "));
    if (this.pinned < first) this.show(this.pinned, this.pinned + last - first);
    else if (this.pinned >= last) this.show(this.pinned + 1 - (last - first), this.pinned + 1);
    else this.draw();
    this.leave();
  }

  unpin() {
    this.pinned = null;
    this.svg.setAttribute("aria-valuetext", "no residue chosen");
    this.draw();
    this.leave();
  }

  step(residues) { this.pin(this.pinned === null ? this.view[0] : this.pinned + residues); }

  // A tap or click chooses a residue. Dragging over the tracks zooms to the marked part; dragging the window below moves the view.
  press(event) {
    const start = this.at(event);
    if (start.x < this.left - 4 || event.button !== 0) return;
    event.preventDefault();
    this.svg.focus({ preventScroll: true });
    const below = start.y > this.below + AXIS, [first, last] = this.view;
    const inside = below && start.whole >= first && start.whole <= last && last - first < this.sequence.length;
    const mark = s("rect", { y: below ? this.overviewTop : 0, height: below ? 18 : this.below, fill: ACCENT, opacity: "0.2" });
    if (!inside) this.svg.append(mark);
    const ends = (now) => [Math.min(start.x, now.x), Math.max(start.x, now.x)];
    const move = (moved) => {
      const now = this.at(moved), [left, right] = ends(now);
      if (inside) this.show(first + now.whole - start.whole, last + now.whole - start.whole);
      else { mark.setAttribute("x", left); mark.setAttribute("width", right - left); }
    };
    // A touch that turns into scrolling is cancelled and marks nothing.
    const up = (released) => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", up);
      window.removeEventListener("pointercancel", up);
      mark.remove();
      if (released.type === "pointercancel") return;
      const now = this.at(released), [left, right] = ends(now), of = below ? "whole" : "residue";
      if (!inside && right - left > DRAGGED) this.show(Math.min(start[of], now[of]), Math.max(start[of], now[of]));
      else if (!below) this.pin(Math.min(this.view[1] - 1, Math.floor(start.residue)));
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", up);
    window.addEventListener("pointercancel", up);
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.at(event).residue);
  }

  key(event) {
    const far = event.shiftKey ? 10 : 1;
    const moves = {
      ArrowLeft: () => this.step(-far), ArrowRight: () => this.step(far), ArrowDown: () => this.step(-far), ArrowUp: () => this.step(far),
      PageDown: () => this.step(-10), PageUp: () => this.step(10), Home: () => this.pin(0), End: () => this.pin(this.sequence.length - 1),
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.whole(), Escape: () => this.unpin(),
    };
    if (moves[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); moves[event.key](); }
  }

  table() {
    const header = ["position", "residue", ...this.tracks.map((track) => track.property), "features"];
    const rows = [...this.sequence].map((residue, i) => [i + 1, residue,
      ...this.tracks.map((track) => Number(track.weights[i].toPrecision(6))), this.covering(i).join("; ")]);
    return tsv([header, ...rows]);
  }

  // The drawing alone, in the colours of its attributes.
  drawing() {
    const copy = this.svg.cloneNode(true);
    copy.querySelector(".cursor").remove();
    for (const name of ["tabindex", "role", "aria-valuemin", "aria-valuemax", "aria-valuenow", "aria-valuetext"]) copy.removeAttribute(name);
    copy.setAttribute("role", "img");
    copy.setAttribute("width", this.width);
    copy.setAttribute("height", this.height);
    return new XMLSerializer().serializeToString(copy);
  }
}
