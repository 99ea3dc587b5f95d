"""How written Korean is read aloud: numbers, dates, units, symbols and Latin abbreviations in Hangul.

Everything else, plain Korean and Latin words, stays exactly as it is written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from pipeline.speech.foreign import foreign_sound
from pipeline.speech.korean_hanja import hanja_sound
from pipeline.speech.korean_numbers import native, sino, spelled
from pipeline.speech.korean_words import (
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
from pipeline.speech.piece import Piece

_NATIVE_UP_TO = {"시": 12, "시간": 20, "배": 19}
"""Counters that take Sino-Korean numbers above this."""
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
    """Return TEXT in the letters that say it; plain Korean comes back as it is."""
    return "".join(piece.spoken for piece in reading(text))


def reading(text: str) -> list[Piece]:
    """Return TEXT in pieces, in order and without gaps, each with what a Korean would say for it."""
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
    said = (f"{half} " if half else "") + (native(hour) if 0 < hour < 13 else sino(str(hour))) + " 시"
    said += f" {sino(str(minute))} 분" if minute or second else ""
    return said + (f" {sino(str(second))} 초" if second else "")


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
    """Say a mail or web address: its letters stay, its marks and digits are named."""
    words = re.findall(r"www\.|\.(?:com|net)(?![A-Za-z])|[A-Za-z]+|\d+|[.@/_-]", re.sub("^https?://", "", match[0]))
    return " ".join(spelled(word) if word.isdigit() else ADDRESS.get(word, word) for word in words)


def _measured(match: re.Match[str]) -> str:
    unit = match["unit"]
    return f"{SPEEDS.get(unit, '')}{sino(match['amount'])} {UNITS[unit]}"


def _price(match: re.Match[str]) -> str:
    return f"{sino(match['amount'])}{match['myriad']} {CURRENCIES[match['currency']]}"


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


def _folded(match: re.Match[str]) -> str:
    letters = unicodedata.normalize("NFKC", match[0])
    return letters if letters == match[0] else read_aloud(letters)


_UNCOMPOSED = "\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff"
"""Letters of syllables that are not written as one, as file names on a Mac are."""
_HANJA = "\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_FOREIGN = (
    "[\u0370-\u0377\u037a-\u037d\u037f\u0386\u0388-\u10ff\u1200-\u18af\u1c80-\u1c8f\u1f00-\u1fff\u2c00-\u2dff"
    "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\ua000-\ua95f\ua980-\uabff]+"
)
"""Letters of other scripts, with their signs: kana, Greek, Cyrillic, Thai and all others."""
_OF_PICTURES = "\u200d\u20e3\ufe00-\ufe0f"
"""What joins and colours emoji; espeak-ng would spell its number."""
_FOLDED = "⑴-⓿㈀-㏿！-￦ℂ-ⅎⅰ-ⅿ𝐀-𝟿"
"""Letters and words in another width, in brackets or in one square."""
_BELOW_ZERO = r"(?=(?:\d+(?:\.\d+)?) ?(?:도|℃|°C))"
_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), say)
    for pattern, say in (
        (r"(?<![A-Za-z\d.@])(?:(?:https?://|www\.)[A-Za-z\d./_~%?=&#@:+-]+[A-Za-z\d]"
         r"|[A-Za-z\d._+-]{1,64}@[A-Za-z\d-]+(?:\.[A-Za-z\d-]+)+"
         r"|[A-Za-z\d-]{1,63}(?:\.[A-Za-z\d-]{1,63}){0,3}\.(?:com|net|org|kr|io|ai)(?![A-Za-z\d]))", _address),
        (rf"(?<![A-Za-z\d])(?:{_one_of(WORDS)})(?![A-Za-z\d])", lambda m: WORDS[m[0]]),
        (r"(?<![A-Za-z])No\. ?(?=\d)", lambda m: "넘버 "),
        (r"(?<!\d)(?:\+82[- ]?\d{1,2}|0\d{1,2})[-–.) ]{1,2}\d{3,4}[-–. ]\d{4}(?!\d)", _telephone),
        (r"(?<!\d)(?:01\d{8,9}|1[568]\d\d-\d{4}|\d{6}-[1-4]\d{6})(?!\d)", _telephone),
        (r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<mark>[-./]) ?(?P<month>0?[1-9]|1[0-2])(?P=mark) ?"
         r"(?P<day>0?[1-9]|[12]\d|3[01])(?!\d)", _date),
        (r"(?<![\d.,])(?P<year>\d\d)(?P<mark>[-./])(?P<month>0[1-9]|1[0-2])(?P=mark)(?P<day>0[1-9]|[12]\d|3[01])"
         r"(?![\d.-]*\d)", _date),
        (r"(?<![\d.,])(?P<year>(?:19|20)\d\d)[-./](?P<month>0[1-9]|1[0-2])(?!\d|[.,]\d|%| ?(?:원|점|달러|퍼센트))",
         _year_and_month),
        (r"(?:(?<=번호)|(?<=번호 )|(?<=번호는 )|(?<=번호가 )|(?<=번호: ))\d{3,}(?![\d,.-]*\d)", _code),
        (r"(?<![\d-])\d+(?:-\d+){2,}(?![\d-])|(?<!\d)\d\d(?=학번)", _code),
        (r"(?<![\d:])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?![\d:])"
         r"(?P<half> ?[AaPp]\.?[Mm](?![A-Za-z])\.?)?", _time),
        (r"(?<![\d:.,])(?P<hour>1[0-2]|[1-9]) ?(?P<half>[AaPp])\.?[Mm](?![A-Za-z])", _hour),
        (r"(?<![A-Za-z])(?P<half>[AP])M ?(?=\d{1,2}(?:시|:\d\d))", lambda m: _HALVES[m["half"]] + " "),
        (r"(?<![\d:A-Z])(?P<one>\d{1,3}|[MN]):(?P<other>\d{1,3}|[MN])(?![\d:A-Z])", _ratio),
        (rf"{_ALONE}(?P<one>\d{{1,3}})(?:대|대 (?=\d+(?:$|[^\d가-힣]|로|의|이|입)))(?P<other>\d{{1,3}})(?!\d)", _ratio),
        (r"(?<=:\d\d) ?[-–] ?(?=\d{1,2}:\d\d)|(?<=[./]\d\d) ?[-–] ?(?=(?:19|20)\d\d[./]\d\d(?!\d))",
         lambda m: "에서 "),
        (rf"{_ALONE}(?P<from>{_AMOUNT}) ?[~∼〜～] ?(?=(?P<to>\d[^\n]{{0,12}}))", _range),
        (r"(?<=[\d)%℃시분초일월년주원명개번회차살세대층호점도권장쪽천만억]) ?[~∼〜～] ?(?=\d|오[전후] ?\d)"
         r"|(?<=[월화수목금토일])[~∼〜～](?=[월화수목금토일](?:요일)?(?![가-힣]))",
         lambda m: "에서 "),
        (rf"{_ALONE}(?P<from>\d{{1,3}})-(?!\d+번지)"
         rf"(?=(?P<to>\d{{1,3}} ?(?:{_one_of([*COUNTERS, *UNITS])}|[년월일분초층학주])))", _range),
        (r"(?<![\d/])[1-9]0[/·](?=[1-9]0대)", lambda m: sino(m[0][:2]) + " "),
        (r"(?:6\.25|4\.19|5\.18|8\.15|3\.1)(?= ?(?:전쟁|혁명|민주|광복|운동|절))",
         lambda m: "".join(map(sino, m[0].replace(".", "")))),
        (_ALONE + _COUNTED, _counted),
        (rf"(?<=시속 ){_ALONE}(?P<amount>{_AMOUNT}) ?km/h", lambda m: sino(m["amount"]) + " 킬로미터"),
        (rf"(?P<currency>[{''.join(CURRENCIES)}]) ?(?P<amount>{_AMOUNT})(?P<myriad>[천만억조]*)", _price),
        (rf"{_ALONE}(?P<amount>{_AMOUNT})(?P<myriad>[천만억조]*) ?"
         rf"(?P<currency>[{''.join(CURRENCIES)}])(?! ?\d)", _price),
        (rf"{_ALONE}(?P<amount>{_AMOUNT}) ?(?P<unit>{_one_of(UNITS)})(?![A-Za-z])", _measured),
        (r"(?<![\d/.])(?P<quarter>[1-4])/4 ?분기", lambda m: sino(m["quarter"]) + "사분기"),
        (rf"{_ALONE}(?P<mark>\d\.\d{{1,2}})/(?P<best>\d\.\d{{1,2}})(?![\d/])",
         lambda m: f"{sino(m['best'])} 만점에 {sino(m['mark'])}"),
        (r"(?:(?<=\d)|(?<=\d ))[xX×*] ?(?=\d)", lambda m: " 곱하기 "),
        (r"(?:(?<=[013678])|(?<=[013678] ))=", lambda m: "은 "),
        (r"(?<![\d/])(?P<over>\d{1,2})/(?P<under>\d{1,3})(?![\d/])", _slashed),
        (r"(?<![\d.])\d+(?:\.\d+){2,}", lambda m: " 점 ".join(map(sino, m[0].split(".")))),
        (rf"{_ALONE}(?P<month>0?[1-9]|1[0-2]) ?월(?!급)", lambda m: _month(m["month"])),
        (rf"{_ALONE}1(?=[만천백십])", lambda m: ""),
        (rf"(?<!\w)[-−–]{_BELOW_ZERO}", lambda m: "영하 "),
        (r"(?<!\w)[-−–](?=\d)", lambda m: "마이너스 "),
        (r"(?<=\d)[-–](?=\d)", lambda m: " 다시 "),
        (_AMOUNT, lambda m: sino(m[0])),
        (r"[①-⑳Ⅰ-Ⅻ]", _enclosed),
        (r"(?<![A-Z])(?:[A-Z]{1,3}&[A-Z]{1,3}|[A-Z]{2,3}|[B-DF-HJ-NP-TV-XZ]{4,6})(?![A-Za-z])", _letters),
        (r"(?<![A-Za-z])(?<![a-z][ '])[A-Z](?![A-Za-z]|[ '][a-z])", _letters),
        (f"[{_UNCOMPOSED}]+", _composed),
        (rf"(?<=[가-힣])\([{_HANJA}·,\s]+\)", lambda m: ""),
        (rf"[{_HANJA}]+\((?P<said>[가-힣]+)\)", lambda m: m["said"]),
        (f"[{_HANJA}]+", _hanja),
        (_FOREIGN, lambda m: foreign_sound(m[0])),
        (r"[ㅋㅎ]{2,}", lambda m: m[0].replace("ㅋ", "크").replace("ㅎ", "흐")),
        (r"[ㅠㅜㅡ]{2,}|(?<=[가-힣.!?~])[ㅠㅜ](?![가-힣])", lambda m: ""),
        (f"[{_OF_PICTURES}]+", lambda m: ""),
        (r"[~∼〜～]+", _drawn_out),
        (f"[{re.escape(''.join(SYMBOLS))}]", lambda m: SYMBOLS[m[0]]),
        (f"[{_FOLDED}]+", _folded),
    )
)  # fmt: skip
_TRIGGER = re.compile(
    rf"\d|[A-Z]|[a-z]+|\((?=[{_HANJA}])|[{_HANJA}]|{_FOREIGN}| (?=[-–~∼〜～])"
    rf"|[-−–~∼〜～①-⑳Ⅰ-Ⅻㅋㅎㅠㅜㅡ{_UNCOMPOSED}{_FOLDED}{_OF_PICTURES}{re.escape(''.join([*CURRENCIES, *SYMBOLS]))}]"
)
