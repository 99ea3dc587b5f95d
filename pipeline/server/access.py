"""Access to the server: trusted proxies, host names, web sites, and keys.

``guarded`` wraps the whole application, so that the rules hold for every response: REST, results, the page, and
Gradio's own routes.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Sequence
from http import HTTPStatus
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

from itsdangerous import BadSignature, TimestampSigner
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from pipeline import messages
from pipeline.errors import NotAllowed, PipelineError, StrangeSite, UnknownName
from pipeline.server.reply_language import language_of
from pipeline.settings import Settings, listed

OURS = (
    *("/api/", "/video/", "/assets/audio/", "/assets/idle/", "/assets/card.jpg", "/embed/", "/v/", "/metrics"),
    "/openapi.json",
)
"""Addresses that are not Gradio's. Each checks keys itself; see ``is_ours``."""
METHODS = ("GET", "HEAD", "POST", "DELETE")
ANSWERED = ("Retry-After", "Content-Range", "Accept-Ranges", "ETag", "Content-Disposition")
"""Headers that scripts of other sites may read, besides the default ones."""
SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that create and delete nothing."""

ORIGIN = "avatar.origin"
"""Where the scope of a request keeps its Origin, which the application does not get as a header."""

KEY_ADDRESS = "/key"
"""Address of the page's form for a key."""
UNLOCKED = (KEY_ADDRESS, "/gradio_api/startup-events")
"""Addresses that need no key, besides `OURS`. Gradio itself requests the latter, and starts only once."""
KEY_COOKIE = "avatar_key"
KEY_COOKIE_SECONDS = 30 * 24 * 3600
MAX_FORM = 4096
"""Bytes of the form with a key."""


# --- proxies


