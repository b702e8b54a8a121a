// Restores the focus if its element is gone: to the element that had it when the address was left, or else to the heading.

const left = new Map(); // address → selector of the element that had the focus
let hasMoved = false;

const isLost = (element) => !element || element === document.body || !element.isConnected || Boolean(element.closest("[hidden]"));

function selectorOf(element) {
  if (element?.id) return `#${CSS.escape(element.id)}`;
  const name = ["data-id", "data-match", "data-query", "data-taxon", "data-confidence"].find((each) => element?.hasAttribute(each));
  return name ? `[${name}="${CSS.escape(element.getAttribute(name))}"]` : null;
}

// Called before an address is left.
export function keepFocus(address) {
  hasMoved = true;
  const selector = selectorOf(document.activeElement);
  if (selector) left.set(address, selector);
}

// Called when an address is shown. An existing focus is kept, and a newly opened page starts at its top.
export function restoreFocus(heading) {
  if (!hasMoved || !isLost(document.activeElement)) return;
  const selector = left.get(location.hash);
  const kept = selector && [...document.querySelectorAll(selector)].find((element) => !isLost(element));
  (kept || document.getElementById(heading))?.focus();
}
