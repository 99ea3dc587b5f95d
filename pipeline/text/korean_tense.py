"""The standard pronunciation of Korean, sound by sound, with what the spelling does not show: 학교 is 학꾜.

eSpeak NG makes a consonant tense after a stop itself, so ``korean_sounds`` leaves that out; other voices need it. Where
only a dictionary knows (결정 is 결쩡, but 알지 is 알지), the frequent words are listed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from pipeline.text.korean_sounds import Syllable, is_syllable, pronounce, spoken_coda


def _names(listed: str) -> list[str]:
    return listed.split()


_TENSE = {"ㄱ": "ㄲ", "ㄷ": "ㄸ", "ㅂ": "ㅃ", "ㅅ": "ㅆ", "ㅈ": "ㅉ"}
_STOPS = frozenset("ㄱㄲㅋㄳㄺㄷㅅㅆㅈㅊㅌㅂㅍㅄㄿㄼㄾㄵ")
"""Finals after which a plain consonant is tense."""
_MOVE_TENSE = frozenset("ㄳㄽㅄ")
"""Finals whose ㅅ is tense where it moves to a vowel: 없어 is 업써."""
_AFTER_VERB = re.compile(
    r" (?:수(?=[ 가는도를만밖]|$)|것|거|걸(?= |$)|게(?=요|\W|$)|건(?= |$)|줄(?=[ 도은]|$)|지(?=[ 도]|$)|바(?=[ 를가]|$)"
    r"|적(?=[ 이은도]|$)|데(?=[ 가도]|$)|때|듯|뿐)"
)
"""What begins tense after a verb in ㄹ: 할 수 is 할 쑤."""
_LISTED = _names(
    # Sino-Korean: ㄷ, ㅅ, ㅈ after ㄹ
    "갈'등 갈'증 갈'색 걸'작 결'정 결'산 결'제 결'석 결'심 결'승 골'절 골'동 골'수 달'성 돌'진 말'단 말'소 멸'종 "
    "몰'두 몰'수 물'증 물'질 물'자 밀'도 밀'접 밀'집 발'달 발'전 발'생 발'송 발'신 발'사 발'상 발'작 발'족 발'동 "
    "별'도 별'세 불'신 불'시 살'생 설'정 설'득 설'사 솔'직 실'수 실'시 실'제 실'전 실'습 실'속 실'정 실'질 실'적 "
    "실'장 실'상 열'심 열'정 열'성 열'등 월'등 월'세 율'동 일'정 일'종 일'제 일'시 일'상 일'생 일'단 일'대 일'등 "
    "일'자 일'식 절'대 절'정 절'실 졸'도 졸'속 질'서 질'소 철'도 철'저 철'자 출'장 출'석 출'신 출'시 출'산 출'동 "
    "출'제 출'세 출'소 칠'십 탈'세 탈'진 팔'십 필'수 필'자 필'승 할'당 할'증 혈'당 혈'세 활'동 활'성 활'자 활'주 "
    "글'자 글'씨 기술'적 현실'적 개별'적 예술'적 "
    # compounds
    "인'기 조'건 사'건 성'격 인'격 문'법 헌'법 평'가 물'가 대'가 한'자 문'자 점'수 장'점 단'점 초'점 관'점 시'점 "
    "내'과 외'과 치'과 안'과 여'권 인'권 주'권 정'권 눈'길 산'길 손'길 발'길 길'가 강'가 술'집 김'밥 봄'바람 산'바람 "
    "강'바람 손'등 발'등 눈'병 밤'길 등'불 물'병 술'병 꿈'속 물'속 산'속 마음'속 안'방 손'수건 눈'동자 발'바닥 "
    "손'바닥 물'고기 비빔'밥 볶음'밥 아침'밥 보름'달 신분'증 자격'증 면허'증 영수'증 문제'점 만'점 용'건 안'건 여'건 "
    "요'건 갈'게 할'게 줄'게 볼'게 올'게"
)
"""Words in which the consonant after the mark is tense."""
_SAID = {
    "십육": "심뉵", "백육": "뱅뉵", "천육": "천뉵", "만육": "만뉵", "서울역": "서울력", "부산역": "부산녁",
    "한여름": "한녀름", "담요": "담뇨", "식용유": "시굥뉴", "휘발유": "휘발류", "알약": "알략", "물약": "물략",
    "색연필": "생년필", "꽃잎": "꼰닙", "깻잎": "깬닙", "나뭇잎": "나문닙", "솜이불": "솜니불", "읽고": "일꼬",
    "읽거": "일꺼", "읽기": "일끼", "읽게": "일께", "맑고": "말꼬", "맑게": "말께", "밝고": "발꼬", "밝게": "발께",
    "밝기": "발끼", "젊고": "점꼬", "젊지": "점찌", "젊다": "점따", "닮고": "담꼬", "닮지": "담찌", "닮다": "담따",
    "굶고": "굼꼬", "굶지": "굼찌", "의견란": "의견난", "생산량": "생산냥", "결단력": "결딴녁", "맛없": "마덥",
    "멋없": "머덥",
}  # fmt: skip
"""Words that no rule covers, as they sound; as many syllables as they are written with."""
_OWN_UI = _names(
    "회의 주의 강의 논의 문의 동의 합의 정의 거의 유의 예의 결의 건의 심의 호의 성의 적의 창의 협의 편의 토의 항의 "
    "임의 상의 하의 명의 본의 고의 악의 열의 제의 질의"
)
"""Nouns that end in 의; elsewhere a last 의 is the particle, which is pronounced 에."""
_PLAIN_VOWELS = {"ㅑ": "ㅏ", "ㅕ": "ㅓ", "ㅛ": "ㅗ", "ㅠ": "ㅜ", "ㅖ": "ㅔ", "ㅒ": "ㅐ"}


def standard(text: str) -> str:
    """Return the text as it sounds, letter for letter: "학교의 값" -> "학꾜에 갑". Only Hangul changes."""
    spelled = _KNOWN.sub(lambda match: _KNOWN_SOUNDS[match[0]], text)
    spelled = _PARTICLE_UI.sub(lambda match: match[0] if match[0] in _OWN_UI else match[1] + "에", spelled)
    spelled = _AFTER_L.sub(lambda match: match[0] if Syllable.of(match[1]).coda != "ㄹ" else match[1] + "료", spelled)
    tense = _tense_onsets(spelled)
    letters = []
    for i, letter in enumerate(pronounce(spelled)):
        if is_syllable(letter):
            one = Syllable.of(letter)
            onset = _TENSE.get(one.onset, one.onset) if i in tense else one.onset
            inside = i > 0 and is_syllable(spelled[i - 1])
            letter = str(Syllable(onset, _vowel(onset, one.vowel, inside), spoken_coda(one)))
        letters.append(letter)
    return "".join(letters)


def _vowel(onset: str, vowel: str, inside: bool) -> str:
    """Return a vowel as it sounds: 희 is 히, 회의 회이, 가져 가저, 시계 시게."""
    if vowel == "ㅢ" and (inside or onset != "ㅇ"):
        return "ㅣ"
    if onset in "ㅈㅉㅊ" or (vowel in "ㅖㅒ" and onset not in "ㅇㄹ"):
        return _PLAIN_VOWELS.get(vowel, vowel)
    return vowel


def _tense_onsets(text: str) -> set[int]:
    """Return which letters begin tense: after a final stop, and 수, 것, ... after a verb in ㄹ."""
    tense: set[int] = set()
    for i, (one, two) in enumerate(pairwise(text)):
        coda = Syllable.of(one).coda if is_syllable(one) else ""
        if coda and is_syllable(two) and coda in (_MOVE_TENSE if Syllable.of(two).onset == "ㅇ" else _STOPS):
            tense.add(i + 1)
        elif coda == "ㄹ" and _AFTER_VERB.match(text, i + 1):
            tense.add(i + 2)
    return tense


def _tensed(marked: str) -> str:
    """Return a listed word as it sounds: "결'정" -> "결쩡"."""
    before, after = marked.split("'")
    first = Syllable.of(after[0])
    return before + str(replace(first, onset=_TENSE.get(first.onset, first.onset))) + after[1:]


_KNOWN_SOUNDS = {word.replace("'", ""): _tensed(word) for word in _LISTED} | _SAID
_KNOWN = re.compile("|".join(sorted(map(re.escape, _KNOWN_SOUNDS), key=len, reverse=True)))
_PARTICLE_UI = re.compile("([가-힣]+)의(?![가-힣])")
_AFTER_L = re.compile("([가-힣])요(?![가-힣])")
"""The ending 요, which is 료 after ㄹ: 정말요."""
