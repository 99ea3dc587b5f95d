"""What is only to be seen is neither said nor shown in captions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.text.cues import Cue
from pipeline.text.markup import spoken_text, spoken_with_cues
from pipeline.text.reading import read_aloud, reading


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("**중요** 합니다", "중요 합니다"),
        ("Hello **world**, *this* is `code` 😀!", "Hello world, this is code!"),
        ("***굵은 기울임*** _밑줄_ __두꺼움__ snake_case", "굵은 기울임 밑줄 두꺼움 snake_case"),
        ("**굵게**는 *기울임*이다", "굵게는 기울임이다"),
        ("# 제목\n본문입니다.\n\n## 다음 ##\n끝", "제목\n본문입니다.\n\n다음\n끝"),
        ("제목\n===\n본문\n---\n***\n* * *", "제목\n본문"),
        ("- 사과\n* 배\n+ 감\n• 귤\n1. 하나\n  - [x] 둘\n> 인용", "사과\n배\n감\n귤\n1. 하나\n둘\n인용"),
        ("[여기](https://a.b/c?d=1)를, ![그림](x.png) [참고][1][^2]", "여기를, 그림 참고"),
        ("[1]: https://a.b\n[^2]: 설명\n[질문]: 끝", "설명\n[질문]: 끝"),
        ("`pip install`을 실행", "pip install을 실행"),
        ("```python\nprint(1)\n```\n위 코드를 보세요", "위 코드를 보세요"),
        ("```\n안녕\n```", "안녕"),
        ("| 이름 | 나이 |\n|---|:--:|\n| 철수 | 3 |", "이름, 나이\n철수, 3"),
        ("서울 → 부산, A -> B => C, → 다음", "서울, 부산, A, B, C, 다음"),
        ("• 하나 • 둘 • 셋", "하나, 둘, 셋"),
        ("좋아요 👍🏽 감사합니다 🙏 👨‍👩‍👧 🇰🇷 ❤️", "좋아요 감사합니다"),
        ("1️⃣ 첫째 ✅ 완료 ★ 별 ※ 주의", "1 첫째 완료 별 주의"),
        ("안녕~~ 반가워요~ ~입니다 ~~취소~~ 서울~부산", "안녕 반가워요 입니다 취소 서울 부산"),
        ("3~5개, 오전 9시~오후 6시, 월~금", "3~5개, 오전 9시~오후 6시, 월~금"),
        ("Ｈｅｌｌｏ １２３ 𝐇𝐞𝐥𝐥𝐨 𝓌𝑜𝓇𝓁𝒹 ⓗⓘ ﬁne ①", "Hello 123 Hello world hi fine 1"),
        ("<b>굵게</b><br>다음 &amp; R&amp;D", "굵게\n다음 & R&D"),
        ("\\*별표\\* ||스포|| (^_^) 웃음 ^^", "별표 스포 웃음"),
        ("$E=mc^2$ 그리고 $5 and $6", "E=mc^2 그리고 $5 and $6"),
    ],
)
def test_marks_are_not_spoken_and_words_stay(written: str, spoken: str) -> None:
    assert spoken_text(written) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "안녕하세요, 면접에 오신 것을 환영합니다.",
        "(정말요?) “네!” 음… ‘좋아요’ - ㅋ",
        "첫째,\n둘째; 셋째: 가·나·다 [라] {마}",
        "Don't — stop… “now” C# C++ R&D 50%, $3.5, a < b, 3*4=12, 2 * 3, 1 + 1 = 2",
        "https://a.com/x_y_z~1 kim_01@naver.com 2024-05-06 -5도 +82 10",
        "《책》「인용」 m² 25℃ ½ ㎏ ㈜한국 Ⅲ 5 × 3 ÷ 2 ± 1",
        "नमस्ते می\u200cخواهم 你好！",
    ],
)
def test_a_text_without_marks_keeps_its_spelling(text: str) -> None:
    assert spoken_text(text) == text


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        ("en-us", "Hello **world** 👍", "Hello world "),
        ("en-us", "3~5 apples, C# a_b", "3 to 5 apples, C sharp a b"),
        ("en-us", "The word 金 means こんにちは", "The word Jin means konnichiha"),
        ("cmn", "你好👍**世界**", "你好 世界"),
        ("ko", "좋아요👍 `값`", "좋아요 값"),
    ],
)
def test_readings_hold_no_marks_either(language: str, written: str, spoken: str) -> None:
    assert read_aloud(written, language) == spoken


_LISTED = """
가 나다 값 金 大統領 α값 Привет ラ สวัสดี abc MIT 1 23 4,500 3.5 010-1234-5678 2024-05-06 12:30 ~ - – / : $ ₩ 원 % kg 개
시 월 ** # _ ` | > < -> → • 😀 🇰🇷 ❤️ ^ { } \\ ( ) [ ] @ & * + = , . ! ? … ㅋㅋ ㅠ ℃ ㎡ ½ Ⅲ ① Ａ 𝐁 é ü
"""
_PARTS = st.sampled_from(_LISTED.split())
_TEXTS = st.lists(st.one_of(_PARTS, st.text(max_size=3), st.sampled_from(" \n")), max_size=14).map("".join)
_UNSAID = frozenset("*#~|\\^_`{}→•😀❤🇰🇷①Ａ𝐁⇒★")


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(_TEXTS, st.sampled_from(["ko", "en-us", "fr-fr", "cmn", "ru"]))
def test_any_text_can_be_read_and_no_symbol_is_left(text: str, language: str) -> None:
    spoken_text(text)
    pieces = reading(text, language)
    assert "".join(text[piece.start : piece.end] for piece in pieces) == text
    spoken = "".join(piece.spoken for piece in pieces)
    left = set(spoken) & (_UNSAID if language == "ko" else _UNSAID - set("#①"))
    assert not left, (text, spoken)
    assert not (language == "ko" and any("0" <= letter <= "9" for letter in spoken)), (text, spoken)


@pytest.mark.parametrize(
    ("written", "spoken", "cues"),
    [
        ("Hello [smile] there. Bye", "Hello there. Bye", [Cue("smile", 5, 11)]),
        (
            "[smile] 안녕하세요. 반가워요 [nod]. 네",
            "안녕하세요. 반가워요. 네",
            [Cue("smile", 0, 6), Cue("nod", 10, 11)],
        ),
        ("[SERIOUS]Hi! [smile][nod] Yes", "Hi! Yes", [Cue("serious", 0, 3), Cue("smile", 3, 6), Cue("nod", 3, 6)]),
        ("A\n[nod]\nB", "A\nB", [Cue("nod", 1, 2)]),
        ("# [smile] 제목\n- [thinking]본문", "제목\n본문", [Cue("smile", 0, 2), Cue("thinking", 2, 4)]),
        ("그래요[nod]네", "그래요네", [Cue("nod", 3, 4)]),
        ("Thank you. [nod]", "Thank you.", [Cue("nod", 9, 9)]),
        ("[nod]", "", [Cue("nod", 0, 0)]),
    ],
)
def test_cues_are_never_spoken_and_keep_their_place(written: str, spoken: str, cues: list[Cue]) -> None:
    assert spoken_text(written) == spoken
    assert spoken_with_cues(written) == (spoken, tuple(cues))


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("[웃음] 하하 [laugh] [1] [smiles]", "[웃음] 하하 [laugh] [1] [smiles]"),
        ("[smile](https://a.b) go", "smile go"),
        ("`[smile]` is a cue", "[smile] is a cue"),
        ("\\[nod\\] and \\[nod]", "[nod] and [nod]"),
        ("a \ue010 b", "a b"),
    ],
)
def test_other_brackets_stay_text(written: str, spoken: str) -> None:
    assert spoken_with_cues(written) == (spoken, ())


@given(st.text(max_size=60), st.sampled_from(["smile", "nod", "thinking", "serious"]), st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_a_cue_anywhere_leaves_no_trace(before: str, name: str, after: str) -> None:
    spoken, cues = spoken_with_cues(f"{before} [{name}] {after}")
    assert not any("\ue010" <= letter <= "\ue013" for letter in spoken)
    letters = sum(not letter.isspace() for letter in spoken)
    assert all(0 <= cue.start <= cue.end <= letters for cue in cues)
