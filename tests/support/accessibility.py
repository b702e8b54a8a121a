"""What axe-core finds wrong with a page, and contrasts that it does not look at."""

import importlib.resources

import pytest

_RUN = """
const [rules, done] = arguments;
const chosen = rules ? { runOnly: { type: "rule", values: rules } } : {};
axe.run(document, { ...chosen, resultTypes: ["violations"] }).then(
  ({ violations }) => done(violations.map(({ id, impact, nodes }) => [id, impact, nodes.map((node) => node.html)])),
  (error) => done([["failed", "critical", [String(error)]]]));
"""
RING = """
const [element] = arguments;
const parts = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
const light = (colour) => {
  const [r, g, b] = parts(colour).map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
let behind = element.parentElement;
while (behind && getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
element.focus({ focusVisible: true });
const ring = getComputedStyle(element);
const [one, other] = [ring.outlineColor, getComputedStyle(behind || document.body).backgroundColor].map(light).sort((a, b) => b - a);
return [ring.outlineStyle, parseFloat(ring.outlineWidth), (one + 0.05) / (other + 0.05)];
"""


def axe_source() -> str:
    """axe-core as JavaScript; skips the test where it is absent."""
    pytest.importorskip("axe_core_python", reason="install requirements-dev.txt")
    return importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")


def violations(chromium, source: str, rules: list[str] | None = None) -> list:
    """Serious and critical violations of what the browser shows: rule, impact, elements; of all
    rules or of some."""
    if not chromium.execute_script("return Boolean(window.axe)"):
        chromium.execute_script(source)
    found = chromium.execute_async_script(_RUN, rules)
    return [each for each in found if each[1] in ("serious", "critical")]
