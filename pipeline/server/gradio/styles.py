"""What browsers fetch of Gradio's own: the styles of its components in one file, and its code all at once.

Gradio asks for the style of each component with a request of its own, a third of all that a page needs, and finds out
only step by step which code it wants. Its built files tell both; what is not found there is fetched as ever.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import gradio as gr
from gradio.blocks import Block

logger = logging.getLogger(__name__)

_FILES = re.compile(r"m\.f=(\[[^\]]*\])")
"""The names of all that a module's imports need."""
_IMPORT = r"import\(`\./(?P<module>[\w.-]+)`\)[^_]{0,80}__vite__mapDeps\(\[(?P<needs>[\d,]+)\]\)"
"""An import on demand, and numbers of the files that it needs."""
_COMPONENT = rf"(?P<name>\w+):\{{(?=\w+:\(\)=>)|{_IMPORT}"
"""In the list of components: where one begins, or what one of its parts needs."""


class Styles:
    """What a page of Gradio's needs, by the names of Gradio's built files.

    Args:
        page: The page.

    Attributes:
        names: The style sheets of the page and of all its components, in order.
        scripts: The modules of what it shows at first.
        css: The style sheets, one after the other.
        written: When the latest was written, in seconds since 1970.
    """

    def __init__(self, page: gr.Blocks) -> None:
        files = Path(gr.__file__).parent / "templates" / "frontend" / "assets"
        start, parts = _found(files)
        if not parts:
            logger.warning("this version of Gradio is built in another way, so each style is fetched by itself")
        shown = [block for block in page.blocks.values() if _is_shown(block)]
        self.names = [name for name in _needed(start, parts, page.blocks.values()) if name.endswith(".css")]
        self.scripts = [name for name in _needed(start, parts, shown) if name.endswith(".js")]
        sheets = [files / name for name in self.names]
        self.css = "\n".join(sheet.read_text("utf-8") for sheet in sheets)
        self.written = max((sheet.stat().st_mtime for sheet in sheets), default=0.0)


def _found(files: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Return what every page needs, and what each component does by its name; nothing of files that are otherwise."""
    document = (files.parent / "index.html").read_text("utf-8")
    start = re.findall(r'(?:src|href)="\./assets/(index-[\w-]+\.(?:js|css))"', document)
    parts: dict[str, list[str]] = {}
    try:
        entry = dict(_imports(files / next(name for name in start if name.endswith(".js"))))
        for module, needs in entry.items():
            start += needs
            for further, wants in _imports(files / module):
                start += wants if further.startswith("Blocks-") else []
        for core in {name for name in start if name.startswith("core-") and name.endswith(".js")}:
            parts |= _components(files / core)
    except (OSError, ValueError, IndexError, StopIteration):
        return [], {}
    return (start, parts) if parts else ([], {})


def _imports(module: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the modules that a module imports on demand, each with the files that it needs."""
    code = module.read_text("utf-8")
    files = _files(code)
    for one in re.finditer(_IMPORT, code):
        yield one["module"], [files[int(number)] for number in one["needs"].split(",")]


def _components(core: Path) -> dict[str, list[str]]:
    """Return the files that each component needs."""
    code = core.read_text("utf-8")
    files, found, name = _files(code), dict[str, list[str]](), ""
    for one in re.finditer(_COMPONENT, code):
        name = one["name"] or name
        needs = (one["needs"] or "").split(",")
        found.setdefault(name, []).extend(files[int(number)] for number in needs if number)
    return found


def _files(code: str) -> list[str]:
    listed = _FILES.search(code)
    return [Path(name).name for name in json.loads(listed[1])] if listed else []


def _needed(start: Iterable[str], parts: dict[str, list[str]], blocks: Iterable[Block]) -> list[str]:
    components = dict.fromkeys(block.get_block_name() for block in blocks)
    return [*dict.fromkeys(chain(start, *(parts.get(name, []) for name in components)))]


def _is_shown(block: Block | None) -> bool:
    """Return whether a block and all that it lies in are visible at first."""
    return block is None or (getattr(block, "visible", True) is True and _is_shown(block.parent))
