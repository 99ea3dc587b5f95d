"""Writes IPA in letters that every voice can read: Korean ones by the rules for foreign words, else English syllables.

No two voices take the same phonemes, and some take none; letters are read by all of them, and by the alignment. What is
spoken is near the phonemes, not exactly them.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise


def _pairs(listed: str) -> dict[str, str]:
    words = listed.split()
    return dict(zip(words[::2], words[1::2], strict=True))


_LEFT_OUT = re.compile("[ˈˌˑ.‿|‖/\u0300-\u0347\u0349-\u0360\u0362-\u036f\\[\\]()ʷˠˤ˞ʲ\u02de]")
"""Stress, breaks and fine detail; U+0348 (tense) and U+0361 (affricates) mean something."""
_SAME = _pairs(
    "ɡ g ʧ tʃ ʤ dʒ ʦ ts ʣ dz ɫ l ɻ ɹ ʁ r ɾ r ʀ r ɐ a ɒ ɔ ɜ ə ɵ o ʏ y ɨ ɯ ʉ u ɞ ə ɘ ə ɤ ʌ ʔ - ɦ h β b ɸ f ɟ dʒ"
)
_VOWELS = "iɪyeøɛœæaɑʌɔoʊuəɚɝɯ"
_CONSONANTS = (
    *("t͈ɕ", "tɕʰ", "tɕ", "dʑ", "tʃ", "dʒ", "ts", "dz", "p͈", "t͈", "k͈", "s͈", "pʰ", "tʰ", "kʰ"),
    *"pbtdkgfvθðszʃʒɕʑmnɲŋlʎrɹhçxɣjwɥ",
)
_SOUND = re.compile("|".join((*_CONSONANTS, "oʊ", f"[{_VOWELS}]ː?")))
_OF_KOREAN = re.compile("[ʰɕʑ\u0348ɯ]")
"""Marks by which sounds of Korean are known: there, a plain [p] is ㅂ, in other languages ㅍ."""

_ONSETS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_MIDDLES = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_CODAS = {"ㄱ": 1, "ㄴ": 4, "ㄹ": 8, "ㅁ": 16, "ㅂ": 17, "ㅅ": 19, "ㄷ": 7, "ㅇ": 21}
_HANGUL_VOWELS = _pairs(
    "oʊ ㅗ i ㅣ ɪ ㅣ y ㅟ e ㅔ ø ㅚ ɛ ㅔ œ ㅚ æ ㅐ a ㅏ ɑ ㅏ ʌ ㅓ ɔ ㅗ o ㅗ ʊ ㅜ u ㅜ ə ㅓ ɚ ㅓ ɝ ㅓ ɯ ㅡ"
)
_AFTER_J = _pairs("ㅏ ㅑ ㅐ ㅒ ㅓ ㅕ ㅔ ㅖ ㅗ ㅛ ㅜ ㅠ ㅣ ㅣ ㅡ ㅠ ㅟ ㅠ ㅚ ㅛ")
_AFTER_W = _pairs("ㅏ ㅘ ㅐ ㅙ ㅓ ㅝ ㅔ ㅞ ㅗ ㅝ ㅜ ㅜ ㅣ ㅟ ㅡ ㅜ ㅟ ㅟ ㅚ ㅚ")
_HANGUL_ONSETS = _pairs(
    "p ㅍ b ㅂ t ㅌ d ㄷ k ㅋ g ㄱ f ㅍ v ㅂ θ ㅅ ð ㄷ s ㅅ z ㅈ ʃ ㅅ ʒ ㅈ ɕ ㅅ ʑ ㅈ ts ㅊ dz ㅈ tʃ ㅊ dʒ ㅈ tɕ ㅈ "
    "dʑ ㅈ tɕʰ ㅊ t͈ɕ ㅉ p͈ ㅃ t͈ ㄸ k͈ ㄲ s͈ ㅆ pʰ ㅍ tʰ ㅌ kʰ ㅋ m ㅁ n ㄴ ɲ ㄴ ŋ ㅇ l ㄹ ʎ ㄹ r ㄹ ɹ ㄹ "
    "h ㅎ ç ㅎ x ㅎ ɣ ㄱ"
)
_PLAIN_ONSETS = _HANGUL_ONSETS | _pairs("p ㅂ t ㄷ k ㄱ")
_WITH_Y = ("ʃ", "ɕ", "ɲ", "ʎ", "ç")
"""Consonants after which a vowel begins with a glide."""
_HANGUL_ALONE = _pairs(
    "p 프 b 브 t 트 d 드 k 크 g 그 f 프 v 브 θ 스 ð 드 s 스 z 즈 ʃ 시 ʒ 지 ɕ 시 ʑ 지 ts 츠 dz 즈 tʃ 치 dʒ 지 tɕ 지 "
    "dʑ 지 tɕʰ 치 t͈ɕ 찌 p͈ 쁘 t͈ 뜨 k͈ 끄 s͈ 쓰 pʰ 프 tʰ 트 kʰ 크 m 므 n 느 ɲ 뉴 ŋ 응 l 르 ʎ 류 r 르 ɹ 르 h 흐 "
    "ç 히 x 흐 ɣ 그 j 이 w 우 ɥ 위"
)
_DIPHTHONGS = ("eɪ", "aɪ", "aʊ", "ɔɪ")
_STOPS = _pairs("p ㅂ t ㅅ k ㄱ")
_NASALS_AND_L = _pairs("m ㅁ n ㄴ ŋ ㅇ l ㄹ")
_BEFORE_W = ("k", "kʰ", "k͈", "g", "h", "x")
_GLIDES = ("j", "w", "ɥ")
_SONORANTS = ("m", "n", "ŋ", "l", "r", "ɹ", "j", "w", "ɲ", "ʎ", "ɥ")

_ENGLISH_VOWELS = _pairs(
    "i ee ɪ ih y ee eɪ ay e ay ø uh ɛ eh œ uh æ a aɪ igh aʊ ow a ah ɑ ah ʌ uh ɔɪ oy ɔ aw oʊ oh o oh ʊ uu "
    "u oo ə uh ɚ er ɝ er ɯ uh"
)
_ENGLISH_CONSONANTS = _pairs(
    "θ th ð th ʃ sh ʒ zh ɕ sh ʑ zh tʃ ch dʒ j tɕ j dʑ j tɕʰ ch t͈ɕ j p͈ p t͈ t k͈ k s͈ s pʰ p tʰ t kʰ k ŋ ng ɲ ny ʎ ly "
    "ɹ r ç h x h ɣ g j y ɥ w"
)


class UnknownSound(ValueError):
    """A character is no sound of IPA that is known here.

    Attributes:
        letter: The character.
    """

    def __init__(self, letter: str) -> None:
        super().__init__(letter)
        self.letter = letter


def spelled(ipa: str, language: str) -> str:
    """Return letters that sound like IPA: of Hangul in Korean, else English syllables.

    Args:
        ipa: Phonemes, words with blanks between them.
        language: "ko", "en-us", ...

    Raises:
        UnknownSound: A character is no known sound.
    """
    words = [_sounds(word) for word in ipa.split()]
    return " ".join(filter(None, (_in_hangul(word) if language == "ko" else _in_latin(word) for word in words)))


def _sounds(word: str) -> list[str]:
    """Return the sounds of a word: one of `_CONSONANTS`, or of `_VOWELS` with its length."""
    word = unicodedata.normalize("NFD", word.replace("ç", "\ue000")).replace("\ue000", "ç").replace("\u0361", "")
    word = "".join(_SAME.get(letter, letter) for letter in _LEFT_OUT.sub("", word)).replace("-", "")
    word = word.replace("əu", "oʊ").replace("əʊ", "oʊ")
    found, at = [], 0
    while at < len(word):
        match = _SOUND.match(word, at)
        if match is None:
            raise UnknownSound(word[at])
        found.append(match[0])
        at = match.end()
    return found


def _is_vowel(sound: str) -> bool:
    return sound[:1] in _VOWELS if sound else False


def _in_hangul(sounds: list[str]) -> str:
    korean = any(map(_OF_KOREAN.search, sounds))
    onsets = _PLAIN_ONSETS if korean else _HANGUL_ONSETS
    written: list[str] = []  # syllables without coda may still get one
    at = 0
    while at < len(sounds):
        sound, after = sounds[at], sounds[at + 1 : at + 3]
        if _is_vowel(sound):
            written.append(_syllable("ㅇ", _middle(sound)))
            at += 1
            continue
        glide = after[0] if len(after) == 2 and after[0] in _GLIDES and _is_vowel(after[1]) else ""
        if glide == "w" and sound not in _BEFORE_W:
            glide = ""  # 트위, but 퀴
        vowel = after[1] if glide else after[0] if after and _is_vowel(after[0]) else ""
        if vowel and sound in _GLIDES:
            written.append(_syllable("ㅇ", _glided(sound, vowel)))
            at += 2
        elif vowel and sound in onsets and not (sound == "ŋ" and written):
            middle = _glided(glide, vowel) if glide else _middle(vowel)
            middle = _AFTER_J.get(middle, middle) if sound in _WITH_Y else middle
            if sound == "l" and written and _open(written[-1]):
                written[-1] = _closed(written[-1], "ㄹ")
            written.append(_syllable(onsets[sound], middle))
            at += 2 + bool(glide)
        else:
            coda = _coda(sound, sounds[max(0, at - 2) : at], after, korean)
            if coda and written and _open(written[-1]):
                written[-1] = _closed(written[-1], coda)
            elif sound == "ɹ" and at and _is_vowel(sounds[at - 1]):
                pass  # 기타, not 기타르
            elif sound == "ʃ" and after:
                written.append("슈")
            else:
                written.append(_HANGUL_ALONE[sound])
            at += 1
    return "".join(written)


def _coda(sound: str, before: list[str], after: list[str], korean: bool) -> str:
    """Return the final letter with which a consonant closes the syllable before it, "" if it does not."""
    if sound in _NASALS_AND_L:
        return _NASALS_AND_L[sound]
    short = bool(before) and len(before[-1]) == 1 and _is_vowel(before[-1]) and "".join(before) not in _DIPHTHONGS
    if sound in _STOPS and (korean or (short and not (after and after[0] in _SONORANTS))):
        return _STOPS[sound]
    return ""


def _middle(vowel: str) -> str:
    return _HANGUL_VOWELS[vowel.rstrip("ː")]


def _glided(glide: str, vowel: str) -> str:
    middle = _middle(vowel)
    return (_AFTER_W if glide == "w" else _AFTER_J).get(middle, middle)


def _syllable(onset: str, middle: str) -> str:
    return chr(0xAC00 + (_ONSETS.index(onset) * 21 + _MIDDLES.index(middle)) * 28)


def _open(syllable: str) -> bool:
    return (ord(syllable) - 0xAC00) % 28 == 0


def _closed(syllable: str, coda: str) -> str:
    return chr(ord(syllable) + _CODAS[coda])


def _in_latin(sounds: list[str]) -> str:
    """Return syllables with hyphens: "tuh-mah-toh"."""
    return "-".join(
        "".join(_ENGLISH_CONSONANTS.get(one, one) for one in sounds[first:start])
        + _ENGLISH_VOWELS.get("".join(sounds[start:end]).replace("ː", ""), "uh")
        + "".join(_ENGLISH_CONSONANTS.get(one, one) for one in sounds[end:last])
        for first, start, end, last in _syllables(sounds)
    )


def _syllables(sounds: list[str]) -> list[tuple[int, int, int, int]]:
    """Return where each syllable begins, where its vowel begins and ends, and where it ends."""
    vowels: list[tuple[int, int]] = []
    for at, sound in enumerate(sounds):
        if _is_vowel(sound) and (not vowels or at >= vowels[-1][1]):
            vowels.append((at, at + (2 if "".join(sounds[at : at + 2]) in _DIPHTHONGS else 1)))
    if not vowels:
        return [(0, len(sounds), len(sounds), len(sounds))] if sounds else []
    bounds = [0]
    for (_, end), (start, _) in pairwise(vowels):
        cluster = start - end > 1 and sounds[start - 1] in ("l", "ɹ", *_GLIDES)
        bounds.append(start - min(1 + cluster, start - end))
    bounds.append(len(sounds))
    return [(first, *vowel, last) for (first, last), vowel in zip(pairwise(bounds), vowels, strict=True)]
