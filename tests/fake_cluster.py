"""A server on stand-ins whose videos are made on a Ray cluster: ``python -m tests.fake_cluster PRECOMPUTED``."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

from pipeline.cluster import cluster as clusters
from pipeline.cluster import node_sessions, renderer
from pipeline.errors import PipelineError
from pipeline.server.serve import serve
from pipeline.settings import Settings
from tests.fakes import make_fake_studio

SILENT_WAITS = 16
"""In place of the program's 6: the machine of the tests is also all the nodes, and may be very busy."""


def main() -> int:
    """Serve on the packs in the folder that the command line names."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = replace(Settings.from_environment(), precomputed=Path(sys.argv[1]))
    node_sessions.SILENT_WAITS = SILENT_WAITS
    renderer.LOST_SECONDS = float(os.environ.get("GIVEN_UP_SECONDS", renderer.LOST_SECONDS))
    try:
        studio = make_fake_studio(settings)
        cluster = clusters.Cluster(studio, make_fake_studio)
        serve(studio, cluster.generate, "tests.fake_worker", cluster)
    except PipelineError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
