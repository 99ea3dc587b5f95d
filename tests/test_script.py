"""SSML and pronunciations: what is spoken differs from what is written, and captions show what is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.cancel import CancelToken
from pipeline.errors import BadRequest
from pipeline.speech.renderings import Renderings
from pipeline.speech.spoken_words import words_of
from pipeline.speech_types import Mark, Speech, joined
from pipeline.text import pronunciations, ssml
from pipeline.text.cues import Cue
from pipeline.text.ipa import spelled
from pipeline.text.script import Written, script_of
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.say import say
from pipeline.tts.speech_engine import TTSEngine

DICTIONARY = pronunciations.parse(
    {"SQL": "에스큐엘", "en": {"SQL": "sequel"}, "ko": {"IT": "아이티", "IT팀": "전산팀"}}
)


@pytest.mark.parametrize(
    ("text", "written", "spoken"),
    [
        ("SQL을 압니다.", "SQL을 압니다.", "에스큐엘을 압니다."),
        ("I know SQL.", "I know SQL.", "I know sequel."),
        ("IT는 ITEM이 아니고 IT팀은 MYSQL을 안 씁니다", None, "아이티는 ITEM이 아니고 전산팀은 MYSQL을 안 씁니다"),
        ("**SQL**은", "SQL은", "에스큐엘은"),
        ("<b>SQL</b>은 <speak> 좋다", "SQL은 <speak> 좋다", "에스큐엘은 <speak> 좋다"),
        ("<speak>SQL은\n <sub alias='다'>가</sub>.</speak>", "SQL은 가.", "에스큐엘은 다."),
        ("<speak>1 &lt; 2 &amp; 3</speak>", "1 < 2 & 3", "1 < 2 & 3"),
        ("<?xml version='1.0'?><speak version='1.1' xml:lang='ko'>네 API</speak>", "네 API", "네 API"),
        ("<speak>네 <say-as interpret-as='characters'>API2</say-as>는</speak>", "네 API2는", "네 에이 피 아이 이는"),
        ("<speak>네 <say-as interpret-as='digits'>2026</say-as></speak>", "네 2026", "네 이공이육"),
        (
            "<speak>네 <say-as interpret-as='telephone'>010-1234-5678</say-as></speak>",
            None,
            "네 공일공, 일이삼사, 오육칠팔",
        ),
        ("<speak>네 <say-as interpret-as='cardinal'>-2026</say-as></speak>", None, "네 마이너스 이천이십육"),
        ("<speak>네 <say-as interpret-as='ordinal'>1</say-as></speak>", None, "네 첫 번째"),
        ("<speak>네 <say-as interpret-as='ordinal'>21</say-as></speak>", None, "네 스물한 번째"),
        ("<speak>네 <say-as interpret-as='date' format='dmy'>3/4/2026</say-as></speak>", None, "네 2026년 4월 3일"),
        ("<speak>the <say-as interpret-as='ordinal'>22</say-as></speak>", None, "the 22nd"),
        ("<speak>on <say-as interpret-as='date'>2026-11-29</say-as></speak>", None, "on November 29, 2026"),
        ("<speak>an <say-as interpret-as='spell-out'>api</say-as></speak>", None, "an A P I"),
        ("<speak>네 <phoneme alphabet='ipa' ph='ˈsiːkwəl'>SQL</phoneme>은</speak>", "네 SQL은", "네 시퀄은"),
        ("<speak>a <phoneme ph='təˈmɑːtoʊ'>tomato</phoneme></speak>", "a tomato", "a tuh-mah-toh"),
    ],
)
def test_what_is_written_and_what_is_spoken(text: str, written: str | None, spoken: str) -> None:
    script = script_of(text, None, DICTIONARY)
    assert script.spoken == spoken
    assert written is None or script.written == written


@pytest.mark.parametrize(
    ("ipa", "korean", "english"),
    [
        ("kʌp", "컵", "kuhp"),
        ("noʊt", "노트", "noht"),
        ("ʃɑːk", "샤크", "shahk"),
        ("flæʃ", "플래시", "flash"),
        ("strɛŋθ", "스트렝스", "strehngth"),
        ("twɪst", "트위스트", "twihst"),
        ("kwɪz", "퀴즈", "kwihz"),
        ("ˈvɪʒən", "비전", "vih-zhuhn"),
        ("ɡɪˈtɑːɹ", "기타", "gih-tahr"),
        ("hɛˈləʊ wɜːld", "헬로 월드", "heh-loh wuhld"),
        ("kimtɕʰi", "김치", "keem-chee"),  # Korean: a plain [k] is ㄱ
        ("p͈aŋ", "빵", "pahng"),
        ("t͡ʃiːz", "치즈", "cheez"),
    ],
)
def test_ipa_is_spelled_as_the_rules_for_foreign_words_have_it(ipa: str, korean: str, english: str) -> None:
    assert spelled(ipa, "ko") == korean and spelled(ipa, "en-us") == english


def test_a_document_has_pauses_speeds_and_stresses() -> None:
    script = script_of(
        "<speak><break time='.25s'/>하나 <break/><prosody rate='80%'>둘 <emphasis>셋</emphasis>은</prosody>"
        "<break strength='x-strong'/> 넷.<break time='1500ms'/></speak>"
    )
    found = [(one.spoken, round(one.rate, 3), one.gain, one.pause) for one in script.phrases]
    assert found == [
        ("", 1.0, 0.0, 0.25),
        ("하나 ", 1.0, 0.0, 0.5),
        ("둘 ", 0.8, 0.0, 0.0),
        ("셋은", 0.76, 2.0, 1.2),  # a particle is said with its word
        (" 넷.", 1.0, 0.0, 1.5),
    ]


def test_cues_stand_where_they_are_spoken() -> None:
    script = script_of("[nod] SQL은 SQL이다. [smile] 좋다.", None, DICTIONARY)
    assert script.spoken == "에스큐엘은 에스큐엘이다. 좋다."
    assert script.cues == (Cue("nod", 0, 12), Cue("smile", 12, 15))
    document = script_of("<speak>SQL은 SQL이다. [smile] <emphasis>좋다</emphasis>.</speak>", None, DICTIONARY)
    assert document.written == "SQL은 SQL이다. 좋다." and document.cues == (Cue("smile", 12, 15),)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("<speak>가<voice name='x'>나</voice><audio src='http://a.b/c'/></speak>", ["<voice>", "<audio>", "<break>"]),
        ("<speak>가", ["1", "not well formed"]),
        ("<speak>가 & 나</speak>", ["&amp;"]),
        ("<speak>\n가</b></speak>", ["line 2"]),
        ("<speak>가</speak> 나", ["line 1"]),
        ("<speak><break time='1h'/>가</speak>", ["<break>", "time", "10s"]),
        ("<speak><break time='11s'/>가</speak>", ["time", "10s"]),
        ("<speak><break strength='huge'/>가</speak>", ["strength", "x-strong"]),
        ("<speak><prosody rate='9'>가</prosody></speak>", ["rate", "50%-200%"]),
        ("<speak><prosody pitch='high'>가</prosody></speak>", ["pitch", "rate"]),
        ("<speak><emphasis level='very'>가</emphasis></speak>", ["level", "strong"]),
        ("<speak><say-as interpret-as='expletive'>가</say-as></speak>", ["interpret-as", "characters"]),
        ("<speak><phoneme alphabet='x-sampa' ph='a'>가</phoneme></speak>", ["alphabet", "ipa"]),
        ("<speak><phoneme ph='aξ'>가</phoneme></speak>", ["'ξ'"]),
        ("<speak><sub alias=' '>가</sub></speak>", ["alias"]),
        ("<speak><sub alias='나'><break/>가</sub></speak>", ["<break>", "<sub>"]),
        ("<speak><speak>가</speak></speak>", ["<speak>"]),
        ('<?xml version="1.0"?><speak xmlns:x="u">&x;</speak>', ["well formed"]),
    ],
)
def test_ssml_that_cannot_be_used_is_refused_with_what_is_wrong(text: str, named: list[str]) -> None:
    with pytest.raises(BadRequest) as refused:
        script_of(text)
    assert all(one in refused.value.message.en for one in named), refused.value.message.en


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE speak [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><speak>&b;</speak>',
        '<!DOCTYPE speak SYSTEM "file:///etc/passwd"><speak>가</speak>',
    ],
)
def test_no_document_type_is_read(text: str) -> None:
    assert not ssml.is_ssml(text)  # so it is a plain text
    with pytest.raises(BadRequest, match="DOCTYPE"):
        ssml.parse(text)


@pytest.mark.parametrize("begin", ["\ufeff", "\n\ufeff ", '\ufeff<?xml version="1.0" encoding="UTF-16"?>'])
def test_a_mark_of_byte_order_is_no_text(begin: str) -> None:
    assert script_of(f"{begin}<speak>hello</speak>").spoken == "hello"


def test_pauses_of_a_text_have_an_end() -> None:
    pause = '<break time="10s"/>'
    assert len(ssml.parse(f"<speak>a{12 * pause}b</speak>")) == 14
    with pytest.raises(BadRequest, match="130 s"):
        script_of(f"<speak>a{13 * pause}b</speak>")


def test_deep_or_long_documents_are_read() -> None:
    deep = "<speak>" + "<prosody rate='100%'>" * 200 + "가" + "</prosody>" * 200 + "</speak>"
    assert script_of(deep).spoken == "가"
    assert len(script_of("<speak>" + "<break time='1ms'/>가" * 200 + "</speak>").phrases) == 201


@pytest.mark.parametrize(
    "value",
    [[], 1, {"": "가"}, {"가": ""}, {"가": 1}, {"xx-none": {"가": "나"}}, {"가": {"나": "다"}}, {"가" * 101: "나"},
     {"가\n": "나"}, "SQL", "{", {str(number): "가" for number in range(501)}],
)  # fmt: skip
def test_a_dictionary_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(BadRequest, match="pronunciations"):
        pronunciations.parse(value)


def test_a_dictionary_may_be_lines_or_a_file(tmp_path: Path) -> None:
    assert pronunciations.parse("SQL = 에스큐엘\n\nAPI=에이피아이").of("ko") == {"SQL": "에스큐엘", "API": "에이피아이"}
    file = tmp_path / "words.json"
    file.write_text(json.dumps({"SQL": "시퀄", "ko": {"AI": "에이아이"}}), "utf-8")
    both = pronunciations.parse({"SQL": "에스큐엘"}).over(pronunciations.read(file))
    assert both.of("ko") == {"SQL": "에스큐엘", "AI": "에이아이"} and both.of("en-us") == {"SQL": "에스큐엘"}
    file.write_text("[1]")
    with pytest.raises(ValueError, match=r"PRONUNCIATIONS='.*words\.json'"):
        pronunciations.read(file)


ESPEAK = EspeakEngine()


def spoken(engine: TTSEngine, text: str, speed: float = 1.0) -> tuple[Speech, list[str]]:
    """Return the speech of a text, and the words that captions show."""
    script = script_of(text, None, DICTIONARY)
    written, pieces, shown = Written(script.phrases), [], []
    for piece in say(engine, script.phrases, "Custom", CancelToken(), script.language, speed):
        pieces.append(piece)
        words = words_of(piece, piece.marks, Renderings(ESPEAK), CancelToken())
        shown += [word.text for word in written.next(piece.text).words(words)]
    return joined(pieces), shown


def longest_silence(speech: Speech) -> float:
    """Return the longest pause between two sounds, in seconds."""
    loud = np.flatnonzero(np.abs(speech.samples) > 0.01)
    return float(np.diff(loud).max() / speech.rate)


def test_captions_show_what_is_written_and_the_voice_says_the_other() -> None:
    speech, shown = spoken(ESPEAK, "<speak>저는 SQL을 <say-as interpret-as='characters'>API</say-as>로 압니다.</speak>")
    assert shown == ["저는 ", "SQL을 ", "API로 ", "압니다."]
    said = "".join(mark.text for mark in speech.marks)
    plain, _ = spoken(ESPEAK, "저는 에스큐엘을 에이 피 아이로 압니다.")
    assert said == "".join(mark.text for mark in plain.marks)


@pytest.mark.parametrize("seconds", [0.6, 2.0])
def test_a_break_is_as_long_as_it_says(seconds: float) -> None:
    speech, shown = spoken(ESPEAK, f"<speak>하나 <break time='{seconds}s'/> 둘</speak>")
    assert longest_silence(speech) == pytest.approx(seconds, abs=0.12)
    assert "".join(shown) == "하나 둘"


def test_a_rate_is_heard_and_emphasis_is_louder() -> None:
    usual, _ = spoken(ESPEAK, "<speak>천천히 말합니다</speak>")
    slow, _ = spoken(ESPEAK, "<speak><prosody rate='80%'>천천히 말합니다</prosody></speak>")
    loud, _ = spoken(ESPEAK, "<speak><emphasis level='strong'>천천히 말합니다</emphasis></speak>")
    sounds = [sum(mark.end - mark.start for mark in one.marks if mark.text) for one in (usual, slow)]
    assert sounds[1] / sounds[0] == pytest.approx(1 / 0.8, abs=0.06)
    assert np.abs(loud.samples).max() / np.abs(usual.samples).max() == pytest.approx(10 ** (4 / 20), rel=0.15)


def test_a_pause_before_and_after_all_words_is_kept() -> None:
    speech, _ = spoken(ESPEAK, "<speak><break time='1s'/>네<break time='2s'/></speak>")
    loud = np.flatnonzero(np.abs(speech.samples) > 0.01)
    assert loud[0] / speech.rate == pytest.approx(1.0, abs=0.1)
    assert (len(speech.samples) - loud[-1]) / speech.rate == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("blanks", [False, True])
@pytest.mark.parametrize("dictionary", [pronunciations.Pronunciations(), DICTIONARY])
def test_voices_may_leave_out_the_blanks_between_sentences(
    dictionary: pronunciations.Pronunciations, blanks: bool
) -> None:
    sentences = ["SQL을 아세요?", "네, 압니다.", "SQL은 좋아요."]
    script = script_of(" ".join(sentences), None, dictionary)
    written, shown = Written(script.phrases), []
    for sentence in re.findall(r"[^.?]+[.?]", script.spoken):
        spoken = sentence if blanks else sentence.strip()
        words = [Mark("word", word, at, at + 1) for at, word in enumerate(re.findall(r"\s*\S+", spoken))]
        shown.append("".join(word.text for word in written.next(spoken).words(words)).strip())
    assert shown == sentences
