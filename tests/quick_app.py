"""The program itself, as ``python app.py`` starts it, which makes avatars in less time."""

from __future__ import annotations

import sys

from pipeline.jobs import uploads
from pipeline.server.main import main

if __name__ == "__main__":
    uploads.PREPARE = "tests.quick_preparing"
    sys.exit(main())
