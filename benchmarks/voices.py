"""How well each voice is understood, how fast and how loud it is, and how well lips follow it.

    python -m benchmarks.voices
    python -m benchmarks.voices --recogniser my_module:recognise --lips

For every voice of a person (of eSpeak NG the one of the language) and every set of sentences below, one table row:

    error    share of words (Korean: letters, Japanese: sounds) that the recogniser hears wrongly; needs --recogniser
    speed    seconds of speech per second
    core     seconds of speech per second of the processor: hardly less on a busy machine
    first    seconds until the first piece of a sentence is spoken, the voice being loaded
    memory   MiB that the process has held at most, without the recogniser
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
from collections.abc import Callable, Sequence
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
from pipeline.text.reading import read_aloud, reading
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
        "우리 회사에 지원하게 된 동기가 무엇입니까?",
        "여러 업무의 마감일이 겹치면 어떤 기준으로 우선순위를 정하시나요?",
        "가장 기억에 남는 프로젝트와 맡으셨던 역할을 설명해 주시겠어요?",
        "천천히 생각하고 답변하셔도 괜찮습니다.",
        "실패했던 경험과 그 경험을 통해 배운 점을 이야기해 주세요.",
        "마지막으로 궁금한 점이 있으시면 질문해 주세요.",
        "답변 감사합니다. 조금 더 구체적인 예를 들어 주실 수 있을까요?",
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
OTHERS = {
    "ko": (
        # numbers
        "회의는 오후 3시 30분에 12층 회의실에서 시작합니다.",
        "작년 매출은 1,250억 원으로 8.5% 늘었습니다.",
        "제 전화번호는 010-2345-6789입니다.",
        "2019년 4월 17일에 직원 27명으로 시작했습니다.",
        "사과 다섯 개와 배 세 상자를 합쳐서 48,000원입니다.",
        "열차는 7번 승강장에서 15분 뒤에 출발합니다.",
        # names
        "저는 부산에서 온 김민준이고, 이쪽은 동료 박서연입니다.",
        "이순신 장군의 동상은 광화문 광장에 있습니다.",
        "최지우 팀장님이 제주도와 강릉을 맡고 계십니다.",
        "설악산 아래에 있는 속초시청에서 만나기로 했어요.",
        "세종대왕은 집현전 학자들과 한글을 만들었습니다.",
        "정하늘 씨는 전주에서 비빔밥 가게를 합니다.",
        # loan words
        "커피와 샌드위치를 주문하고 노트북을 켰습니다.",
        "데이터베이스 서버를 클라우드로 옮기는 프로젝트였어요.",
        "인터넷 쇼핑몰의 디자인과 마케팅을 담당했습니다.",
        "버스 터미널 옆 슈퍼마켓에서 초콜릿을 샀습니다.",
        "스마트폰 애플리케이션으로 피아노 레슨을 예약하세요.",
        "엘리베이터가 고장 나서 에스컬레이터를 탔어요.",
        # questions
        "지금 통화하실 수 있으세요?",
        "혹시 다른 회사에서도 비슷한 일을 해 보셨습니까?",
        "주말에는 보통 무엇을 하면서 쉬세요?",
        "이 문제를 처음부터 다시 푼다면 어디에서 시작하시겠습니까?",
        "어제 보내 드린 자료는 받으셨나요?",
        "왜 그렇게 생각하시는지 여쭤봐도 될까요?",
        # long clauses
        "처음에는 모두가 반대했지만 석 달 동안 고객을 한 분씩 찾아가서 이야기를 들은 뒤에는 생각이 바뀌었습니다.",
        "비가 많이 오는 날에는 길이 미끄러우니까 조금 늦더라도 천천히 운전해 주시면 고맙겠습니다.",
        "새로 들어온 직원이 혼자서도 일을 배울 수 있도록 자주 묻는 것들을 모아서 짧은 안내서를 썼습니다.",
        "할머니께서 끓여 주시던 따뜻한 국수가 생각나서 퇴근하는 길에 시장에 들러 재료를 샀습니다.",
        "바람이 세게 불어서 나뭇잎이 마당에 가득 쌓였는데 아이들은 그 위에서 뛰어놀며 즐거워했습니다.",
        "계획을 세우는 것보다 중요한 것은 잘못된 곳을 빨리 찾아서 고칠 수 있는 습관이라고 생각합니다.",
    ),
}
"""Sentences of another kind, by which no voice was tuned: numbers, names, loan words, questions, long clauses."""
VOICE_OF = {"en": "en-us", "ko": "ko", "ja": "ja"}
LIPS = ("closure", "corr", "lag_ms")
HEAD = (
    *("engine", "voice", "language", "sentences", "error %", "speed", "core", "first s", "memory MiB"),
    *("LUFS as it comes", "LUFS played"),
)

Recogniser = Callable[[np.ndarray, str], str]


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--recogniser", metavar="MODULE:FUNCTION")
    options.add_argument("--lips", action="store_true", help="make videos, and judge their lips")
    options.add_argument("--engine", help="one engine")
    options.add_argument("--voice", help="one voice of it")
    options.add_argument("--language", choices=SENTENCES, help="one language")
    given = options.parse_args()
    engines = {
        name: engine
        for name, engine in make_studio(Settings()).tts.items()
        if engine.available() and not engine.remote and given.engine in (None, name)
    }
    print(f"machine: {describe_machine()}; load {load():.1f}\n")
    head = (*HEAD, *(LIPS if given.lips else ()))
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    asked = [(language, said) for kind in (SENTENCES, OTHERS) for language, said in kind.items()]
    alone = multiprocessing.get_context("spawn")
    for name, engine in engines.items():
        for voice in [given.voice] if given.voice else _people(engine):
            for language, said in asked:
                if given.language not in (None, language) or not engine.speaks(VOICE_OF[language]):
                    continue
                with alone.Pool(1) as pool:  # a process of its own: its memory is that of one voice
                    row = pool.apply(measured, (name, voice, language, said, given.recogniser, given.lips))
                print("| " + " | ".join(row) + " |", flush=True)


def measured(
    name: str, voice: str, language: str, said: Sequence[str], recogniser: str | None, lips: bool
) -> list[str]:
    """Return the row of a voice that says some sentences of a language."""
    logging.disable(logging.INFO)
    engine, spoken = make_studio(Settings()).tts[name], VOICE_OF[language]
    row = [name, voice, language, f"{len(said)}{' others' if said == OTHERS.get(language) else ''}"]
    try:
        engine.synthesize(said[0], voice, CancelToken(), spoken)
    except PipelineError as error:
        return [*row, str(error)]
    wall, core, firsts, heard, raw, played = 0.0, 0.0, [], [], [], []
    for text in said:
        pieces: list[Speech] = []
        started, worked = time.perf_counter(), time.process_time()
        for piece in engine.stream(text, voice, CancelToken(), spoken):
            if not pieces:
                firsts.append(time.perf_counter() - started)
            pieces.append(piece)
        wall, core = wall + time.perf_counter() - started, core + time.process_time() - worked
        speech, done = (joined(some) for some in (pieces, finished(iter(pieces), engine.loudness(voice, spoken), 0.0)))
        raw.append(loudness([speech.samples], speech.rate) or 0.0)
        played.append(loudness([done.samples], done.rate) or 0.0)
        heard.append(done)
    memory, length = peak_memory(), sum(speech.duration for speech in heard)
    row += [_error(said, heard, language, _function(recogniser)) if recogniser else "-"]
    row += [f"{length / wall:.1f}", f"{length / core:.1f}", f"{statistics.median(firsts):.2f}", f"{memory:.0f}"]
    row += [f"{statistics.mean(one):.1f} ({min(one):.1f}..{max(one):.1f})" for one in (raw, played)]
    return row + (_lips(engine, voice, language, said) if lips else [])


def _people(engine: TTSEngine) -> list[str]:
    """Return the voices of an engine that are people's; its own choice where it has none."""
    return [voice.id for voice in engine.voices() if engine.voice_for(voice.gender) != CUSTOM_VOICE] or [CUSTOM_VOICE]


