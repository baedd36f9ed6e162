// From the bytes of a picture file to RGB pixels, as leukhelpers/data/pictures.py reads them.
// BMP and PNG are decoded here, since what a canvas returns differs between browsers; the
// browser decodes JPEG and WebP. Sizes are checked before a pixel is decoded.

export const MAX_BYTES = 20_000_000;
export const MAX_SIDE = 4096;
const UNREADABLE = "the file is not a picture that can be read (BMP, PNG, JPEG or WebP)";
const CUT = "the picture is damaged (the file is cut short)";
const FRAMES = "the image has several frames; save one of them as a file";

/** An error whose message is one sentence for the user. */
export class InputError extends Error {}

const ascii = (bytes, at, length) => String.fromCharCode(...bytes.subarray(at, at + length));
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Decode a picture file. `native` turns JPEG and WebP into pixels; browsers have one. */
export async function decode(bytes, native = decodeByBrowser) {
  if (bytes.length === 0) throw new InputError("the file is empty");
  if (bytes.length > MAX_BYTES) throw new InputError("the file is too large");
  try {
    if (ascii(bytes, 0, 2) === "BM") return await decodeBmp(bytes, native);
    if (ascii(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return await decodePng(bytes, native);
    if (ascii(bytes, 0, 3) === "\xff\xd8\xff") return await native(checkJpeg(bytes), "image/jpeg");
    if (ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 4) === "WEBP")
      return await native(checkWebp(bytes), "image/webp");
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(error instanceof RangeError ? CUT : "the picture is damaged");
  }
  throw new InputError(UNREADABLE);
}

function checkSize(width, height) {
  if (Math.max(width, height) > MAX_SIDE)
    throw new InputError(`the picture is longer or wider than ${MAX_SIDE} pixels`);
  if (Math.min(width, height) < 1) throw new InputError("the picture is damaged");
}

function refuseMode(mode) {
  throw new InputError(`the picture's color mode ${mode} is not 8-bit RGB`);
}

async function decodeBmp(bytes, native) {
  const view = viewOf(bytes);
  const [start, header, width, rows] = [10, 14, 18, 22].map((at) => view.getInt32(at, true));
  const height = Math.abs(rows);
  const bits = view.getUint16(28, true);
  if (header < 40) return native(bytes, "image/bmp");
  checkSize(width, height);
  if (bits === 1) refuseMode(1);
  if (view.getUint32(30, true) !== 0 || ![24, 32].includes(bits)) return native(bytes, "image/bmp");
  const stride = Math.ceil((width * bits) / 32) * 4;
  if (start + stride * height > bytes.length) throw new InputError(CUT);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    let from = start + stride * (rows > 0 ? height - 1 - y : y);
    for (let x = 0; x < width; x++, from += bits / 8, to += 3)
      for (let c = 0; c < 3; c++) data[to + c] = bytes[from + 2 - c];
  }
  return { width, height, data };
}

async function decodePng(bytes, native) {
  const view = viewOf(bytes);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const [depth, color, , , interlaced] = bytes.subarray(24, 29);
  checkSize(width, height);
  if (depth === 16 && color !== 0) throw new InputError("the picture has 16 bits a channel, not 8");
  if (color === 0 && [1, 16].includes(depth)) refuseMode(depth === 1 ? 1 : "I;16");
  if (color === 4) refuseMode("LA");
  const parts = [];
  let other = interlaced || depth !== 8 || ![0, 2].includes(color); // to the browser
  let ended = false;
  for (let at = 8; at + 12 <= bytes.length && !ended; ) {
    const length = view.getUint32(at);
    const kind = ascii(bytes, at + 4, 4);
    if (kind === "acTL" && view.getUint32(at + 8) > 1) throw new InputError(FRAMES);
    if (kind === "tRNS") other = true;
    if (kind === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + length));
    ended = kind === "IEND";
    at += 12 + length;
  }
  if (!ended) throw new InputError(CUT);
  if (other) return native(bytes, "image/png");
  const channels = color + 1; // one of gray, three of RGB
  const raw = await inflate(parts, (width * channels + 1) * height);
  return { width, height, data: unfilter(raw, width, height, channels) };
}

