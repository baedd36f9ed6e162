// Keeps the page's files, so that it works without a network. With one, the server's files are
// taken: another network may be served at the same address.

const OWN = `leuk-${self.registration.scope}?`; // caches belong to all pages of a server
const CACHE = OWN + self.location.search;

self.addEventListener("install", (event) => {
  const keep = async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(await (await fetch("files.json")).json());
    await self.skipWaiting();
  };
  event.waitUntil(keep());
});

self.addEventListener("activate", (event) => {
  const drop = async () => {
    const old = (await caches.keys()).filter((key) => key.startsWith(OWN) && key !== CACHE);
    await Promise.all(old.map((key) => caches.delete(key)));
    await self.clients.claim();
  };
  event.waitUntil(drop());
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  const kept = async () => (await caches.open(CACHE)).match(event.request, { ignoreSearch: true });
  event.respondWith(fetch(event.request).catch(async () => (await kept()) ?? Response.error()));
});
