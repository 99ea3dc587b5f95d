"""The espeak-ng engine: real synthesis through the C library."""

from __future__ import annotations

import subprocess
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest

from pipeline.core.cancel import CancelToken
from pipeline.errors import BadRequest, Cancelled, NothingToSay
from pipeline.settings import ROOT
from pipeline.speech_types import Speech
from pipeline.text.language import LANGUAGES, language_of, speakable, voice_of
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.speech_engine import BREAK, CUSTOM_VOICE

SENTENCE = "안녕하세요, 면접에 오신 것을 환영합니다."


LANGUAGES_OF_TEXTS = {
    "en-us": [
        "Vitamin C helps", "They'd left early", "C++ programming", "MIT graduates earn more", "Los Angeles",
        "Las Vegas", "El Paso is in Texas", "Die hard fans", "déjà vu", "résumé", "café", "We met at the café.",
        "He visited Rio de Janeiro last year", "L'Oréal shares rise", "Beyoncé", "A la carte", "AI", "SQL", "IKEA",
        "El Niño", "über cool", "Login", "Et cetera", "Bon voyage!", "Hi", "The word 金 means gold",
        "We watched Les Misérables in Paris last night", "Dear Mr. Müller", "I'd rather not say", "1234",
        "Bonjour, my friend", "Serie A", "El Dorado", "Pho and banh mi are Vietnamese dishes.", "Ruby on Rails",
    ],
    "fr-fr": ["Bonjour", "Merci beaucoup", "Où est la gare ?", "C'est la vie", "Le café est bon", "Je suis étudiant"],
    "de": ["Hallo", "Guten Morgen", "Ich heiße Anna", "Der Hund ist groß und braun", "Mein Name ist Max"],
    "es": ["Hola", "Muchas gracias", "Me llamo Juan", "El perro come", "Vivo en Los Angeles con mi familia"],
    "it": ["Ciao, come stai?", "Buongiorno, mi chiamo Marco", "Grazie mille", "Va bene", "Mi chiamo Anna"],
    "tr": ["Merhaba", "Günaydın", "Teşekkür ederim", "Bugün hava güzel", "Türkiye'de yaşıyorum"],
    "pt": ["Olá, tudo bem?", "Muito obrigado", "Bem-vindo à entrevista", "Eu moro em São Paulo", "Como vai você?"],
    "vi": ["Xin chào", "Cảm ơn bạn rất nhiều", "Tôi là sinh viên", "Việt Nam", "Xin lỗi"],
    "nl": ["Goedemorgen, hoe gaat het?"],
    "pl": ["Dzień dobry, jak się masz?"],
    "id": ["Selamat pagi, apa kabar?"],
    "uk": ["Доброго дня, як ся маєте?"],
    "fa": ["سلام، حال شما چطور است؟"],
    "ja": ["OpenAIのChatGPT", "iPhone 15 Pro Max を買った"],
    "cmn": ["我用 ChatGPT 工作"],
    "ko": ["AI 서버", "Hello, 여러분"],
}  # fmt: skip


def say(text: str, voice: str = CUSTOM_VOICE) -> Speech:
    return EspeakEngine().synthesize(text, voice, CancelToken())


def spoken(speech: Speech) -> str:
    return "".join(mark.text for mark in speech.marks)


def test_marks_cover_the_speech_without_gaps() -> None:
    speech = say(SENTENCE)
    assert speech.marks[0].start == 0
    assert speech.marks[-1].end == speech.duration
    assert all(one.end == two.start for one, two in zip(speech.marks, speech.marks[1:], strict=False))
    assert {mark.kind for mark in speech.marks} == {"phoneme"}
    assert all(one.text or two.text for one, two in zip(speech.marks, speech.marks[1:], strict=False))