/** Decompress at most `size` bytes: a small file can hold a huge picture. */
async function inflate(parts, size) {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const reader = stream.getReader();
  const found = new Uint8Array(size);
  let filled = 0;
  while (filled < size) {
    const { done, value } = await reader.read();
    if (done) throw new InputError(CUT);
    found.set(value.subarray(0, size - filled), filled);
    filled += value.length;
  }
  reader.cancel().catch(() => {});
  return found;
}

/** Undo the five filters of PNG; the first byte of each row names its filter. */
function unfilter(raw, width, height, channels) {
  const stride = width * channels;
  const data = new Uint8Array(width * height * 3);
  let above = new Uint8Array(stride);
  for (let y = 0, to = 0; y < height; y++) {
    const [filter] = raw.subarray(y * (stride + 1));
    const row = raw.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1));
    if (filter > 4) throw new InputError("the picture is damaged");
    for (let x = 0; x < stride; x++) {
      const left = x < channels ? 0 : row[x - channels];
      if (filter === 1) row[x] += left;
      else if (filter === 2) row[x] += above[x];
      else if (filter === 3) row[x] += (left + above[x]) >> 1;
      else if (filter) row[x] += paeth(left, above[x], x < channels ? 0 : above[x - channels]);
      for (let c = 0; c < 3; c += channels) data[to++] = row[x]; // a gray one three times
    }
    above = row;
  }
  return data;
}

function paeth(left, up, corner) {
  const byLeft = Math.abs(up - corner);
  const byUp = Math.abs(left - corner);
  const byCorner = Math.abs(left + up - 2 * corner);
  if (byLeft <= byUp && byLeft <= byCorner) return left;
  return byUp <= byCorner ? up : corner;
}

/** Check size and colors of a JPEG file, and hide its EXIF data: Python does not turn pictures. */
function checkJpeg(bytes) {
  const view = viewOf(bytes);
  const copy = bytes.slice();
  for (let at = 2; at + 9 < bytes.length; at += 2 + view.getUint16(at + 2)) {
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xff) break;
    if (marker === 0xe1) copy[at + 4] = 0; // no longer "Exif"
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      checkSize(view.getUint16(at + 7), view.getUint16(at + 5));
      if (bytes[at + 9] === 4) refuseMode("CMYK");
    }
    if (marker === 0xda) {
      for (let end = bytes.length - 2; end > at; end--)
        if (bytes[end] === 0xff && bytes[end + 1] === 0xd9) return copy;
      break;
    }
  }
  throw new InputError(CUT);
}

/** Check size and frames of a WebP file, and hide its EXIF data. */
function checkWebp(bytes) {
  const view = viewOf(bytes);
  if (view.getUint32(4, true) + 8 > bytes.length) throw new InputError(CUT);
  const copy = bytes.slice();
  for (let at = 12; at + 8 < bytes.length; ) {
    const kind = ascii(bytes, at, 4);
    if (kind === "ANIM") throw new InputError(FRAMES);
    if (kind === "EXIF") copy[at] = 0x78;
    if (kind === "VP8X")
      checkSize(
        (view.getUint32(at + 12, true) & 0xffffff) + 1,
        (view.getUint32(at + 14, true) >>> 8) + 1,
      );
    if (kind === "VP8 ")
      checkSize(view.getUint16(at + 14, true) & 0x3fff, view.getUint16(at + 16, true) & 0x3fff);
    if (kind === "VP8L") {
      const size = view.getUint32(at + 9, true);
      checkSize((size & 0x3fff) + 1, ((size >>> 14) & 0x3fff) + 1);
    }
    at += 8 + ((view.getUint32(at + 4, true) + 1) & ~1);
  }
  return copy;
}

async function decodeByBrowser(bytes, type) {
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(new Blob([bytes], { type }), options);
  const { width, height } = bitmap;
  try {
    checkSize(width, height);
    const context = new OffscreenCanvas(width, height).getContext("2d", {
      alpha: false,
      willReadFrequently: true,
    });
    context.drawImage(bitmap, 0, 0); // over black, which an opaque canvas begins with
    const rgba = context.getImageData(0, 0, width, height).data;
    const data = new Uint8Array(width * height * 3);
    for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3)
      for (let c = 0; c < 3; c++) data[to + c] = rgba[from + c];
    return { width, height, data };
  } finally {
    bitmap.close();
  }
}
