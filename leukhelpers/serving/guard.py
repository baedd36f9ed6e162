"""What the page's server refuses before gradio hears of it.

Gradio's server can do more than the page needs: it fetches addresses that somebody names, hands
out files, and takes uploads from any other page that is open in the same browser. So whatever
the page itself does not ask is refused here, in one plain sentence.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# All that the page asks for, by the beginning of the address.
OPEN = (
    *("", "assets", "static", "theme.css", "favicon.ico"),
    *("gradio_api/upload", "gradio_api/upload_progress", "gradio_api/run"),
    "gradio_api/startup-events",
)
MAX_QUESTION = 1_000_000  # bytes of a question, which names uploads and holds none
MAX_WAITING = 256  # questions at once
_HERE = ("127.0.0.1", "localhost", "::1")

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class RefusedError(Exception):
    """A request that is not answered: the status and the sentence."""


class Guard:
    """ASGI middleware that lets through what the page asks, and remembers which files it asks of.

    Parameters
    ----------
    app : ASGI application
    uploads : path
        The folder of uploads; questions about other files are refused.
    in_use : collections.Counter
        Path of an upload → how many questions about it are being answered; kept up to date.
    answered : set
        Paths of uploads about which a question was answered; only added to.
    proxied : bool, default False
        Whether browsers come through a proxy that lets nobody else in, as on Colab; then
        names of other hosts are no reason to refuse.
    """

    def __init__(
        self,
        app: Any,
        uploads: Path,
        in_use: Counter[str],
        answered: set[str],
        proxied: bool = False,
    ) -> None:
        self.app, self.uploads, self.proxied = app, uploads, proxied
        self.in_use, self.answered = in_use, answered

        self.waiting = 0

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        paths = None
        try:
            if scope["type"] == "http":
                paths, receive = await self._checked(scope, receive)
            elif scope["type"] == "websocket":
                return await send({"type": "websocket.close"})
        except RefusedError as refused:
            return await _say(send, *refused.args)
        if paths is None:
            return await self.app(scope, receive, send)
        self.waiting += 1
        self.in_use.update(paths)
        try:
            await self.app(scope, receive, send)
        finally:
            self.waiting -= 1
            self.answered.update(paths)
            self.in_use.subtract(paths)
            for path in paths:
                if not self.in_use[path]:
                    del self.in_use[path]

    async def _checked(
        self, scope: dict[str, Any], receive: Receive
    ) -> tuple[list[str] | None, Receive]:
        """Give the uploads that a question names (None: it is no question), and its body anew."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if not self.proxied:
            refuse_others(host, headers.get(b"origin", ""))
        place = _place(scope["path"])
        if place != "gradio_api/run":
            if scope["method"] == "POST" and place != "gradio_api/upload":
                raise RefusedError(403, "This address accepts no data.")
            return None, receive
        if self.waiting >= MAX_WAITING:
            raise RefusedError(503, "Too many requests at once; try again in a moment.")
        content = await _read(receive)
        paths = named_uploads(content, "http" if self.proxied else f"http://{host}/")
        if not all(is_upload(path, self.uploads) for path in paths):
            raise RefusedError(403, "This upload is no longer available; send the file again.")
        return paths, _again(content, receive)


def refuse_others(host: str, origin: str) -> None:
    """Refuse requests to another name than this machine's own, and from other pages.

    Raises
    ------
    RefusedError
        If `host` is no name of this machine (another name may lead here, too), or `origin`,
        which browsers send, is given and not the page at `host`.
    """
    if _name(f"//{host}") not in _HERE:
        raise RefusedError(403, "This page is available on this computer only.")
    if origin and origin != f"http://{host}":
        raise RefusedError(403, "Requests from other web pages are refused.")


def named_uploads(content: bytes, own: str) -> list[str]:
    """Read which uploads a question names.

    Raises
    ------
    RefusedError
        If it is no JSON, or names a file by an address. Only beside an upload's path the page
        itself sends one, which is not used; it begins with `own`.
    """
    paths = []
    try:
        for key, text in _texts(json.loads(content)):
            address = "//" in text.replace("\\", "/")
            if address and not (key == "url" and text.startswith(own)):
                raise RefusedError(403, "URLs are not fetched; upload the file itself.")
            if key == "path":
                paths.append(text)
    except (ValueError, RecursionError):
        raise RefusedError(400, "The request cannot be read.") from None
    return paths


def is_upload(path: str, uploads: Path) -> bool:
    """Tell whether a path is that of a file in the folder of uploads."""
    try:
        whole = Path(path).resolve()
        return whole.is_relative_to(uploads) and str(whole) == path and whole.is_file()
    except (OSError, ValueError):  # a path that is too long, or holds a null byte
        return False


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Give each text in a JSON value, with the name under which it stands."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _texts(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, key)


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _place(path: str) -> str:
    """Give the beginning of an address that is open."""
    parts = path.removeprefix("/").split("/")
    place = "/".join(parts[:2] if parts[0] == "gradio_api" else parts[:1])
    if place not in OPEN or ".." in parts:
        raise RefusedError(403, "This address is not available.")
    return place


async def _read(receive: Receive) -> bytes:
    content, more = b"", True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
        if len(content) > MAX_QUESTION:
            raise RefusedError(413, "The request is too long.")
    return content


def _again(content: bytes, receive: Receive) -> Receive:
    """Give a request's body once more; what comes after it comes from the browser."""
    left = [{"type": "http.request", "body": content, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again


async def _say(send: Send, status: int, sentence: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": sentence.encode()})
