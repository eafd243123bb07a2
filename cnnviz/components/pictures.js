// Small pictures with a caption each, as figures or as buttons: what a row of them is made of.

function smallPicture({ data: values, shape: [height, width, channels] }, size, tag, caption) {
  const item = document.createElement(tag);
  const canvas = document.createElement("canvas");
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
  if (caption) {
    const text = document.createElement("figcaption");
    text.textContent = caption;
    item.append(text);
  }
  return item;
}
