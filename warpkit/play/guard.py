"""Who may ask, and what a browser may do with the answers: a page of somebody else's gets nothing."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    # Nothing is loaded from elsewhere, and nothing runs that is not in a file of ours. Notebooks may show the page.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self' http://localhost:* http://127.0.0.1:*"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses with 403 what does not come from the page itself.

    A foreign page can have its own name resolve to 127.0.0.1 (DNS rebinding): then `Host` is that name. Or it asks
    across origins: then a browser says so in `Origin`, with every request that is more than a link or a picture.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what comes from the page, and refuse everything else."""
        if scope["type"] != "http":  # starting and stopping; there are no web sockets here
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        app = self.app if self._is_ours(Headers(scope=scope)) else _REFUSAL
        await app(scope, receive, send_guarded)

    def _is_ours(self, headers: Headers) -> bool:
        host, origin = headers.get("host", ""), headers.get("origin")
        return host in self.hosts and origin in (None, f"http://{host}")


_REFUSAL = JSONResponse({"error": "warpkit play answers its own page only"}, status_code=403)
