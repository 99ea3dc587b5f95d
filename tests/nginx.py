"""A real proxy for the tests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import wait_for

NGINX = next(filter(None, (shutil.which("nginx"), shutil.which("nginx", path="/usr/sbin"))), None)
CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_max_body_size 128m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {http}
}}
"""


@contextmanager
def nginx(folder: Path, http: str, answers: Callable[[], bool]) -> Iterator[None]:
    """Run nginx while the block lasts.

    Args:
        folder: Where its files are.
        http: Its servers, and what else it needs for HTTP.
        answers: Whether the server behind it answers through it.
    """
    assert NGINX is not None
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, http=http))
    proxy = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(file)], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: proxy.poll() is None and answers())
        yield
    finally:
        proxy.terminate()
        proxy.wait(30)
