// Starts a page that is one document, as a notebook shows it: its files are texts in base64.

self.inlined = {};
for (const [name, type, content] of JSON.parse(document.getElementById("inlined").textContent)) {
  let bytes = Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0));
  if (type === "text/javascript")
    bytes = new TextDecoder()
      .decode(bytes)
      .replace(/"\.\/([\w./-]+\.js)"/g, (all, path) => JSON.stringify(self.inlined[path] ?? all));
  const address = URL.createObjectURL(new Blob([bytes], { type }));
  self.inlined[name] = `${address}#/${name}`;
  self.inlined[name.replace("runtime/", "")] ??= self.inlined[name];
}
import(self.inlined["app.js"]);
