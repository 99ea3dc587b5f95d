"""Reads Chinese characters in Korean text (hanja): 金 대표 is 김 대표, 男女 남녀, 女性 여성."""

from __future__ import annotations

import re
import unicodedata
from functools import cache


def _pairs(listed: str) -> dict[str, str]:
    words = listed.split()
    return dict(zip(words[::2], words[1::2], strict=True))


_SURNAMES = {"金": "김"}
"""Characters with a different reading as a surname."""
_BEFORE_NAMES = re.compile(
    r" ?(?:씨|군|양|님|대표|회장|사장|부장|과장|대리|대통령|총리|장관|의원|교수|박사|선생|감독|선수|기자|위원장|총재|"
    r"前|전|대변인|청장|시장|지사|후보|이사|원장|총장|실장|국장|차관|여사|옹)(?![가-힣]{3})"
)
"""What may follow a surname."""
_GOLDEN = "融利曜屬剛額髮錢賞銀色品管字庫券貨冠塊魚星玉言箔本策權力牌科鑛鐵黃"
"""What follows 金 in the sense of gold, metal or money."""
_USUAL = _pairs(
    "率 률 樂 락 車 차 不 불 省 성 復 복 殺 살 狀 장 便 편 茶 차 度 도 說 설 讀 독 更 경 惡 악 降 강 北 북 切 절 "
    "宅 택 識 식 參 참 見 견 易 이 拾 십 洞 동 暴 폭 數 수 塞 색 索 색 宿 숙 葉 엽 糖 당 內 내 炙 자 丹 단 李 리 "
    "什 십 沈 침 行 행 布 포 契 계 龜 귀 諾 낙 刺 자 推 추 則 칙 合 합 賁 분 覆 복 單 단 畫 화 的 적 年 년"
)
"""The most frequent reading of characters that have several."""
_WORDS = _pairs(
    "香港 홍콩 金九 김구 塞翁 새옹 拾得 습득 大統領 대통령 副統領 부통령 旅行 여행 料理 요리 歷史 역사 "
    "利用 이용 理由 이유 理論 이론 聯合 연합 聯盟 연맹 勞動 노동 "
    "老人 노인 論理 논리 綠色 녹색 "
    "流行 유행 留學 유학 料金 요금 禮節 예절 領土 영토 領域 영역 例外 예외 路線 노선 女性 여성 "
    "旅券 여권 兩國 양국 力學 역학 立法 입법 臨時 임시 冷戰 냉전 女子 여자 年間 연간 論文 논문 流通 유통 "
    "金額 금액 六月 유월 十月 시월 不動産 부동산 不動 부동 不當 부당 不正 부정 不足 부족 不在 부재 不渡 부도 "
    "不實 부실 不振 부진 不條理 부조리 不調和 부조화 不定 부정 不作爲 부작위 音樂 음악 樂器 악기 樂團 악단 "
    "聲樂 성악 國樂 국악 農樂 농악 樂園 낙원 樂觀 낙관 自轉車 자전거 人力車 인력거 停車場 정거장 復活 부활 "
    "復興 부흥 遊說 유세 降伏 항복 投降 투항 憎惡 증오 嫌惡 혐오 減殺 감쇄 相殺 상쇄 殺到 쇄도 賞狀 상장 "
    "更新 갱신 宅內 댁내 砂糖 사탕 綠茶 녹차 紅茶 홍차 龜裂 균열 反省 반성 省略 생략 貿易 무역 交易 교역 "
    "一切 일체 標識 표지 參億 삼억 忖度 촌탁 要塞 요새 搜索 수색 檢索 검색 思索 사색 統率 통솔 率先 솔선 "
    "輕率 경솔 布施 보시 便所 변소 小便 소변 大便 대변 敗北 패배 復權 복권 暴惡 포악 暴露 폭로 洞察 통찰 "
    "讀者 독자 句讀 구두 奈落 나락 內人 나인 牡丹 모란 木瓜 모과 十方 시방 初八日 초파일 菩提 보리 論難 논란 "
    "困難 곤란 許諾 허락 受諾 수락 承諾 승낙 喜怒 희로 大怒 대로 議論 의논 五六月 오뉴월 回轉 회전 智異山 지리산 "
    "漢拏山 한라산 金浦 김포 金海 김해 金泉 김천 金堤 김제 道袍 도포 宿泊 숙박 星宿 성수 惡寒 오한 覆面 복면 "
    "容易 용이 簡易 간이 安易 안이 難易 난이 平易 평이 數量 수량 頻數 빈삭 沈沒 침몰 沈默 침묵 沈滯 침체 "
    "沈着 침착 女人 여인 羅州 나주 龍仁 용인 年度 연도 本社 본사 中國 중국"
)
"""Words, and single characters, whose reading differs from that of their characters one by one."""
_COUNTED = _pairs("年 년 人 인 名 명 個 개 里 리 兩 냥 輛 량 列 열 度 도 率 율")
"""Characters that do not begin a word when they follow a number."""
_NUMBER_BEFORE = re.compile(r"[\d%]$")


