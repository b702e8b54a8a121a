// Shows openapi.json as a page: the fields, an example and the errors of each address.

import { cell, h, row, rowHead, sentence, table } from "./dom.js";

const EXAMPLES = {
  "/api/search": { query: "zinc-binding protease", top: 2 },
  "/api/tracks": { sequence: "MKTAYIAKQRQISFVKSHFSRQ", properties: { function: "Cleaves peptide bonds." } },
  "/api/fasta": { ids: ["P12345"] },
};

function curl(method, path, parameters) {
  const body = EXAMPLES[path];
  const query = parameters.length ? `?${parameters.map(({ name }) => `${name}=P12345`).join("&")}` : "";
  const given = body ? ` -H 'Content-Type: application/json' \\\n    -d '${JSON.stringify(body)}'` : "";
  return `curl -s '${location.origin}${path}${query}'${given}`;
}

function kindOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(kindOf).filter((kind) => kind !== "null").join(" or ");
  if (schema.enum) return schema.enum.join(", ");
  if (schema.type === "array") return `list of ${kindOf(schema.items)}`;
  return schema.type || "";
}

const written = (value) => (value === undefined || value === null ? "" : JSON.stringify(value));

function fields(route, schemas) {
  const body = route.requestBody?.content["application/json"].schema;
  const schema = body?.$ref ? schemas[body.$ref.split("/").pop()] : body;
  const needed = schema?.required || [];
  const ofBody = Object.entries(schema?.properties || {}).map(([name, about]) => ({ name, about, isNeeded: needed.includes(name) }));
  const ofAddress = (route.parameters || []).map(({ name, schema, description, required }) =>
    ({ name, about: { ...schema, description }, isNeeded: required }));
  return [...ofAddress, ...ofBody];
}

function described(path, method, route, schemas) {
  const rows = fields(route, schemas).map(({ name, about, isNeeded }) => row(rowHead(h("code", {}, name)),
    cell("", "Kind", kindOf(about)), cell("", "Default", isNeeded ? "required" : written(about.default)),
    cell("", "Meaning", ...sentence(about.description || ""))));
  const errors = Object.entries(route.responses).filter(([status]) => status !== "200").map(([status, { description }]) =>
    row(rowHead(status), cell("", "When", description)));
  return h("section", {},
    h("h2", {}, h("span", { class: "method" }, method.toUpperCase()), ` ${path}`), h("p", {}, `${route.summary}.`),
    h("pre", { tabindex: "0" }, curl(method, path, route.parameters || [])),
    ...(rows.length ? [h("h3", {}, "Fields"), table(`Fields of ${path}`,
      ["Field", "Kind", "Default", "Meaning"].map((label) => ({ label })), rows, { class: "cards" })] : []),
    h("h3", {}, "Errors"), table(`Errors of ${path}`, [{ label: "Status" }, { label: "When" }], errors));
}

const message = document.getElementById("message");
try {
  const { info, paths, components } = await (await fetch("/openapi.json")).json();
  document.getElementById("description").replaceChildren(...sentence(info.description));
  document.getElementById("routes").append(...Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, route]) => described(path, method, route, components.schemas))));
} catch (error) {
  message.textContent = `The description cannot be read (${error.message}); check that the server is running.`;
  message.hidden = false;
}
