"""One film of several sentences."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.tools.film import CROSSFADE, main

PAUSE = 1.5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # MoviePy's
def test_sentences_are_spoken_one_after_the_other_with_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "questions.txt").write_text("\ufeff안녕하세요.\n\n두 번째 질문입니다.\n", "utf-8")
    asked = ["questions.txt", "--out", "film.mp4", "--resolution", "360p", "--pause", str(PAUSE)]
    assert main(asked) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    with av.open(str(tmp_path / "film.mp4")) as film:
        assert film.streams.video[0].height == 360
        sound = np.concatenate([np.abs(frame.to_ndarray()).max(0) for frame in film.decode(audio=0)])
        rate = film.streams.audio[0].rate
        seconds = len(sound) / rate
    assert out.strip() == f"film.mp4: {seconds:.1f} s"
    loud = np.flatnonzero(sound > 0.03) / rate
    gaps = np.diff(loud)
    pauses = gaps[gaps > PAUSE / 2]
    assert len(pauses) == 1 and PAUSE - CROSSFADE <= pauses[0] < PAUSE + 1
    assert PAUSE - CROSSFADE < seconds - loud[-1] < PAUSE + 1  # the person idles at the end, too
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "questions.txt"]


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        (b"\xff\xfe\x00", [], "UTF-8"),
        (b"\n \n", [], "At least one sentence"),
        ("안녕하세요.".encode(), ["--avatar", "nobody"], "There is no avatar 'nobody'"),
        ("안녕하세요.".encode(), ["--pause", "-1"], "a pause of 0 to 600"),
    ],
)
def test_what_cannot_be_filmed_is_reported(
    content: bytes, more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lines.txt").write_bytes(content)
    assert main([str(tmp_path / "lines.txt"), "--out", str(tmp_path / "film.mp4"), *more]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "film.mp4").exists()