class Forwarded:
    """Applies what trusted proxies report of a request (X-Forwarded-For, -Proto, -Host, -Prefix), and drops the rest.

    The application gets the path with its prefix, and ``root_path``, whether the proxy has stripped it or not.

    Args:
        app: The application.
        trusted: Addresses of the proxies, in uvicorn's format of FORWARDED_ALLOW_IPS.
        root_path: The public path of the server ("/avatar", or a whole address), if it is configured.
    """

    def __init__(self, app: ASGIApp, trusted: str, root_path: str) -> None:
        self._app = app
        self._prefix = urlsplit(root_path).path.rstrip("/")
        self._proxies = ProxyHeadersMiddleware(self._take_over, trusted)  # type: ignore[arg-type]  # another ASGI type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers, host, prefix = Headers(scope=scope), "", ""
        if (scope.get("client") or ("",))[0] in self._proxies.trusted_hosts:
            host = headers.get("x-forwarded-host", "").partition(",")[0].strip()
            prefix = headers.get("x-forwarded-prefix", "").partition(",")[0].strip().rstrip("/")
        # Gradio trusts these from any client
        dropped = [b"x-forwarded-host", b"x-forwarded-prefix", b"x-gradio-server", *([b"host"] if host else [])]
        kept = [(name, value) for name, value in scope["headers"] if name not in dropped]
        scope["headers"] = [*([(b"host", host.encode("latin-1"))] if host else []), *kept]
        put_under(scope, self._prefix or (prefix if re.fullmatch(r"(/[\w.~-]+)+", prefix, re.ASCII) else ""))
        await self._proxies(scope, receive, send)  # type: ignore[arg-type]

    async def _take_over(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request with the scheme and client that a trusted proxy reports."""
        scope["headers"] = [one for one in scope["headers"] if one[0] != b"x-forwarded-proto"]
        await self._app(scope, receive, send)


def path_of(scope: Scope) -> str:
    """Return the requested path without the server's public prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def is_ours(path: str) -> bool:
    """Return whether a path is not Gradio's."""
    return f"{path}/".startswith(OURS)


def put_under(scope: Scope, prefix: str) -> None:
    """Set a prefix as the application's public path."""
    scope["root_path"] = prefix
    path = scope["path"]
    if prefix and path != prefix and not path.startswith(f"{prefix}/"):
        scope["path"] = prefix + path
        scope["raw_path"] = prefix.encode() + scope.get("raw_path", path.encode())


# --- names and web sites


class Origins:
    """Lets only the allowed web sites, and the server's own, use the application.

    Browsers hide responses from the scripts of other sites. Requests that such scripts send blindly, to create or
    delete something, are refused: browsers mark them (w3.org/TR/fetch-metadata), or at least send their Origin. A
    client that sends neither is no browser.

    A site can let its own name point to this server, and so become the same origin (DNS rebinding). So unknown names
    are refused; see ``_is_known``.

    Gradio lets every site read every address of a server whose name is not localhost. To prevent that, it never gets
    the Origin header.

    Args:
        app: The application.
        settings: `allowed_origins`, `allowed_hosts`, and the server's own names.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._origins = listed(settings.allowed_origins)
        self._hosts = [_name_in(host) for host in listed(settings.allowed_hosts)]
        own = settings.host.strip("[]").lower(), settings.space_host.lower(), urlsplit(settings.root_path).hostname
        self._own = set(filter(None, own))
        self._guessed = not self._hosts
        self._locked = settings.page_is_locked
        self._cors = CORSMiddleware(
            self._without_origin,
            allow_origins=self._origins,
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=ANSWERED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        strange = self._is_strange(scope)
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE
        # a rebound name is the same origin, and so not strange
        if not self._is_known(scope) and not (self._guessed and strange):
            await refuse(UnknownName(_name_in(_host(scope))[:120] or "-"), scope, receive, send)
        elif strange and changes:
            await refuse(StrangeSite(), scope, receive, send)
        else:
            await self._cors(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        """Return whether the request's host name is one of the server's.

        Always known are localhost, the address that the server listens on, and ALLOWED_HOSTS. Without ALLOWED_HOSTS:
        also addresses and names without a dot, which no site's owner can assign; and all names if everything needs a
        key.
        """
        name = _name_in(_host(scope))
        address = _address(name)
        local = name == "localhost" or name.endswith(".localhost") or (address is not None and address.is_loopback)
        if local or name in self._own or (scope.get("server") and name == scope["server"][0]):
            return True
        if self._guessed:
            return self._locked or address is not None or "." not in name
        return any(_matches(name, host) for host in self._hosts)

    def _is_strange(self, scope: Scope) -> bool:
        """Return whether a request comes from another web site that is not allowed, in a browser."""
        headers = Headers(scope=scope)
        origins, site = set(headers.getlist("origin")), headers.get("sec-fetch-site")
        if len(origins) > 1 or "null" in origins - set(self._origins):
            return True
        origin = next(iter(origins), None)
        if origin in self._origins:
            return False
        if site is not None:  # scripts cannot set it, and proxies do not change it
            return site not in ("same-origin", "none")
        return origin is not None and not is_same(origin, scope)

    async def _without_origin(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"origin"]
        sent = Headers(scope=scope).get("origin", "")
        await self._app({**scope, "headers": headers, ORIGIN: sent}, receive, send)


def _host(scope: Scope) -> str:
    return Headers(scope=scope).get("host", "")


def _name_in(host: str) -> str:
    """Return the name in a Host header, without port, brackets and case; "" if there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _matches(name: str, pattern: str) -> bool:
    """Return whether a name matches a pattern: "*.example.com" is all names that end so, "*" any."""
    return name == pattern or (pattern.startswith("*") and name.endswith(pattern[1:]))


def is_same(origin: str, scope: Scope) -> bool:
    """Return whether an origin is the server's own; a proxy may have turned https into http."""
    scheme, _, host = origin.lower().partition("://")
    port = ":443" if scheme == "https" else ":80"
    ours = scope["scheme"].replace("ws", "http")
    same = host.removesuffix(port) == _host(scope).lower().removesuffix(port)
    return same and scheme in ({"https"} if ours == "https" else {"http", "https"})


# --- keys


def key_in(authorization: str | None, keys: Sequence[str]) -> str | None:
    """Return the key in an Authorization header ("Bearer ..."); None without a valid one."""
    scheme, _, given = (authorization or "").partition(" ")
    sent = given.strip(" ").encode("latin-1")  # the raw bytes: headers are decoded as Latin-1
    # compare every key, in a time that does not depend on how much of it is right
    right = [key for key in keys if hmac.compare_digest(sent, key.encode())]
    return right[0] if right and scheme.lower() == "bearer" else None


def check_key(authorization: str | None, keys: Sequence[str]) -> None:
    """Check an Authorization header, if there are keys.

    Raises:
        NotAllowed: It has none of them.
    """
    if keys and key_in(authorization, keys) is None:
        raise NotAllowed


def key_of(headers: Headers, keys: Sequence[str]) -> str | None:
    """Return the key of a request, in its Authorization header or in the page's cookie."""
    given = key_in(headers.get("authorization"), keys)
    cookie = cookies_of(headers).get(KEY_COOKIE, "")
    return given or next((key for key in keys if cookie and _is_signed_with(key, cookie)), None)


def cookies_of(headers: Headers) -> dict[str, str]:
    """Return the cookies of a request; invalid ones are left out."""
    found: dict[str, str] = {}
    for line in headers.getlist("cookie"):
        for part in line.split(";"):
            name, _, value = part.strip().partition("=")
            found.setdefault(name, value)
    return found


def cookie(name: str, value: str, seconds: int, scope: Scope) -> str:
    """Return a Set-Cookie header value that scripts cannot read and other sites cannot send.

    If the page is framed by another site (as a Space is), browsers accept only a cookie that is partitioned by that
    site; ``Origins`` refuses what such a site would send by itself.
    """
    made: SimpleCookie = SimpleCookie()
    made[name] = value
    made[name]["path"] = scope.get("root_path") or "/"
    made[name]["max-age"] = str(seconds)
    made[name]["httponly"] = True
    framed = Headers(scope=scope).get("sec-fetch-dest") == "iframe"
    if scope["scheme"] == "https":
        made[name]["secure"] = True
        made[name]["samesite"] = "none" if framed else "lax"
        return made[name].OutputString() + ("; Partitioned" if framed else "")
    made[name]["samesite"] = "lax"
    return made[name].OutputString()


def _signer(key: str) -> TimestampSigner:
    return TimestampSigner(key, salt="the page's cookie")


def _is_signed_with(key: str, cookie: str) -> bool:
    try:
        return _signer(key).unsign(cookie, KEY_COOKIE_SECONDS) == b"page"
    except BadSignature:
        return False


class PageKey:
    """Requires a key for everything that is Gradio's: in a header, or once in a form.

    The form sets a cookie that is signed with the key, so that it becomes invalid with the key itself.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = path_of(scope)
        if path == KEY_ADDRESS and scope["type"] == "http":
            await (await self._take(Request(scope, receive)))(scope, receive, send)
        elif is_ours(path) or path in UNLOCKED or key_of(Headers(scope=scope), self._keys):
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and "text/html" in Headers(scope=scope).get("accept", ""):
            await _form(Request(scope), HTTPStatus.UNAUTHORIZED)(scope, receive, send)
        else:
            await refuse(NotAllowed(), scope, receive, send)

    async def _take(self, request: Request) -> Response:
        """Handle the form: redirect to the page, or show the form again if the key is wrong."""
        home = f"{request.scope.get('root_path', '')}/"
        if request.method != "POST":
            return RedirectResponse(home, HTTPStatus.SEE_OTHER)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM:
                break
        fields = parse_qs(bytes(body[:MAX_FORM]).decode("utf-8", "replace"))
        given = fields.get("key", [""])[0].strip()
        key = key_in(f"Bearer {given.encode().decode('latin-1')}", self._keys)
        if key is None:
            return _form(request, HTTPStatus.UNAUTHORIZED, wrong=True)
        answer = RedirectResponse(home, HTTPStatus.SEE_OTHER)
        signed = _signer(key).sign("page").decode()
        answer.headers.append("Set-Cookie", cookie(KEY_COOKIE, signed, KEY_COOKIE_SECONDS, request.scope))
        return answer


FORM = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font-family: system-ui, "Noto Sans KR", "Malgun Gothic", sans-serif; }}
form {{ max-width: 22rem; margin: 20vh auto 0; padding: 0 1rem; display: grid; gap: 0.75rem; }}
input, button {{ font: inherit; padding: 0.6rem; }}
p {{ margin: 0; color: light-dark(#b91c1c, #fca5a5); }}
</style>
<form method="post" action="{action}">
<label for="key">{label}</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus{invalid}>
<p id="wrong" role="alert">{wrong}</p>
<button>{button}</button>
</form>
</html>
"""
FORM_WORDS = {
    "title": messages.server.KEY_FORM_TITLE,
    "label": messages.server.KEY_FORM_LABEL,
    "button": messages.server.KEY_FORM_BUTTON,
}


def _form(request: Request, status: int, wrong: bool = False) -> Response:
    language = language_of(request.headers.get("accept-language"), "en")
    words = {name: sentence().in_language(language) for name, sentence in FORM_WORDS.items()}
    html = FORM.format(
        language=language,
        action=f"{request.scope.get('root_path', '')}{KEY_ADDRESS}",
        wrong=messages.server.KEY_NOT_VALID().in_language(language) if wrong else "",
        invalid=' aria-invalid="true" aria-describedby="wrong"' if wrong else "",
        **words,
    )
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store"})


# --- all of it


def guarded(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Return the application with all rules of the settings applied; see ``docs/security.md``."""
    keys = listed(settings.api_keys)
    if settings.page_is_locked:
        app = PageKey(app, keys)
    return Forwarded(Origins(app, settings), settings.forwarded_allow_ips, settings.root_path)


async def refuse(why: PipelineError, scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with an error; a websocket is closed before it opens."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": why.message.en[:120]})
        return
    language = language_of(Headers(scope=scope).get("accept-language"))
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(why, NotAllowed) else {}
    await JSONResponse(why.to_json(language), why.status, headers=headers)(scope, receive, send)
