// Where the focus goes when what had it is gone: back to what an address was left from, else to the heading of what is shown.

const left = new Map(); // address → selector of what had the focus there
let hasMoved = false;

const isLost = (element) => !element || element === document.body || !element.isConnected || Boolean(element.closest("[hidden]"));

function selectorOf(element) {
  if (element?.id) return `#${CSS.escape(element.id)}`;
  const name = ["data-id", "data-match", "data-question", "data-taxon", "data-sure"].find((each) => element?.hasAttribute(each));
  return name ? `[${name}="${CSS.escape(element.getAttribute(name))}"]` : null;
}

// Called before an address is left.
export function keepFocus(address) {
  hasMoved = true;
  const selector = selectorOf(document.activeElement);
  if (selector) left.set(address, selector);
}

// Called when an address is shown. What has the focus keeps it, and a page that was just opened begins at its top.
export function restoreFocus(heading) {
  if (!hasMoved || !isLost(document.activeElement)) return;
  const selector = left.get(location.hash);
  const kept = selector && [...document.querySelectorAll(selector)].find((element) => !isLost(element));
  (kept || document.getElementById(heading))?.focus();
}
