// Reads what packing.py writes: {...header, arrays: {name: {data: typed array, shape}}}.
function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  for (const array of Object.values(header.arrays)) {
    const count = array.shape.reduce((a, b) => a * b, 1);
    const start = 4 + length + array.offset;
    const size = array.type === "float32" ? 4 : 1;
    // A copy: the bytes may not start on a multiple of four.
    const buffer = bytes.slice(start, start + count * size).buffer;
    array.data = array.type === "float32" ? new Float32Array(buffer) : new Uint8ClampedArray(buffer);
  }
  return header;
}

// The outputs that trace_arrays in layers.py leaves out.
function withOutputs(header) {
  for (const { name, activation } of header.layers) {
    if (activation !== "relu") continue;
    const { data, shape } = header.arrays[`${name}/pre_activation`];
    header.arrays[`${name}/output`] ??= { data: data.map((sum) => Math.max(sum, 0)), shape };
  }
  return header;
}
