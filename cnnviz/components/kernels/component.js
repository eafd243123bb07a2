// Kernels before and after, as grids of small maps; for one step with gradients and one weight of them worked through.

const MOST = 8; // maps in a row

export default function kernels({ data, parentElement, setTriggerValue }) {
  parentElement.kernels ??= new KernelsView(parentElement, setTriggerValue);
  parentElement.kernels.take(unpack(data));
}

class KernelsView {
  constructor(root, send) {
    this.send = send;
    this.panelsBox = root.querySelector(".panels");
    this.workedBox = root.querySelector(".worked");
    this.tip = new Tip(root.querySelector(".tip"));
    this.chosen = null; // {map, row, column}
  }

  take({ panels, names, rate, cell, chosen, arrays }) {
    Object.assign(this, { names, rate, cell, arrays, picks: chosen !== null });
    const [maps, side, , channels = 1] = arrays[panels[0].part].shape;
    // Full rows look better than a last one that is nearly empty.
    const across = [MOST, 7, 6, 5, 4].find((count) => maps % count === 0) ?? Math.min(maps, MOST);
    Object.assign(this, { maps, side, channels, across });
    const shape = JSON.stringify([maps, side, channels]);
    if (this.picks) this.chosen = { map: 0, row: Math.floor(chosen / side), column: chosen % side };
    else if (shape !== this.shape) this.chosen = this.steepest();
    this.shape = shape;
    const form = shape + JSON.stringify([panels, this.picks]);
    if (form !== this.form) this.build(panels);
    this.form = form;
    this.paint();
  }

  // The weight that one begins with: where the gradient, or else what has been learned, is largest.
  steepest() {
    const { data } = this.arrays.gradient ?? this.arrays.new;
    let at = 0;
    data.forEach((value, i) => { if (Math.abs(value) > Math.abs(data[at])) at = i; });
    at = Math.floor(at / this.channels);
    return { map: Math.floor(at / this.side ** 2), row: Math.floor(at / this.side) % this.side, column: at % this.side };
  }

  build(panels) {
    const cell = this.side + 1; // a gap between maps
    const down = Math.ceil(this.maps / this.across);
    this.views = panels.map(({ part, title }) => {
      const view = new MapView({ rows: down * cell - 1, columns: this.across * cell - 1, label: this.picks ? "units" : part });
      const legend = legendBar();
      view.box.tabIndex = 0;
      view.box.setAttribute("role", "group");
      view.box.classList.toggle("picked", this.picks);
      view.box.classList.toggle("coloured", this.channels > 1);
      view.box.setAttribute("aria-label", `${title}. The arrow keys choose a ${this.picks ? "unit, Enter shows it" : "weight"}.`);
      view.tell(this.tip, (at) => `${title}: ${this.place(this.locate(at))}`);
      view.box.addEventListener("click", (event) => {
        this.choose(this.locate(view.under(event).at));
        this.pick();
      });
      view.box.addEventListener("keydown", (event) => this.key(event));
      return { part, view, legend, box: element("figure", {}, element("h4", {}, title), view.box, legend.box) };
    });
    this.panelsBox.replaceChildren(...this.views.map(({ box }) => box));
  }

  // The map and cell at a place of the whole grid; null in a gap.
  locate(at) {
    const cell = this.side + 1;
    const [y, x] = [Math.floor(at / (this.across * cell - 1)), at % (this.across * cell - 1)];
    const found = { map: Math.floor(y / cell) * this.across + Math.floor(x / cell), row: y % cell, column: x % cell };
    return at >= 0 && found.row < this.side && found.column < this.side && found.map < this.maps ? found : null;
  }

  place({ map, row, column }) {
    const cell = this.cell ? `${this.cell} ${row * this.side + column}` : `row ${row}, column ${column}`;
    return [this.names[map], cell].filter(Boolean).join(", ");
  }

  value(part, { map, row, column }, channel = 0) {
    return this.arrays[part].data[((map * this.side + row) * this.side + column) * this.channels + channel];
  }

  // A cell's number to the last digit; of a kernel on colours, its three.
  spell(part, place) {
    const said = (channel) => {
      const value = this.value(part, place, channel);
      return Number.isFinite(value) ? exact(value) : "no number";
    };
    return this.channels === 1 ? said(0) : CHANNELS.map((name, channel) => `${name} ${said(channel)}`).join(" · ");
  }

