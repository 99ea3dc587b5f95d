"""The web server: REST routes and the page, on one queue."""

from pipeline.server.lean_gradio import import_gradio

import_gradio()
