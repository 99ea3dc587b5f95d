"""Which language a text is in, and whether it holds anything that can be said."""

from __future__ import annotations

import re
import unicodedata

DEFAULT_LANGUAGE = "en-us"
"""The espeak-ng voice for Latin text without evidence of another language."""

_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\u31f0-\u31ff\uff66-\uff9d]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_SCRIPTS = (
    (re.compile("[\u0400-\u04ff]"), "ru"),
    (re.compile("[\u0370-\u03ff\u1f00-\u1fff]"), "el"),
    (re.compile("[\u0590-\u05ff]"), "he"),
    (re.compile("[\u0600-\u06ff]"), "ar"),
    (re.compile("[\u0900-\u097f]"), "hi"),
    (re.compile("[\u0e00-\u0e7f]"), "th"),
)
_WORD = re.compile(r"[^\W\d_]+")

_FUNCTION_WORDS = {
    "es": "el los las una que es y por con para del está son pero muy hola gracias buenos buenas días señor usted "
    "cómo qué yo nosotros también aquí al su más lo se como entrevista llamo soy estoy tengo casa quiero puede trabajo",
    "fr-fr": "le les des une et est vous je nous dans pour avec que qui pas sur au aux ce cette bonjour merci très "
    "être il elle c d l j qu n monsieur madame votre mon ma mais où ça du oui",
    "de": "der die das und ist nicht ein eine einen ich wir sie mit für auf zu von dem den im guten tag danke bitte "
    "es auch wie heißen sehr herzlich willkommen zum zur sind haben hallo ihr ihre aber bei mein",
    "en-us": "the a an and is are you i we to of in for with that this it on hello thank thanks please my your not be "
    "was as at have good do",
}
_LETTERS = {"es": "ñ¿¡áíóú", "fr-fr": "çèêëîïôœùûàâ", "de": "ßäöü"}
_LETTER_EVIDENCE = 1.5
"""How many function words one telling letter is worth."""


def language_of(text: str) -> str:
    """Return the espeak-ng voice for TEXT ("ko", "ja", "cmn", "es", "fr-fr", "de", "en-us", ...).

    The script decides: any Hangul is Korean, any kana Japanese, Han alone Chinese. Latin text is told apart by accented
    letters and function words; without evidence it is English.
    """
    if _HANGUL.search(text):
        return "ko"
    if _KANA.search(text):
        return "ja"
    if _HAN.search(text):
        return "cmn"
    letters = sum(map(str.isalpha, text))
    for pattern, language in _SCRIPTS:
        if 2 * len(pattern.findall(text)) > letters:
            return language
    return _latin_language(text)


def has_han(text: str) -> bool:
    """Return whether TEXT holds Chinese characters (hanja, kanji)."""
    return bool(_HAN.search(text))


def unspaced(letter: str) -> bool:
    """Return whether words begin at LETTER without a blank before them, as they do in Chinese and Japanese."""
    return bool(_HAN.match(letter) or _KANA.match(letter))


def speakable(text: str) -> bool:
    """Return whether TEXT holds a letter or a digit of any script; "...", emoji and blanks do not."""
    return any(unicodedata.category(character)[0] in "LN" for character in text)


def plain(text: str) -> str:
    """Return TEXT with a blank for every control character but tab and line ends, and for lone surrogates."""
    return "".join(
        " " if unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\t\n\r" else letter for letter in text
    )


def _latin_language(text: str) -> str:
    lowered = unicodedata.normalize("NFC", text).lower()
    words = _WORD.findall(lowered)
    scores = {
        language: sum(word in known for word in words)
        + _LETTER_EVIDENCE * sum(map(lowered.count, _LETTERS.get(language, "")))
        for language, known in ((language, frozenset(known.split())) for language, known in _FUNCTION_WORDS.items())
    }
    best = max(scores, key=lambda language: (scores[language], language == DEFAULT_LANGUAGE))
    return best if scores[best] else DEFAULT_LANGUAGE
