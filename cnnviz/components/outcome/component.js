// A bar for each class, and how the ink became the input. The classes are set up once, a new answer only changes heights
// and numbers.

export default function outcome({ data, parentElement }) {
  const { classes, pictures, captions, size, title, arrays } = unpack(data);
  const values = arrays.probabilities.data;
  const names = classes.join("\n");
  if (parentElement.names !== names) {
    parentElement.names = names;
    build(parentElement, classes);
  }
  parentElement.values = values;
  const top = values.indexOf(Math.max(...values));
  parentElement.querySelectorAll(".bar").forEach((bar, at) => {
    const value = values[at];
    bar.classList.toggle("top", at === top);
    bar.style.setProperty("--share", value);
    bar.querySelector(".number").textContent = value >= 0.99 ? percent(value) : value >= 0.005 ? `${(value * 100).toFixed(0)} %` : "";
    bar.setAttribute("aria-label", `${classes[at]}: ${percent(value)}`);
  });
  parentElement.querySelector(".title").textContent = title;
  parentElement.querySelector(".gallery").replaceChildren(
    ...pictures.map((name, at) => smallPicture(arrays[name], size, "figure", captions[at])));
}

function build(root, classes) {
  const box = root.querySelector(".bars");
  const tip = new Tip(root.querySelector(".tip"));
  const longest = Math.max(...classes.map((name) => name.length));
  const upright = longest < 3;
  box.className = `bars ${upright ? "upright" : "lying"}`;
  box.style.setProperty("--names", `${longest * 0.6}em`);
  box.onpointerleave = () => tip.hide();
  box.replaceChildren(...classes.map((name, at) => {
    const number = element("span", { class: "number" });
    const track = element("span", { class: "track" }, element("i"));
    const label = element("span", { class: "name" }, name);
    if (upright) track.append(number);
    return element("div", { class: "bar", role: "listitem", onpointermove: (event) => tip.show(event, name, exact(root.values[at])) },
      ...(upright ? [track, label] : [label, track, number]));
  }));
}
