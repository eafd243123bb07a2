// What the stages draw besides maps: a waterfall, a bar for each class, a curve.

// Bars that start where the one before ends.
class Waterfall {
  constructor() {
    this.box = element("div", { class: "waterfall" });
    this.rows = [];
  }

  // rows: {name, terms, from, to, total}
  show(rows) {
    const [low, high] = [Math.min(0, ...rows.flatMap(({ from, to }) => [from, to])), Math.max(0, ...rows.flatMap(({ from, to }) => [from, to]))];
    const size = high - low || 1;
    const percentOf = (value) => ((value - low) / size) * 100;
    while (this.rows.length < rows.length) {
      const row = { name: element("span", { class: "name" }), terms: element("span", { class: "product" }), bar: element("i"), number: element("b") };
      row.box = element("div", { class: "fall" }, row.name, row.terms, element("span", { class: "track" }, row.bar), row.number);
      this.rows.push(row);
      this.box.append(row.box);
    }
    this.rows.forEach((row, at) => {
      const shown = rows[at];
      row.box.hidden = !shown;
      if (!shown) return;
      const { name, terms, from, to, total } = shown;
      row.name.textContent = name;
      row.terms.textContent = terms;
      row.number.textContent = short(total ? to : to - from);
      row.box.className = `fall${total ? " total" : ""}`;
      row.bar.className = to < from ? "down" : "up";
      row.bar.style.left = `${percentOf(Math.min(from, to))}%`;
      row.bar.style.width = `${Math.max((Math.abs(to - from) / size) * 100, 0.4)}%`;
    });
    Object.assign(this, { shown: rows, low, high });
  }
}

// One row a class with a bar and a number, instead of a picture: a view like MapView as far as the stages need it.
class ClassRows {
  constructor(labels, context) {
    this.rows = labels.map((label, at) => {
      const [bar, number] = [element("i"), element("b")];
      const box = element("button", { type: "button", class: "class", onclick: () => context.go(at), onpointerenter: (event) => event.pointerType === "mouse" && context.preview(at) }, element("span", {}, label), element("span", { class: "track" }, bar), number);
      return { box, bar, number };
    });
    this.box = element("div", { class: "classes", onpointerleave: () => context.leave() }, ...this.rows.map(({ box }) => box));
  }

  tint(lit = () => false) {
    this.rows.forEach(({ box }, at) => box.classList.toggle("tinted", lit(at, 0)));
  }

  paint(scale, valueAt, until = Infinity) {
    const size = scale.high - scale.low;
    this.rows.forEach(({ box, bar, number }, at) => {
      const value = valueAt(at);
      number.textContent = scale.high === 1 && scale.low === 0 ? percent(value) : short(value);
      number.title = exact(value);
      bar.className = value < 0 ? "down" : "up";
      bar.style.left = `${((Math.min(value, 0) - scale.low) / size) * 100}%`;
      bar.style.width = `${(Math.abs(value) / size) * 100}%`;
      box.classList.toggle("unlit", at >= until);
    });
  }

  outline(row) {
    this.rows.forEach(({ box }, at) => box.setAttribute("aria-pressed", String(at === row)));
  }
}

// The activation function's curve with the cell's point on it.
class Curve {
  constructor(activation, limit) {
    this.limit = limit || 1;
    const { of } = ACTIVATIONS[activation];
    const bounded = activation === "tanh" || activation === "sigmoid";
    const half = bounded ? Math.min(this.limit, 4) : this.limit;
    this.toX = (z) => 80 + Math.max(-1, Math.min(1, z / half)) * 74;
    this.high = bounded ? 1.15 : half;
    this.toY = (a) => 50 - Math.max(-1, Math.min(1, a / this.high)) * 44;
    const path = range(121).map((at) => (at / 60 - 1) * half).map((z, at) => `${at ? "L" : "M"}${this.toX(z).toFixed(1)},${this.toY(of(z)).toFixed(1)}`).join("");
    this.dot = svgElement("circle", { r: 5 });
    const drawing = svgElement("svg", { viewBox: "0 0 160 100", class: "curve", role: "img", "aria-label": `${ACTIVATIONS[activation].title} and this cell's point on it` });
    drawing.append(svgElement("path", { class: "axes", d: "M4,50H156M80,4V96" }), svgElement("path", { class: "function", d: path }), this.dot);
    this.box = element("figure", {}, drawing, element("figcaption", { class: "small" }, `${ACTIVATIONS[activation].title}: ${ACTIVATIONS[activation].text}`));
  }

  point(z, a) {
    this.dot.setAttribute("cx", this.toX(z));
    this.dot.setAttribute("cy", this.toY(a));
  }
}
