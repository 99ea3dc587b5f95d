"""Clips of an avatar that are found in one recording."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.clip_joins import largest_step
from pipeline.avatars.pack import load
from pipeline.avatars.store import AvatarStore
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.jobs.events import report_sentences
from pipeline.live.pictures import CROSSING, Crossing, Pictures
from pipeline.preparing.encode_clip import encode
from pipeline.preparing.find_clips import NOD, SHORTEST, find_clips
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.person import Person
from pipeline.preparing.prepare import prepare
from pipeline.preparing.usable_frames import Findings, mouth_gap
from pipeline.settings import Settings
from pipeline.speech.articulate import UNITS
from tests.footage import as_footage
from tests.servers import Server

pytestmark = pytest.mark.usefixtures("small_pictures")

FPS = 25
OPENS = (14, 17, 87, 317, 84, 314, 152)
"""Points that go down with the jaw."""


@pytest.fixture(scope="module")
def man() -> Avatar:
    store = AvatarStore(Settings().precomputed)
    return store.load(store.find("talk_long", "360p"))


class Recording:
    """A recording of the man, second by second; only his points matter.

    Attributes:
        points: (frames, 478, 3) pixels.
        usable: (frames,) bool.
    """

    def __init__(self, man: Avatar) -> None:
        self._face = man.landmarks[0]
        self.width = float(np.ptp(self._face[:, 0]))
        self.points, self.usable = np.zeros((0, 478, 3), np.float32), np.zeros(0, bool)
        self._rng = np.random.default_rng(3)

    def add(
        self,
        seconds: float,
        down: np.ndarray | float = 0.0,
        aside: float = 0.0,
        talks: bool = False,
        usable: bool = True,
        opens: np.ndarray | float = 0.0,
    ) -> Recording:
        """Add some seconds in which the head goes down and sways aside, the mouth opens (face widths) or talks."""
        count = round(seconds * FPS)
        time = np.arange(count) / FPS
        more = np.tile(self._face, (count, 1, 1)) + self._rng.normal(0, 0.05, (count, 1, 3))
        more[:, :, 1] += (self.width * np.broadcast_to(down, count))[:, None]
        more[:, :, 0] += (self.width * aside * np.sin(2 * np.pi * 0.4 * time))[:, None]
        more[:, OPENS, 1] += (self.width * np.broadcast_to(opens, count))[:, None]
        if talks:
            more[:, OPENS, 1] += (0.09 * self.width * np.sin(np.pi * 3 * time) ** 2)[:, None]
        self.points = np.concatenate([self.points, more.astype(np.float32)])
        self.usable = np.concatenate([self.usable, np.full(count, usable)])
        return self

    def nod(self, size: float = 0.12, times: int = 1) -> Recording:
        """Add one second for each time the head goes down and up again."""
        time = np.arange(times * FPS) / FPS
        return self.add(times, down=size * np.sin(np.pi * time) ** 4)

    def clips(self) -> dict[str, tuple[float, float]]:
        """Return what is found, in seconds."""
        none = np.zeros(len(self.points), bool)
        findings = Findings(
            usable=self.usable,
            missing=~self.usable,
            turned=none,
            covered=none,
            gap=mouth_gap(self.points),
            yaw=np.zeros(len(self.points)),
            width=self.width,
        )
        footage = as_footage(np.zeros((len(self.points), 6, 4), np.uint8), self.points)
        found = find_clips(footage, Person(self.points, self.points, findings))
        for begin, end in found.values():
            assert self.usable[begin:end].all() and end > begin
        return {name: (begin / FPS, end / FPS) for name, (begin, end) in found.items()}

    def film(self, clip: Avatar) -> tuple[float, float]:
        """Add a clip as it was filmed; return when it begins and ends, in seconds."""
        begin = len(self.points) / FPS
        self.points = np.concatenate([self.points, clip.landmarks])
        self.usable = np.concatenate([self.usable, clip.usable])
        return begin, len(self.points) / FPS


def test_waiting_a_nod_listening_and_talking_are_found(man: Avatar) -> None:
    found = Recording(man).add(5).nod().add(1).add(5, talks=True).add(1).add(5, aside=0.05).clips()
    assert list(found) == ["nod", "idle", "listening", "speaking"]
    (nods, nodded), (waits, waited), (listens, listened), (talks, talked) = found.values()
    assert nods <= 5.3 and 5.7 <= nodded <= 7.5  # the nod is between 5 and 6 s
    assert waits >= 0 and waited <= 5.3 and waited - waits >= SHORTEST
    assert listens >= 12 and listened <= 18 and listened - listens >= SHORTEST
    assert talks >= 6.2 and talked <= 12.8 and talked - talks >= SHORTEST


def test_the_clearest_nod_is_taken_with_all_its_swings(man: Avatar) -> None:
    recording = Recording(man).add(4).nod(0.07).add(4).nod(0.15, times=2).add(4)
    begin, end = recording.clips()["nod"]
    assert begin <= 9.4 and end >= 10.6 and end - begin < 4  # both swings of the second, from 9 to 11 s


@pytest.mark.parametrize(
    "spoilt",
    [
        {"down": 0.3 * NOD},  # too small
        {"aside": 0.2},  # somebody who sways
        {"talks": True},  # somebody who bobs while talking
        {"usable": False},
    ],
)
def test_what_is_no_nod_is_not_taken_for_one(man: Avatar, spoilt: dict[str, float | bool]) -> None:
    swing = np.sin(np.pi * np.arange(2 * FPS) / FPS) ** 4
    recording = Recording(man).add(4)
    recording.add(2, **{"down": 0.12 * swing, **spoilt})  # type: ignore[arg-type]
    assert "nod" not in recording.add(4).clips()


ACTS = {"thinking": (0.4, 2.4), "greeting": (0.3, 1.5), "nod": (0.2, 1.6)}
"""Seconds of the bundled clips in which somebody looks away, bows and nods twice."""


@pytest.mark.parametrize("name", ["talk_long", "woman"])
@pytest.mark.parametrize(
    "order",
    [
        ("", "thinking", "greeting", "nod", "listening"),
        ("listening", "greeting", "thinking", ""),
        ("thinking", "thinking", ""),
        ("", "greeting", ""),
        ("", "nod", ""),
        ("thinking", "greeting"),
    ],
)
def test_what_somebody_does_is_neither_waiting_nor_listening(name: str, order: tuple[str, ...]) -> None:
    store = AvatarStore(Settings().precomputed)
    person = store.load(store.find(name, "360p"))
    recording, acts = Recording(person), []
    for part in order:
        begin, _ = recording.film(person.clips[part] if part else person)
        if part in ACTS:
            first, last = ACTS[part]
            acts.append((part, begin + first, begin + last))
    found = recording.clips()
    assert ("idle" in found) == ("" in order)
    for kind, (begin, end) in found.items():
        met = {part for part, first, last in acts if begin < last and end > first}
        assert met == ({"nod"} if kind == "nod" else set())
        if kind == "nod":  # as a whole
            assert any(begin <= first + 0.15 and end >= last - 0.15 for part, first, last in acts if part == "nod")


def test_a_yawn_and_a_mouth_that_hangs_open_are_no_talking(man: Avatar) -> None:
    yawn = np.sin(np.pi * np.arange(4 * FPS) / (4 * FPS)) ** 2
    recording = Recording(man).add(5).add(4, opens=0.25 * yawn).add(4).add(5, opens=0.05).add(1)
    assert "speaking" not in recording.clips()
    assert "speaking" in recording.add(5, talks=True).clips()


def test_a_recording_without_such_parts_has_none(man: Avatar) -> None:
    recording = Recording(man)
    for _ in range(5):  # never calm for three seconds, never in the picture for as long
        recording.add(2).add(1, usable=False)
    assert recording.clips() == {}


def test_who_talks_throughout_only_speaks(man: Avatar) -> None:
    assert list(Recording(man).add(12, talks=True).clips()) == ["speaking"]


def test_parts_in_which_the_face_is_elsewhere_are_left_out(man: Avatar) -> None:
    found = Recording(man).add(5).add(1, usable=False).add(5, down=0.9, talks=True).clips()
    assert list(found) == ["idle"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seconds of the bundled man: he waits, nods, and waits again."""
    store = AvatarStore(Settings().precomputed)
    man = store.load(store.find("talk_long", "360p"))
    frames = [*islice(man.clip.once(), 100), *man.clips["nod"].clip.once(), *islice(man.clip.once(), 20)]
    path = tmp_path_factory.mktemp("recording") / "all.mp4"
    path.write_bytes(encode(iter(frames), man.width, man.height, man.fps, man.clip.colors))
    return path


