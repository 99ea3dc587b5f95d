"""Makes a video and shows each stage; leaves it at video.mp4.

    python examples/client_python.py "안녕하세요"
    python examples/client_python.py "안녕하세요" --server http://localhost:5000 --avatar talk_short --resolution 480p
    python examples/client_python.py "안녕하세요" --client gradio

The first two speak REST and need nothing but requests, the last one uses gradio_client. A server that asks for a key
gets the one in the environment variable API_KEY. Messages are in Korean; a server answers an Accept-Language of en in
English.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

VIDEO = Path("video.mp4")


def with_requests(server: str, asked: dict[str, Any]) -> None:
    """Make what is ASKED for over REST."""
    key = os.environ.get("API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"{server}/api/v2/lipsync/stream"
    with requests.post(url, json=asked, headers=headers, stream=True, timeout=60) as response:
        if not response.ok:
            sys.exit(f"{response.status_code}: {reason_of(response)}")
        for line in response.iter_lines():
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                show(event)
                if event["type"] == "done":
                    video = requests.get(urljoin(server, event["video_url"]), timeout=60)
                    video.raise_for_status()
                    VIDEO.write_bytes(video.content)
                    return
    sys.exit("The line broke before the video was done.")


def with_gradio_client(server: str, asked: dict[str, Any]) -> None:
    """Make what is ASKED for with the client that Gradio brings."""
    import httpx  # with which it speaks
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    try:
        job = Client(server, verbose=False).submit(**asked, api_name="/generate")
        for video, event, _task_id in job:
            show(event)
            if event["type"] == "done":
                shutil.copy(video["video"] if isinstance(video, dict) else video, VIDEO)
    except AppError as error:
        sys.exit(str(error))
    except httpx.HTTPError as error:
        raise ConnectionError(error) from error


def show(event: dict[str, Any]) -> None:
    """Print a stage; end the program where it is an error."""
    if event["type"] == "error":
        sys.exit(event["message"])
    if event["type"] == "done":
        print(f"[done] {event['video_url']} ({event['elapsed']['total']} s)")
    else:
        print(f"[{event['stage']}] {event['message']}")


def reason_of(response: requests.Response) -> str:
    """Return the sentence in an answer that is an error; from something else than this server, its first letters."""
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"{response.text:.200}"


def main() -> None:
    """Read the command line and make the video."""
    parser = argparse.ArgumentParser(description="Make a video of a person who says a text.")
    parser.add_argument("text", nargs="?", default="안녕하세요, 면접에 오신 것을 환영합니다.")
    parser.add_argument("--server", default="http://localhost:5000")
    parser.add_argument("--avatar", default="talk_long")
    parser.add_argument("--resolution", default="720p")
    parser.add_argument("--engine", choices=["auto", "mesh", "musetalk"], help="the engine that moves the mouth")
    parser.add_argument("--client", choices=["requests", "gradio"], default="requests")
    given = parser.parse_args()
    make = with_gradio_client if given.client == "gradio" else with_requests
    asked = {"text": given.text, "avatar": given.avatar, "resolution": given.resolution}
    if given.engine:
        asked["engine"] = given.engine
    try:
        make(given.server.rstrip("/"), asked)
    except (requests.RequestException, ConnectionError, ValueError):  # the last where something else answers
        sys.exit(
            f"서버에 연결할 수 없습니다. 켜져 있는지, 주소가 맞는지 확인하세요: {given.server}\n"
            f"The server cannot be reached. Is it running, and this its address? {given.server}"
        )


if __name__ == "__main__":
    main()
