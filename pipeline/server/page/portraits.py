"""Small pictures of the avatars, from which visitors choose."""

from __future__ import annotations

import base64
import logging
from functools import lru_cache
from typing import Any

import cv2
import gradio as gr

from pipeline import messages
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.errors import PipelineError
from pipeline.face.finder import box_of
from pipeline.server.page import bar
from pipeline.server.page.words import BE_AVATAR, BUNDLED, in_browser, shown, visitors_language
from pipeline.server.visitors import Visitors

logger = logging.getLogger(__name__)

SIDE = 112
"""Side of a portrait in pixels."""
_REACH = 1.6
"""Width of a portrait, in heights of the face."""
TEMPLATE = """
<div class="strip">
<button class="be" type="button"><span class="face" aria-hidden="true">+</span><span>BE_IT</span></button>
<div class="portraits" role="radiogroup">
${(value.avatars || []).map((one, number) => `
  <label title="${one.name}">
    <input type="radio" name="avatar" value="${number}" ${one.name === value.chosen ? 'checked' : ''}>
    <img src="${one.portrait}" alt="" width="64" height="64">
    <span>${one.label}</span>
  </label>`).join('')}
</div>
</div>
""".replace("BE_IT", "${" + in_browser(BE_AVATAR) + "}")
STYLE = """
.strip { display: flex; align-items: flex-start; gap: 0.5rem; overflow-x: auto; padding: 3px 0 0.4rem;
  scrollbar-width: thin; }
.portraits { display: flex; gap: 0.5rem; }
.be { flex: none; box-shadow: none; width: 4.25rem; padding: 0; border: 0; background: none;
  font-weight: 400; text-align: center; cursor: pointer; }
.be .face { display: grid; place-items: center; width: 64px; height: 64px; margin: 0 auto 0.3rem;
  box-sizing: border-box; border: 2px dashed var(--neutral-400); border-radius: 12px; font-size: 1.8rem;
  color: var(--body-text-color); }
.be:hover .face { border-color: var(--color-accent); }
label { position: relative; flex: none; width: 4.25rem; cursor: pointer; text-align: center; }
input { position: absolute; opacity: 0; }
img { display: block; width: 64px; height: 64px; margin: 0 auto 0.3rem; object-fit: cover; border-radius: 12px;
  border: 3px solid transparent; background: var(--border-color-primary); }
span { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; font-size: 0.75rem;
  line-height: 1.3; overflow-wrap: anywhere; color: var(--body-text-color); }
input:checked + img { border-color: var(--color-accent); }
input:checked ~ span { font-weight: 600; }
input:focus-visible + img { outline: 3px solid var(--color-accent); outline-offset: 2px; }
"""
SCRIPT = """
element.addEventListener('click', (event) => {
    if (!event.target.closest('.be')) return;
    document.querySelector('#avatars_tab-button')?.click();
    window.page.bring('panel');
});
element.addEventListener('change', (event) => {
    const chosen = props.value.avatars[event.target.value].name;
    props.value = { ...props.value, chosen };
    trigger('input');
});
// drawn anew, a list keeps what was chosen at the same place of the old one
watch('value', () => requestAnimationFrame(() => {
    for (const input of element.querySelectorAll('input')) {
        input.checked = props.value.avatars[input.value]?.name === props.value.chosen;
    }
}));
"""
_NO_PICTURE = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def make_picker() -> gr.HTML:
    """Lay out a row of portraits, of which one can be chosen; its value is what ``gallery`` returns."""
    return gr.HTML(
        {"avatars": [], "chosen": None},
        label=shown("choose"),
        html_template=TEMPLATE,
        css_template=STYLE,
        js_on_load=SCRIPT,
        elem_id="portraits",
    )


class Portraits:
    """The portraits of the avatars in a store, each drawn once.

    Args:
        store: The avatars.
        visitors: Selects the avatars that a visitor can see.
    """

    def __init__(self, store: AvatarStore, visitors: Visitors | None = None) -> None:
        self._store = store
        self._visitors = visitors
        self._portrait = lru_cache(maxsize=256)(self._drawn)

    def gallery(self, request: gr.Request, chosen: str | None) -> dict[str, Any]:
        """Return the visitor's avatars and the bundled ones, with labels and portraits (data URLs), and the chosen one.

        If the chosen one is missing, the first bundled one takes its place.
        """
        language = visitors_language(request)
        seen, shipped = self._store, self._store
        if self._visitors is not None:
            assert request.request is not None, "Gradio gives it to whatever it runs"
            seen, shipped = self._visitors.on_page(request.request), self._visitors.shipped()
        packs = seen.list()
        smallest = {pack.name: pack for pack in packs}  # the last of each is the smallest
        avatars = []
        common = {pack.name for pack in shipped.list()}
        for name, pack in sorted(smallest.items(), key=lambda one: (one[0] in common, one[0])):  # own ones first
            path = self._store.find(name, pack.resolution)
            label = BUNDLED[name].in_language(language) if name in BUNDLED else name
            picture = self._portrait(name, pack.resolution, path.stat().st_mtime_ns)
            resolutions = [one.resolution for one in packs if one.name == name]
            avatars.append({"name": name, "label": label, "portrait": picture, "resolutions": resolutions})
        if chosen not in smallest:
            chosen = min(common or smallest, default=None)
        return {"avatars": avatars, "chosen": chosen}

    def fall_back(self, request: gr.Request, chosen: str | None) -> tuple[Any, Any]:
        """Return the avatars and the bar's value if the chosen avatar is gone; else change nothing."""
        gallery = self.gallery(request, chosen)
        if chosen is None or gallery["chosen"] == chosen:
            return gr.skip(), gr.skip()
        language = visitors_language(request)
        label = next((one["label"] for one in gallery["avatars"] if one["name"] == gallery["chosen"]), "-")
        message = messages.server.AVATAR_DELETED(gone=chosen, chosen=label)
        return gallery, bar.at(message.in_language(language), 1.0, "failed")

    def _drawn(self, name: str, resolution: str, _written: int) -> str:
        """Return the portrait of a pack; a pack that was written again is drawn again."""
        try:
            return portrait(self._store.load(self._store.find(name, resolution)))
        except PipelineError as error:  # choosing it shows the error
            logger.warning("no portrait of %s: %s", name, error)
            return _NO_PICTURE


def portrait(avatar: Avatar) -> str:
    """Return the face of an avatar as a JPEG in a data URL."""
    number = int(avatar.usable.argmax())
    for frame, _ in zip(avatar.clip.once(), range(number + 1), strict=False):
        planes = frame.planes
    picture = cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420)
    box = box_of(avatar.landmarks[number])
    side = round(min(max(_REACH * box.height, 16), *picture.shape[:2]))
    left, top = (
        int(min(max(middle - side / 2, 0), room - side))
        for middle, room in zip(box.center, picture.shape[1::-1], strict=True)
    )
    small = cv2.resize(picture[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
