// A drawing is a history of strokes and clearings (null), of which the first `cursor` count: undo and redo move the cursor.
// Points are in [0, 1] over the canvas, so that every screen and the server draw the same picture.

const LINK_LIMIT = 4000; // characters; a larger drawing has no link
const ADDRESS_MS = 1500; // of rest until the address holds the drawing: the next stroke after it is answered 15 ms later
const LIVE_MS = 100; // the most often that a moving pen is sent

export default function sketchpad({ data, parentElement, setStateValue }) {
  parentElement.sketchpad ??= new Sketchpad(parentElement);
  const pad = parentElement.sketchpad;
  pad.send = (sketch) => setStateValue("sketch", sketch);
  pad.take(unpack(data));
  return () => {
    pad.remove();
    delete parentElement.sketchpad;
  };
}

class Sketchpad {
  constructor(root) {
    this.canvas = root.querySelector("canvas");
    this.hint = root.querySelector(".hint");
    this.full = root.querySelector(".full");
    this.buttons = Object.fromEntries([...root.querySelectorAll("button")].map((button) => [button.dataset.action, button]));
    this.settings = Object.fromEntries([...root.querySelectorAll("input")].map((input) => [input.dataset.setting, input]));
    this.history = [];
    this.cursor = 0;
    this.stroke = null; // the one being drawn
    this.pointer = null; // the finger, pen or mouse that draws it
    this.lastSent = 0;

    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(end, (event) => this.up(event));
    canvas.addEventListener("transitionend", () => this.draw());
    for (const [action, button] of Object.entries(this.buttons)) button.addEventListener("click", () => this[action]());
    this.settings.live.addEventListener("change", () => this.changed());
    this.settings.width.addEventListener("change", () => this.changed());
    this.onKey = (event) => this.key(event);
    document.addEventListener("keydown", this.onKey);
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(canvas);
  }

  remove() {
    clearTimeout(this.addressing);
    clearTimeout(this.resting);
    document.removeEventListener("keydown", this.onKey);
    this.resize.disconnect();
  }

  // The server's drawing counts when the pad is new here, or when the server itself has changed it (a sample).
  take({ sketch, revision, limits }) {
    this.limits = limits;
    if (revision === this.revision) {
      // When a server was started again, Streamlit opens its page anew and forgets the rest of the address.
      if (this.drawn && this.link && !new URLSearchParams(location.search).has("drawing")) this.address();
      return;
    }
    this.revision = revision;
    this.history = sketch.history.map((step) => (typeof step === "string" ? fromText(step) : step && { ...step }));
    this.cursor = sketch.cursor;
    this.settings.width.value = sketch.width;
    this.settings.live.checked = sketch.live;
    this.stroke = null;
    clearTimeout(this.resting);
    this.drawn = false; // by hand
    clearTimeout(this.addressing); // it would name what was there before
    this.link = toLink(this.visible());
    this.draw();
  }

  visible() {
    const done = this.history.slice(0, this.cursor);
    return done.slice(done.lastIndexOf(null) + 1);
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (value, start, size) => Math.round(((value - start) / size) * 1e4) / 1e4;
    return [share(event.clientX, box.left, box.width), share(event.clientY, box.top, box.height)];
  }

  down(event) {
    if (this.stroke || event.button > 0) return;
    const strokes = this.visible();
    const points = strokes.reduce((sum, stroke) => sum + stroke.points.length / 2, 0);
    if (strokes.length >= this.limits.strokes || points >= this.limits.points) {
      this.say(`This sketch is full (${this.limits.strokes} strokes, ${this.limits.points} points at most). Undo or clear to go on.`);
      return;
    }
    event.preventDefault(); // a drag must not select the page's text
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.room = this.limits.points - points;
    this.stroke = { points: this.point(event), width: Number(this.settings.width.value) };
    this.draw();
  }

  move(event) {
    if (!this.stroke || event.pointerId !== this.pointer) return;
    const seen = event.getCoalescedEvents?.() ?? [];
    for (const one of seen.length ? seen : [event]) {
      if (this.stroke.points.length / 2 < this.room) this.stroke.points.push(...this.point(one));
    }
    delete this.stroke.path;
    this.draw();
    if (this.settings.live.checked) this.live();
  }

  // Where the pen comes to rest is sent too, as soon as it may be.
  live() {
    clearTimeout(this.resting);
    const early = this.lastSent + LIVE_MS - performance.now();
    if (early > 0) this.resting = setTimeout(() => this.live(), early);
    else this.report([...this.history.slice(0, this.cursor), this.stroke]);
  }

  up(event) {
    if (!this.stroke || event.pointerId !== this.pointer) return;
    const { stroke } = this;
    clearTimeout(this.resting);
    this.stroke = this.pointer = null;
    this.push(stroke);
  }

  push(step) {
    this.history = [...this.history.slice(0, this.cursor), step];
    // What lies before the last clearing is beyond undoing once the history is long: every stroke sends all of it.
    const excess = this.history.length - this.limits.history;
    const spare = this.history.lastIndexOf(null);
    if (excess > 0 && spare > 0) this.history.splice(0, Math.min(spare, excess));
    this.cursor = this.history.length;
    this.changed();
  }

  undo() {
    if (this.cursor > 0) this.go(this.cursor - 1);
  }

  redo() {
    if (this.cursor < this.history.length) this.go(this.cursor + 1);
  }

  clear() {
    if (this.visible().length) this.push(null);
  }

  go(cursor) {
    this.cursor = cursor;
    this.changed();
  }

