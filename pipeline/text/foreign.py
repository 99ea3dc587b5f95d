"""Pronounces letters of other scripts in Korean and among Latin letters: Привет is 프리벳, α 알파."""

from __future__ import annotations

import re
import unicodedata

from pipeline.text.hanja import is_hangul, onset_of
from pipeline.text.language import script_of


def _pairs(listed: str) -> dict[str, str]:
    words = listed.split()
    return dict(zip(words[::2], words[1::2], strict=True))


GREEK = _pairs(
    "α 알파 β 베타 γ 감마 δ 델타 ε 엡실론 ζ 제타 η 에타 θ 세타 ι 요타 κ 카파 λ 람다 μ 뮤 ν 뉴 ξ 크사이 ο 오미크론 "
    "π 파이 ρ 로 σ 시그마 τ 타우 υ 입실론 φ 파이 χ 카이 ψ 프사이 ω 오메가"
)
"""Korean names of the Greek letters, as used in science."""

_ONSETS = _pairs(
    "g ㄱ kk ㄲ n ㄴ d ㄷ r ㄹ l ㄹ m ㅁ b ㅂ v ㅂ s ㅅ j ㅈ zh ㅈ z ㅈ ch ㅊ c ㅋ k ㅋ q ㅋ x ㅅ t ㅌ p ㅍ f ㅍ "
    "ph ㅍ h ㅎ kh ㅋ th ㅌ ts ㅊ tz ㅊ dz ㅈ gh ㄱ bh ㅂ dh ㄷ sh ㅅ shch ㅅ ng ㅇ ny ㄴ w ㅇ y ㅇ"
) | {"": "ㅇ"}
_VOWELS = _pairs(
    "ya ㅑ yae ㅒ yeo ㅕ ye ㅖ yo ㅛ yu ㅠ yi ㅣ wa ㅘ wi ㅟ we ㅞ wo ㅝ wu ㅜ ae ㅐ eo ㅓ eu ㅡ oe ㅚ a ㅏ e ㅔ "
    "i ㅣ o ㅗ u ㅜ y ㅣ"
)
_CODAS = {
    "n": 4,
    "m": 16,
    "ng": 21,
    "l": 8,
    "k": 1,
    "g": 1,
    "t": 19,
    "d": 19,
    "p": 17,
    "b": 17,
    "c": 1,
    "kh": 1,
    "th": 19,
}
_ALL_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_ALL_ONSETS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_SOUND = re.compile(
    r"(?P<onset>shch|zh|kh|ch|sh|ts|tz|th|ph|dz|gh|bh|dh|kk|ny(?=[aeiou])|ng(?=[aeiou])|[bcdfghjklmnpqrstvxz])?"
    r"(?P<vowel>yae|yeo|ya|ye|yo|yu|yi|wa|wi|we|wo|wu|ae|eo|eu|oe|[aeiou]|y(?![aeiou]))"
    r"|(?P<alone>ng|shch|zh|kh|ch|sh|ts|tz|th|ph|dz|gh|bh|dh|[bcdfghjklmnpqrstvxzwy])"
)
_SOFT = {
    "sh": {"ㅏ": "ㅑ", "ㅓ": "ㅕ", "ㅗ": "ㅛ", "ㅜ": "ㅠ", "ㅔ": "ㅖ"},
    "shch": {"ㅏ": "ㅑ", "ㅗ": "ㅛ", "ㅜ": "ㅠ"},
}
_FINAL = _pairs(
    "s 스 z 즈 j 지 ch 치 sh 시 ts 츠 zh 즈 shch 시 f 프 v 브 r 르 x 스 w 우 y 이 tz 츠 dz 즈 q 크 ph 프 gh 그 "
    "bh 브 dh 드"
)
_MIDDLE = {
    "k": "크",
    "g": "그",
    "t": "트",
    "d": "드",
    "p": "프",
    "b": "브",
    "c": "크",
    "kh": "흐",
    "th": "트",
    "l": "ㄹ",
}


def in_hangul(romanized: str) -> str:
    """Return how Korean pronounces a romanized word (a-z), sound by sound: "privet" -> "프리베트"."""
    hangul: list[str] = []
    for match in _SOUND.finditer(romanized.lower()):
        if alone := match["alone"]:
            hangul.append(_without_vowel(alone, hangul, match.end() == len(romanized)))
            continue
        onset, vowel = match["onset"] or "", _VOWELS[match["vowel"]]
        vowel = _SOFT.get(onset, {}).get(vowel, vowel)
        if onset == "l" and hangul and is_hangul(hangul[-1][-1:]) and (ord(hangul[-1][-1]) - 0xAC00) % 28 == 0:
            hangul[-1] = hangul[-1][:-1] + chr(ord(hangul[-1][-1]) + _CODAS["l"])
        hangul.append(chr(0xAC00 + _ALL_ONSETS.index(_ONSETS[onset]) * 588 + _ALL_VOWELS.index(vowel) * 28))
    return "".join(hangul)


def _without_vowel(sound: str, hangul: list[str], last: bool) -> str:
    """Return how a consonant without a vowel is pronounced; if it can, it ends the last syllable of `hangul`."""
    open_before = bool(hangul) and is_hangul(hangul[-1][-1:]) and (ord(hangul[-1][-1]) - 0xAC00) % 28 == 0
    if open_before and sound in _CODAS and (sound in ("n", "m", "ng", "l") or (last and sound in "kpt")):
        hangul[-1] = hangul[-1][:-1] + chr(ord(hangul[-1][-1]) + _CODAS[sound])
        return ""
    return {"n": "느", "m": "므", "ng": "응", "l": "르"}.get(sound) or _FINAL.get(sound, _MIDDLE.get(sound, ""))


