"""The command that starts the server: ``avatar-server``, or ``python app.py`` in a checkout."""

from __future__ import annotations

import logging
import sys

from pipeline.errors import PipelineError
from pipeline.jobs.generate import generate
from pipeline.jobs.studio import make_studio
from pipeline.server.gradio.lender import card_lender
from pipeline.server.serve import serve
from pipeline.settings import Settings


def main() -> int:
    """Run the server until it is stopped; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        studio = make_studio(Settings.from_environment(), card_lender())
        cluster = None
        if studio.settings.ray_address:
            from pipeline.cluster.cluster import Cluster  # which alone imports Ray

            cluster = Cluster(studio, make_studio)
        serve(studio, cluster.generate if cluster else generate, cluster=cluster)
    except (PipelineError, ValueError) as error:
        message = error.message if isinstance(error, PipelineError) else error
        sys.stderr.write(f"{message}\n")
        return 1
    return 0
