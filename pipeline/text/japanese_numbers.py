"""Numbers in Japanese words: in kanji, since how one sounds depends on the word behind it (一人, 五月, 三百)."""

from __future__ import annotations

_KANJI = "〇一二三四五六七八九"
_SPELLED = ("ゼロ", "イチ", "ニ", "サン", "ヨン", "ゴ", "ロク", "ナナ", "ハチ", "キュウ")
_PLACES = ("千", "百", "十", "")
_MYRIADS = ("", "万", "億", "兆")
MAX_DIGITS = 4 * len(_MYRIADS)
"""Longer numbers are codes, which are spelled digit by digit."""


def number_words(number: str) -> str:
    """Return a number in kanji: "1,300" -> "千三百", "3.5" -> "三テンゴ"; digits that are spelled are kana.

    A leading zero or too many digits make it a code: "007" -> "ゼロゼロナナ".

    Args:
        number: Digits, commas and at most one point.
    """
    whole, _, fraction = number.replace(",", "").partition(".")
    code = len(whole) > MAX_DIGITS or whole[0] == "0"
    words = _spelled(whole) if code else _amount(int(whole))
    return f"{words}テン{_spelled(fraction)}" if fraction else words


def _spelled(digits: str) -> str:
    return "".join(_SPELLED[int(digit)] for digit in digits)


def _amount(number: int) -> str:
    groups: list[str] = []
    for myriad in _MYRIADS:
        number, group = divmod(number, 10_000)
        if group:
            groups.insert(0, _below_a_myriad(group) + myriad)
    return "".join(groups)


def _below_a_myriad(number: int) -> str:
    digits = [int(digit) for digit in f"{number:04}"]
    return "".join(
        ("" if digit == 1 and place else _KANJI[digit]) + place
        for digit, place in zip(digits, _PLACES, strict=True)
        if digit
    )
