"""Numbers in Korean words: Sino-Korean for amounts and measures, native Korean for counting up to 99.

Own code: the libraries we looked at read whole sentences without mapping a reading to its letters, need a compiler or a
download, or know only Sino-Korean numbers.
"""

from __future__ import annotations

_DIGITS = "영일이삼사오육칠팔구"
_SPELLED_DIGITS = "공일이삼사오육칠팔구"
_TENS = ("천", "백", "십", "")
_MYRIADS = ("", "만", "억", "조", "경", "해")
MAX_DIGITS = 4 * len(_MYRIADS) - 4
"""Longer numbers are codes, which are spelled digit by digit."""

_NATIVE_ONES = ("", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")
_NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_BEFORE_COUNTER = {"하나": "한", "둘": "두", "셋": "세", "넷": "네", "스물": "스무"}


def sino(number: str) -> str:
    """Return a number in Sino-Korean: "12,345.6" -> "만 이천삼백사십오 점 육".

    A leading zero or too many digits make it a code: "007" -> "공공칠".

    Args:
        number: Digits, commas and at most one point.
    """
    whole, _, fraction = number.replace(",", "").partition(".")
    if len(whole) > MAX_DIGITS or (len(whole) > 1 and whole[0] == "0" and not fraction):
        words = spelled(whole)
    else:
        words = _amount(int(whole or "0"))
    if fraction:
        words += " 점 " + "".join(_DIGITS[int(digit)] for digit in fraction)
    return words


def spelled(digits: str) -> str:
    """Spell digits one by one, as in telephone numbers: "010" -> "공일공"."""
    return "".join(_SPELLED_DIGITS[int(digit)] for digit in digits)


def native(number: int) -> str:
    """Return a number (1..99) in the form before a counter: 1 -> "한", 20 -> "스무", 23 -> "스물세"."""
    tens, ones = divmod(number, 10)
    last = _NATIVE_ONES[ones] if ones else _NATIVE_TENS[tens]
    return (_NATIVE_TENS[tens] if ones else "") + _BEFORE_COUNTER.get(last, last)


def _amount(number: int) -> str:
    if not number:
        return _DIGITS[0]
    groups = []
    for myriad in _MYRIADS:
        number, group = divmod(number, 10_000)
        if group:
            # "one" is dropped before ten thousand, but not before a hundred million
            words = "" if group == 1 and myriad == "만" and not number else _thousands(group)
            groups.append(words + myriad)
        if not number:
            break
    return " ".join(reversed(groups))


def _thousands(number: int) -> str:
    words = ""
    for digit, unit in zip(f"{number:04d}", _TENS, strict=True):
        if digit != "0":
            words += ("" if digit == "1" and unit else _DIGITS[int(digit)]) + unit
    return words
