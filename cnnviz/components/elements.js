// An HTML element: attributes, with on... for listeners, and what is inside.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function svgElement(tag, attributes = {}) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// The small label beside the pointer.
class Tip {
  constructor(box) {
    this.box = box;
  }

  show(event, where, number) {
    this.box.hidden = false;
    this.box.replaceChildren(where, element("br"), element("b", {}, number));
    const { width, height } = this.box.getBoundingClientRect();
    this.box.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
    this.box.style.top = `${event.clientY - height - 12 < 4 ? event.clientY + 18 : event.clientY - height - 12}px`;
  }

  hide() {
    this.box.hidden = true;
  }
}

// Whether a key belongs to the field that it is pressed in.
function typing(event) {
  const target = event.composedPath()[0];
  return target.isContentEditable || Boolean(target.matches?.("textarea, select, input:not([type=range], [type=checkbox], [type=radio])"));
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// What this tab remembers of a page while another one is looked at.
const remember = (name, value) => sessionStorage.setItem(`cnnviz-${name}`, JSON.stringify(value));
const recall = (name) => JSON.parse(sessionStorage.getItem(`cnnviz-${name}`) ?? "null");

// Save a blob as a file.
function save(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

// Put parameters into the address bar; null takes one out. Nothing is sent: the server reads them when it is next asked.
function writeAddress(parameters) {
  const address = new URL(location.href);
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null) address.searchParams.delete(name);
    else address.searchParams.set(name, value);
  }
  try {
    if (address.href !== location.href) history.replaceState(history.state, "", address);
  } catch {
    // Safari allows a hundred changes in half a minute; the next one will be written.
  }
}
