"""How Korean is read aloud and how it sounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.cancel import CancelToken
from pipeline.text.korean import read_aloud, reading
from pipeline.text.korean_numbers import native, sino
from pipeline.text.korean_sounds import pronounce
from pipeline.text.korean_tense import standard
from pipeline.text.reading import read_aloud as in_any
from pipeline.tts.espeak import EspeakEngine


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("3.5초", "삼 점 오초"),
        ("2026년 11월 23일", "이천이십육년 십일월 이십삼일"),
        ("6월과 10월", "유월과 시월"),
        ("2026-11-23", "이천이십육년 십일월 이십삼일"),
        ("11/23에 만나요", "십일월 이십삼일에 만나요"),
        ("10%", "십 퍼센트"),
        ("AI와 GPU", "에이아이와 지피유"),
        ("010-1234-5678", "공일공 일이삼사 오육칠팔"),
        ("1588-1234로", "일오팔팔 일이삼사로"),
        ("5kg", "오 킬로그램"),
        ("3시 30분", "세 시 삼십분"),
        ("15:30", "십오 시 삼십 분"),
        ("7:05 PM입니다", "오후 일곱 시 오 분입니다"),
        ("1,234원", "천이백삼십사원"),
        ("$3.5", "삼 점 오 달러"),
        ("2개", "두 개"),
        ("20명과 25명", "스무 명과 스물다섯 명"),
        ("100개", "백개"),
        ("3~5개", "세 개에서 다섯 개"),
        ("10~20%", "십에서 이십 퍼센트"),
        ("25℃", "이십오 도"),
        ("-5도", "영하 오도"),
        ("시속 100km/h", "시속 백 킬로미터"),
        ("1번째 손님이 3번 출구로", "첫 번째 손님이 삼번 출구로"),
        ("2달 동안 2달러", "두 달 동안 이달러"),
        ("24시간", "이십사 시간"),
        ("20대 3명", "이십 대 세 명"),
        ("1/2", "이분의 일"),
        ("3.5.1", "삼 점 오 점 일"),
        ("1만원과 1억 2천만 원", "만원과 일억 이천만 원"),
        ("R&D 팀의 CEO", "알앤디 팀의 씨이오"),
        ("A형 MP3", "에이형 엠피쓰리"),
        ("제3장", "제삼장"),
        ("네~ 안녕~~", "네 안녕"),
        ("~입니다", " 입니다"),
        ("9시~18시", "아홉 시에서 십팔 시"),
        ("오전 9:30 ~ 오후 6:00", "오전 아홉 시 삼십 분에서 오후 여섯 시"),
        ("10:00-11:30", "열 시에서 열한 시 삼십 분"),
        ("월~금", "월에서 금"),
        ("2024.03 ~ 2025.02", "이천이십사년 삼월에서 이천이십오년 이월"),
        ("24.03.15", "이십사년 삼월 십오일"),
        ("3pm, PM 3시", "오후 세 시, 오후 세 시"),
        ("3:2로", "삼 대 이로"),
        ("1대1 면접", "일 대 일 면접"),
        ("10대 기업과 차 10대", "십대 기업과 차 열 대"),
        ("3-2번지", "삼 다시 이번지"),
        ("20/30대", "이십 삼십 대"),
        ("1/4분기", "일사분기"),
        ("학점 4.2/4.5", "학점 사 점 오 만점에 사 점 이"),
        ("계좌번호 110-123-456789", "계좌번호 일일공 다시 일이삼 다시 사오육칠팔구"),
        ("인증번호 482913", "인증번호 사팔이구일삼"),
        ("05학번", "공오학번"),
        ("6.25 전쟁", "육이오 전쟁"),
        ("5만$", "오만 달러"),
        ("KT&G", "케이티앤지"),
        ("No.1 mp3, K-POP", "넘버원 엠피쓰리, 케이팝"),
        ("A/S와 UI/UX", "에이에스와 유아이 유엑스"),
        ("C#", "씨샵"),
        ("kim_01@naver.com", "kim 언더바 공일 골뱅이 naver 닷컴"),
        ("https://www.abc.co.kr/a?b=1", "더블유더블유더블유 점 abc 점 씨오 점 케이알 슬래시 a b 일"),
        ("4x4", "사 곱하기 사"),
        ("#취업 **중요**", "취업 중요"),
        ("ㅋㅋㅋ 아쉽네요ㅠㅠ", "크크크 아쉽네요"),
        ("1️⃣번", "일번"),
        ("대한민국(大韓民國)", "대한민국"),
        ("ＡＩ ㎏ ㈜한국", "에이아이 kg 주식회사 한국"),
        ("\u1112\u1161\u11ab", "한"),
        ("12살때 3명꼴 2세트", "열두 살때 세 명꼴 두 세트"),
    ],
)
def test_numbers_units_and_abbreviations_are_read_as_a_korean_would(written: str, spoken: str) -> None:
    assert read_aloud(written) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "안녕하세요, 면접에 오신 것을 환영합니다.",
        "(정말요?) “네!” 음… ‘좋아요’ - ㅋ",
        "첫째,\n둘째;\t셋째: 가·나·다 [라] {마}",
        "Hello world라고 말했다.",
        "",
    ],
)
def test_plain_text_comes_back_byte_for_byte(text: str) -> None:
    assert read_aloud(text) == text


def test_every_spoken_letter_knows_where_it_comes_from() -> None:
    text = "사과 3개를 1,234원에 샀고 AI가 10%를 냈다."
    pieces = reading(text)
    assert [piece.start for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]
    assert (pieces[0].start, pieces[-1].end) == (0, len(text))
    changed = {
        text[piece.start : piece.end]: piece.spoken for piece in pieces if text[piece.start : piece.end] != piece.spoken
    }
    assert changed == {"3개": "세 개", "1,234": "천이백삼십사", "AI": "에이아이", "10%": "십 퍼센트"}


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("0", "영"),
        ("10", "십"),
        ("101", "백일"),
        ("10000", "만"),
        ("110000", "십일만"),
        ("100,000,001", "일억 일"),
        ("1234567", "백이십삼만 사천오백육십칠"),
        ("0.05", "영 점 영오"),
        ("007", "공공칠"),
        ("9" * 25, "구" * 25),
    ],
)
def test_sino_korean_numbers(number: str, words: str) -> None:
    assert sino(number) == words


def test_native_numbers_before_a_counter() -> None:
    assert [native(n) for n in (1, 4, 10, 20, 21, 99)] == ["한", "네", "열", "스무", "스물한", "아흔아홉"]


@pytest.mark.parametrize(
    ("written", "pronounced"),
    [
        ("합니다", "함니다"),
        ("같이", "가치"),
        ("굳이", "구지"),
        ("국물", "궁물"),
        ("독립", "동닙"),
        ("신라", "실라"),
        ("칼날", "칼랄"),
        ("입학", "이팍"),
        ("못하다", "모타다"),
        ("좋아", "조아"),
        ("많고", "만코"),
        ("값이", "갑시"),
        ("여덟 시", "여덜 시"),
        ("밟는 밟다", "밤는 밥다"),
        ("넓다", "널다"),
        ("좋습니다", "조씀니다"),
        ("강아지", "강아지"),
        ("합 니다 abc", "합 니다 abc"),
    ],
)
def test_sounds_change_between_syllables(written: str, pronounced: str) -> None:
    assert pronounce(written) == pronounced


def test_espeak_speaks_numbers_in_korean() -> None:
    espeak = EspeakEngine()
    digits, words = (espeak.synthesize(text, "ko", CancelToken()) for text in ("사과 3개", "사과 세 개"))
    assert [mark.text for mark in digits.marks] == [mark.text for mark in words.marks]
    assert digits.text == "사과 3개"


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("金 대표와 金融", "김 대표와 금융"),
        ("金값 金메달 金正恩", "금값 금메달 김정은"),
        ("韓美 정상회담, 韓·日 관계", "한미 정상회담, 한·일 관계"),
        ("美 대통령과 前 장관", "미 대통령과 전 장관"),
        ("1人 가구, 3年 만에", "일인 가구, 삼년 만에"),
        ("女性과 男女, 老人과 勞動", "여성과 남녀, 노인과 노동"),
        ("출산率, 利益率, 成功率, 統率", "출산율, 이익률, 성공률, 통솔"),
        ("不可能, 不動産, 不足", "불가능, 부동산, 부족"),
        ("海外旅行, 大統領室, 男女老少", "해외여행, 대통령실, 남녀노소"),
        ("大統領(대통령)과 한자(漢字)", "대통령과 한자"),
        ("6月 8日, 10月, 香港", "유월 팔일, 시월, 홍콩"),
        ("六月, 音樂, 自轉車", "유월, 음악, 자전거"),
        ("α값, β형, π는", "알파값, 베타형, 파이는"),
        ("Москва에서 Путин이", "모스크바에서 푸틴이"),
        ("カラオケ와 トヨタ, こんにちは", "가라오케와 도요타, 곤니치와"),
        ("สวัสดี라고, λόγος는", "솨스디라고, 로고스는"),
        ("A형 C형", "에이형 씨형"),
        ("좋아요👍 정말🎉", "좋아요 정말"),
    ],
)
def test_other_scripts_are_spoken_by_sound_or_name(written: str, spoken: str) -> None:
    assert in_any(written, "ko") == spoken


_READINGS = [
    tuple(line.split("\t"))
    for line in Path(__file__).with_name("korean_readings.tsv").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]


def test_there_are_many_everyday_readings() -> None:
    assert len(_READINGS) == len({written for written, _ in _READINGS}) >= 400


@pytest.mark.parametrize(("written", "spoken"), _READINGS)
def test_everyday_korean_is_read_as_people_read_it(written: str, spoken: str) -> None:
    reading = in_any(written, "ko")
    assert "".join(reading.split()) == "".join(spoken.split()), reading  # spaces between words make no sound


@pytest.mark.parametrize(
    ("written", "pronounced"),
    [
        ("학교 국밥 옷장 먹습니다", "학꾜 국빱 옫짱 먹씀니다"),
        ("앉다 없어요 값이 넓다 핥다 밟지", "안따 업써요 갑씨 널따 할따 밥찌"),
        ("닭이 앉아 많이 않다 좋습니다", "달기 안자 마니 안타 조씀니다"),
        ("꽃 밖 앞 값", "꼳 박 압 갑"),
        ("할 수 있어요, 먹을 것도", "할 쑤 이써요, 머글 껃또"),
        ("물 수영 할 사람", "물 수영 할 사람"),
        ("갈등과 결정 일정 실수 칠십팔십", "갈뜽과 결쩡 일쩡 실쑤 칠씹팔씹"),
        ("성격 인기 조건 문법 장점 김밥", "성껵 인끼 조껀 문뻡 장쩜 김빱"),
        ("십육 서울역 꽃잎 깻잎 한여름", "심뉵 서울력 꼰닙 깬닙 한녀름"),
        ("나의 회의 우주의 회의를 의사 희망", "나에 회이 우주에 회이를 의사 히망"),
        ("정말요? 딸이요, 가요", "정말료? 따리요, 가요"),
        ("가져 계속 시계 예의", "가저 게속 시게 예이"),
        ("읽고 맑게 젊다 닮지", "일꼬 말께 점따 담찌"),
        ("Hello 123, 안녕?", "Hello 123, 안녕?"),
        ("", ""),
    ],
)
def test_standard_pronunciation_has_the_sounds_that_spelling_hides(written: str, pronounced: str) -> None:
    assert standard(written) == pronounced
    assert len(standard(written)) == len(written)