def _error(said: Sequence[str], heard: Sequence[Speech], language: str, recognise: Recogniser) -> str:
    """Return how many percent of the units of some sentences are heard wrongly."""
    wrong = asked = 0
    for text, speech in zip(said, heard, strict=True):
        one = _units(text, language)
        samples = np.asarray(soxr.resample(speech.samples, speech.rate, 16000), np.float32)
        wrong += _distance(one, _units(recognise(samples, language), language))
        asked += len(one)
    return f"{100 * wrong / asked:.1f}"


def _lips(engine: TTSEngine, voice: str, language: str, said: Sequence[str]) -> list[str]:
    """Return the judge's figures over the sentences, worst first: closure, correlation, lag."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        studio = make_studio(replace(Settings(), results=Path(folder)))
        avatar = studio.avatars.load(studio.avatars.find("talk_long", "720p"))
        for number, text in enumerate(said):
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
    """Return the words of a text, or the letters of Korean and the sounds of Japanese, without punctuation.

    Numbers and Latin letters in Korean count as they are read aloud, however they are written.
    """
    if language == "ko":
        return [letter for letter in read_aloud(text, "ko").lower() if letter.isalnum()]
    said = re.sub(r"[^\w\s]", "", text.lower())
    if language == "ja":
        spoken = "".join(symbol for symbol, _ in japanese_symbols(reading(said, "ja")))
        return list(re.sub(r"\s", "", spoken))
    return said.split()


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
