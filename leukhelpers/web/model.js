// The network in the browser: LiteRT's runtime, and from a picture to its prediction.

import { decode, InputError } from "./decode.js";
import { describe, distance } from "./ood.js";
import { cropAndResize } from "./prepare.js";
import { loadAndCompile, loadLiteRt, Tensor } from "./runtime/litert.js";

const RUNTIME = "runtime/litert_wasm_compat_internal";

/** The address of a file: its name, unless all files are part of one document (inline.js). */
export const at = (name) => self.inlined?.[name] ?? name;

async function fetched(name) {
  const response = await fetch(at(name));
  if (!response.ok) throw new Error(`${name} is missing (${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Load the runtime and the network. */
export async function loadModel(settings) {
  const packed = await fetched(`${RUNTIME}.wasm.gz`);
  // Some servers unpack the file on the way.
  const isPacked = packed[0] === 0x1f && packed[1] === 0x8b;
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const wasmBinary = isPacked ? await new Response(unpacked).arrayBuffer() : packed;
  self.Module = { wasmBinary, printErr: console.debug };
  await loadLiteRt(at(`${RUNTIME}.js`));
  const model = await loadAndCompile(await fetched(settings.model), { accelerator: "wasm" });
  const run = async (pixels) => {
    const { size } = settings;
    const input = new Tensor(Float32Array.from(pixels), [1, size, size, 3]);
    const outputs = await model.run(input);
    const found = {};
    for (const output of outputs) {
      const shape = [...output.type.layout.dimensions];
      const values = Array.from(await output.data());
      if (shape.length === 4) found.map = { values, height: shape[1], width: shape[2] };
      else found.probabilities = values;
      output.delete();
    }
    input.delete();
    return found;
  };
  await run(new Uint8Array(settings.size ** 2 * 3).fill(128)); // the first run is the slowest
  return run;
}

/** Read a picture file, and let the network predict it if it shows a cell. */
export async function look(settings, run, bytes) {
  const start = performance.now();
  const pixels = cropAndResize(await decode(bytes), settings.size, settings.crop);
  if (!pixels.some(Boolean)) throw new InputError("the image is black where the cell should be");
  const far = distance(settings.known, describe(pixels, settings.size));
  const predicted = far <= 1 ? await run(pixels) : {};
  return { pixels, distance: far, ...predicted, milliseconds: performance.now() - start };
}
