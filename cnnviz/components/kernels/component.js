// Kernels before and after, as grids of small maps; for one step with gradients and one weight of them worked through.

const ACROSS = 8; // maps in a row

export default function kernels({ data, parentElement }) {
  parentElement.kernels ??= new KernelsView(parentElement);
  parentElement.kernels.take(unpack(data));
}

class KernelsView {
  constructor(root) {
    this.panelsBox = root.querySelector(".panels");
    this.workedBox = root.querySelector(".worked");
    this.tip = new Tip(root.querySelector(".tip"));
    this.chosen = null; // {map, row, column}
  }

  take({ panels, names, rate, arrays }) {
    Object.assign(this, { names, rate, arrays });
    const [maps, side] = arrays.old.shape;
    Object.assign(this, { maps, side });
    if (!this.chosen || this.chosen.map >= maps || this.chosen.row >= side || this.chosen.column >= side) this.chosen = this.steepest();
    const form = JSON.stringify([panels, maps, side]);
    if (form !== this.form) this.build(panels);
    this.form = form;
    this.paint();
  }

  // The weight that one begins with: where the gradient, or else what has been learned, is largest.
  steepest() {
    const { data } = this.arrays.gradient ?? this.arrays.new;
    let at = 0;
    data.forEach((value, i) => { if (Math.abs(value) > Math.abs(data[at])) at = i; });
    return { map: Math.floor(at / this.side ** 2), row: Math.floor(at / this.side) % this.side, column: at % this.side };
  }

  build(panels) {
    const cell = this.side + 1; // a gap between maps
    const down = Math.ceil(this.maps / ACROSS);
    this.views = panels.map(({ part, title }) => {
      const view = new MapView({ rows: down * cell - 1, columns: ACROSS * cell - 1, label: part });
      const legend = legendBar();
      view.box.tabIndex = 0;
      view.box.setAttribute("role", "group");
      view.box.setAttribute("aria-label", `${title}. The arrow keys choose a weight.`);
      view.tell(this.tip, (at) => `${title}: ${this.place(this.locate(at))}`);
      view.box.addEventListener("click", (event) => this.choose(this.locate(view.under(event).at)));
      view.box.addEventListener("keydown", (event) => this.key(event));
      return { part, view, legend, box: element("figure", {}, element("h4", {}, title), view.box, legend.box) };
    });
    this.panelsBox.replaceChildren(...this.views.map(({ box }) => box));
  }

  // The map and cell at a place of the whole grid; null in a gap.
  locate(at) {
    const cell = this.side + 1;
    const [y, x] = [Math.floor(at / (ACROSS * cell - 1)), at % (ACROSS * cell - 1)];
    const found = { map: Math.floor(y / cell) * ACROSS + Math.floor(x / cell), row: y % cell, column: x % cell };
    return at >= 0 && found.row < this.side && found.column < this.side && found.map < this.maps ? found : null;
  }

  place({ map, row, column }) {
    return `${this.names[map]}, row ${row}, column ${column}`;
  }

  value(part, { map, row, column }) {
    return this.arrays[part].data[(map * this.side + row) * this.side + column];
  }

  // Kernels before and after share a scale, so that they can be compared; what is no number stays empty.
  paint() {
    const finite = (part) => this.arrays[part].data.filter(Number.isFinite);
    // One step changes little; a whole training may leave the first weights far behind.
    const weights = scaleFor("diverging", this.arrays.gradient ? finite("old") : [...finite("old"), ...finite("new")]);
    for (const { part, view, legend } of this.views) {
      const scale = part === "old" || part === "new" ? weights : scaleFor("diverging", finite(part));
      view.paint(scale, (at) => {
        const place = this.locate(at);
        const value = place ? this.value(part, place) : undefined;
        return Number.isFinite(value) ? value : undefined;
      });
      legend.show(scale);
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

  key(event) {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move) return;
    event.preventDefault();
    const cell = this.side + 1;
    let y = Math.floor(this.chosen.map / ACROSS) * cell + this.chosen.row;
    let x = (this.chosen.map % ACROSS) * cell + this.chosen.column;
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
    for (const { view } of this.views) view.outline(Math.floor(map / ACROSS) * cell + row, (map % ACROSS) * cell + column);
    this.work();
  }

  // new = old - rate · gradient, with this weight's numbers.
  work() {
    const parts = this.views.map(({ part }) => part);
    const by = parts.includes("direction") ? "direction" : "gradient";
    const term = (name, number, words) => element("span", { class: "term" }, element("small", {}, words),
      element("b", { "data-number": name }, number));
    const number = (part) => {
      const value = this.value(part, this.chosen);
      return Number.isFinite(value) ? exact(value) : "no number";
    };
    const signed = (text) => (text.startsWith("−") ? `(${text})` : text);
    const sign = (text) => element("span", { class: "operator" }, text);
    if (!this.arrays.gradient) {
      this.workedBox.replaceChildren(element("p", { class: "small" }, `${this.place(this.chosen)}: ${number("old")} before, ${number("new")} now.`));
      return;
    }
    this.workedBox.replaceChildren(
      element("h4", {}, `One weight: ${this.place(this.chosen)}`),
      element("div", { class: "line" },
        term("old", number("old"), "old"), sign("−"), term("rate", String(this.rate), "rate"), sign("·"),
        term(by, signed(number(by)), by === "direction" ? "Adam's direction" : "gradient"), sign("="), term("new", number("new"), "new")),
      element("p", { class: "small" }, "Click another cell, or go there with the arrow keys. All numbers are the float32 ones that the step computes with."));
  }
}
