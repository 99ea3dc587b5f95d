"""Captions: words as they are written, at the times at which they are said."""

from __future__ import annotations

import io
import re
from itertools import accumulate, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import requests

from pipeline.core.cancel import CancelToken
from pipeline.errors import RenderFailed
from pipeline.speech.phonemes import phonemes_of
from pipeline.speech.renderings import Renderings
from pipeline.speech.spoken_words import words_of
from pipeline.speech_types import Mark, Speech, joined, silence
from pipeline.text.language import language_of
from pipeline.text.word_times import place_words
from pipeline.tts.espeak import EspeakEngine, Rendering
from pipeline.tts.speech_engine import CUSTOM_VOICE
from pipeline.video.captions import MAX_WIDTH, CaptionWriter, cues_of
from tests.cues import text_of
from tests.servers import Server, wait_for

KOREAN = "먼저 자기소개를 부탁드립니다. 3.5초 안에 하실 수 있나요? 네, 2024년 10월 KBS에서 뵙겠습니다."
ENGLISH = 'In the end, it\'s 3.5 seconds (or so). I said "yes" & <no>.'


@pytest.fixture(scope="module")
def espeak() -> EspeakEngine:
    return EspeakEngine()


def words(text: str, start: float = 0.0, each: float = 0.4) -> list[Mark]:
    """Return TEXT's words, EACH (s) long, without pauses."""
    parts = re.findall(r"\S+\s*", text)
    return [Mark("word", part, start + number * each, start + (number + 1) * each) for number, part in enumerate(parts)]


@pytest.mark.parametrize("text", [KOREAN, ENGLISH])
def test_words_are_the_written_ones_when_they_sound(espeak: EspeakEngine, text: str) -> None:
    speech = joined(espeak.stream(text, CUSTOM_VOICE, CancelToken()))
    assert "".join(word.text for word in speech.words) == text
    assert all(one.start < two.start and one.end <= two.start + 1e-6 for one, two in pairwise(speech.words))
    assert {"3.5초 ", "2024년 ", "KBS에서 "} <= {word.text for word in speech.words} or text is ENGLISH
    for word in speech.words:
        sound = speech.samples[round(word.start * speech.rate) : round(word.end * speech.rate)]
        assert np.abs(sound).max() > 0.05, word
    assert words_of(speech, speech.marks, Renderings(espeak), CancelToken()) is speech.words


@pytest.mark.parametrize(
    "sentences",
    [
        ["안녕하세요. ", "Hello."],
        ["감사합니다. ", "Thank you very much. ", "다음 질문입니다."],
        ["Thank you very much. ", "다음 질문입니다. ", "Hello."],
        ["첫째. ", '"Yes." ', "둘째."],
        ["네. ", "(Hello) ", "안녕."],
        ["그는 갔다. ", "「世界」 ", "Next one."],
        ["가. ", "A. ", "나."],
        ["감사합니다. ", "Привет. ", "안녕."],
    ],
    ids=lambda sentences: "".join(sentences),
)
def test_a_sentence_in_another_script_is_a_sentence_of_its_own(espeak: EspeakEngine, sentences: list[str]) -> None:
    pieces = [piece for piece in espeak.stream("".join(sentences), CUSTOM_VOICE, CancelToken()) if piece.text.strip()]
    spoken = "|".join(piece.text for piece in pieces)
    assert spoken.replace("|", "") == "".join(sentences) and set(spoken.split("|")) >= set(sentences[:1])
    for piece in pieces:
        assert "".join(word.text for word in piece.words) == piece.text
        assert all(0 <= word.start < word.end <= piece.duration for word in piece.words), piece.words


def test_words_of_aligned_speech_are_those_of_its_voice(espeak: EspeakEngine) -> None:
    other = EspeakEngine(rate=140, variant="f3").synthesize(KOREAN, "ko", CancelToken())
    plain = Speech(samples=other.samples, rate=other.rate, text=KOREAN, language="ko")
    found = words_of(plain, phonemes_of(plain, espeak), Renderings(espeak), CancelToken())
    assert "".join(word.text for word in found) == KOREAN
    truth = {word.text: word.start for word in other.words}
    errors = [abs(word.start - truth[word.text]) for word in found if word.text in truth]
    assert len(errors) >= len(found) - 2 and np.median(errors) < 0.05 and max(errors) < 0.3


