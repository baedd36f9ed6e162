// Crop and resize a picture to what the network was trained on, as leukhelpers/images/
// preprocessing.py does: to the byte, with the integer arithmetic of Pillow.

import { blackBackground } from "./background.js";

const MARGIN = 0.02; // of the cell's length, on each side
const BITS = 22; // of a weight

/** Find the square around a cell on black: [left, top, side]. */
export function cellBox({ width, height, data }) {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      if (data[at] | data[at + 1] | data[at + 2]) {
        if (x < left) left = x;
        if (x > right) right = x;
        if (y < top) top = y;
        bottom = y;
      }
    }
  }
  if (right < 0) [left, top, right, bottom] = [0, 0, width - 1, height - 1];
  const longest = Math.max(right - left, bottom - top) + 1;
  const margin = longest < Math.max(width, height) ? halfToEven(MARGIN * longest) : 0;
  const side = longest + 2 * margin;
  return [(left + right + 1 - side) >> 1, (top + bottom + 1 - side) >> 1, side];
}

/** Round as Python does. */
function halfToEven(value) {
  const near = Math.round(value);
  return near - value === 0.5 && near % 2 ? near - 1 : near;
}

/** Cut out the cell's square (crop 0), or the middle, and average it down to size × size. */
export function cropAndResize(original, size, crop) {
  const picture = blackBackground(original);
  const { width, height } = picture;
  const middle = [(width - crop) >> 1, (height - crop) >> 1, crop];
  const [left, top, side] = crop === 0 ? cellBox(picture) : middle;
  const square = new Uint8Array(side * side * 3); // black where it reaches beyond the picture
  const [from, to] = [Math.max(0, left), Math.min(width, left + side)];
  for (let y = Math.max(0, top); y < Math.min(height, top + side); y++) {
    const row = picture.data.subarray((y * width + from) * 3, (y * width + to) * 3);
    square.set(row, ((y - top) * side + from - left) * 3);
  }
  return side === size ? square : shrink(shrink(square, side, side, size), side, size, size);
}

/** Resize along rows, and transpose: twice gives the whole picture. */
function shrink(data, inSize, rows, outSize) {
  const weights = weightsOf(inSize, outSize);
  const found = new Uint8Array(outSize * rows * 3);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < outSize; x++) {
      const { first, values } = weights[x];
      let [red, green, blue] = [1 << (BITS - 1), 1 << (BITS - 1), 1 << (BITS - 1)];
      for (let k = 0, at = (y * inSize + first) * 3; k < values.length; k++, at += 3) {
        red += data[at] * values[k];
        green += data[at + 1] * values[k];
        blue += data[at + 2] * values[k];
      }
      const to = (x * rows + y) * 3;
      found[to] = red >> BITS;
      found[to + 1] = green >> BITS;
      found[to + 2] = blue >> BITS;
    }
  }
  return found;
}

/** Weights of the input pixels of each output pixel: their mean, or of an enlargement bilinear. */
function weightsOf(inSize, outSize) {
  const scale = inSize / outSize;
  const wide = Math.max(scale, 1);
  const bilinear = inSize < outSize;
  const support = (bilinear ? 1 : 0.5) * wide;
  return Array.from({ length: outSize }, (_, x) => {
    const center = (x + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const last = Math.min(inSize, Math.trunc(center + support + 0.5));
    const raw = Array.from({ length: last - first }, (_, k) => {
      const place = (k + first - center + 0.5) / wide;
      if (bilinear) return Math.max(0, 1 - Math.abs(place));
      return place > -0.5 && place <= 0.5 ? 1 : 0;
    });
    const sum = raw.reduce((a, b) => a + b, 0);
    return { first, values: raw.map((w) => Math.trunc(0.5 + (w / sum) * 2 ** BITS)) };
  });
}
