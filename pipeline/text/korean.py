"""Reads Korean aloud: numbers, dates, units, symbols and Latin abbreviations become Hangul.

Everything else, plain Korean and Latin words, stays as it is written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from decimal import Decimal

from pipeline.text.foreign import foreign_sound
from pipeline.text.hanja import hanja_sound
from pipeline.text.korean_numbers import native, sino, spelled
from pipeline.text.korean_words import (
    ADDRESS,
    COUNTERS,
    CURRENCIES,
    LETTERS,
    MONTHS,
    NOT_COUNTERS,
    NUMBERED,
    PARTICLES,
    RANKED,
    SPEEDS,
    SYMBOLS,
    UNITS,
    WORDS,
)
from pipeline.text.piece import Piece

_NATIVE_UP_TO = {"시": 12, "시간": 20, "배": 19}
"""Counters that take Sino-Korean numbers above this value."""
_HALVES = {"A": "오전", "P": "오후"}
_AMOUNT = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?"
_ALONE = r"(?<!\d)(?<!\d[.,])"  # not the rest of another number


def _one_of(names: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(names, key=len, reverse=True)))


_COUNTED = (
    rf"(?<!제)(?<!제 )(?P<count>[1-9]\d?)(?P<gap> ?)"
    rf"(?!{_one_of(NOT_COUNTERS)}|번 (?:{_one_of(NUMBERED)})|대 (?:{_one_of(RANKED)}))"
    rf"(?P<counter>{_one_of(COUNTERS)})(?=$|[^가-힣]|{_one_of(PARTICLES)})"
)


def read_aloud(text: str) -> str:
    """Return the text in the letters that are spoken; plain Korean is unchanged."""
    return "".join(piece.spoken for piece in reading(text))


def reading(text: str) -> list[Piece]:
    """Return the text as pieces, in order and without gaps, each with what a Korean would say for it."""
    pieces: list[Piece] = []
    done = position = 0
    while trigger := _TRIGGER.search(text, position):
        matches = ((pattern.match(text, trigger.start()), say) for pattern, say in _RULES)
        match, say = next(((m, say) for m, say in matches if m), (None, None))
        if match is None or say is None:
            position = trigger.end()
            continue
        if match.start() > done:
            pieces.append(Piece(done, match.start(), text[done : match.start()]))
        done = position = match.end()
        pieces.append(Piece(match.start(), done, say(match)))
    if done < len(text):
        pieces.append(Piece(done, len(text), text[done:]))
    return pieces


def _counted(match: re.Match[str]) -> str:
    count, counter = int(match["count"]), match["counter"]
    if counter == "번째" and count == 1:
        return "첫 번째"
    is_age = counter == "대" and count % 10 == 0 and count > 10
    is_sino = is_age or count > _NATIVE_UP_TO.get(counter, 99)
    return (sino(match["count"]) if is_sino else native(count)) + (match["gap"] or " ") + counter


def _range(match: re.Match[str]) -> str:
    counted = re.match(_COUNTED, match["to"])
    if counted and match["from"].isdigit() and 0 < int(match["from"]) < 100:
        return read_aloud(match["from"] + counted["gap"] + counted["counter"]) + "에서 "
    return sino(match["from"]) + "에서 "


def _time(match: re.Match[str]) -> str:
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    half = _HALVES.get((match["half"] or "").strip()[:1].upper())
    words = (f"{half} " if half else "") + (native(hour) if 0 < hour < 13 else sino(str(hour))) + " 시"
    words += f" {sino(str(minute))} 분" if minute or second else ""
    return words + (f" {sino(str(second))} 초" if second else "")


def _hour(match: re.Match[str]) -> str:
    return f"{_HALVES[match['half'].upper()]} {native(int(match['hour']))} 시"


def _date(match: re.Match[str]) -> str:
    return f"{sino(match['year'])}년 {_month(match['month'])} {sino(str(int(match['day'])))}일"


def _year_and_month(match: re.Match[str]) -> str:
    return f"{sino(match['year'])}년 {_month(match['month'])}"


def _month(number: str) -> str:
    return MONTHS.get(int(number), sino(str(int(number)))) + "월"


def _slashed(match: re.Match[str]) -> str:
    over, under = int(match["over"]), int(match["under"])
    is_date = 0 < over < 13 and (10 < under < 32 or under <= over) and under > 0
    return f"{_month(match['over'])} {sino(str(under))}일" if is_date else f"{sino(str(under))}분의 {sino(str(over))}"


def _telephone(match: re.Match[str]) -> str:
    return " ".join(spelled(digits) for digits in re.findall(r"\d+", match[0]))


def _code(match: re.Match[str]) -> str:
    return " 다시 ".join(map(spelled, match[0].split("-")))


def _ratio(match: re.Match[str]) -> str:
    return " 대 ".join(LETTERS.get(match[side]) or sino(match[side]) for side in ("one", "other"))


def _address(match: re.Match[str]) -> str:
    """Read a mail or web address: its letters stay, its punctuation and digits are named."""
    words = re.findall(r"www\.|\.(?:com|net)(?![A-Za-z])|[A-Za-z]+|\d+|[.@/_-]", re.sub("^https?://", "", match[0]))
    return " ".join(spelled(word) if word.isdigit() else ADDRESS.get(word, word) for word in words)


def _measured(match: re.Match[str]) -> str:
    unit = match["unit"]
    return f"{SPEEDS.get(unit, '')}{sino(match['amount'])} {UNITS[unit]}"


def _price(match: re.Match[str]) -> str:
    name = CURRENCIES[match["currency"]]
    amount, myriad, times = match["amount"], match["myriad"], (match.groupdict().get("times") or "").strip().lower()
    if times:
        amount = f"{Decimal(amount.replace(',', '')) * _TIMES[times]:f}"
        amount = amount.rstrip("0").rstrip(".") if "." in amount else amount
    return f"{sino(amount)}{myriad} {name}"


def _emergency(match: re.Match[str]) -> str:
    return spelled(match[0])


def _about(match: re.Match[str]) -> str:
    """Read a range of two consecutive numbers as one word: 2~3명 is 두세 명, 3~4일 삼사일."""
    low, counter = int(match[0][0]), match["counter"]
    high = low + 1
    if counter in COUNTERS:
        return f"{_ABOUT_NATIVE[low]} {counter}"
    return f"{_sino_digit(low)}{_ABOUT_SINO.get(high) or _sino_digit(high)}{match['gap']}{UNITS.get(counter, counter)}"


def _sino_digit(number: int) -> str:
    return sino(str(number))


def _tens(match: re.Match[str]) -> str:
    """Read a range of ages: 20~30대 is 이삼십대, 20~40대 이십 대에서 사십대."""
    low, high = int(match["from"]), int(match["to"])
    if high == low + 1 and low > 1:
        return _sino_digit(low) + _sino_digit(high) + "십"
    return f"{sino(f'{low}0')} 대에서 {sino(f'{high}0')}"


def _prices(match: re.Match[str]) -> str:
    return f"{sino(match['amount'])}에서 {sino(match['to'])}{match['myriad']} {CURRENCIES[match['currency']]}"


def _in_code(match: re.Match[str]) -> str:
    return f"{sino(match['amount'])} {UNITS[match['code']]}"


def _event(match: re.Match[str]) -> str:
    month, day = match["month"], match["day"]
    return sino(month) + (sino(day) if len(month) > 1 or day.endswith("0") else spelled(day))


def _model(match: re.Match[str]) -> str:
    digits = match["number"]
    return spelled(digits) if digits[-2:] != "00" and not re.fullmatch("(?:19|20)[0-9]{2}", digits) else sino(digits)


def _in_english(match: re.Match[str]) -> str:
    return _ENGLISH_DIGITS[int(match["number"])]


def _power(match: re.Match[str]) -> str:
    return "의 제곱" if match[0] == "²" else "의 세제곱"


def _compared(match: re.Match[str]) -> str:
    low = _with_topic(sino(match["one"]))
    how = {">": "크다", "<": "작다", "≥": "크거나 같다", "≤": "작거나 같다"}[match["sign"]]
    return f"{low} {sino(match['other'])}보다 {how}"


def _with_topic(word: str) -> str:
    """Append 은 after a consonant, 는 after a vowel."""
    return word + ("은" if (ord(word[-1]) - 0xAC00) % 28 else "는")


def _letters(match: re.Match[str]) -> str:
    return "".join(LETTERS.get(letter, "앤" if letter == "&" else "") for letter in match[0])


def _enclosed(match: re.Match[str]) -> str:
    return sino(str(int(unicodedata.numeric(match[0]))))


def _hanja(match: re.Match[str]) -> str:
    return hanja_sound(match[0], match.string[: match.start()], match.string[match.end() :])


def _drawn_out(match: re.Match[str]) -> str:
    return " " if match.string[match.end() : match.end() + 1].isalpha() else ""


def _composed(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFC", match[0])


_LONE = {"ㅋ": "크", "ㅎ": "흐", "ㅠ": "유", "ㅜ": "우", "ㅡ": "으"}
"""Letters that stand for a laugh, tears or a face within a text, where they are all of it."""
_LETTER_NAMES = {
    "ㄱ": "기역", "ㄴ": "니은", "ㄷ": "디귿", "ㄹ": "리을", "ㅁ": "미음", "ㅂ": "비읍", "ㅅ": "시옷", "ㅇ": "이응",
    "ㅈ": "지읒", "ㅊ": "치읓", "ㅋ": "키읔", "ㅌ": "티읕", "ㅍ": "피읖", "ㅎ": "히읗",
}  # fmt: skip
_LETTER_PARTS = {
    "ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ", "ㄽ": "ㄹㅅ", "ㄾ": "ㄹㅌ",
    "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ",
}  # fmt: skip


def _letter_name(letter: str) -> str:
    """Return the name of a letter of Hangul that stands alone."""
    if letter >= "ㅏ":  # a vowel is called as it sounds
        return chr(ord("아") + (ord(letter) - ord("ㅏ")) * 28)
    if letter in "ㄲㄸㅃㅆㅉ":
        return "쌍" + _LETTER_NAMES[chr(ord(letter) - 1)]
    return "".join(_LETTER_NAMES[part] for part in _LETTER_PARTS.get(letter, letter))


def _folded(match: re.Match[str]) -> str:
    letters = unicodedata.normalize("NFKC", match[0])
    return letters if letters == match[0] else read_aloud(letters)


_TIMES = {"k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12, "thousand": 10**3, "million": 10**6, "billion": 10**9,
          "trillion": 10**12, "mn": 10**6, "bn": 10**9}  # fmt: skip
"""Factors that may follow an amount of money."""
_ABOUT_NATIVE = ("", "한두", "두세", "서너", "네다섯", "대여섯", "예닐곱", "일고여덟", "여덟아홉")
"""Approximate numbers ("one or two", ...), by the first of the two."""
_ABOUT_SINO = {6: "륙"}
_EVENTS = (
    "테러|사태|사건|혁명|운동|전쟁|항쟁|참사|군사|총선|대선|지방선거|선언|공동선언|합의|의거|만세|광복|민주|"
    "학살|대책|지진"
)
"""Events that are named by their date: 9·11 테러."""
_HOTLINES = r"11[0-9]|120|12[2579]|13[12]|182|13[0-9]{2}|15[0-9]{2}|16[0-9]{2}"
_CALLS = "불러|부르|신고|전화|문의|상담|연락|걸|구급|구조|소방|출동|안내|긴급|콜센터|종합상황실|상황실|대원|안전|센터"
_ENGLISH_DIGITS = ("제로", "원", "투", "쓰리", "포", "파이브", "식스", "세븐", "에이트", "나인")
_DOLLARS = {"US": "", "A": "호주 ", "C": "캐나다 ", "HK": "홍콩 ", "NT": "대만 ", "S": "싱가포르 "}
_SCALES = r" ?(?:thousand|million|billion|trillion|[mb]n|[KMBTkmb])(?![A-Za-z])"
_FOLLOWING = "|".join(rf"{n} ?[~∼〜～,-] ?{n + 1}(?!\d|[.,]\d)" for n in range(1, 9))
"""Two consecutive digits."""
_APPROXIMATE = [
    *(counter for counter in COUNTERS if counter not in ("시", "번째", "문제", "배", "편", "차례")),
    *[
        "년",
        "개월",
        "일",
        "주",
        "주일",
        "분",
        "초",
        "회",
        "차",
        "층",
        "학년",
        "인분",
        "%",
        "퍼센트",
        "℃",
        "도",
        "만",
        "천",
        "백",
        "억",
    ],
]
_SINO_AFTER = "F| ?(?:층|호|동|반|조|과|구역|열|블록|라인|게이트|출구|번|월|일|시|명|개|년|분|위|차|등)"
"""Words after a letter and a number that keep the number Korean: B1층."""
_SOLD = "행사|이벤트|할인|증정|상품|세일|구매|혜택"
_UNCOMPOSED = "\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff"
"""Letters of syllables in decomposed form, as in file names of a Mac."""
_HANJA = "\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_FOREIGN = (
    "[\u0370-\u0377\u037a-\u037d\u037f\u0386\u0388-\u10ff\u1200-\u18af\u1c80-\u1c8f\u1f00-\u1fff\u2c00-\u2dff"
    "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\ua000-\ua95f\ua980-\uabff]+"
)
"""Letters of other scripts, with their marks: kana, Greek, Cyrillic, Thai and all others."""
_OF_PICTURES = "\u200d\u20e3\ufe00-\ufe0f"
"""Code points that join and colour emoji; espeak-ng would spell their numbers."""
_FOLDED = "⑴-⓿㈀-㏿！-￦ℂ-ⅎⅰ-ⅿ𝐀-𝟿"
"""Letters and words of another width, in brackets, or squeezed into one square."""
_BELOW_ZERO = r"(?=\d+(?:\.\d+)?(?: ?[~∼〜～] ?-?\d+(?:\.\d+)?)? ?(?:도|℃|°C))"
_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), say)
    for pattern, say in (
        (r"(?<![A-Za-z\d.@])(?:(?:https?://|www\.)[A-Za-z\d./_~%?=&#@:+-]+[A-Za-z\d]"
         r"|[A-Za-z\d._+-]{1,64}@[A-Za-z\d-]+(?:\.[A-Za-z\d-]+)+"
         r"|[A-Za-z\d-]{1,63}(?:\.[A-Za-z\d-]{1,63}){0,3}\.(?:com|net|org|kr|io|ai)(?![A-Za-z\d]))", _address),
        (r"(?<![\d:])\d(?::\d){2,}(?![\d:])", lambda m: " 대 ".join(map(sino, m[0].split(":")))),
        (rf"(?<![A-Za-z\d])(?:{_one_of(WORDS)})(?![A-Za-z\d])", lambda m: WORDS[m[0]]),
        (r"(?<![A-Za-z])No\. ?(?=\d)", lambda m: "넘버 "),
        (r"(?<![A-Za-z])pp?\. ?(?=\d)", lambda m: "페이지 "),
        (r"(?<![A-Za-z])[eE](?=스포츠|북|메일|커머스|티켓|편한)", lambda m: "이"),
        (r"(?<![\w-])D ?- ?(?=\d{1,4}(?![\d-]))", lambda m: "디 마이너스 "),
        (r"(?<![\w-])D ?\+ ?(?=\d{1,4}(?!\d))", lambda m: "디 플러스 "),
        (r"(?:US|A|C|HK|NT|S)(?=\$ ?\d)", lambda m: _DOLLARS[m[0]]),
        (r"(?<![A-Za-z])[vV](?=\d)", lambda m: "브이 "),
        (r"(?<![A-Za-z])(?:[Vv]er(?:sion)?|VER)\.? ?(?=\d)", lambda m: "버전 "),
        (r"(?<![A-Za-z])(?:[Vv]ol|VOL)\.? ?(?=\d)", lambda m: "볼륨 "),
        (r"\(주\)", lambda m: "주식회사 " if m.end() < len(m.string) and m.string[m.end()].isalnum() else " 주식회사"),
        (r"(?<![A-Za-z\d])[a-z](?=[²³]| ?[=+×÷] ?[\da-z])", lambda m: LETTERS[m[0].upper()]),
        (r"['’‘](?=\d\d(?:년|학번|학년도))", lambda m: ""),
        (rf"(?<![\d.·,])(?P<month>1[0-2]|[1-9])·(?P<day>[12]\d|3[01]|[1-9])(?= ?(?:{_EVENTS}))", _event),
        (rf"(?<![\d.,~-])(?:112|113|114|118|119|182)(?=[에로를은는의와가과]|으로|이[나란랑]| ?(?:{_CALLS})"
         rf"|[.!?]?$|\(|[,·/] ?1[12]\d(?!\d))",
         _emergency),
        (rf"(?<![\d.,~-])(?:{_HOTLINES})(?=(?:번?으?로|번?에|번) ?(?:{_CALLS}))", _emergency),
        (rf"(?:(?<=국번 없이 )|(?<=국번없이 ))(?:{_HOTLINES})(?!\d)", _emergency),
        (rf"(?<![\d.,:])(?P<one>\d)\+(?P<other>\d)(?= ?(?:{_SOLD}))",
         lambda m: f"{_ENGLISH_DIGITS[int(m['one'])]} 플러스 {_ENGLISH_DIGITS[int(m['other'])]}"),
        (r"(?<![\d.,/])(?P<month>1[0-2]|[1-9])[/.](?P<day>3[01]|[12]\d|[1-9])(?= ?\([월화수목금토일](?:요일)?\))",
         lambda m: f"{_month(m['month'])} {sino(m['day'])}일"),
        (r"(?<!\d)(?:\+82[- ]?\d{1,2}|0\d{1,2})[-–.) ]{1,2}\d{3,4}[-–. ]\d{4}(?!\d)", _telephone),
        (r"(?<!\d)(?:01\d{8,9}|1[568]\d\d-\d{4}|\d{6}-[1-4]\d{6})(?!\d)", _telephone),
        (r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<mark>[-./]) ?(?P<month>0?[1-9]|1[0-2])(?P=mark) ?"
         r"(?P<day>0?[1-9]|[12]\d|3[01])(?!\d)", _date),
        (r"(?<![\d.,])(?P<year>\d\d)(?P<mark>[-./])(?P<month>0[1-9]|1[0-2])(?P=mark)(?P<day>0[1-9]|[12]\d|3[01])"
         r"(?![\d.-]*\d)", _date),
        (r"(?<![\d.,])(?P<year>(?:19|20)\d\d)[-./](?P<month>0[1-9]|1[0-2])(?!\d|[.,]\d|%| ?(?:원|점|달러|퍼센트))",
         _year_and_month),
        (r"(?:(?<=번호)|(?<=번호 )|(?<=번호는 )|(?<=번호가 )|(?<=번호: ))\d{3,}(?![\d,.-]*\d)", _code),
        (r"(?<![\d-])(?P<year>(?:19|20)\d\d)[-–](?=(?:19|20)\d\d(?!\d))", lambda m: sino(m["year"]) + "에서 "),
        (r"(?<![\d.,-])[2-9]\d{2,3}-\d{4}(?![\d-]| ?(?:호|번지|년|원|동))", _telephone),
        (r"(?<!\d)(?P<before>\d{2,3}[가나다라마거너더러머버서어저고노로모보소오누두루무우하허배]) ?"
         r"(?P<number>\d{4})(?![\d,.]|[년원명개])",
         lambda m: f"{sino(m['before'][:-1])}{m['before'][-1]} {spelled(m['number'])}"),
        (r"(?<![\d-])\d+(?:-\d+){2,}(?![\d-])|(?<!\d)\d\d(?=학번)", _code),
        (r"(?<![\d:])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?![\d:]|,\d)"
         r"(?P<half> ?[AaPp]\.?[Mm](?![A-Za-z])\.?)?", _time),
        (r"(?<![\d:.,])(?P<hour>1[0-2]|[1-9]) ?(?P<half>[AaPp])(?:\.[Mm]\.|[Mm](?![A-Za-z]))", _hour),
        (r"(?<![A-Za-z])(?P<half>[AP])M ?(?=\d{1,2}(?:시|:\d\d))", lambda m: _HALVES[m["half"]] + " "),
        (r"(?<![\d:A-Z])(?P<one>\d{1,3}|[MN]):(?P<other>\d{1,3}(?:,\d{3})+|\d{1,6}|[MN])(?![\d:A-Z])", _ratio),
        (rf"{_ALONE}(?P<one>\d{{1,3}})(?:대|대 (?=\d+(?:$|[^\d가-힣]|로|의|이|입)))(?P<other>\d{{1,3}})(?!\d)", _ratio),
        (r"(?<=:\d\d) ?[-–] ?(?=\d{1,2}:\d\d)|(?<=[./]\d\d) ?[-–] ?(?=(?:19|20)\d\d[./]\d\d(?!\d))",
         lambda m: "에서 "),
        (rf"{_ALONE}(?P<from>[1-8])0 ?[~∼〜～·-] ?(?P<to>[2-9])0(?=대(?:$|[^가-힣]|{_one_of(PARTICLES)}))", _tens),
        (rf"{_ALONE}(?:{_FOLLOWING})(?P<gap> ?)(?P<counter>{_one_of(_APPROXIMATE)})"
         rf"(?=$|[^가-힣A-Za-z]|(?<=[만천백억])|{_one_of(PARTICLES)})", _about),
        (rf"{_ALONE}(?P<amount>{_AMOUNT}) ?(?P<unit>{_one_of(UNITS)}) ?[-–~∼〜～] ?(?=\d[\d.,]* ?(?:{_one_of(UNITS)}))",
         lambda m: _measured(m) + "에서 "),
        (rf"(?P<currency>[{''.join(CURRENCIES)}]) ?(?P<amount>{_AMOUNT}) ?[-–~∼〜～] ?(?P<to>{_AMOUNT})(?!{_SCALES})"
         rf"(?P<myriad>[천만억조]*)(?: ?(?:{_one_of(set(CURRENCIES.values()))}))?", _prices),
        (rf"(?<![A-Za-z])(?P<code>USD|KRW|EUR|JPY|CNY|GBP) ?(?P<amount>{_AMOUNT})", _in_code),
        (r"(?<=(?<![A-Za-z])[A-Z])[~∼〜～](?=[A-Z](?![A-Za-z]))"
         r"|(?<=(?<![가-힣])[가-힣])[~∼〜～](?=[가나다라마바사아자차카타파하](?![가-힣]))", lambda m: "에서 "),
        (r"(?:(?<=\d[가-힣])|(?<=\d[가-힣]{2})|(?<=\d[가-힣]{3})) ?[-–] ?(?=\d[\d,.]*[가-힣])", lambda m: "에서 "),
        (rf"(?P<currency>[{''.join(CURRENCIES)}]) ?(?P<amount>{_AMOUNT})(?P<times>{_SCALES})?(?P<myriad>[천만억조]*)"
         rf" ?[-–~∼〜～] ?(?=[{''.join(CURRENCIES)}] ?\d)", lambda m: _price(m) + "에서 "),
        (rf"(?P<from>{_AMOUNT}) ?[~∼〜～] ?(?=[-−]\d)", lambda m: sino(m["from"]) + "에서 "),
        (rf"{_ALONE}(?P<from>{_AMOUNT}) ?[~∼〜～] ?(?=(?P<to>\d[^\n]{{0,12}}))", _range),
        (r"(?:(?<=\d[가-힣])|(?<=\d[가-힣]{2})|(?<=\d[가-힣]{3})) ?[~∼〜～] ?(?=\d)", lambda m: "에서 "),
        (r"(?<=[\d)%℃시분초일월년주원명개번회차살세대층호점도권장쪽천만억]) ?[~∼〜～] ?(?=\d|오[전후] ?\d)"
         r"|(?<=[월화수목금토일])[~∼〜～](?=[월화수목금토일](?:요일)?(?![가-힣]))",
         lambda m: "에서 "),
        (r"(?<![\d.,-])(?P<one>\d{1,4})-(?P<other>\d{1,2})(?=번(?!째|지))",
         lambda m: f"{sino(m['one'])} 다시 {sino(m['other'])}"),
        (rf"{_ALONE}(?P<from>\d{{1,3}})-(?!\d+번지)"
         rf"(?=(?P<to>\d{{1,3}} ?(?!{_one_of(NOT_COUNTERS)}|시즌)"
         rf"(?:{_one_of([*COUNTERS, *UNITS])}|[년월일분초층학주])))", _range),
        (r"(?<![\d/])[1-9]0[/·](?=[1-9]0대)", lambda m: sino(m[0][:2]) + " "),
        (r"(?:6\.25|4\.19|5\.18|8\.15|3\.1)(?= ?(?:전쟁|혁명|민주|광복|운동|절))",
         lambda m: "".join(map(sino, m[0].replace(".", "")))),
        (r"(?:(?<=열 )|(?<=행 )|(?<=반 ))\d+(?=번)", lambda m: sino(m[0])),
        (rf"{_ALONE}(?P<one>\d{{1,3}}) 대 (?P<other>\d{{1,3}})(?![\d.,]| ?(?:{_one_of(COUNTERS)}))", _ratio),
        (_ALONE + _COUNTED, _counted),
        (rf"{_ALONE}(?P<one>\d{{1,3}})[-–:](?P<other>\d{{1,3}})"
         r"(?= ?(?:승|패|무승부|완승|역전|으로 [이졌앞뒤]|로 [이졌앞뒤]|로 승|으로 승|로 패|으로 패"
         r"|로 끝|으로 끝|로 비|으로 비))", _ratio),
        (rf"{_ALONE}(?P<one>{_AMOUNT}) ?(?P<sign>[<>≥≤]) ?(?P<other>{_AMOUNT})", _compared),
        (r"(?:(?<=[\d)])|(?<=[\d)] ))[-−–] ?(?=\(?\d+(?:\.\d+)? ?[=+×÷*])", lambda m: " 마이너스 "),
        (r"(?<=\d)[²³]", _power),
        (r"(?:(?<=[A-Z])|(?<=RTX |GTX |BMW |ISO )|(?<=보잉 ))(?P<number>\d{3,4})"
         r"(?![\d.,A-Z]|[a-z]{2}| ?[가-힣]*[명개원번년월일대권장호])", _model),
        (rf"(?<=[A-Z])-?(?P<number>\d)(?![\d.,:-]|{_SINO_AFTER})", _in_english),
        (r"(?<=[A-Za-z가-힣])-(?=\d)|(?<=\d)-(?=[A-Z])|(?<=[A-Z])-(?=[A-Z가-힣])", lambda m: " "),
        (r"(?<![A-Za-z])[A-Z](?=\d)", _letters),
        (r"(?<=[A-F])-(?![\w가-힣])", lambda m: " 마이너스"),
        (r"(?<![A-Za-z])i(?=\d)", lambda m: "아이 "),
        (r"(?<!\d)(?:[3-6]86|7080|8090|2030|3040|4050|5060)(?= ?세대)", lambda m: spelled(m[0])),
        (r"(?<=포트 )\d+(?![\d.,])", lambda m: spelled(m[0])),
        (r"(?<=\d)[a-z](?![A-Za-z]| ?\d)", lambda m: LETTERS[m[0].upper()]),
        (rf"(?<=시속 ){_ALONE}(?P<amount>{_AMOUNT}) ?km/h", lambda m: sino(m["amount"]) + " 킬로미터"),
        (rf"(?P<currency>[{''.join(CURRENCIES)}]) ?(?P<amount>{_AMOUNT})(?P<times>{_SCALES})?(?P<myriad>[천만억조]*)"
         rf"(?: ?(?:{_one_of(set(CURRENCIES.values()))}))?", _price),
        (rf"{_ALONE}(?P<amount>{_AMOUNT})(?P<myriad>[천만억조]*) ?"
         rf"(?P<currency>[{''.join(CURRENCIES)}])(?! ?\d)", _price),
        (rf"{_ALONE}(?P<amount>{_AMOUNT}) ?(?P<unit>{_one_of(UNITS)})(?![A-Za-z])", _measured),
        (r"(?<![\d/.])(?P<quarter>[1-4])/4 ?분기", lambda m: sino(m["quarter"]) + "사분기"),
        (rf"{_ALONE}(?P<mark>\d{{1,2}}\.\d{{1,2}})/(?P<best>\d\.\d{{1,2}}|5|10|100)(?![\d/])",
         lambda m: f"{sino(m['best'])} 만점에 {sino(m['mark'])}"),
        (r"(?:(?<=\d)|(?<=\d ))[xX×*] ?(?=\d)", lambda m: " 곱하기 "),
        (r"(?:(?<=[013678²³])|(?<=[013678²³] ))=", lambda m: "은 "),
        (r"(?<![\d/])(?P<over>\d{1,2})/(?P<under>\d{1,3})(?![\d/])", _slashed),
        (r"(?<![\d.])\d+(?:\.\d+){2,}", lambda m: " 점 ".join(map(sino, m[0].split(".")))),
        (rf"{_ALONE}(?P<month>0?[1-9]|1[0-2]) ?[월月](?!급)", lambda m: _month(m["month"])),
        (rf"{_ALONE}1(?=[만천백십])", lambda m: ""),
        (rf"(?<!\w)[-−–]{_BELOW_ZERO}", lambda m: "영하 "),
        (r"(?<!\w)[-−–](?=\d)", lambda m: "마이너스 "),
        (r"(?<=\d)[-–](?=\d)", lambda m: " 다시 "),
        (_AMOUNT, lambda m: sino(m[0])),
        (r"[①-⑳Ⅰ-Ⅻ]", _enclosed),
        (r"(?<![A-Z])(?:[A-Z]{1,3}&[A-Z]{1,3}|[A-Z]{2,3}|[AEIOU]?[B-DF-HJ-NP-TV-XZ]{3}[AEIOU]?"
         r"|[B-DF-HJ-NP-TV-XZ]{4,6})(?![A-Za-z])", _letters),
        (r"(?<![A-Za-z])(?<![a-z][ '])[A-Z](?![A-Za-z]|[ '][a-z])", _letters),
        (f"[{_UNCOMPOSED}]+", _composed),
        (rf"(?<=[가-힣])\([{_HANJA}·,\s]+\)", lambda m: ""),
        (rf"[{_HANJA}]+\((?P<hangul>[가-힣]+)\)", lambda m: m["hangul"]),
        (f"[{_HANJA}]+", _hanja),
        (_FOREIGN, lambda m: foreign_sound(m[0])),
        (r"[ㅋㅎ]{2,}", lambda m: m[0].replace("ㅋ", "크").replace("ㅎ", "흐")),
        (r"\A\s*[ㅋㅎㅠㅜㅡ]\s*\Z", lambda m: _LONE[m[0].strip()]),
        (r"[ㅠㅜㅡ]{2,}|(?<=[가-힣.!?~])[ㅠㅜ](?![가-힣])", lambda m: ""),
        (r"(?<![가-힣ㄱ-ㅎㅏ-ㅣ])[ㄱ-ㅊㅌㅍㅏ-ㅛㅝ-ㅟㅢㅣ]+", lambda m: " ".join(map(_letter_name, m[0]))),
        (f"[{_OF_PICTURES}]+", lambda m: ""),
        (r"[~∼〜～]+", _drawn_out),
        (f"[{re.escape(''.join(SYMBOLS))}]", lambda m: SYMBOLS[m[0]]),
        (f"[{_FOLDED}]+", _folded),
    )
)  # fmt: skip
_TRIGGER = re.compile(
    rf"\d|[A-Z]|[a-z]+|\(주\)|['’‘](?=\d\d(?:년|학))|\.(?=NET)|\((?=[{_HANJA}])|[{_HANJA}]|{_FOREIGN}| (?=[-–~∼〜～])"
    rf"|[-−–~∼〜～①-⑳Ⅰ-Ⅻㄱ-ㅎㅏ-ㅣ{_UNCOMPOSED}{_FOLDED}{_OF_PICTURES}{re.escape(''.join([*CURRENCIES, *SYMBOLS]))}]"
)