class Counting(EspeakEngine):
    """Notes what it is asked to render."""

    def __init__(self) -> None:
        super().__init__()
        self.rendered: list[tuple[str, int | None]] = []

    def render(self, text: str, language: str, cancel: CancelToken, rate: int | None = None) -> Rendering:
        self.rendered.append((text, rate))
        return super().render(text, language, cancel, rate)


@pytest.mark.parametrize("variant", ["f3", "m7"])
def test_a_text_is_rendered_once_for_phonemes_and_words(espeak: EspeakEngine, variant: str) -> None:
    text = "밥을 3개 먹고 한국말을 못하는 사람이 많습니다."  # its sounds change across syllables: there are two ways
    rendering = EspeakEngine(variant=variant).render(text, "ko", CancelToken())
    speech = Speech(samples=rendering.samples.astype(np.float32) / 32768, rate=rendering.rate, text=text, language="ko")
    counting = Counting()
    renderings = Renderings(counting)
    phonemes = phonemes_of(speech, renderings, CancelToken())
    assert len({way for way, _ in counting.rendered}) == 2
    words = words_of(speech, phonemes, renderings, CancelToken())
    assert len(counting.rendered) == len(set(counting.rendered)), counting.rendered
    assert words == words_of(speech, phonemes, Renderings(espeak), CancelToken())
    assert "".join(word.text for word in words) == text


def test_words_of_a_voice_that_times_every_letter_begin_with_their_own_sounds(espeak: EspeakEngine) -> None:
    text = "한국말을 못하는 사람이 많습니다. " * 4 + "우리 나라 노래를 모두 부르네. " * 4
    rendering = EspeakEngine(variant="m7").render(text, "ko", CancelToken())
    speech = Speech(samples=rendering.samples.astype(np.float32) / 32768, rate=rendering.rate, text=text, language="ko")
    found = words_of(speech, phonemes_of(speech, espeak), Renderings(espeak), CancelToken())
    begins = dict(zip(accumulate((len(word.text) for word in found), initial=0), found, strict=False))
    off = [abs(begins[offset].start - start) for offset, start in rendering.words if offset in begins]
    assert len(off) == 16  # espeak-ng joins the others to the word before
    assert max(off) < 0.04


def test_words_of_character_times(espeak: EspeakEngine) -> None:
    text = '네, "3.5초" 안에.'
    marks = tuple(Mark("character", letter, number / 10, (number + 1) / 10) for number, letter in enumerate(text))
    speech = Speech(
        samples=np.zeros(24000 * 2, np.float32), rate=24000, text=text, language=language_of(text), marks=marks
    )
    found = words_of(speech, phonemes_of(speech, espeak), Renderings(espeak), CancelToken())
    assert [(word.text, round(word.start, 2)) for word in found] == [("네, ", 0.0), ('"3.5초" ', 0.4), ("안에.", 1.0)]


def test_words_without_blanks_between_them() -> None:
    sounds = [Mark("phoneme", "a", float(n), n + 0.5) for n in range(3)]
    found = place_words("你好，「世界」今天", [(0, 0.0), (4, 1.0), (7, 2.0)], sounds)
    assert [(word.text, word.start, word.end) for word in found] == [
        ("你好，", 0.0, 0.5),
        ("「世界」", 1.0, 1.5),
        ("今天", 2.0, 2.5),
    ]


def test_silence_and_unknown_text_have_no_words(espeak: EspeakEngine) -> None:
    mute = Speech(samples=np.zeros(8000, np.float32), rate=8000, text="안녕", language="ko")
    assert words_of(mute, (Mark("phoneme", "", 0.0, 1.0),), Renderings(espeak), CancelToken()) == ()
    wordless = Speech(samples=np.zeros(8000, np.float32), rate=8000, text="", language="")
    assert words_of(wordless, (Mark("phoneme", "a", 0.0, 1.0),), Renderings(espeak), CancelToken()) == ()
    assert place_words("word", [], []) == ()


def test_words_move_with_their_speech(espeak: EspeakEngine) -> None:
    speech = espeak.synthesize("네, 좋습니다.", CUSTOM_VOICE, CancelToken())
    later = joined([silence(0.5, speech), speech])
    assert [word.start for word in later.words] == pytest.approx([word.start + 0.5 for word in speech.words])
    first, rest = later.cut(round(0.7 * later.rate))
    assert first.words == later.words and rest.words == ()
    assert joined([speech, Speech(samples=speech.samples, rate=speech.rate, text="그래요.", language="ko")]).words == ()


