"""What axe-core finds on a page: https://dequeuniversity.com/rules/axe."""

from __future__ import annotations

from typing import Any

import pytest

WIDTHS = (390, 1440)
"""Pixels of a phone and of a desk."""
OF_GRADIO = {
    ("button-name", ".image-container > .svelte-"): "a picture of gr.Image is a button, and takes no alternative text",
    ("nested-interactive", ".toast-header"): "the button that closes a message lies in another that folds it",
}
"""Rule and selector of what cannot be mended from outside of Gradio's own components, and why it is so."""


def findings(page: Any) -> list[str]:
    """Return what axe-core finds on the page as it is: rule, place, what to do."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page.wait_for_timeout(500)  # what fades in is pale until then
    if not page.evaluate("'axe' in window"):  # half a megabyte
        page.evaluate(axe.Axe().axe_script)
    violations = page.evaluate("axe.run({resultTypes: ['violations']}).then((found) => found.violations)")
    return [
        f"{rule['id']} {node['target']} {node['failureSummary']}"
        for rule in violations
        for node in rule["nodes"]
        if not any(rule["id"] == known and node["target"][0].startswith(place) for known, place in OF_GRADIO)
    ]


def findings_everywhere(page: Any) -> list[str]:
    """Return what axe-core finds on the page as it is, on a phone and on a desk."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        found += [f"{width}: {one}" for one in findings(page)]
    return found
