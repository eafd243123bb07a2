// Walks through the cells of one layer's output: play, pause, steps, keys, scrubbing, jumping, and the formulas.
// Everything happens here; nothing is sent anywhere.

const SPEEDS = [0.5, 1, 2, 4, 8, 16, 30, 60]; // cells a second
const SLOW = 4; // up to this speed a step is shown in phases
const READABLE = 8; // up to this speed formulas are written along
const GLIDE = 0.16; // seconds that a single step by hand takes
const LATE = 100; // milliseconds that one frame counts at most
const SPEAK = 600; // milliseconds of rest before a screen reader is told

const SIGNS = { // in a square of 16
  first: "M2 2h2v12H2zM14 2v12L5 8z",
  back: "M12 2v12L3 8z",
  play: "M4 1.5v13L14 8z",
  pause: "M3 2h3.5v12H3zM9.5 2H13v12H9.5z",
  forward: "M4 2v12l9-6z",
  last: "M12 2h2v12h-2zM2 2v12l9-6z",
};

function sign(name) {
  const drawing = svgElement("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" });
  drawing.append(svgElement("path", { d: SIGNS[name] }));
  return drawing;
}

class Stepper {
  // box: where the stepper is put. tip: the label beside the pointer. onmove(stepper): after every move.
  // onturn(by): asked for the next or the previous filter.
  constructor(box, { tip, onmove = () => {}, onturn = null }) {
    Object.assign(this, { tip, onmove, onturn, pinned: null, cell: 0, playing: false, speed: calm() ? 1 : 4, t: 1 });
    this.context = { tip, jump: (view) => this.jumpable(view), go: (cell) => this.go(cell), preview: (cell) => this.preview(cell), leave: () => this.leave(), open: 0 };
    const button = (action, title, drawing = action) => element("button", { type: "button", "data-action": action, title, "aria-label": title, onclick: () => this[action]() }, sign(drawing));
    this.playButton = button("toggle", "Play (space)", "play");
    this.scrub = element("input", { type: "range", min: 0, step: 1, "aria-label": "Cell", class: "scrub", oninput: () => this.go(Number(this.scrub.value)) });
    this.where = element("span", { class: "where" });
    this.pace = element("input", { type: "range", min: 0, max: SPEEDS.length - 1, step: 1, value: SPEEDS.indexOf(this.speed), "aria-label": "Speed in cells a second", class: "pace",
      oninput: () => this.setSpeed(SPEEDS[this.pace.value]), onpointerup: () => this.pace.blur() }); // the arrow keys step again
    this.paceText = element("span", { class: "small" });
    this.bar = element("div", { class: "transport", role: "group", "aria-label": "Stepping" },
      element("div", { class: "buttons" }, button("first", "First cell (Home)"), button("back", "One step back (←)"), this.playButton, button("forward", "One step on (→)"), button("last", "Last cell (End)")),
      element("label", { class: "position" }, this.scrub, this.where),
      element("label", { class: "tempo" }, this.pace, this.paceText));
    this.stageBox = element("div", { class: "stage" });
    this.formulas = element("div", { class: "formulas" });
    this.live = element("p", { class: "unseen", "aria-live": "polite", "data-role": "step" });
    this.saving = new Saving(this);
    this.box = element("div", { class: "stepper" }, this.bar, this.stageBox, this.formulas, this.saving.box, this.live);
    box.replaceChildren(this.box);
    // After a click with the mouse the keys belong to the stepper again: space plays.
    box.closest(".room").addEventListener("click", (event) => event.detail > 0 && event.composedPath()[0].closest?.("button")?.blur());
    this.onKey = (event) => this.key(event);
    document.addEventListener("keydown", this.onKey);
    this.setSpeed(this.speed);
  }

  remove() {
    this.pause();
    this.saving.cancel();
    clearTimeout(this.speaking);
    document.removeEventListener("keydown", this.onKey);
  }

  // Show a layer at a cell (kept in bounds). facts: formulas of the whole layer, in MathML, with a caption each.
  load(layer, filter, cell, facts) {
    this.pause();
    this.saving.cancel();
    this.layer = layer;
    this.filter = filter;
    this.stage = new STAGES[layer.kind](layer, filter, this.context);
    this.stageBox.className = `stage ${layer.kind}`;
    this.stageBox.replaceChildren(...this.stage.box);
    this.cellFormula = element("div", { class: "fact", "data-role": "formula" });
    this.formulas.replaceChildren(this.cellFormula, ...facts.map(({ caption, formulas }) => {
      const box = element("div", { class: "fact" }, element("h4", {}, caption), element("div"));
      box.lastChild.innerHTML = formulas.join("");
      return box;
    }));
    this.scrub.max = this.stage.cells - 1;
    this.saving.fit(this.stage);
    this.cell = -1;
    this.move(Math.max(0, Math.min(this.stage.cells - 1, cell)), 1);
  }

  // The same layer with other numbers.
  refresh() {
    this.saving.cancel();
    this.stage.refresh();
    this.write();
    this.onmove(this);
  }

  // Show a cell, t of its step done.
  move(cell, t) {
    this.t = t;
    if (cell !== this.cell) {
      this.cell = cell;
      this.stage.show(cell);
      this.scrub.value = cell;
      this.where.textContent = `${cell + 1} of ${this.stage.cells} · ${cellName(this.layer, this.stage, cell)}`;
      this.onmove(this);
      if (!this.rushing()) this.write();
    }
    this.stage.phase(t);
  }

  // What the cell was waiting for is there.
  arrived() {
    if (!this.stage?.loading) return;
    this.stage.show(this.cell);
    this.stage.phase(this.t);
    if (!this.rushing()) this.write();
  }