@pytest.mark.slow
def test_an_avatar_of_one_recording_has_its_clips_and_they_join(recording: Path, tmp_path: Path) -> None:
    options = PrepareOptions(
        name="me", resolutions=["360p"], out=tmp_path, report=tmp_path / "report", find_clips=True, matte=False
    )
    (path,) = prepare(recording, options)
    avatar = load(path)
    assert "nod" in avatar.clips and len(avatar.clips["nod"].landmarks) < 2 * 3 * FPS
    report = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    said = [one.en for one in report_sentences(report)]
    assert any("is the clip idle" in one for one in said) and any("is the clip nod" in one for one in said)
    nod = avatar.clips["nod"].landmarks[:, 168, 1]
    assert np.ptp(nod) > 0.5 * NOD * np.ptp(avatar.landmarks[0, :, 0])
    pictures = Pictures(avatar, MeshEngine(), tmp_path / "clip.yuv")
    pictures.add(avatar.clips.items())
    inside = max(largest_step(clip.landmarks) for clip in (avatar, *avatar.clips.values()))
    leaves = pictures.clips[""][0]
    entry = pictures.entry(leaves, "nod")
    rows, silence = np.zeros((pictures.lengths[entry], len(UNITS)), np.float32), np.zeros(10, np.float32)
    parts = [
        pictures.crossing(Crossing(leaves, entry, one, one * len(rows)), rows, silence, None) for one in range(CROSSING)
    ]
    seam = np.concatenate([part.avatar.landmarks for part in parts])
    assert largest_step(seam) <= inside


@pytest.mark.slow
def test_where_nothing_is_found_the_whole_recording_is_the_avatar_with_a_note(tmp_path: Path) -> None:
    store = AvatarStore(Settings().precomputed)
    man = store.load(store.find("talk_long", "360p"))
    clip = tmp_path / "short.mp4"
    clip.write_bytes(encode(islice(man.clip.once(), 20), man.width, man.height, man.fps, man.clip.colors))
    options = PrepareOptions(
        name="me", resolutions=["360p"], out=tmp_path, report=tmp_path, find_clips=True, matte=False
    )
    avatar = load(prepare(clip, options)[0])
    assert avatar.clips == {} and len(avatar.landmarks) >= 20
    said = [one.en for one in report_sentences(json.loads((tmp_path / "report.json").read_text("utf-8")))]
    assert any(one.startswith("No part was found") for one in said)


def test_whether_clips_are_found_is_true_or_false(fake_server: Server) -> None:
    form = {"file": ("a.mp4", b"x"), "name": (None, "me"), "consent": (None, "true"), "find_clips": (None, "yes")}
    reply = fake_server.post("/api/avatars", files=form, headers={"Accept-Language": "en"})
    assert reply.status_code == 400 and "find_clips" in reply.json()["error"]
