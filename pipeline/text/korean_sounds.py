"""Sound changes between the syllables of a Korean word (Standard Pronunciation, chapters 4 and 5).

espeak-ng joins a final consonant to a vowel and drops ㅎ, but pronounces 합니다 with [p] and 국물 with [k].

People pronounce 함니다 and 궁물, and the phonemes are aligned with recordings of people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

_FIRST, _LAST = 0xAC00, 0xD7A3
_ONSETS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_CODAS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")

_CLUSTERS = {
    "ㄳ": ("ㄱ", "ㅅ"), "ㄵ": ("ㄴ", "ㅈ"), "ㄶ": ("ㄴ", "ㅎ"), "ㄺ": ("ㄹ", "ㄱ"), "ㄻ": ("ㄹ", "ㅁ"),
    "ㄼ": ("ㄹ", "ㅂ"), "ㄽ": ("ㄹ", "ㅅ"), "ㄾ": ("ㄹ", "ㅌ"), "ㄿ": ("ㄹ", "ㅍ"),
    "ㅀ": ("ㄹ", "ㅎ"), "ㅄ": ("ㅂ", "ㅅ"),
}  # fmt: skip
_SPOKEN_CODAS = {
    coda: final
    for final, codas in {
        "ㄱ": "ㄲㅋㄳㄺ",
        "ㄷ": "ㅅㅆㅈㅊㅌㅎ",
        "ㅂ": "ㅍㅄㄿ",
        "ㄹ": "ㄼㄽㄾㅀ",
        "ㅁ": "ㄻ",
        "ㄴ": "ㄵㄶ",
    }.items()
    for coda in codas
}
"""The seven finals that are pronounced at the end of a syllable, by their other spellings."""
_BREATHED = {"ㄱ": "ㅋ", "ㄷ": "ㅌ", "ㅂ": "ㅍ", "ㅈ": "ㅊ"}
_NASAL = {"ㄱ": "ㅇ", "ㄷ": "ㄴ", "ㅂ": "ㅁ"}
_PALATAL = {"ㄷ": "ㅈ", "ㅌ": "ㅊ"}
_Y_VOWELS = "ㅣㅕ"


@dataclass(frozen=True)
class Syllable:
    """A syllable of Hangul: first consonant ("ㅇ" is none), vowel, and final consonants ("" is none)."""

    onset: str
    vowel: str
    coda: str

    @classmethod
    def of(cls, letter: str) -> Syllable:
        """Return the parts of a composed syllable."""
        onset, rest = divmod(ord(letter) - _FIRST, len(_VOWELS) * len(_CODAS))
        vowel, coda = divmod(rest, len(_CODAS))
        return cls(_ONSETS[onset], _VOWELS[vowel], _CODAS[coda])

    def __str__(self) -> str:
        onset, vowel = _ONSETS.index(self.onset), _VOWELS.index(self.vowel)
        return chr(_FIRST + (onset * len(_VOWELS) + vowel) * len(_CODAS) + _CODAS.index(self.coda))


def pronounce(text: str) -> str:
    """Return the text as it sounds, letter for letter: "합니다" -> "함니다", "같이" -> "가치". Only Hangul changes."""
    letters = list(text)
    for i, (one, two) in enumerate(pairwise(f"{text} ")):
        if is_syllable(one) and is_syllable(two):
            first, second = _join(Syllable.of(letters[i]), Syllable.of(two))
            letters[i], letters[i + 1] = str(first), str(second)
        elif is_syllable(one) and (last := Syllable.of(letters[i])).coda == "ㄼ":  # espeak-ng pronounces a [p]
            letters[i] = str(replace(last, coda=spoken_coda(last)))
    return "".join(letters)


def is_syllable(letter: str) -> bool:
    """Return whether a letter is a composed syllable of Hangul."""
    return _FIRST <= ord(letter) <= _LAST


def spoken_coda(syllable: Syllable) -> str:
    """Return the final as pronounced without a following vowel; of all syllables in ㄼ only 밟 keeps its ㅂ."""
    treads = (syllable.onset, syllable.vowel, syllable.coda) == ("ㅂ", "ㅏ", "ㄼ")
    return "ㅂ" if treads else _SPOKEN_CODAS.get(syllable.coda, syllable.coda)


def _join(first: Syllable, second: Syllable) -> tuple[Syllable, Syllable]:
    """Return two syllables as they sound next to each other."""
    if not first.coda:
        return first, second
    stays, moves = _CLUSTERS.get(first.coda, ("", first.coda))
    if second.onset == "ㅇ":
        if first.coda == "ㅇ":
            return first, second
        if moves == "ㅎ":
            return _join(replace(first, coda=stays), second)
        onset = _PALATAL.get(moves, moves) if second.vowel in _Y_VOWELS else moves
        return replace(first, coda=stays), replace(second, onset=onset)
    if moves == "ㅎ" and second.onset in _BREATHED:
        return replace(first, coda=stays), replace(second, onset=_BREATHED[second.onset])
    if moves == "ㅎ" and second.onset == "ㅅ":
        return replace(first, coda=stays), replace(second, onset="ㅆ")
    if second.onset == "ㅎ":
        return _before_h(first, second, stays, moves)
    return _meet(replace(first, coda=spoken_coda(first)), second)


def _before_h(first: Syllable, second: Syllable, stays: str, moves: str) -> tuple[Syllable, Syllable]:
    """Aspirate a stop before ㅎ: 입학 -> 이팍, 못하다 -> 모타다, 앉히다 -> 안치다, 닫히다 -> 다치다."""
    stop = moves if moves in _BREATHED else _SPOKEN_CODAS.get(moves, moves)
    if stop not in _BREATHED:
        return replace(first, coda=spoken_coda(first)), second
    breathed = "ㅊ" if stop == "ㄷ" and moves in _PALATAL and second.vowel in _Y_VOWELS else _BREATHED[stop]
    return replace(first, coda=stays), replace(second, onset=breathed)


def _meet(first: Syllable, second: Syllable) -> tuple[Syllable, Syllable]:
    """Make stops nasal before nasals and ㄹ, ㄹ into ㄴ after them and ㅁㅇ, and ㄴ into ㄹ beside ㄹ."""
    coda, onset = first.coda, second.onset
    if onset == "ㄹ" and coda in "ㄱㄷㅂㅁㅇ":
        onset = "ㄴ"
    if onset in "ㄴㅁ":
        coda = _NASAL.get(coda, coda)
    if (coda, onset) in (("ㄴ", "ㄹ"), ("ㄹ", "ㄴ")):
        coda = onset = "ㄹ"
    return replace(first, coda=coda), replace(second, onset=onset)