_KANA = _pairs(
    "か 카 き 키 く 쿠 け 케 こ 코 が 가 ぎ 기 ぐ 구 げ 게 ご 고 さ 사 し 시 す 스 せ 세 そ 소 ざ 자 じ 지 ず 즈 "
    "ぜ 제 ぞ 조 た 타 ち 치 つ 쓰 て 테 と 토 だ 다 ぢ 지 づ 즈 で 데 ど 도 な 나 に 니 ぬ 누 ね 네 の 노 は 하 "
    "ひ 히 ふ 후 へ 헤 ほ 호 ば 바 び 비 ぶ 부 べ 베 ぼ 보 ぱ 파 ぴ 피 ぷ 푸 ぺ 페 ぽ 포 ま 마 み 미 む 무 め 메 "
    "も 모 や 야 ゆ 유 よ 요 ら 라 り 리 る 루 れ 레 ろ 로 わ 와 を 오 ゐ 이 ゑ 에 あ 아 い 이 う 우 え 에 お 오 "
    "ゔ 부 ぁ 아 ぃ 이 ぅ 우 ぇ 에 ぉ 오 ゕ 카 ゖ 케 ゎ 와"
)
_SMALL_Y = {"ゃ": "ㅑ", "ゅ": "ㅠ", "ょ": "ㅛ"}
_SMALL = {"ぁ": "ㅏ", "ぃ": "ㅣ", "ぇ": "ㅔ", "ぉ": "ㅗ", "ぅ": "ㅜ"}
_PLAIN_AT_START = {"ㅋ": "ㄱ", "ㅌ": "ㄷ"}


def kana_sound(text: str) -> str:
    """Return how Korean writes Japanese kana (외래어 표기법): "カラオケ" -> "가라오케"."""
    if text in _GREETINGS:
        return _GREETINGS[text]
    hiragana = "".join(chr(ord(letter) - 0x60) if "ァ" <= letter <= "ヶ" else letter for letter in text)
    hangul = ""
    for written, letter in zip(text, hiragana, strict=True):
        if (
            written == "う"
            and hangul
            and is_hangul(hangul[-1])
            and (ord(hangul[-1]) - 0xAC00) % 588 in (224, 336, 364, 476)
        ):
            continue  # a long o or u
        if letter in _KANA and not (letter in _SMALL and hangul and is_hangul(hangul[-1])):
            sound = _KANA[letter]
            onset = onset_of(sound)
            if not hangul and onset in "ㅋㅌ":
                sound = chr(ord(sound) - (_ALL_ONSETS.index(onset) - _ALL_ONSETS.index(_PLAIN_AT_START[onset])) * 588)
            elif not hangul and sound == "치":
                sound = "지"
            hangul += sound
        elif (letter in _SMALL_Y or letter in _SMALL) and hangul and is_hangul(hangul[-1]):
            vowel = _SMALL_Y.get(letter) or _SMALL[letter]
            hangul = hangul[:-1] + _with_vowel(hangul[-1], vowel)
        elif letter in _SMALL_Y:
            hangul += {"ゃ": "야", "ゅ": "유", "ょ": "요"}[letter]
        elif letter in "んっ" and hangul and is_hangul(hangul[-1]) and (ord(hangul[-1]) - 0xAC00) % 28 == 0:
            hangul = hangul[:-1] + chr(ord(hangul[-1]) + (4 if letter == "ん" else 19))
        elif letter == "ん":
            hangul += "은"
    return hangul


_CONSONANT = "[bcdfgjklmnpqrstvxz]"
_UNWRITTEN = re.compile(rf"(?<={_CONSONANT})(?={_CONSONANT})(?!(?<=(.))\1)|(?<={_CONSONANT})(?=h[^aeiou])")
"""Where scripts without written vowels, or with an inherent one, have a vowel that is not written."""
_GREETINGS = {"こんにちは": "곤니치와", "こんばんは": "곤방와"}


def _with_vowel(syllable: str, vowel: str) -> str:
    onset = (ord(syllable) - 0xAC00) // 588
    if _ALL_ONSETS[onset] in "ㅈㅊㅉ":
        vowel = {"ㅑ": "ㅏ", "ㅠ": "ㅜ", "ㅛ": "ㅗ"}.get(vowel, vowel)
    return chr(0xAC00 + onset * 588 + _ALL_VOWELS.index(vowel) * 28)


def foreign_sound(text: str) -> str:
    """Return how Korean pronounces a word whose letters are neither Hangul, Latin nor Chinese.

    A single Greek letter is read by its name.
    """
    plain = unicodedata.normalize("NFC", text).lower()
    if len(plain) == 1 and (name := GREEK.get(unicodedata.normalize("NFKD", plain)[0])):
        return name
    if script_of(plain[0]) == "KANA" or plain[0] in "ーっッ":
        return kana_sound(plain)
    latin = "".join(filter(str.isalpha, romanized(plain))).replace("iy", "i").replace("yy", "y")
    if script_of(plain[0]) not in ("CYRILLIC", "GREEK", "THAI", "LAO", "GEORGIAN", "ARMENIAN"):
        latin = _UNWRITTEN.sub("a", latin)
    return in_hangul(latin)


def romanized(text: str) -> str:
    """Return the text in Latin letters, as close to its sound as a table for all of Unicode comes."""
    from anyascii import anyascii

    return str(anyascii(text))
