// Small pictures in a row, with a caption each; where they can be picked, each is a button, and a caption its tooltip
// unless one of them stays marked as chosen.

export default function gallery({ data, parentElement, setTriggerValue }) {
  const { pictures, captions, size, pick, title, chosen, arrays } = unpack(data);
  const heading = parentElement.querySelector(".title");
  heading.textContent = title;
  heading.hidden = !title;
  const box = parentElement.querySelector(".gallery");
  const focused = [...box.children].indexOf(parentElement.getRootNode().activeElement);
  box.replaceChildren(...pictures.map((name, i) => {
    const item = smallPicture(arrays[name], size, pick ? "button" : "figure", (!pick || chosen !== null) && captions[i]);
    if (pick) {
      item.type = "button";
      item.title = captions[i];
      item.setAttribute("aria-label", captions[i]);
      item.addEventListener("click", () => setTriggerValue("picked", name));
    }
    if (chosen !== null) {
      item.setAttribute("aria-pressed", String(name === chosen));
      item.tabIndex = name === chosen ? 0 : -1; // one stop for the Tab key, not a hundred
    }
    return item;
  }));
  if (focused >= 0) box.children[focused]?.focus({ preventScroll: true });
  box.onkeydown = chosen === null ? null : (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const next = by && box.children[[...box.children].indexOf(event.target) + by];
    if (!next) return;
    event.preventDefault();
    next.focus();
  };
}
