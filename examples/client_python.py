"""Makes a video over the REST API, showing each stage: python examples/client_python.py "안녕하세요".

Needs nothing but requests. Leaves the video at video.mp4.
"""

import json
import sys
from pathlib import Path

import requests

text = sys.argv[1] if len(sys.argv) > 1 else "안녕하세요, 면접에 오신 것을 환영합니다."
server = sys.argv[2] if len(sys.argv) > 2 else "http://localhost:5000"

with requests.post(
    f"{server}/api/v2/lipsync/stream",
    json={"text": text, "avatar": "talk_long", "resolution": "720p"},
    stream=True,
    timeout=60,
) as response:
    if not response.ok:
        sys.exit(response.json()["error"])
    for line in response.iter_lines():
        if not line.startswith(b"data: "):
            continue
        event = json.loads(line[6:])
        if event["type"] == "status":
            print(f"[{event['stage']}] {event['message']}")
        elif event["type"] == "error":
            sys.exit(event["message"])
        else:
            print(f"[done] {event['video_url']} ({event['elapsed']['total']} s)")
            Path("video.mp4").write_bytes(requests.get(server + event["video_url"], timeout=60).content)