def hanja_sound(text: str, before: str = "", after: str = "") -> str:
    """Return how Korean reads a run of Chinese characters.

    The law of initial sounds (두음법칙) applies at the beginning of a word: 女性 is 여성, 男女 남녀, 海外旅行 해외여행.

    Args:
        text: Chinese characters only.
        before: The text before them.
        after: The text after them.
    """
    table = _table()
    hangul = ""
    position = 0
    while position < len(text):
        at_start = position == 0 and not is_hangul(before[-1:])
        for length in range(min(4, len(text) - position), 0, -1):
            word = text[position : position + length]
            if length == 1 and (len(text) > 1 or before[-1:].isdigit()):
                continue
            if word in _WORDS and (length > 1 or at_start):
                break
        else:
            word = ""
        letter = text[position]
        if word:
            hangul += _WORDS[word]
            position += len(word)
            continue
        if at_start and letter in _SURNAMES and _is_name(text, after):
            hangul += _SURNAMES[letter]
        elif position == 0 and before[-1:].isdigit() and letter in _COUNTED:
            hangul += _COUNTED[letter]
        elif letter == "々":
            hangul += hangul[-1:]
        elif letter == "不" and onset_of(table.get(text[position + 1 : position + 2], " ")) in "ㄷㅈ":
            hangul += "부"
        else:
            sound = table.get(unicodedata.normalize("NFKC", letter), "")
            begins = position % 2 == 0 and 0 < position < len(text) - 1  # long words consist of words of two characters
            last = hangul[-1:] or (before[-1:] if is_hangul(before[-1:]) else "")
            hangul += _initial(sound, "" if begins else last)
        position += 1
    return hangul


def _is_name(text: str, after: str) -> bool:
    """Return whether a text that begins with a surname is a name: two to four characters, or before a title."""
    if len(text) == 1:
        return bool(_BEFORE_NAMES.match(after))
    return text[1] not in _GOLDEN and (len(text) == 3 or bool(_BEFORE_NAMES.match(after)))


def onset_of(syllable: str) -> str:
    """Return the initial consonant of a syllable; a blank if it is not Hangul."""
    return "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"[(ord(syllable) - 0xAC00) // 588] if is_hangul(syllable) else " "


def is_hangul(letter: str) -> bool:
    """Return whether a letter is a Hangul syllable."""
    return "가" <= letter <= "힣"


def _initial(sound: str, before: str) -> str:
    """Return the sound of a character after the syllable `before`; "" is the beginning of a word."""
    if not is_hangul(sound):
        return sound
    code = ord(sound) - 0xAC00
    onset, vowel, coda = code // 588, code % 588 // 28, code % 28
    if before:
        last = (ord(before) - 0xAC00) % 28 if is_hangul(before) else -1
        if sound in "렬률" and last in (0, 4):
            return {"렬": "열", "률": "율"}[sound]
        return sound
    narrow = vowel in (2, 3, 6, 7, 12, 17, 20)  # ㅑ ㅒ ㅕ ㅖ ㅛ ㅠ ㅣ
    if onset == 5:
        onset = 11 if narrow else 2
    elif onset == 2 and narrow:
        onset = 11
    return chr(0xAC00 + onset * 588 + vowel * 28 + coda)


@cache
def _table() -> dict[str, str]:
    """Load the readings of all characters, once: it takes a third of a second."""
    from hanja.table import hanja_table

    return {str(letter): str(sound)[:1] for letter, sound in hanja_table.items()} | _USUAL
