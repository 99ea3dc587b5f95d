"""Code that sends the same request as the page, for copying."""

from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import quote, urlencode, urljoin

from pipeline.settings import listed

CURL = """curl -N -X POST {url}/api/v2/lipsync/stream \\
  -H 'Content-Type: application/json' \\{key}
  -d '{body}'
"""
CURL_KEY = """
  -H "Authorization: Bearer $API_KEY" \\"""
JAVASCRIPT = """// on a page of another site: name that site in ALLOWED_ORIGINS on the server
const answer = await fetch('{url}/api/v2/lipsync', {{
  method: 'POST',
  headers: {{ 'Content-Type': 'application/json'{key} }},
  body: JSON.stringify({body}),
}});
const done = await answer.json();
if (!done.success) throw new Error(done.error);
document.querySelector('video').src = '{host}' + done.video_url;
"""
JAVASCRIPT_KEY = ", Authorization: `Bearer ${apiKey}`"
PYTHON = """import requests

answer = requests.post(
    "{url}/api/v2/lipsync",
    json={body},{key}
)
done = answer.json()
if not done["success"]:
    raise RuntimeError(done["error"])
with open("avatar.mp4", "wb") as file:
    file.write(requests.get("{host}" + done["video_url"]).content)
"""
TAG = """<!-- name the site in ALLOWED_ORIGINS on the server -->
<script src="{url}/embed/v1.js" async></script>
<talking-avatar server="{url}"{attributes}>{text}</talking-avatar>
{options}"""
TAG_OPTIONS = """<script>
  document.querySelector('talking-avatar').options = {options};
</script>
"""
FRAME = """<!-- name the site in ALLOWED_ORIGINS on the server -->{left_out}
<iframe src="{url}/embed/{avatar}?{query}" width="640" height="360" allow="autoplay; microphone"></iframe>
"""
FRAME_LEFT_OUT = """
<!-- a frame cannot have these settings; the tag can: {names} -->"""
_ATTRIBUTES = {
    **{"avatar": "avatar", "resolution": "resolution", "tts_voice": "voice", "language": "language"},
    "background": "background",
}
_USUAL = {"tts_engine": "auto", "engine": "auto", "frame_skip": 1}
"""What a tag need not say."""
PYTHON_KEY = """
    headers={"Authorization": f"Bearer {api_key}"},"""


def tag(url: str, body: dict[str, Any], api_keys: str) -> str:
    """Return the tag that has the same avatar say the same on a page of another site."""
    given = _attributes(body, api_keys)
    attributes = "".join(f' {name}="{html.escape(str(value))}"' for name, value in given.items())
    others = _others(body)
    options = TAG_OPTIONS.format(options=json.dumps(others, ensure_ascii=False)) if others else ""
    text = html.escape(body["text"], quote=False)
    return TAG.format(url=url, attributes=attributes, text=text, options=options)


def frame(url: str, body: dict[str, Any], api_keys: str) -> str:
    """Return the frame in which the same avatar says the same, with a comment where it cannot have a setting."""
    given = _attributes(body, api_keys)
    avatar = quote(str(given.pop("avatar", "")), safe="")
    query = html.escape(urlencode(given | {"text": body["text"]}, quote_via=quote))
    others = _others(body)
    left_out = FRAME_LEFT_OUT.format(names=", ".join(others)) if others else ""
    return FRAME.format(url=url, avatar=avatar, query=query, left_out=left_out)


def _attributes(body: dict[str, Any], api_keys: str) -> dict[str, Any]:
    """Return what a tag has as attributes."""
    given = {name: body.get(field) for field, name in _ATTRIBUTES.items()}
    given |= {"token": "..."} if listed(api_keys) else {}
    return {name: value for name, value in given.items() if value}


def _others(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a tag has as options."""
    known = {"text", *_ATTRIBUTES}
    return {key: value for key, value in body.items() if key not in known and value != _USUAL.get(key)}


def snippets(url: str, body: dict[str, Any], api_keys: str) -> tuple[str, str, str]:
    """Return a request for curl, JavaScript and Python, with a key if the server needs one."""
    asked = bool(listed(api_keys))
    host = urljoin(url, "/").rstrip("/")  # the base of addresses in replies
    plain = json.dumps(body, ensure_ascii=False)
    shell = plain.replace("'", "'\\''")
    return (
        CURL.format(url=url, body=shell, key=CURL_KEY if asked else ""),
        JAVASCRIPT.format(url=url, host=host, body=plain, key=JAVASCRIPT_KEY if asked else ""),
        PYTHON.format(url=url, host=host, body=repr(body), key=PYTHON_KEY if asked else ""),
    )
