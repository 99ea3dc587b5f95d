"""What axe-core finds on a page: https://dequeuniversity.com/rules/axe."""

from __future__ import annotations

from typing import Any

import pytest

PHONE, DESK = 390, 1440
"""Pixels that each is wide."""
COLOURS = ("color-contrast", "link-in-text-block")
"""Rules that depend on the light, and take as long as all others."""
OF_GRADIO = {
    ("button-name", ".image-container > .svelte-"): "a picture of gr.Image is a button, and takes no alternative text",
    ("nested-interactive", ".toast-header"): "the button that closes a message lies in another that folds it",
}
"""Rule and selector of what cannot be mended from outside of Gradio's own components, and why it is so."""


def findings(page: Any, within: str = "html", **options: Any) -> list[str]:
    """Return what axe-core finds on the page as it is, or in what a selector finds: rule, place, what to do.

    OPTIONS are those of axe: https://github.com/dequelabs/axe-core/blob/develop/doc/API.md#options-parameter.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page.wait_for_timeout(500)  # what fades in is pale until then
    if not page.evaluate("'axe' in window"):  # half a megabyte
        page.evaluate(axe.Axe().axe_script)
    options["resultTypes"] = ["violations"]
    run = "([within, options]) => axe.run(within, options).then((found) => found.violations)"
    violations = page.evaluate(run, [within, options])
    return [
        f"{rule['id']} {node['target']} {node['failureSummary']}"
        for rule in violations
        for node in rule["nodes"]
        if not any(rule["id"] == known and node["target"][0].startswith(place) for known, place in OF_GRADIO)
    ]


def findings_everywhere(page: Any, within: str = "html") -> list[str]:
    """Return what axe-core finds on the page or in a part of it, on a phone and on a desk, by light and in the dark.

    Each pair that can differ is looked at once: the light changes nothing but colours, and a phone shows no other
    elements than a desk and no other colours.
    """
    without_colours = {rule: {"enabled": False} for rule in COLOURS}
    found = []
    for width, light, options in (
        (PHONE, "dark", {"rules": without_colours}),
        (DESK, "dark", {}),
        (DESK, "light", {"runOnly": COLOURS}),
    ):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=light)
        found += [f"{width} {light}: {one}" for one in findings(page, within, **options)]
    return found
