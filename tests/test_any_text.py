"""Whatever people write, in whatever mixture of scripts, becomes a video with captions of every word."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, Verbosity, given, settings
from hypothesis import strategies as st

from pipeline.avatars.store import AvatarStore
from pipeline.errors import BadRequest
from pipeline.jobs.events import Done
from pipeline.jobs.generate import generate
from pipeline.jobs.request import parse
from pipeline.jobs.studio import Studio
from pipeline.jobs.tasks import TaskBook
from pipeline.settings import Settings
from pipeline.text.markup import spoken_text
from pipeline.tts.espeak import EspeakEngine
from tests.cues import text_of
from tests.fakes import FakeEngine

ID = "0123456789abcdef" * 2
COUNT = int(os.environ.get("ANY_TEXTS", "100"))
"""How many random texts are tried; before a release, 500 are."""

WORDS = """
    안녕하세요 감사합니다 질문 네 가 ㅋㅋ 값이 2024년 10월 3.5초
    Hello thank you A b I'm e.g. KBS iPhone15 café
    こんにちは カタカナ 世界 你好 Привет Γειά שלום مرحبا नमस्ते สวัสดี
    0 7 42 3.14 1,000 50% $5 ₩3,000 1/2 10:30 2024-01-02 010-1234-5678 IV ½ ² ①
    🙂 👍🏽 ♥ é ﬁ Ａ ｱ ー 𝒜 \u0301 \u200b \u00ad \ufeff
"""
JOINTS = ["", " ", "  ", "\n", "\n\n", "\t", ". ", "! ", "? ", "。", "… ", ", ", "; ", ": ", " - ", "—", "/", "~", "·"]
AROUND = ['""', "''", "“”", "‘’", "()", "[]", "{}", "「」", "『』", "《》", "<>", "**", "««", '".', "()"]


@st.composite
def parts(draw: st.DrawFn) -> str:
    """A word, a single letter of any script, or random characters; perhaps quoted or in brackets."""
    letters = st.characters(exclude_categories=["Cs"])
    part = draw(st.one_of(st.sampled_from(WORDS.split()), st.text(letters, max_size=4), letters))
    around = draw(st.sampled_from(["", "", *AROUND]))
    return f"{around[:1]}{part}{around[1:]}"


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Up to five parts, with or without anything between them."""
    return "".join(draw(parts()) + draw(st.sampled_from(JOINTS)) for _ in range(draw(st.integers(1, 5))))


@pytest.fixture(scope="module")
def studio(fake_packs: Path) -> Studio:
    espeak = EspeakEngine()
    precomputed = Settings(precomputed=fake_packs)
    return Studio(
        settings=precomputed,
        avatars=AvatarStore(fake_packs),
        tts={"espeak": espeak},
        espeak=espeak,
        engines={"fake": FakeEngine()},
    )


def captions_of(text: str, studio: Studio, folder: Path) -> str | None:
    """Make the video of TEXT in FOLDER; return what its captions say, None where nothing of TEXT can be said."""
    try:
        request = parse({"text": text, "avatar": "solo"}, studio)
        task = TaskBook(folder, 0).open(ID)
        done = list(generate(request, task, studio))[-1]
    except BadRequest:  # signs alone, or letters that no voice knows
        assert not re.search("[가-힣a-zA-Z0-9]", text) and not list(folder.glob("*"))
        return None
    assert isinstance(done, Done) and task.video.exists() and task.record.exists()
    assert done.captions_url == task.captions_url
    head, *cues = task.captions.read_text("utf-8").split("\n\n")
    assert head == "WEBVTT" and cues.pop() == ""
    times = [re.fullmatch(r"([0-9:.]{12}) --> ([0-9:.]{12})", cue.split("\n", 1)[0]) for cue in cues]
    assert all(time is not None and time[1] < time[2] for time in times)
    return " ".join(map(text_of, cues))


def only_letters(text: str) -> str:
    """Return the letters and digits of TEXT, in whichever of their forms (Ａ is A)."""
    return "".join(filter(str.isalnum, normalize("NFKC", text)))


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(
    max_examples=COUNT,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
)
@given(texts())
def test_any_text_becomes_a_video_with_captions_of_every_word(studio: Studio, text: str) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        captions = captions_of(text, studio, folder)
    finally:
        shutil.rmtree(folder)
    assert captions is None or only_letters(captions) == only_letters(spoken_text(text))
