"""Writes Japanese in the symbols of Kokoro, whose Japanese voices learnt them: one for each sound of the kana.

The inventory is that of the reader with which its makers taught it (misaki 0.7), which writes no pitch accent. Kanji
must have become kana before (``pipeline.text.japanese``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from anyascii import anyascii

from pipeline.text.piece import Piece

_ROWS = {
    "": "あいうえお", "k": "かきくけこ", "ɡ": "がぎぐげご", "s": "さしすせそ", "ʣ": "ざじずぜぞ", "t": "たちつてと",
    "d": "だぢづでど", "n": "なにぬねの", "h": "はひふへほ", "b": "ばびぶべぼ", "p": "ぱぴぷぺぽ", "m": "まみむめも",
    "ɾ": "らりるれろ", "v": "  ゔ  ",
}  # fmt: skip
_BEFORE_I = {"": "", "s": "ɕ", "ʣ": "ʥ", "t": "ʨ", "d": "ʥ", "n": "ɲ", "h": "ç"}
"""What consonants become before i and y; the others take a ʲ."""
_ODD = {
    "す": "sɨ", "ず": "zɨ", "づ": "zɨ", "つ": "ʦɨ", "ふ": "ɸɯ", "や": "ja", "ゆ": "jɯ", "よ": "jo", "わ": "βa",
    "ゐ": "i", "ゑ": "e", "を": "o", "ゕ": "ka", "ゖ": "ke",
}  # fmt: skip
_KANA = {
    kana: (_BEFORE_I.get(consonant, consonant + "ʲ") if vowel == "i" else consonant) + vowel
    for consonant, row in _ROWS.items()
    for kana, vowel in zip(row, "aiɯeo", strict=True)
    if kana != " "
} | _ODD
_SMALL = {"ぁ": "a", "ぃ": "i", "ぅ": "ɯ", "ぇ": "e", "ぉ": "o", "ゎ": "βa"}
_SMALL_Y = {"ゃ": "a", "ゅ": "ɨ", "ょ": "o"}
_LONG = {"a": "あ", "i": "い", "ɯ": "う", "ɨ": "う", "e": "いえ", "o": "うお"}
"""The kana after each vowel that only makes it longer."""
_NASALS = {"m": "mpb", "ŋ": "kɡ", "ɲ": "ɲʨʥ", "n": "ntdɾzʣʦ"}
"""What ん becomes, by the consonant after it."""
_PUNCTUATION = {one: one for one in ",.?!;:…—"} | {
    "。": ".", "．": ".", "，": ",", "、": ",", "？": "?", "！": "!", "；": ";", "：": ":", "–": "—", "―": "—",
}  # fmt: skip
_LATIN = re.compile("[A-Za-zÀ-ɏ]+(?:['’][A-Za-zÀ-ɏ]+)*")


def japanese_symbols(
    pieces: Sequence[Piece], english: Callable[[str], str] = lambda words: ""
) -> list[tuple[str, int]]:
    """Return the symbols of a text, each with the offset of the letter that it comes from.

    Args:
        pieces: How the text is read, word by word: kana, Latin words and punctuation. Anything else is a blank.
        english: Returns the symbols of Latin words, "" for those that it does not know.
    """
    symbols: list[tuple[str, int]] = []
    start = 0
    for piece in pieces:
        _separate(symbols, start)
        _add(symbols, _hiragana(piece.spoken), start, english)
        start += len(piece.spoken)
    following = [*(symbol for symbol, _ in symbols[1:]), ""]
    return [
        (_nasal(after) if symbol == "ɴ" else symbol, at)
        for (symbol, at), after in zip(symbols, following, strict=False)
    ]


def _nasal(after: str) -> str:
    """Return the sound of ん before a symbol, "" at the end."""
    return next((nasal for nasal, consonants in _NASALS.items() if after and after in consonants), "ɴ")


def _hiragana(text: str) -> str:
    """Return a text with hiragana in place of katakana, letter for letter."""
    return "".join(chr(ord(one) - 0x60) if "ァ" <= one <= "ヶ" else one for one in text)


def _separate(symbols: list[tuple[str, int]], at: int) -> None:
    """End a word before the letter at an offset: the blank belongs to the letter before."""
    if symbols and symbols[-1][0] != " ":
        symbols.append((" ", at - 1))


def _add(symbols: list[tuple[str, int]], word: str, start: int, english: Callable[[str], str]) -> None:
    """Append the symbols of a word, whose first letter has the offset `start`."""
    at = 0
    while at < len(word):
        one, after, offset = word[at], word[at + 1 : at + 2], start + at
        if latin := _LATIN.match(word, at):
            symbols += [(symbol, offset) for symbol in english(anyascii(latin[0]))]
            at = latin.end()
            continue
        vowel = symbols[-1][0] if symbols and at else ""
        sound, taken = _PUNCTUATION.get(one, ""), 1
        if vowel in _LONG and one in ("ー", *_LONG[vowel]):
            sound = "ː"
        elif one in _KANA:
            sound = _KANA[one]
            if after in _SMALL_Y:
                soft = sound[:-1] if sound[-1] == "i" else f"{sound[:-1]}ʲ"
                sound, taken = soft + _SMALL_Y[after], 2
            elif after in _SMALL:
                sound, taken = ("β" if one == "う" else sound[:-1]) + _SMALL[after], 2
        elif one in "んっ":
            sound = "ɴ" if one == "ん" else "ʔ"
        elif one in _SMALL:
            sound = _SMALL[one]
        elif not sound:
            _separate(symbols, offset)
        symbols += [(symbol, offset) for symbol in sound]
        at += taken
