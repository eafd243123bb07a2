// Columns of dense kernels that are too large to be sent whole: kept here, asked for where somebody looks. The stepper
// and the component `columns`, which carries the messages, are scripts apart: they meet in one object of the window.

const REST = 120; // milliseconds of rest on a unit before its column is asked for
const PATIENCE = 8000; // milliseconds after which a question is thought lost

class Columns {
  constructor() {
    this.kept = new Map(); // layer and kernel -> unit -> Float32Array
    this.send = this.arrived = null;
    this.count = 0;
  }

  // Which layer is looked at from now on. kernel: tells its weights from others, as the server does.
  open(layer, kernel, units, most) {
    this.close();
    const key = `${layer} ${kernel}`;
    if (!this.kept.has(key)) this.kept.set(key, new Map());
    if (this.asked && this.asked.columns !== this.kept.get(key)) {
      clearTimeout(this.lost); // the server may have gone on to other weights, too, and say nothing
      this.asked = null;
    }
    this.layer = { layer, kernel, units, most, columns: this.kept.get(key) };
  }

  // Nobody looks any more.
  close() {
    clearTimeout(this.resting);
    this.wanted = null;
  }

  // Undefined while it is not there.
  of(unit) {
    return this.layer.columns.get(unit);
  }

  // Somebody looks at a unit. While it plays, those that come next are asked for along with it.
  look(unit, playing) {
    this.wanted = { unit, playing };
    clearTimeout(this.resting);
    if (playing) this.ask();
    else this.resting = setTimeout(() => this.ask(), REST);
  }

  // One question at a time, and none for what is kept.
  ask() {
    if (this.asked || !this.send || !this.wanted) return;
    const { layer, kernel, units, most, columns } = this.layer;
    const { unit, playing } = this.wanted;
    const last = Math.min(playing ? unit + most : unit + 1, units);
    let first = unit;
    while (first < last && columns.has(first)) first++;
    if (first === last) return;
    let count = 1;
    while (playing && count < most && first + count < units && !columns.has(first + count)) count++;
    this.asked = { columns, number: ++this.count };
    this.lost = setTimeout(() => this.answered(), PATIENCE);
    this.send({ layer, kernel, unit: first, count, number: this.count });
  }

  answered() {
    clearTimeout(this.lost);
    this.asked = null;
    this.ask();
  }

  // What the server says: the columns of some units, or nothing.
  take({ number, unit, arrays }) {
    if (!this.asked || number !== this.asked.number) return;
    const { data, shape } = arrays.columns;
    for (let at = 0; at < shape[0]; at++) this.asked.columns.set(unit + at, data.subarray(at * shape[1], (at + 1) * shape[1]));
    if (this.asked.columns === this.layer.columns) this.arrived?.();
    this.answered();
  }
}

const sharedColumns = () => (globalThis.cnnvizColumns ??= new Columns());