def test_cues_end_with_sentences_and_in_pauses_and_are_short_enough() -> None:
    spoken = words("One two three four five six seven eight, nine ten eleven twelve. Yes. And so on and so on")
    spoken += words("after a pause", start=spoken[-1].end + 1)
    cues = cues_of(spoken, until=100.0)
    texts = ["".join(word.text for word in cue.words).strip() for cue in cues]
    assert texts == [
        "One two three four five six seven eight,",
        "nine ten eleven twelve.",
        "Yes.",
        "And so on and so on",
        "after a pause",
    ]
    assert all(one.end <= two.start for one, two in pairwise(cues))
    assert cues[3].end == pytest.approx(spoken[-4].end + 0.5) and cues[0].end == cues[1].start


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", " \n", "\v", "\x1d", "\x85", "\u2028", "\u2029"])
def test_cues_never_join_two_lines(end: str) -> None:
    lines = ["면접 준비", "- 이력서", "자기소개,", "끝"]
    spoken = words(end.join(lines))
    assert "".join(word.text for word in spoken) == end.join(lines)
    assert [text_of(cue.to_vtt()) for cue in cues_of(spoken, 9.0)] == lines
    (alone,) = words("x")
    unheard = [Mark("word", end.join(lines), 1.0, 2.0), alone.later(2.0)]
    cues = cues_of(unheard, 9.0)
    assert [text_of(cue.to_vtt()) for cue in cues] == [*lines[:-1], "끝x"]
    assert cues[0].start == 1.0 and all(one.start < two.start and one.end <= two.start for one, two in pairwise(cues))


def test_each_line_of_one_mark_has_the_time_of_its_letters() -> None:
    cues = cues_of([Mark("word", "가나다라마바사\n아\n", 1.0, 2.0)], 9.0)  # 8 of its 10 letters are in the first line
    assert [(cue.words[0].start, cue.words[0].end) for cue in cues] == [(1.0, pytest.approx(1.8)), (1.8, 2.0)]


def test_times_in_webvtt_are_rounded_and_lie_inside_their_cue() -> None:
    marks = [Mark("word", text, *span) for text, *span in (("a ", 0.0006, 1), ("b ", 1.0016, 2), ("c ", 2, 2))]
    (cue,) = cues_of(marks, until=2.0)
    assert cue.to_vtt() == "00:00:00.001 --> 00:00:02.000\na <00:00:01.002>b c\n\n"  # "c" takes no time


def test_a_long_clause_is_cut_into_even_parts() -> None:
    texts = ["".join(word.text for word in cue.words) for cue in cues_of(words("seven letters " * 9), 100.0)]
    assert "".join(texts) == "seven letters " * 9
    assert all(0.6 * MAX_WIDTH < len(text.strip()) <= MAX_WIDTH for text in texts)
    korean = ["".join(word.text for word in cue.words) for cue in cues_of(words("가나다라마바사 " * 9), 100.0)]
    assert all(len(text) <= MAX_WIDTH / 2 for text in korean)
    (whole,) = cues_of(words("가" * 60), 100.0)  # nowhere to cut
    assert len(whole.words) == 1
    address = "https://example.com/" + "path/" * 10
    texts = [cue.text for cue in cues_of(words(f"see all of it at {address} or call us"), 100.0)]
    assert texts == ["see all of it at", address, "or call us"]


@pytest.mark.parametrize("text", ["", " ", "\n", "\u200b", "\u0301", '"', "」", "...", "a", "\ufeff"])
def test_words_of_no_width_have_cues_all_the_same(text: str) -> None:
    for marks in (
        [Mark("word", text, 0.0, 0.5)],
        [*words("one two. "), Mark("word", text, 2.0, 2.5), *words("end", 3)],
    ):
        assert sum(len(cue.words) for cue in cues_of(marks, 9.0)) == len(marks)
    assert cues_of([], 9.0) == []


def test_a_cue_is_valid_webvtt(espeak: EspeakEngine) -> None:
    speech = espeak.synthesize(ENGLISH, CUSTOM_VOICE, CancelToken())
    cues = [cue.to_vtt() for cue in cues_of(speech.words, speech.duration)]
    assert " ".join(map(text_of, cues)) == ENGLISH
    for cue in cues:
        start, end = re.fullmatch(r"([0-9:.]{12}) --> ([0-9:.]{12})", cue.split("\n")[0]).groups()  # type: ignore[union-attr]
        inner = re.findall(r"<([0-9:.]{12})>", cue)
        assert [start, *inner, end] == sorted({start, *inner, end})
        assert cue.endswith("\n\n") and "\n\n" not in cue[:-2] and "-->" not in cue.split("\n", 1)[1]
    late = cues_of([Mark("word", "late", 3723.4, 3723.9)], 3724.0)[0]
    assert late.to_vtt() == "01:02:03.400 --> 01:02:04.000\nlate\n\n"


