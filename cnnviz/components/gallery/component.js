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
    const item = document.createElement(pick ? "button" : "figure");
    const canvas = document.createElement("canvas");
    const { data: values, shape: [height, width, channels] } = arrays[name];
    canvas.width = width;
    canvas.height = height;
    item.style.width = canvas.style.width = canvas.style.height = `${size}px`;
    const pen = canvas.getContext("2d");
    const picture = pen.createImageData(width, height);
    for (let at = 0; at < width * height; at++) {
      for (let c = 0; c < 3; c++) picture.data[4 * at + c] = values[at * channels + (channels === 3 ? c : 0)];
      picture.data[4 * at + 3] = 255;
    }
    pen.putImageData(picture, 0, 0);
    item.append(canvas);
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
    if (!pick || chosen !== null) {
      const caption = document.createElement("figcaption");
      caption.textContent = captions[i];
      item.append(caption);
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