  // Kernels before and after share a scale, so that they can be compared; what is no number stays empty.
  paint() {
    const finite = (part) => this.arrays[part].data.filter(Number.isFinite);
    // One step changes little; a whole training may leave the first weights far behind.
    const weights = this.picks ? null : scaleFor("diverging", this.arrays.gradient ? finite("old") : [...finite("old"), ...finite("new")]);
    for (const { part, view, legend } of this.views) {
      const scale = part === "old" || part === "new" ? weights : scaleFor("diverging", finite(part));
      if (this.channels === 1) {
        view.paint(scale, (at) => {
          const place = this.locate(at);
          const value = place ? this.value(part, place) : undefined;
          return Number.isFinite(value) ? value : undefined;
        });
      } else {
        const shade = (i) => {
          const place = this.locate(Math.floor(i / 3));
          return place ? (this.value(part, place, i % 3) - scale.low) / (scale.high - scale.low) : NaN;
        };
        view.paintColours(Float32Array.from({ length: view.rows * view.columns * 3 }, (_, i) => shade(i)));
        view.spell = (at) => (this.locate(at) ? this.spell(part, this.locate(at)) : null);
      }
      legend.show(this.channels === 1 ? scale : { ...scale, name: "grey" });
      legend.box.firstChild.textContent = scientific(scale.low);
      legend.box.lastChild.textContent = scientific(scale.high);
    }
    this.mark();
  }

  choose(place) {
    if (!place) return;
    this.chosen = place;
    this.mark();
  }

  pick() {
    if (this.picks) this.send("picked", this.chosen.row * this.side + this.chosen.column);
  }

  key(event) {
    if (event.key === "Enter") return this.pick();
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move) return;
    event.preventDefault();
    const cell = this.side + 1;
    let y = Math.floor(this.chosen.map / this.across) * cell + this.chosen.row;
    let x = (this.chosen.map % this.across) * cell + this.chosen.column;
    const { rows, columns } = this.views[0].view;
    for (let tries = 0; tries < 2; tries++) { // over the gap
      [y, x] = [y + move[0], x + move[1]];
      const place = y < 0 || x < 0 || y >= rows || x >= columns ? null : this.locate(y * columns + x);
      if (place) return this.choose(place);
    }
  }

  mark() {
    const { map, row, column } = this.chosen;
    const cell = this.side + 1;
    for (const { view } of this.views) view.outline(Math.floor(map / this.across) * cell + row, (map % this.across) * cell + column);
    this.work();
  }

  // new = old - rate · gradient, with this weight's numbers.
  work() {
    const parts = this.views.map(({ part }) => part);
    const by = parts.includes("direction") ? "direction" : "gradient";
    const term = (name, number, words) => element("span", { class: "term" }, element("small", {}, words),
      element("b", { "data-number": name }, number));
    const number = (part) => this.spell(part, this.chosen);
    const signed = (text) => (text.startsWith("−") ? `(${text})` : text);
    const sign = (text) => element("span", { class: "operator" }, text);
    const say = (...lines) => this.workedBox.replaceChildren(...lines.map((line) => element("p", { class: "small" }, line)));
    if (this.picks) return say(`${this.place(this.chosen)}: ${number("gradient")}`);
    if (!this.arrays.gradient) {
      const said = `${this.place(this.chosen)}: ${number("old")} before, ${number("new")} now.`;
      return this.channels === 1 ? say(said) : say(said, "A cell's red, green and blue are its weights on these channels of the image: at half brightness, as in mid-grey, a weight is 0.");
    }
    this.workedBox.replaceChildren(
      element("h4", {}, `One weight: ${this.place(this.chosen)}`),
      element("div", { class: "line" },
        term("old", number("old"), "old"), sign("−"), term("rate", String(this.rate), "rate"), sign("·"),
        term(by, signed(number(by)), by === "direction" ? "Adam's direction" : "gradient"), sign("="), term("new", number("new"), "new")),
      element("p", { class: "small" }, "Click another cell, or go there with the arrow keys. All numbers are the float32 ones that the step computes with."));
  }
}
