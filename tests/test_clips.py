"""Several clips of an avatar: kept in its pack, joined where poses meet, and shown when they fit."""

from __future__ import annotations

import gc
import pickle
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline import messages
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.clip_joins import largest_step, nearest
from pipeline.avatars.pack import load, save
from pipeline.avatars.store import AvatarStore
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.engines.mesh.mover import _face_of
from pipeline.errors import BadClip, BadPack, BadRequest, RenderFailed
from pipeline.live.pictures import CROSSING, Crossing, DecodedClip, Pictures, drawn_by
from pipeline.live.session import NOD_EVERY, THINKS_AFTER, Session
from pipeline.live.session_events import SessionEvent, Word
from pipeline.live.turn import Voice
from pipeline.preparing.further_clip import FurtherClip, at_rate, check_clips, check_meeting
from pipeline.settings import Settings
from pipeline.speech.articulate import UNITS
from pipeline.speech.expression_track import UNITS as LOOKS
from pipeline.tts.espeak import EspeakEngine
from pipeline.video.reader import ClipReader
from tests.fakes import FakeTTS
from tests.servers import wait_for


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    store = AvatarStore(Settings().precomputed)
    own, other = (store.load(store.find(name, "360p")) for name in ("talk_long", "talk_short"))
    clips = {"listening": other, "nod": replace(other, landmarks=other.landmarks.copy()), "thinking": replace(other)}
    return replace(own, clips=clips)


@pytest.fixture(scope="module")
def pictures(avatar: Avatar, tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    return with_clips(avatar, tmp_path_factory.mktemp("clips") / "clip.yuv")


def with_clips(avatar: Avatar, decoded: Path) -> Pictures:
    pictures = Pictures(avatar, MeshEngine(), decoded)
    pictures.add(avatar.clips.items())
    return pictures


def test_a_pack_keeps_its_clips_and_older_packs_have_none(avatar: Avatar, tmp_path: Path) -> None:
    path = tmp_path / "pack.pkl"
    save(avatar, path)
    again = load(path)
    assert list(again.clips) == ["listening", "nod", "thinking"]
    for name, clip in avatar.clips.items():
        kept = again.clips[name]
        assert kept.video == clip.video and kept.name == avatar.name and kept.opening == avatar.opening
        np.testing.assert_array_equal(kept.landmarks, clip.landmarks)
    content = pickle.loads(path.read_bytes())
    del content["clips"]
    path.write_bytes(pickle.dumps(content))
    assert load(path).clips == {}


@pytest.mark.parametrize("broken", [{"listening": 1}, {"listening": {"video": b""}}, [], {"nod": {}}])
def test_a_pack_with_a_broken_clip_is_refused(avatar: Avatar, tmp_path: Path, broken: object) -> None:
    path = tmp_path / "pack.pkl"
    save(replace(avatar, clips={}), path)
    content = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps({**content, "clips": broken}))
    with pytest.raises(BadPack):
        load(path)


@pytest.mark.slow
def test_no_point_of_the_face_jumps_where_clips_are_joined(avatar: Avatar, pictures: Pictures) -> None:
    most = max(largest_step(clip.landmarks) for clip in (avatar, *avatar.clips.values()))
    for leaves in list(pictures.clips[""])[::7]:
        clip, start = pictures._groups[leaves]
        seen = [clip.landmarks[start - 1]]
        crossing = Crossing(leaves, pictures.entry(leaves, "listening"))
        for part in range(CROSSING):
            seen += list(pictures._crossed(crossing).landmarks)
            gone = crossing.frames + pictures.lengths[crossing.entry]
            crossing = Crossing(leaves, pictures.following(crossing.entry), part + 1, gone)
        after, begins = pictures._groups[crossing.entry]
        assert largest_step(np.array([*seen, after.landmarks[begins]])) <= most * 1.01


def test_a_crossing_ends_where_the_next_clip_goes_on(pictures: Pictures) -> None:
    leaves = pictures.clips[""][3]
    entry = pictures.entry(leaves, "listening")
    last = Crossing(leaves, pictures.following(entry), CROSSING - 1, pictures.lengths[entry])
    crossed = list(pictures._crossed(last).clip.frames(0))
    clip, start = pictures._groups[last.entry]
    own = [frame for _, frame in zip(range(len(crossed)), clip.clip.frames(start), strict=False)]
    errors = [float(np.abs(a.y.astype(int) - b.y).mean()) for a, b in zip(crossed, own, strict=True)]
    assert errors[-1] < errors[0] and errors[-1] < 1


