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
  const things = kinds.slice();
  const sizes = [0, 0, 0, 0];
  for (let i = 0; i < things.length; i++)
    if (things[i] === BRIGHT) sizes.push(flood(width, i, sizes.length, [0, 0, 1], things));
  const least = SPECK * sizes.reduce((a, b) => Math.max(a, b));
  const open = sizes.map((size, kind) => kind !== OUTSIDE && size < least);
  for (let i = 0; i < things.length; i++)
    if (i < width || i >= things.length - width || (i + 1) % width < 2)
      flood(width, i, OUTSIDE, open, things);
  const cleared = data.slice();
  let shades = 0;
  for (let i = 0; i < kinds.length; i++)
    if (things[i] === OUTSIDE) {
      shades += kinds[i] === SHADE;
      cleared.fill(0, 3 * i, 3 * i + 3);
    }
  return shades > most ? { width, height, data: cleared } : picture;
}

/** Mark what can be reached from a place, over open pixels side by side; return how many. */
function flood(width, start, mark, isOpen, marks) {
  const reached = [];
  const reach = (i) => {
    if (i < 0 || i >= marks.length || !isOpen[marks[i]]) return;
    marks[i] = mark;
    reached.push(i);
  };
  reach(start);
  for (const i of reached) {
    if (i % width) reach(i - 1);
    if ((i + 1) % width) reach(i + 1);
    reach(i - width);
    reach(i + width);
  }
  return reached.length;
}
