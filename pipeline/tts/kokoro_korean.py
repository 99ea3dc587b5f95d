"""Writes Korean in the symbols of Kokoro, a voice that was never taught Korean.

The symbols are IPA, as the makers of Kokoro used it for Japanese, English and Chinese. Each Korean sound gets the
symbols with which a recogniser of Korean understood the voice best (docs/voices.md has the figures).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from anyascii import anyascii

from pipeline.text.foreign import in_hangul
from pipeline.text.korean_sounds import Syllable, is_syllable
from pipeline.text.korean_tense import standard

_VOWELS = {
    "ㅏ": "a", "ㅐ": "ɛ", "ㅑ": "ja", "ㅒ": "jɛ", "ㅓ": "ʌ", "ㅔ": "e", "ㅕ": "jʌ", "ㅖ": "je", "ㅗ": "o",
    "ㅘ": "wa", "ㅙ": "wɛ", "ㅚ": "we", "ㅛ": "jo", "ㅜ": "u", "ㅝ": "wʌ", "ㅞ": "we", "ㅟ": "wi", "ㅠ": "ju",
    "ㅡ": "ɯ", "ㅢ": "ɯi", "ㅣ": "i",
}  # fmt: skip
_VOWEL_SYMBOLS = "aeiouɛʌɯ"
_ONSETS = {
    "ㄱ": "k", "ㄲ": "k", "ㄴ": "n", "ㄷ": "t", "ㄸ": "t", "ㄹ": "l", "ㅁ": "m", "ㅂ": "p", "ㅃ": "p", "ㅅ": "s",
    "ㅆ": "s", "ㅇ": "", "ㅈ": "ʨ", "ㅉ": "ʨ", "ㅊ": "ʨʰ", "ㅋ": "kʰ", "ㅌ": "tʰ", "ㅍ": "pʰ", "ㅎ": "h",
}  # fmt: skip
_VOICED = {"ㄱ": "ɡ", "ㄷ": "d", "ㅂ": "b", "ㅈ": "ʥ", "ㄹ": "ɾ"}
"""Consonants between two voiced sounds of a word; ㄹ only between vowels."""
_TENSE = "ㄲㄸㅃㅆㅉ"
_CODAS = {"": "", "ㄱ": "k", "ㄴ": "n", "ㄷ": "t", "ㄹ": "l", "ㅁ": "m", "ㅂ": "p", "ㅇ": "ŋ"}
_VOICED_CODAS = ("", "ㄴ", "ㄹ", "ㅁ", "ㅇ")
_SOFT = "ㅣㅑㅕㅛㅠㅖㅒㅟ"
"""Vowels before which ㅅ is [ɕ]."""
_PUNCTUATION = {one: one for one in ",.?!;:…—"} | {
    "。": ".", "．": ".", "，": ",", "、": ",", "·": ",", "？": "?", "！": "!", "；": ";", "：": ":", "–": "—",
    "―": "—",
}  # fmt: skip


_ASKING = re.compile(r"무[엇슨]|무얼|뭐|뭘|뭔|누[구가군굴]|언제|어[디딜느떤떻쩌째]|왜|얼마|몇")
"""Words of questions that are not answered with yes or no."""
_ASKED = re.compile(r"[?？][!?！？…\s\"'”’」』)]*$")
_LATIN = re.compile("[A-Za-zÀ-ɏ]+(?:['’][A-Za-zÀ-ɏ]+)*")


def korean_symbols(spoken: str, english: Callable[[str], str] = lambda words: "") -> list[tuple[str, int]]:
    """Return the symbols of a text, each with the offset of the letter that it comes from.

    Args:
        spoken: Korean as it is read aloud: Hangul, Latin words, blanks and punctuation. Anything else is a blank.
        english: Returns the symbols of Latin words; for those without any it is guessed how Koreans say them.
    """
    symbols: list[tuple[str, int]] = []
    start = 0
    for latin in _LATIN.finditer(spoken):
        _add(symbols, spoken[start : latin.start()], start)
        word = anyascii(latin[0])
        known = english(word)
        if known:
            symbols += [(symbol, latin.start()) for symbol in known]
        else:
            _add(symbols, in_hangul(word), latin.start(), fixed=True)
        start = latin.end()
    _add(symbols, spoken[start:], start)
    return symbols


def rising_from(written: str, symbols: Sequence[str]) -> int | None:
    """Return from which symbol on the melody of a sentence rises: its last vowel, if it asks for yes or no.

    Args:
        written: The sentence.
        symbols: Its symbols.
    """
    if not _ASKED.search(written) or _ASKING.search(written):
        return None
    return max((index for index, symbol in enumerate(symbols) if symbol in _VOWEL_SYMBOLS), default=None)


def _add(symbols: list[tuple[str, int]], spoken: str, start: int, fixed: bool = False) -> None:
    """Append the symbols of Korean that begins at an offset; `fixed`: all of it comes from the letter there."""
    before: Syllable | None = None
    for index, letter in enumerate(standard(spoken)):
        offset = start if fixed else start + index
        if is_syllable(letter):
            syllable = Syllable.of(letter)
            symbols += [(symbol, offset) for symbol in _symbols_of(syllable, before)]
            before = syllable
            continue
        before = None
        mark = _PUNCTUATION.get(letter)
        if mark and symbols and symbols[-1][0] != " ":
            if symbols[-1][0] not in _PUNCTUATION:
                symbols.append((mark, offset))
        elif not mark and symbols and symbols[-1][0] != " ":
            symbols.append((" ", offset))


def _symbols_of(syllable: Syllable, before: Syllable | None) -> str:
    """Return the symbols of a syllable as it sounds, after another one of the same word."""
    onset, vowel, coda = syllable.onset, syllable.vowel, syllable.coda
    consonant = _ONSETS[onset]
    if before and onset in _VOICED and (not before.coda or (onset != "ㄹ" and before.coda in _VOICED_CODAS)):
        consonant = _VOICED[onset]
    elif onset in "ㅅㅆ" and vowel in _SOFT:
        consonant = "ɕ"
    held = "ʔ" if onset in _TENSE else ""  # as Japanese holds a doubled consonant
    return held + consonant + _VOWELS[vowel] + _CODAS[coda]
