// Property weights drawn along a protein: hover, zoom, and export of exactly what the server computed.

import { download, s, tsv } from "./dom.js";

export const COLOURS = { name: "#CC79A7", function: "#0072B2", location: "#D55E00", similarity: "#009E73" };
const GREY = "#8C8C8C", INK = "#333333";
const WIDTH = 1040, LEFT = 110, RIGHT = 14, LANE = 74, GAP = 10, FEATURE = 16, AXIS = 34, OVERVIEW = 34;
const SHORTEST_VIEW = 10, LETTERS_FROM = 9;

export class Tracks {
  // `answer` is that of /api/tracks, `features` those of /api/protein; `say` is told what lies under the pointer.
  constructor({ sequence, tracks }, features, say) {
    Object.assign(this, { sequence, tracks, features, say });
    this.lanes = [...new Set([...features].sort((a, b) => a.start - b.start).map((feature) => feature.type))];
    this.view = [0, sequence.length];
    this.plot = tracks.length * (LANE + GAP);
    this.below = this.plot + this.lanes.length * FEATURE + (this.lanes.length ? 8 : 0);
    this.height = this.below + AXIS + OVERVIEW;
    this.svg = s("svg", {
      viewBox: `0 0 ${WIDTH} ${this.height}`, tabindex: "0", role: "img", "font-family": "sans-serif",
      "aria-label": `Weights of ${sequence.length} residues for ${tracks.map((track) => track.property).join(", ")}. ` +
        "Arrow keys move, plus and minus zoom.",
      on: {
        pointermove: (event) => this.hover(event), pointerleave: () => this.leave(), pointerdown: (event) => this.press(event),
        dblclick: () => this.show(0, sequence.length), keydown: (event) => this.key(event),
        wheel: (event) => this.wheel(event),
      },
    });
    this.draw();
  }

  get scale() { return (WIDTH - LEFT - RIGHT) / (this.view[1] - this.view[0]); }
  x(residue) { return LEFT + (residue - this.view[0]) * this.scale; }

  show(start, end) {
    const total = this.sequence.length;
    const length = Math.min(total, Math.max(Math.min(SHORTEST_VIEW, total), Math.round(end - start)));
    const first = Math.max(0, Math.min(total - length, Math.round(start)));
    this.view = [first, first + length];
    this.draw();
  }

  zoom(factor, middle = (this.view[0] + this.view[1]) / 2) {
    const length = (this.view[1] - this.view[0]) * factor;
    const before = (middle - this.view[0]) / (this.view[1] - this.view[0]);
    this.show(middle - length * before, middle + length * (1 - before));
  }

  draw() {
    const parts = [s("rect", { width: WIDTH, height: this.height, fill: "#fff" })];
    this.tracks.forEach((track, i) => parts.push(this.lane(track, i * (LANE + GAP))));
    this.lanes.forEach((type, i) => parts.push(this.featureLane(type, this.plot + i * FEATURE)));
    parts.push(this.axis(), this.overview());
    this.cursor = s("rect", { y: 0, height: this.below, fill: INK, opacity: "0.12", visibility: "hidden", class: "cursor" });
    this.svg.replaceChildren(...parts, this.cursor);
  }