  key(event) {
    const target = event.composedPath()[0];
    const typing = target.isContentEditable || target.matches?.("textarea, select, input:not([type=range]):not([type=checkbox])");
    if (typing || this.stroke || event.altKey) return;
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    let action = null;
    if (command && key === "z") action = event.shiftKey ? "redo" : "undo";
    else if (command && key === "y") action = "redo";
    else if (!command && (key === "delete" || key === "backspace")) action = "clear";
    if (!action) return;
    event.preventDefault();
    this[action]();
  }

  changed() {
    this.link = toLink(this.visible());
    this.report(this.history);
    // Only then: Chromium holds back what is sent during an input event until the frame that the event asked for.
    setTimeout(() => this.draw());
    this.drawn = true;
    this.address();
  }

  // Not while somebody draws: the answer to the first stroke with a new address takes longer.
  address() {
    clearTimeout(this.addressing);
    this.addressing = setTimeout(() => writeAddress({ drawing: this.link, sample: null }), ADDRESS_MS);
  }

  report(history) {
    this.lastSent = performance.now();
    const { width, live } = this.settings;
    this.send({
      history: history.map((stroke) => stroke && (stroke === this.stroke ? toText(stroke) : (stroke.text ??= toText(stroke)))),
      cursor: history === this.history ? this.cursor : history.length,
      width: Number(width.value),
      live: live.checked,
      link: this.link,
    });
  }

  say(sentence) {
    this.full.textContent = sentence;
    this.full.hidden = !sentence;
  }

  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.paint();
    });
  }

  paint() {
    const { canvas } = this;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const pen = canvas.getContext("2d");
    pen.setTransform(side, 0, 0, side, 0, 0);
    pen.clearRect(0, 0, 1, 1);
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = getComputedStyle(canvas).color;
    const strokes = this.visible();
    for (const stroke of this.stroke ? [...strokes, this.stroke] : strokes) {
      pen.lineWidth = stroke.width;
      pen.stroke((stroke.path ??= smooth(stroke.points)));
    }
    this.hint.hidden = strokes.length > 0 || this.stroke !== null;
    if (!this.hint.hidden) this.say("");
    this.buttons.undo.disabled = this.cursor === 0;
    this.buttons.redo.disabled = this.cursor === this.history.length;
    this.buttons.clear.disabled = strokes.length === 0;
  }
}

// A stroke as text for the server, which is sent the whole history with each one: width and points in ten-thousandths, as
// 16-bit numbers, little-endian, in base64. `strokes` in __init__.py reads it.
function toText({ points, width }) {
  const numbers = [width, ...points].map((value) => Math.round(Math.max(-1, Math.min(2, value)) * 1e4));
  const bytes = numbers.flatMap((number) => [number & 255, (number >> 8) & 255]);
  let text = "";
  for (let at = 0; at < bytes.length; at += 3000) text += btoa(String.fromCharCode(...bytes.slice(at, at + 3000)));
  return text;
}

function fromText(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const [width, ...points] = Array.from(new Int16Array(bytes.buffer), (number) => number / 1e4);
  return { points, width, text };
}

// A drawing as text for the address: for each stroke its width in thousandths and the number of its points, then the
// steps from point to point in ten-thousandths, as LEB128 numbers in base64. cnnviz/inputs/links.py reads it.
function toLink(strokes) {
  const bytes = [];
  const write = (number) => {
    for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) | 128);
    bytes.push(number);
  };
  for (const { points, width } of strokes) {
    write(Math.round(width * 1000));
    write(points.length / 2);
    const last = [0, 0];
    points.forEach((value, at) => {
      const step = Math.round(value * 1e4) - last[at % 2];
      last[at % 2] += step;
      write(step < 0 ? -2 * step - 1 : 2 * step);
    });
  }
  const text = btoa(String.fromCharCode(...bytes.slice(0, LINK_LIMIT))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return text && text.length <= LINK_LIMIT ? text : null;
}

// A centripetal Catmull-Rom curve through all points: the same one as `smooth` in cnnviz/inputs/strokes.py.
function smooth(flat) {
  const points = [];
  for (let i = 0; i < flat.length; i += 2) {
    const last = points.at(-1);
    if (!last || (flat[i] - last[0]) ** 2 + (flat[i + 1] - last[1]) ** 2 > 1e-10) points.push([flat[i], flat[i + 1]]);
  }
  const path = new Path2D();
  path.moveTo(...points[0]);
  if (points.length < 3) {
    path.lineTo(...points.at(-1));
    return path;
  }
  const mirror = (a, b) => [2 * a[0] - b[0], 2 * a[1] - b[1]];
  const all = [mirror(points[0], points[1]), ...points, mirror(points.at(-1), points.at(-2))];
  const root = (a, b) => Math.sqrt(Math.hypot(b[0] - a[0], b[1] - a[1]));
  for (let i = 1; i < all.length - 2; i++) {
    const [p0, p1, p2, p3] = all.slice(i - 1, i + 3);
    const [d1, d2, d3] = [root(p0, p1), root(p1, p2), root(p2, p3)];
    const handle = (from, over, to, a, b) => [0, 1].map((axis) =>
      (a * a * to[axis] - b * b * from[axis] + (2 * a * a + 3 * a * b + b * b) * over[axis]) / (3 * a * (a + b)));
    path.bezierCurveTo(...handle(p0, p1, p2, d1, d2), ...handle(p3, p2, p1, d3, d2), ...p2);
  }
  return path;
}