  // Too fast to read formulas along: they come when it stops.
  rushing() {
    return this.playing && this.speed > READABLE;
  }

  // The cell's formula, and, once it rests, its sentence.
  write() {
    this.cellFormula.innerHTML = `<h4>This cell</h4>${this.stage.formula(this.cell).join("")}`;
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => {
      if (!this.playing || this.speed <= 1) this.live.textContent = `${this.layer.name}${this.layer.rows ? `, filter ${this.filter}` : ""}, ${this.stage.sentence(this.cell)}`;
    }, SPEAK);
  }

  go(cell) {
    if (!this.stage) return;
    this.pinned = null;
    this.pause();
    const wanted = Math.max(0, Math.min(this.stage.cells - 1, cell));
    if (wanted === this.cell && this.t >= 1) return;
    const near = Math.abs(wanted - this.cell) === 1 || Math.abs(wanted - this.cell) === this.stage.across;
    this.move(wanted, near && !calm() && this.layer.rows ? 0 : 1);
    if (this.t < 1) this.run(() => 1 / GLIDE);
  }

  first() { this.go(0); }
  last() { this.go(Infinity); }
  back() { this.go(this.cell - 1); }
  forward() { this.go(this.cell + 1); }
  toggle() { this.playing ? this.pause() : this.play(); }

  play() {
    if (!this.stage) return;
    this.pinned = null;
    const again = this.cell === this.stage.cells - 1;
    this.playing = true;
    this.show();
    this.move(again ? 0 : this.cell, 0);
    this.run(() => this.speed);
  }

  pause() {
    cancelAnimationFrame(this.frame);
    const was = this.playing;
    this.playing = false;
    if (was) {
      this.show();
      this.move(this.cell, 1);
      this.write();
    }
  }

  show() {
    this.playButton.replaceChildren(sign(this.playing ? "pause" : "play"));
    const title = this.playing ? "Pause (space)" : "Play (space)";
    this.playButton.title = title;
    this.playButton.setAttribute("aria-label", title);
    this.box.classList.toggle("rushing", this.rushing());
  }

  setSpeed(speed) {
    this.speed = speed;
    this.box.classList.toggle("rushing", this.rushing());
    this.paceText.textContent = `${speed} cell${speed === 1 ? "" : "s"}/s`;
  }

  // Animate: t grows by pace() a second; while playing, the next cell follows.
  run(pace) {
    let before = performance.now();
    const frame = (now) => {
      // After a stall, or in a tab that was hidden, it goes on from where it was.
      let t = this.t + (Math.min(Math.max(now - before, 0), LATE) / 1000) * pace();
      before = now;
      if (this.playing && this.stage.loading) {
        this.frame = requestAnimationFrame(frame);
        return;
      }
      let { cell } = this;
      if (this.playing) {
        // Round-off must not make 60 cells a second at 60 frames a second skip some and repeat others.
        while (t >= 0.999 && cell < this.stage.cells - 1) [cell, t] = [cell + 1, Math.max(t - 1, 0)];
      }
      const done = t >= 1;
      const stepwise = this.playing && (this.speed > SLOW || calm());
      if (cell !== this.cell || !stepwise || done) this.move(cell, stepwise || done ? 1 : t);
      this.t = done ? 1 : t;
      if (!done) this.frame = requestAnimationFrame(frame);
      else if (this.playing) this.pause();
    };
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(frame);
  }

  // Look at a cell while the pointer is on it; leave() goes back to where one was.
  preview(cell) {
    if (this.playing || cell === this.cell) return;
    cancelAnimationFrame(this.frame);
    this.pinned ??= this.cell;
    this.move(cell, 1);
  }

  leave() {
    if (this.pinned !== null && !this.playing) this.move(this.pinned, 1);
    this.pinned = null;
  }

  // The cells of an output: pointing at one shows it, a click or a tap stays there.
  jumpable(view) {
    const at = (event) => view.under(event).at;
    const drag = (event) => event.buttons > 0 || event.pointerType !== "mouse";
    view.box.classList.add("jumpable");
    view.box.addEventListener("pointermove", (event) => at(event) >= 0 && (drag(event) ? this.go(at(event)) : this.preview(at(event))));
    view.box.addEventListener("pointerdown", (event) => at(event) >= 0 && this.go(at(event)));
    view.box.addEventListener("pointerleave", () => this.leave());
  }

  key(event) {
    const target = event.composedPath()[0];
    if (event.defaultPrevented || event.metaKey || typing(event) || !this.stage) return;
    const turn = { "[": -1, "]": 1 }[event.key];
    // Many keyboards need AltGr (Ctrl and Alt, to Windows) or Option for a bracket.
    if (turn ? event.ctrlKey && !event.altKey : event.ctrlKey || event.altKey) return;
    if (target.matches?.("[role=slider], [role=radio], [role=tab], [role=option], [role=combobox], [type=radio]")) return;
    if (target.matches?.("[type=range]") && target !== this.scrub && /^(Arrow|Home|End)/.test(event.key)) return;
    if (event.key === " " && target.matches?.("button, summary, a, [type=checkbox]")) return;
    const action = {
      " ": () => this.toggle(),
      ArrowRight: () => this.forward(), ArrowLeft: () => this.back(),
      ArrowDown: () => this.go(this.cell + this.stage.across), ArrowUp: () => this.go(this.cell - this.stage.across),
      Home: () => this.first(), End: () => this.last(),
    }[event.key];
    if (turn && this.onturn) this.onturn(turn);
    else if (action) action();
    else return;
    event.preventDefault();
  }
}