def test_what_is_kept_of_crossings_and_expressions_is_bounded(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.live.pictures.KEPT_CROSSINGS", 2)
    monkeypatch.setattr("pipeline.live.pictures.KEPT_IDLE", 2)
    entry = pictures.clips["listening"][0]
    mouth = np.full((pictures.lengths[entry], len(UNITS)), 0.2, np.float32)
    crossings = [Crossing(leaves, entry) for leaves in list(pictures.clips[""])[:4]]
    drawn = []
    for crossing in crossings:
        frames = pictures.crossing(crossing, mouth, np.zeros(9600, np.float32), None)
        gop = pictures.encoded(drawn_by(pictures.engine, [frames])[0])
        pictures.keep_crossing(crossing, gop)
        assert pictures.kept_crossing(crossing) is gop
        drawn.append(weakref.ref(frames.avatar))
        del frames
    gc.collect()
    assert [one() for one in drawn] == [None] * 4  # pictures of 7 MB each at 720p
    assert [pictures.kept_crossing(one) is not None for one in crossings] == [False, False, True, True]
    plain = pictures.idle(0)
    for share in (0.2, 0.4, 0.6):
        looks = np.full(len(LOOKS), share, np.float32)
        assert pictures.idle(0, looks) is pictures.idle(0, looks)
    assert len(pictures._idle_with_looks) == 2 and pictures.idle(0) is plain


def test_the_mouth_in_a_crossing_is_that_of_the_clip_that_follows(pictures: Pictures) -> None:
    entry = pictures.clips["listening"][0]
    following, _ = pictures._groups[entry]
    crossed = pictures._crossed(Crossing(pictures.clips[""][0], entry))
    assert _face_of(crossed).interior is _face_of(following).interior


@pytest.fixture
def session(pictures: Pictures) -> Iterator[tuple[Session, list[SessionEvent]]]:
    events: list[SessionEvent] = []
    session = make_session(pictures, events)
    yield session, events
    session.close()


def make_session(pictures: Pictures, events: list[SessionEvent]) -> Session:
    voice = Voice(choose=lambda language: FakeTTS(), name="Custom", language="en-us", espeak=EspeakEngine())
    return Session(pictures, voice, events.append)


def shown(session: Session, pictures: Pictures, seconds: float) -> list[str]:
    """Return which clip each fragment of the next seconds shows; "+" while clips cross."""
    found, until = [], session.time + seconds
    while session.time < until - 1e-6:
        session.advance()
        found.append("+" if session._crossing else pictures.clip_of(session._gop))
    return found


def test_a_session_shows_who_listens_and_nods(session: tuple[Session, list[SessionEvent]], pictures: Pictures) -> None:
    live, _ = session
    assert set(shown(live, pictures, 1)) == {""}
    live.listen()
    asked = live.time
    assert shown(live, pictures, 0.2) == ["+"] and live.time - asked <= 0.3  # it begins at once
    seen = shown(live, pictures, NOD_EVERY + 2)
    assert seen[0] == "listening" and seen.index("nod") * 0.2 == pytest.approx(NOD_EVERY, abs=0.7)
    live.idle()
    later = shown(live, pictures, 8)
    assert later[-1] == "" and "nod" in later  # a nod is shown to its end


def test_a_session_goes_over_into_another_clip_as_soon_as_there_is_time(
    session: tuple[Session, list[SessionEvent]], pictures: Pictures
) -> None:
    live, _ = session
    live.listen()
    for _ in range(3):
        coming = live.prepare(may_cross=False)
        live.complete(coming, None)
        assert live._crossing is None and pictures.clip_of(live._gop) == ""
    assert shown(live, pictures, 0.2) == ["+"]


def test_a_nod_of_the_text_is_that_of_the_clip(session: tuple[Session, list[SessionEvent]], pictures: Pictures) -> None:
    live, events = session
    live.say("one two three [nod] four five six seven eight nine.")
    live.flush()
    turn = live._queue[0].turn
    while not turn.ready(1):
        time.sleep(0.01)
    begins, seen = live.time, []
    while live.speaking:
        seen += [(live.time, clip) for clip in shown(live, pictures, 0.2)]
    four = next(event.stream for event in events if isinstance(event, Word) and event.text.strip() == "four")
    began = next(at for at, clip in seen if clip == "+")
    assert begins < four - 0.3 <= began <= four + 0.3  # the face begins a little before the word
    assert "nod" in [clip for _, clip in seen] and [clip for _, clip in seen].count("+") <= 2 * CROSSING


def test_a_nod_waits_until_its_clip_is_decoded(avatar: Avatar, tmp_path: Path) -> None:
    """The first session of an avatar begins before that."""
    pictures = Pictures(avatar, MeshEngine(), tmp_path / "clip.yuv")
    assert not pictures.expect(avatar.clips)
    live = make_session(pictures, [])
    live.say("[nod] one two three four five six seven eight nine ten.")
    live.flush()
    wait_for(lambda: live._queue[0].turn.ready(1))
    assert set(shown(live, pictures, 0.6)) == {""}
    pictures.add(avatar.clips.items())
    assert "nod" in shown(live, pictures, 1)
    assert pictures.expect(avatar.clips)  # another process has them from the first on
    live.close()


def test_nothing_waits_for_a_clip_that_fails(avatar: Avatar, tmp_path: Path) -> None:
    pictures = Pictures(avatar, MeshEngine(), tmp_path / "clip.yuv")
    pictures.expect(avatar.clips)

    def failing() -> Iterator[tuple[str, Avatar]]:
        yield next(iter(avatar.clips.items()))
        raise RenderFailed(messages.live.CLIP_NOT_DECODED(reason="half"))

    with pytest.raises(RenderFailed):
        pictures.add(failing())
    assert not pictures.coming and list(pictures.clips) == ["", "listening"]


def test_who_waits_for_words_thinks_once(session: tuple[Session, list[SessionEvent]], pictures: Pictures) -> None:
    live, _ = session
    live.say("a sentence without its end")
    seen = shown(live, pictures, THINKS_AFTER + 2)
    assert seen.index("+") * 0.2 == pytest.approx(THINKS_AFTER, abs=0.21) and seen[-1] == "thinking"
    assert "thinking" not in shown(live, pictures, 6)[-1:]


def test_a_session_decodes_further_clips_up_to_a_bound(
    avatar: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit is left out, and the avatar's own clip is shown in its place."""
    one = len(avatar.clips["nod"].landmarks) * avatar.width * avatar.height * 3 // 2
    monkeypatch.setattr("pipeline.live.pictures.MAX_FURTHER", 2 * one)
    found = with_clips(avatar, tmp_path / "clip.yuv")
    assert list(found.clips) == ["", "listening", "nod"]
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.pop("clip.yuv") == len(avatar.landmarks) * avatar.width * avatar.height * 3 // 2
    assert sizes == {"clip-listening.yuv": one, "clip-nod.yuv": one}


def test_a_session_whose_disk_is_full_goes_without_further_clips(
    avatar: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = DecodedClip._decode

    def full(self: DecodedClip, clip: ClipReader, path: Path) -> None:
        if path.name != "clip.yuv":
            raise RenderFailed(messages.live.CLIP_NOT_DECODED(reason="No space left on device"))
        real(self, clip, path)

    monkeypatch.setattr(DecodedClip, "_decode", full)
    found = with_clips(avatar, tmp_path / "clip.yuv")
    assert list(found.clips) == [""]
    assert len(found.idle(0).sizes) == found.lengths[0]


def test_names_shapes_and_places_of_clips_are_checked(avatar: Avatar) -> None:
    with pytest.raises(BadRequest, match="listening, speaking, nod") as refused:
        check_clips({"dancing": Path("a.mp4")})
    assert "dancing" in refused.value.message.ko
    check_meeting("nod", avatar.clips["nod"], avatar)
    with pytest.raises(BadClip, match="nod"):
        check_meeting("nod", replace(avatar.clips["nod"], width=360, height=640), avatar)
    away = replace(avatar.clips["nod"], landmarks=avatar.landmarks + 200)
    assert nearest(avatar, away) > 1 > 0.1 > nearest(avatar, avatar.clips["nod"])
    with pytest.raises(BadClip, match="nod"):
        check_meeting("nod", away, avatar)


def test_a_clip_of_another_rate_and_size_fits_its_avatar(avatar: Avatar) -> None:
    order = at_rate(np.arange(60), Fraction(30), Fraction(25))
    assert len(order) == 50 and order[0] == 0 and order[-1] == 58 and np.diff(order).max() == 2
    np.testing.assert_array_equal(at_rate(order, Fraction(25), Fraction(25)), order)
    filmed = replace(avatar.clips["nod"], width=320, height=180, landmarks=avatar.clips["nod"].landmarks / 2)
    fitted = FurtherClip(avatar.clips["nod"].video, filmed).at(avatar)
    assert (fitted.width, fitted.height) == (avatar.width, avatar.height) and fitted.clips == {}
    np.testing.assert_allclose(fitted.landmarks, avatar.clips["nod"].landmarks, rtol=1e-5)