@pytest.mark.parametrize(
    "end", ["\n", "\r\n", "\n\n", " \n ", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
)
@pytest.mark.parametrize(
    "lines",
    [
        ["면접 준비", "- 이력서", "- 자기소개", "끝"],
        ["Agenda", "First point", "- second point", "Thank you"],
        ["A", "B", "가", "나"],
        ["2024", "년에는", "3.5", "초"],
    ],
    ids=lambda lines: lines[0],
)
def test_every_line_is_a_sentence(lines: list[str], end: str) -> None:
    text = end.join(lines)
    pieces = list(EspeakEngine().stream(text, CUSTOM_VOICE, CancelToken(), "ko" if "가" in lines else None))
    assert "".join(piece.text for piece in pieces) == text
    assert [piece.text.strip() for piece in pieces] == lines
    for piece in pieces:
        assert "".join(word.text for word in piece.words) == piece.text
    for one, two in pairwise(pieces):
        before, after = one.marks[-1], two.marks[0]
        assert before.text == after.text == "" and before.end - before.start + after.end - after.start > 2 * BREAK - 0.1


def test_pauses_are_where_the_sound_is_silent() -> None:
    speech = say("하나. 둘. 셋.")
    inner = [mark for mark in speech.marks[1:-1] if not mark.text]
    assert len(inner) == 2
    for pause in inner:
        middle = speech.samples[int((pause.start + 0.05) * speech.rate) : int((pause.end - 0.02) * speech.rate)]
        assert np.abs(middle).max() < 0.01


def test_closures_are_quieter_than_the_vowels_around_them() -> None:
    speech = say("아파 아파 아파 아파", "ko")

    def level(start: float, end: float) -> float:
        piece = speech.samples[int(start * speech.rate) : int(end * speech.rate)]
        return float(np.sqrt(np.mean(piece**2)))

    closures = [mark for mark in speech.marks if mark.text.startswith("p")]
    vowels = [mark for mark in speech.marks if mark.text.endswith("ɐ")]
    assert len(closures) == 4
    loud = np.median([level(mark.start, mark.end) for mark in vowels])
    assert all(level(mark.start, mark.start + 0.03) < 0.3 * loud for mark in closures)


def test_speech_is_the_default_rendering_of_the_library() -> None:
    # a process of its own: the library keeps the phase of its voice from one text to the next
    code = (
        "import sys; from pipeline.tts.espeak import EspeakEngine as E;"
        "from pipeline.core.cancel import CancelToken as C;"
        "e = E(); t = sys.argv[1];"
        "a = e.synthesize(t, 'Custom', C()).duration; b = E(rate=175, pitch=50).render(t, 'ko', C());"
        "print(a, len(b.samples) / b.rate)"
    )
    done = subprocess.run([sys.executable, "-c", code, SENTENCE], cwd=ROOT, capture_output=True, text=True, check=True)
    first, second = map(float, done.stdout.split())
    assert first == pytest.approx(3.591, abs=0.002)
    assert first == pytest.approx(second, abs=0.002)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (SENTENCE, "ko"),
        ("AI 서버", "ko"),
        ("こんにちは、日本です", "ja"),
        ("你好，世界", "cmn"),
        ("Hello, how are you?", "en-us"),
        ("1234", "en-us"),
        ("Buenos días, ¿cómo está usted?", "es"),
        ("Bonjour, je suis très heureux d'être ici", "fr-fr"),
        ("Guten Tag, wir freuen uns auf das Gespräch", "de"),
        ("Здравствуйте", "ru"),
    ],
)
def test_voice_follows_the_language_of_the_text(text: str, language: str) -> None:
    assert language_of(text) == language
    speech = say(text)
    assert speech.language == language
    assert speech.duration > 0.3


@pytest.mark.parametrize(
    ("language", "text"), [(name, text) for name, texts in LANGUAGES_OF_TEXTS.items() for text in texts]
)
def test_languages_that_share_letters_are_distinguished(language: str, text: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "asked", "language"),
    [
        ("Angela Merkel", "de", "de"),
        ("Roberto Carlos", "pt-BR", "pt-br"),
        ("東京都", "ja", "ja"),
        ("東京都", None, "cmn"),
        ("Hello", "ko", "ko"),
        ("안녕하세요", "en", "ko"),
        ("Привет", "uk_UA", "uk"),
        ("Привет", "en", "ru"),
        ("こんにちは", "en", "ja"),
        ("123", "fr", "fr-fr"),
        ("大韓民國", "ko", "ko"),
        ("𝐇𝐞𝐥𝐥𝐨 Ｗｏｒｌｄ", None, "en-us"),
    ],
)
def test_a_language_that_is_asked_for_decides_where_letters_leave_it_open(
    text: str, asked: str | None, language: str
) -> None:
    assert language_of(text, voice_of(asked) if asked else None) == language


def test_every_language_that_may_be_asked_for_is_known() -> None:
    assert all(voice_of(language) for language in LANGUAGES)
    assert [voice_of(one) for one in ("EN", "zh-CN", "zh", "pt_BR", "fr-CA", "klingon", "")] == [
        "en-us", "cmn", "cmn", "pt-br", "fr-fr", None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("Burmese", "မင်္ဂလာပါ ခင်ဗျာ"),
        ("Khmer", "សួស្តី អ្នក"),
        ("Lao", "ສະບາຍດີ ທ່ານ"),
        ("Tibetan", "བཀྲ་ཤིས་བདེ་ལེགས"),
    ],
)
def test_a_language_that_no_voice_speaks_is_refused(language: str, text: str) -> None:
    with pytest.raises(BadRequest, match="no voice that speaks") as refused:
        say(text)
    assert language in str(refused.value)


