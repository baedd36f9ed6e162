// Make the background of a cell exactly black, as leukhelpers/images/background.py does.

const FAINT = 16; // no channel of a background pixel is above this
const SPECK = 0.01; // brighter things smaller than this share of the largest are no cell
const EXACT = 5; // faint pixels per √(bright pixels) that the background of a cut-out cell has
const [BLACK, SHADE, BRIGHT, OUTSIDE] = [0, 1, 2, 3];

/** Return the picture itself, or a copy whose background is black. */
export function blackBackground(picture) {
  const { width, height, data } = picture;
  const kinds = new Int32Array(width * height);
  const counts = [0, 0, 0];
  for (let i = 0, at = 0; i < kinds.length; i++, at += 3) {
    const strongest = Math.max(data[at], data[at + 1], data[at + 2]);
    kinds[i] = strongest > FAINT ? BRIGHT : strongest > 0 ? SHADE : BLACK;
    counts[kinds[i]] += 1;
  }
  const most = EXACT * Math.sqrt(counts[BRIGHT]);
  if (counts[SHADE] <= most || counts[BRIGHT] === 0) return picture;
  const places = Array.from(kinds.keys());
  const things = kinds.slice();
  const sizes = [0, 0, 0, 0];
  for (const i of places)
    if (things[i] === BRIGHT)
      sizes.push(flood(width, [i], sizes.length, (j) => things[j] === BRIGHT, things));
  const least = SPECK * sizes.reduce((a, b) => Math.max(a, b));
  const open = (i) => things[i] !== OUTSIDE && !(things[i] > OUTSIDE && sizes[things[i]] >= least);
  const isEdge = (i) => i < width || i >= kinds.length - width || (i + 1) % width < 2;
  flood(width, places.filter(isEdge), OUTSIDE, open, things);
  const isOutside = (i) => things[i] === OUTSIDE;
  const shades = places.filter((i) => isOutside(i) && kinds[i] === SHADE).length;
  if (shades <= most) return picture;
  return { width, height, data: data.map((value, k) => (isOutside((k / 3) | 0) ? 0 : value)) };
}

/** Mark what can be reached from some places, over open pixels side by side; return how many. */
function flood(width, starts, mark, isOpen, marks) {
  const waiting = [];
  let count = 0;
  const reach = (i) => {
    if (i < 0 || i >= marks.length || !isOpen(i)) return;
    marks[i] = mark;
    count += waiting.push(i) > 0;
  };
  starts.forEach(reach);
  while (waiting.length) {
    const i = waiting.pop();
    const beside = [i % width ? i - 1 : -1, (i + 1) % width ? i + 1 : -1];
    for (const j of [...beside, i - width, i + width]) reach(j);
  }
  return count;
}
