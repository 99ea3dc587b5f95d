"""A sentence in each of the common languages, with which you can try and measure a voice."""

from __future__ import annotations

SAMPLES = {
    "ko": "안녕하세요. 만나서 반갑습니다. 오늘 하루도 즐겁게 보내세요.",
    "en": "Hello, it is nice to meet you. I hope you have a wonderful day.",
    "ja": "こんにちは。お会いできてうれしいです。よい一日をお過ごしください。",
    "cmn": "你好，很高兴认识你。祝你今天过得愉快。",
    "es": "Hola, es un placer conocerle. Le deseo un día estupendo.",
    "fr": "Bonjour, je suis ravi de vous rencontrer. Je vous souhaite une belle journée.",
    "de": "Guten Tag, es freut mich, Sie kennenzulernen. Ich wünsche Ihnen einen schönen Tag.",
    "it": "Buongiorno, è un piacere conoscerla. Le auguro una bella giornata.",
    "pt": "Olá, é um prazer conhecê-lo. Desejo-lhe um ótimo dia.",
    "ru": "Здравствуйте, рад с вами познакомиться. Желаю вам хорошего дня.",
    "uk": "Добрий день, радий з вами познайомитися. Бажаю вам гарного дня.",
    "pl": "Dzień dobry, miło mi pana poznać. Życzę miłego dnia.",
    "nl": "Goedendag, leuk u te ontmoeten. Ik wens u een fijne dag.",
    "sv": "Hej, det är trevligt att träffas. Ha en riktigt fin dag.",
    "tr": "Merhaba, tanıştığımıza memnun oldum. Size güzel bir gün dilerim.",
    "vi": "Xin chào, rất vui được gặp bạn. Chúc bạn một ngày tốt lành.",
    "id": "Halo, senang bertemu dengan Anda. Semoga hari Anda menyenangkan.",
    "hi": "नमस्ते, आपसे मिलकर खुशी हुई। आपका दिन शुभ हो।",
    "ar": "مرحبا، سعدت بلقائك. أتمنى لك يوما سعيدا.",
}
COUNTED = "1 2 3 4 5 6 7 8 9 10"
"""What every language reads in its own words."""


def sample_of(language: str) -> str | None:
    """Return the sentence in a language (an espeak-ng voice name such as "en-us"); None if there is none."""
    return SAMPLES.get(language) or SAMPLES.get(language.split("-")[0])