def test_a_voice_can_be_named() -> None:
    assert {"ko", "en-us", "en-gb", "ja", "cmn", "es", "fr-fr", "de"} <= {v.id for v in EspeakEngine().voices()}
    assert say("Hello", "de").language == "de"
    assert {"fo", "kaa"}.isdisjoint(v.id for v in EspeakEngine().voices())  # without a dictionary
    for voice in ("klingonese", "ko+f3", "../ko", ""):
        with pytest.raises(BadRequest, match="en-us"):
            EspeakEngine().check_voice(voice)


def test_every_voice_that_is_offered_can_be_selected() -> None:
    engine = EspeakEngine()
    for voice in engine.voices():
        assert engine.render("1", voice.id, CancelToken()).rate == 22050


@pytest.mark.parametrize("text", ["...", "😀🎉", "", " \n", "—", "?!", "\0"])
def test_nothing_to_say(text: str) -> None:
    assert not speakable(text)
    with pytest.raises(NothingToSay):
        say(text)


def test_letters_without_a_sound_are_nothing_to_say() -> None:
    with pytest.raises(NothingToSay):
        say("①")  # a digit that espeak-ng has no word for in English


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("one\0two", "one two"),
        ("one\ud800two", "one two"),
        ("one \x01+40S two", "one +40S two"),
    ],
)
def test_what_the_library_cannot_take_is_a_blank(written: str, plain: str) -> None:
    assert spoken(say(written)) == spoken(say(plain))


def test_markup_is_text_like_any_other() -> None:
    assert spoken(say("[[h@lou]] there", "en-us")) != spoken(say("hello there", "en-us"))
    slow, normal = say("<prosody rate='10%'>word word word</prosody>", "en-us"), say("word word word", "en-us")
    assert slow.duration > normal.duration  # the tag is read out
    words = [m for m in slow.marks if m.text.endswith("ɜː")]
    assert words and all(m.end - m.start < 0.4 for m in words)  # and not obeyed


@pytest.mark.slow
def test_five_thousand_letters() -> None:
    speech = say("안녕하세요. " * 714, "ko")
    assert speech.duration > 600
    assert speech.marks[-1].end == pytest.approx(speech.duration)


def test_cancel_stops_in_the_middle_and_leaves_the_engine_usable() -> None:
    engine = EspeakEngine()

    class AfterSomeSound(CancelToken):
        """Is set at the tenth look: while the library speaks."""

        looks = 0

        @property
        def cancelled(self) -> bool:
            self.looks += 1
            if self.looks == 10:
                self.cancel()
            return super().cancelled

    token = AfterSomeSound()
    with pytest.raises(Cancelled):
        engine.render("가나다라 " * 500, "ko", token)
    assert token.looks == 10
    assert engine.synthesize(SENTENCE, "ko", CancelToken()).duration == pytest.approx(3.59, abs=0.01)


def test_threads_do_not_disturb_each_other() -> None:
    texts = {"ko": SENTENCE, "en-us": "Hello and welcome.", "de": "Guten Tag und willkommen.", "es": "Buenos días."}
    alone = {voice: spoken(say(text, voice)) for voice, text in texts.items()}
    together: dict[tuple[str, int], str] = {}

    def work(voice: str, turn: int) -> None:
        together[voice, turn] = spoken(say(texts[voice], voice))

    threads = [threading.Thread(target=work, args=(voice, turn)) for voice in texts for turn in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(together) == 12
    assert all(phonemes == alone[voice] for (voice, _), phonemes in together.items())


@pytest.mark.slow
def test_the_library_is_initialised_once_however_many_threads_speak_first() -> None:
    """It has one state; a second initialisation while it speaks ends the process (SIGSEGV)."""
    program = """
import threading
from pipeline.core.cancel import CancelToken
from pipeline.tts.espeak import EspeakEngine
begin, done = threading.Barrier(8), []
def speak():
    begin.wait()
    done.append(EspeakEngine().synthesize("One two three.", "Custom", CancelToken(), "en-us"))
threads = [threading.Thread(target=speak) for _ in range(8)]
[one.start() for one in threads]
[one.join() for one in threads]
assert len(done) == 8
"""
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)
