"""How well each voice is understood, how fast and how loud it is, and how well lips follow it.

    python -m benchmarks.voices
    python -m benchmarks.voices --recogniser my_module:recognise --lips

For every engine that is available and every language of the sentences below, one table row:

    error    share of words (Korean: letters, Japanese: sounds) that the recogniser hears wrongly; needs --recogniser
    speed    seconds of speech per second
    first    seconds until the first piece of a sentence is spoken, the voice being loaded
    memory   MiB that the process has held at most, with the voice alone
    loudness LUFS as it comes, and as the program plays it, with the range over the sentences
    lips     the judge's figures (``benchmarks.lip_judge``), with the engine's own durations; needs --lips

The recogniser is a function of yours: ``recognise(samples, language) -> str``, where samples is (n,) float32 at 16 kHz
and language is "ko", "en" or "ja" (where Janome is installed, which reads kanji).
"""

from __future__ import annotations

import argparse
import importlib
import logging
import multiprocessing
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from benchmarks.film import film
from benchmarks.lip_judge import check
from benchmarks.machine import describe_machine, load, peak_memory
from pipeline.core.cancel import CancelToken
from pipeline.errors import PipelineError
from pipeline.jobs.studio import make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.settings import Settings
from pipeline.speech_types import Speech, joined
from pipeline.text import japanese
from pipeline.text.reading import reading
from pipeline.tts.finish import finished, loudness
from pipeline.tts.kokoro_japanese import japanese_symbols
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine

SENTENCES = {
    "en": (
        "Welcome to the interview. Could you introduce yourself, please?",
        "Thank you for that answer. What would you say is your greatest strength?",
        "Tell me about a time when you had to resolve a conflict with a colleague.",
        "How do you prioritize your tasks when several deadlines fall on the same day?",
        "Please bring me one concrete example of a problem that you solved.",
        "That concludes our interview today. We will contact you within two weeks.",
    ),
    "ko": (
        "안녕하세요, 면접에 오신 것을 환영합니다.",
        "먼저 간단하게 자기소개를 부탁드립니다.",
        "지원하신 직무에서 가장 중요하다고 생각하는 역량은 무엇인가요?",
        "동료와 갈등이 생겼을 때 어떻게 해결하셨는지 말씀해 주세요.",
        "실패했던 경험과 그 경험을 통해 배운 점을 이야기해 주세요.",
        "오늘 면접은 여기까지입니다. 결과는 이 주 안에 알려 드리겠습니다.",
    ),
}
if japanese.available():
    SENTENCES["ja"] = (
        "本日はお越しいただきありがとうございます。",
        "まず簡単に自己紹介をお願いいたします。",
        "この仕事で最も大切だと思う力は何ですか。",
        "同僚と意見が合わなかったとき、どのように解決しましたか。",
        "失敗した経験と、そこから学んだことを教えてください。",
        "本日の面接は以上です。結果は2週間以内にお知らせします。",
    )
VOICE_OF = {"en": "en-us", "ko": "ko", "ja": "ja"}
LIPS = ("closure", "corr", "lag_ms")
HEAD = ("engine", "voice", "language", "error %", "speed", "first s", "memory MiB", "LUFS as it comes", "LUFS played")

Recogniser = Callable[[np.ndarray, str], str]


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--recogniser", metavar="MODULE:FUNCTION")
    options.add_argument("--lips", action="store_true", help="make videos, and judge their lips")
    options.add_argument("--engine", help="one engine")
    options.add_argument("--voice", default=CUSTOM_VOICE, help="one voice of it")
    given = options.parse_args()
    names = [name for name, engine in make_studio(Settings()).tts.items() if engine.available() and not engine.remote]
    print(f"machine: {describe_machine()}; load {load():.1f}\n")
    head = (*HEAD, *(LIPS if given.lips else ()))
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    alone = multiprocessing.get_context("spawn")
    for name in names:
        for language in SENTENCES if given.engine in (None, name) else ():
            with alone.Pool(1) as pool:  # a process of its own: its memory is that of one voice
                row = pool.apply(measured, (name, given.voice, language, given.recogniser, given.lips))
            if row:
                print("| " + " | ".join(row) + " |", flush=True)


