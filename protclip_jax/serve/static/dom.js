// Creates elements from data. Text is inserted as text, never as HTML, because names in an index are not trusted.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// A sentence as elements; text between backticks is shown as code.
export const sentence = (text) => text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));

export const plainButton = (attributes, label, action) =>
  h("button", { type: "button", class: "plain", ...attributes, on: { click: action } }, label);

// A table with a caption for screen readers. The roles preserve the table when the style shows its rows as cards.
export function table(caption, columns, rows, attributes = {}) {
  const heads = columns.map(({ label, kind }) => h("th", { scope: "col", role: "columnheader", class: kind },
    label || h("span", { class: "unseen" }, "Links")));
  return h("table", { role: "table", ...attributes }, h("caption", { class: "unseen" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...heads)), h("tbody", { role: "rowgroup" }, ...rows));
}

// A cell; `label` is shown before it if the table's head is hidden.
export const cell = (kind, label, ...children) => h("td", { role: "cell", class: kind, "data-label": label }, ...children);
export const rowHead = (...children) => h("th", { scope: "row", role: "rowheader", class: "what" }, ...children);
export const row = (...cells) => h("tr", { role: "row" }, ...cells);