  // Bars of single residues, or of the heaviest of several where these are narrower than half a pixel.
  lane(track, top) {
    const colour = COLOURS[track.property], highest = track.weights.reduce((a, b) => Math.max(a, b), 1e-9), bottom = top + LANE;
    const group = s("g", { "data-property": track.property });
    for (const feature of this.features) {
      if (feature.property === track.property) {
        const box = this.clip(feature.start - 1, feature.end);
        if (box) group.append(s("rect", { ...box, y: top, height: LANE, fill: colour, opacity: "0.18" }));
      }
    }
    const step = Math.max(1, Math.ceil(0.5 / this.scale));
    let path = "";
    for (let i = this.view[0]; i < this.view[1]; i += step) {
      const weight = Math.max(...track.weights.slice(i, Math.min(i + step, this.view[1])));
      if (weight > 0) {
        const right = this.x(Math.min(i + step, this.view[1])), left = this.x(i);
        path += `M${left.toFixed(2)} ${bottom}V${(bottom - (LANE - 10) * weight / highest).toFixed(2)}H${right.toFixed(2)}V${bottom}Z`;
      }
    }
    group.append(
      s("path", { d: path || `M${LEFT} ${bottom}`, fill: colour }),
      s("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: bottom, y2: bottom, stroke: GREY }),
      s("text", { x: LEFT - 10, y: top + LANE / 2 + 4, "text-anchor": "end", "font-size": 13, "font-weight": "bold", fill: colour },
        track.property),
      s("text", { x: LEFT - 10, y: top + 14, "text-anchor": "end", "font-size": 10, fill: GREY }, `max ${highest.toPrecision(2)}`));
    return group;
  }

  featureLane(type, top) {
    const group = s("g", { "data-feature": type },
      s("text", { x: LEFT - 10, y: top + 12, "text-anchor": "end", "font-size": 10, fill: INK }, type.slice(0, 16)));
    for (const feature of this.features) {
      const box = feature.type === type && this.clip(feature.start - 1, feature.end);
      if (box) group.append(s("rect", { ...box, y: top + 4, height: 9, rx: 2, fill: COLOURS[feature.property] || GREY }));
    }
    return group;
  }

  // The part of residues start…end (0-based, end excluded) that is in view; null where none is.
  clip(start, end) {
    const from = Math.max(start, this.view[0]), to = Math.min(end, this.view[1]);
    return from < to ? { x: this.x(from).toFixed(2), width: Math.max(1, (to - from) * this.scale).toFixed(2) } : null;
  }

  axis() {
    const group = s("g", { "font-size": 11, fill: INK, "text-anchor": "middle" });
    const length = this.view[1] - this.view[0];
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((size) => length / size <= 12) || 10000;
    for (let position = Math.ceil((this.view[0] + 1) / step) * step; position <= this.view[1]; position += step) {
      group.append(s("text", { x: this.x(position - 0.5).toFixed(2), y: this.below + 28 }, String(position)));
    }
    if (this.view[0] === 0 && step > 1) group.append(s("text", { x: this.x(0.5).toFixed(2), y: this.below + 28 }, "1"));
    if (this.scale >= LETTERS_FROM) {
      for (let i = this.view[0]; i < this.view[1]; i++) {
        group.append(s("text", { x: this.x(i + 0.5).toFixed(2), y: this.below + 13, "font-family": "monospace" }, this.sequence[i]));
      }
    }
    return group;
  }

  // The whole protein with a window over what is in view, which can be dragged, or drawn anew.
  overview() {
    const top = this.below + AXIS + 8, per = (WIDTH - LEFT - RIGHT) / this.sequence.length;
    const group = s("g", { class: "overview" },
      s("rect", { x: LEFT, y: top, width: WIDTH - LEFT - RIGHT, height: 18, rx: 4, fill: "#eef1f4" }),
      s("text", { x: LEFT - 10, y: top + 13, "text-anchor": "end", "font-size": 10, fill: GREY }, "whole protein"));
    for (const feature of this.features) {
      if (feature.property) group.append(s("rect", { x: (LEFT + (feature.start - 1) * per).toFixed(2), y: top + 6, height: 6,
        width: Math.max(1, (feature.end - feature.start + 1) * per).toFixed(2), fill: COLOURS[feature.property], opacity: "0.6" }));
    }
    group.append(s("rect", { class: "window", x: LEFT + this.view[0] * per, y: top, width: (this.view[1] - this.view[0]) * per,
      height: 18, rx: 4, fill: "#0b5d87", opacity: "0.22", stroke: "#0b5d87" }));
    return group;
  }

  // The pointer in the units of the drawing, and the residue under it in a view or in the whole protein.
  at(event) {
    const box = this.svg.getBoundingClientRect();
    const x = (event.clientX - box.left) * WIDTH / box.width, y = (event.clientY - box.top) * this.height / box.height;
    const share = Math.max(0, Math.min(1, (x - LEFT) / (WIDTH - LEFT - RIGHT)));
    return { x, y, residue: this.view[0] + share * (this.view[1] - this.view[0]), whole: share * this.sequence.length };
  }

  hover(event) {
    const { x, y, residue } = this.at(event);
    if (x < LEFT || x > WIDTH - RIGHT || y > this.below + AXIS) return this.leave();
    this.point(Math.min(this.view[1] - 1, Math.floor(residue)));
  }

  point(i) {
    this.cursor.setAttribute("x", this.x(i));
    this.cursor.setAttribute("width", Math.max(1.5, this.scale));
    this.cursor.setAttribute("visibility", "visible");
    this.say({
      position: i + 1, residue: this.sequence[i],
      weights: this.tracks.map((track) => [track.property, track.weights[i]]), features: this.covering(i),
    });
  }

  covering(i) {
    return this.features.filter((feature) => feature.start <= i + 1 && i + 1 <= feature.end)
      .map((feature) => `${feature.type} ${feature.note}`.trim());
  }

  leave() {
    this.cursor.setAttribute("visibility", "hidden");
    this.say(null);
  }

  // Dragging over the tracks zooms to what is marked; over the window below it moves the view.
  press(event) {
    const start = this.at(event);
    if (start.x < LEFT - 4 || event.button !== 0) return;
    event.preventDefault();
    this.svg.focus({ preventScroll: true });
    const below = start.y > this.below + AXIS, [first, last] = this.view;
    const inside = below && start.whole >= first && start.whole <= last && last - first < this.sequence.length;
    const mark = s("rect", { y: below ? this.below + AXIS + 8 : 0, height: below ? 18 : this.below, fill: "#0b5d87", opacity: "0.2" });
    if (!inside) this.svg.append(mark);
    const ends = (now) => [Math.min(start.x, now.x), Math.max(start.x, now.x)];
    const move = (moved) => {
      const now = this.at(moved), [left, right] = ends(now);
      if (inside) this.show(first + now.whole - start.whole, last + now.whole - start.whole);
      else { mark.setAttribute("x", left); mark.setAttribute("width", right - left); }
    };
    // A touch that turns into scrolling is cancelled, and marks nothing.
    const up = (released) => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", up);
      window.removeEventListener("pointercancel", up);
      mark.remove();
      if (released.type === "pointercancel") return;
      const now = this.at(released), [left, right] = ends(now), of = below ? "whole" : "residue";
      if (!inside && right - left > 6) this.show(Math.min(start[of], now[of]), Math.max(start[of], now[of]));
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
    const length = this.view[1] - this.view[0], step = Math.max(1, Math.round(length / 10));
    const moves = {
      ArrowLeft: () => this.show(this.view[0] - step, this.view[1] - step),
      ArrowRight: () => this.show(this.view[0] + step, this.view[1] + step),
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), Home: () => this.show(0, this.sequence.length),
    };
    if (moves[event.key] && !event.ctrlKey && !event.metaKey) { event.preventDefault(); moves[event.key](); }
  }

  saveTable(name) {
    const header = ["position", "residue", ...this.tracks.map((track) => track.property), "features"];
    const rows = [...this.sequence].map((residue, i) => [i + 1, residue,
      ...this.tracks.map((track) => Number(track.weights[i].toPrecision(6))), this.covering(i).join("; ")]);
    download(`${name}.tsv`, "text/tab-separated-values", tsv([header, ...rows]));
  }

  saveDrawing(name) {
    const copy = this.svg.cloneNode(true);
    copy.querySelector(".cursor").remove();
    copy.setAttribute("width", WIDTH);
    copy.setAttribute("height", this.height);
    download(`${name}.svg`, "image/svg+xml", new XMLSerializer().serializeToString(copy));
  }
}