def measured(name: str, voice: str, language: str, recogniser: str | None, lips: bool) -> list[str]:
    """Return the row of an engine in a language; empty if it does not speak it."""
    logging.disable(logging.INFO)
    studio = make_studio(Settings())
    engine, spoken = studio.tts[name], VOICE_OF[language]
    if not engine.speaks(spoken):
        return []
    try:
        engine.synthesize(SENTENCES[language][0], voice, CancelToken(), spoken)
    except PipelineError as error:
        return [name, voice, language, str(error)]
    times, firsts, lengths, raw, played, wrong, asked = 0.0, [], 0.0, [], [], 0, 0
    recognise = _function(recogniser) if recogniser else None
    for text in SENTENCES[language]:
        pieces: list[Speech] = []
        started = time.perf_counter()
        for piece in engine.stream(text, voice, CancelToken(), spoken):
            if not pieces:
                firsts.append(time.perf_counter() - started)
            pieces.append(piece)
        times += time.perf_counter() - started
        speech = joined(pieces)
        lengths += speech.duration
        level = engine.loudness(voice, spoken)
        done = joined(finished(iter(pieces), level, 0.0))
        raw.append(loudness([speech.samples], speech.rate) or 0.0)
        played.append(loudness([done.samples], done.rate) or 0.0)
        memory = peak_memory()
        if recognise is not None:
            heard = recognise(np.asarray(soxr.resample(done.samples, done.rate, 16000), np.float32), language)
            one, other = _units(text, language), _units(heard, language)
            wrong, asked = wrong + _distance(one, other), asked + len(one)
    missed = f"{100 * wrong / asked:.1f}" if asked else "-"
    row = [name, voice, language, missed, f"{lengths / times:.1f}", f"{statistics.median(firsts):.2f}"]
    row += [f"{memory:.0f}", *(f"{statistics.mean(one):.1f} ({min(one):.1f}..{max(one):.1f})" for one in (raw, played))]
    return row + (_lips(engine, voice, language) if lips else [])


def _lips(engine: TTSEngine, voice: str, language: str) -> list[str]:
    """Return the judge's figures over the sentences, worst first: closure, correlation, lag."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        studio = make_studio(replace(Settings(), results=Path(folder)))
        avatar = studio.avatars.load(studio.avatars.find("talk_long", "720p"))
        for number, text in enumerate(SENTENCES[language]):
            pieces = list(engine.stream(text, voice, CancelToken(), VOICE_OF[language]))
            task = TaskBook(Path(folder), 0).files_of(f"{number:032x}")
            film(avatar, finished(iter(pieces), engine.loudness(voice, VOICE_OF[language]), 0.0), task, studio)
            found.append(check(task.video, joined(finished(iter(pieces), None, 0.0))))
    values = [[one[measure] for one in found if one.get(measure) is not None] for measure in LIPS]
    return [f"{min(one):.2f}..{max(one):.2f}" if one else "-" for one in values]


def _function(named: str) -> Recogniser:
    module, _, function = named.partition(":")
    recognise: Recogniser = getattr(importlib.import_module(module), function)
    return recognise


def _units(text: str, language: str) -> list[str]:
    """Return the words of a text, or the letters of Korean and the sounds of Japanese, without punctuation."""
    said = re.sub(r"[^\w\s]", "", text.lower())
    if language == "ja":
        spoken = "".join(symbol for symbol, _ in japanese_symbols(reading(said, "ja")))
        return list(re.sub(r"\s", "", spoken))
    return list(re.sub(r"\s", "", said)) if language == "ko" else said.split()


def _distance(one: list[str], other: list[str]) -> int:
    """Return how many units must be changed, added or left out (Levenshtein)."""
    row = list(range(len(other) + 1))
    for at, unit in enumerate(one, 1):
        before, row = row, [at]
        for place, heard in enumerate(other, 1):
            row.append(min(before[place] + 1, row[-1] + 1, before[place - 1] + (unit != heard)))
    return row[-1]


if __name__ == "__main__":
    main()
