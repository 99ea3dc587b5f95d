"""Code that sends the same request as the page, for copying."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urljoin

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
PYTHON_KEY = """
    headers={"Authorization": f"Bearer {api_key}"},"""


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