def test_the_file_grows_and_takes_its_name_at_the_end(tmp_path: Path) -> None:
    with CaptionWriter(tmp_path / "a" / "x.vtt") as captions:
        part = tmp_path / "a" / "x.vtt.part"
        assert part.read_text() == "WEBVTT\n\n"
        captions.add(words("하나 둘"), 1.0, 2.0)
        assert part.read_text("utf-8") == "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n하나 <00:00:01.400>둘\n\n"
        captions.finish()
    assert [path.name for path in part.parent.iterdir()] == ["x.vtt"]


def test_captions_that_fail_leave_nothing(tmp_path: Path) -> None:
    for finished in (False, True):
        with pytest.raises(ZeroDivisionError), CaptionWriter(tmp_path / "x.vtt") as captions:
            if finished:
                captions.finish()
            raise ZeroDivisionError
        assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(RenderFailed), CaptionWriter(tmp_path / "file" / "x.vtt"):
        pass


def test_captions_lie_beside_the_video(fake_server: Server) -> None:
    done = fake_server.events({"text": "one, two. three", "avatar": "solo"})[-1]
    answer = fake_server.get(done["captions_url"])
    assert answer.headers["content-type"].startswith("text/vtt")
    assert done["captions_url"] == f"/video/{done['task_id']}.vtt"
    cues = answer.content.decode().split("\n\n")
    assert cues[0] == "WEBVTT" and [text_of(cue) for cue in cues[1:-1]] == ["one, two.", "three"]
    assert cues[1].startswith("00:00:00.100 --> ") and "<00:00:00.500>two." in cues[1]
    assert requests.head(fake_server.url + done["captions_url"]).status_code == 200
    unknown = fake_server.get("/video/" + "0" * 32 + ".vtt")
    assert unknown.status_code == 404 and unknown.json()["success"] is False


def test_captions_grow_with_the_video_and_go_with_a_cancelled_task(fake_server: Server) -> None:
    with fake_server.stream({"text": "slow " + "word " * 20, "avatar": "solo"}) as events:
        started = next(event for event in events if event.get("stage") == "tts")
        assert fake_server.get(started["captions_url"]).text.startswith("WEBVTT\n\n00:00:00.100 --> ")
        fake_server.post(f"/api/cancel/{started['task_id']}")
        assert list(events)[-1]["type"] == "error"
    fake_server.wait_idle()
    wait_for(lambda: not list(fake_server.results.glob(f"{started['task_id']}*")))
    assert fake_server.get(started["captions_url"]).status_code == 404


def test_captions_come_as_subrip_and_in_the_pictures(fake_server: Server) -> None:
    body = {"text": "one two. three.", "avatar": "solo", "captions": "burn", "aspect": "16:9", "fps": 30}
    done = fake_server.events(body)
    found = fake_server.get(done[-1]["captions_url"].replace(".vtt", ".srt"))
    assert found.headers["content-type"].startswith("application/x-subrip")
    assert re.findall(r"^\d+\n\d\d:\d\d:\d\d,\d{3} --> .*\n(.*)", found.text, re.MULTILINE) == ["one two.", "three."]
    with av.open(io.BytesIO(fake_server.get(done[-1]["video_url"]).content), "r") as container:
        pictures = [picture.to_ndarray(format="gray") for picture in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 30
    assert pictures[0].shape == (36, 64) and len(pictures) == pytest.approx(30 * done[-1]["audio_duration"], abs=1)
    assert pictures[len(pictures) // 2][20:].max() > 180  # letters
    assert fake_server.get(f"/video/{'0' * 32}.srt").status_code == 404


def test_letters_that_burnt_captions_lack_are_named(fake_server: Server) -> None:
    for text, lacks in (("one. 漢字 é.", False), ("one. 谢谢.", True)):
        done = fake_server.events({"text": text, "avatar": "solo", "captions": "burn"})[-1]
        assert ("글꼴에 없는 글자" in (done.get("note") or "")) is lacks, done
        reply = fake_server.post("/api/v2/lipsync", {"text": text, "avatar": "solo", "captions": "burn"}).json()
        assert reply.get("note") == done.get("note")
