"""Starts the talking-avatar server: ``python app.py``, then http://localhost:5000."""

import sys

from pipeline.server.main import main

if __name__ == "__main__":
    sys.exit(main())
