"""The words that stand for letters, units, symbols and counters in spoken Korean."""

from __future__ import annotations


def _names(words: str) -> tuple[str, ...]:
    return tuple(words.split())


_LETTER_NAMES = _names(
    "에이 비 씨 디 이 에프 지 에이치 아이 제이 케이 엘 엠 엔 오 피 큐 알 에스 티 유 브이 더블유 엑스 와이 제트"
)
LETTERS = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", _LETTER_NAMES, strict=True))
WORDS = {
    "MP3": "엠피쓰리", "MP4": "엠피포", "3D": "쓰리디", "2D": "투디", "4K": "포케이",
    "8K": "에이트케이", "5G": "파이브지", "4G": "포지", "3G": "쓰리지", "6G": "식스지", "1:1": "일대일",
    "24/7": "이십사 시간 내내", "Wi-Fi": "와이파이", "WiFi": "와이파이", "NASA": "나사",
    "KAIST": "카이스트", "IKEA": "이케아", "NATO": "나토", "UNESCO": "유네스코", "FIFA": "피파",
    "OPEC": "오펙", "JSON": "제이슨", "SaaS": "사스", "COVID": "코비드", "vs": "대", "vs.": "대",
    "etc.": "등등", "No.": "넘버", "Mr.": "미스터", "Ms.": "미즈", "Dr.": "닥터", "OK": "오케이",
    "B2B": "비투비", "B2C": "비투씨",
    "MBTI": "엠비티아이", "MZ": "엠지", "TOEIC": "토익", "TOPIK": "토픽", "KOSPI": "코스피", "KOSDAQ": "코스닥",
    "NAVER": "네이버", "6·25": "육이오", "4·19": "사일구", "5·18": "오일팔", "8·15": "팔일오", "3·1": "삼일",
}  # fmt: skip
"""What is not said letter by letter or digit by digit."""
UNITS = {
    "%p": "퍼센트포인트", "%": "퍼센트", "％": "퍼센트", "‰": "퍼밀", "℃": "도", "°C": "도", "℉": "도",
    "°F": "도", "°": "도", "km/h": "킬로미터", "m/s": "미터", "km²": "제곱킬로미터",
    "㎢": "제곱킬로미터", "m²": "제곱미터", "㎡": "제곱미터", "cm²": "제곱센티미터", "m³": "세제곱미터",
    "㎥": "세제곱미터", "km": "킬로미터", "㎞": "킬로미터", "cm": "센티미터", "㎝": "센티미터",
    "mm": "밀리미터", "㎜": "밀리미터", "nm": "나노미터", "μm": "마이크로미터", "m": "미터",
    "kg": "킬로그램", "㎏": "킬로그램", "mg": "밀리그램", "㎎": "밀리그램", "g": "그램", "t": "톤",
    "kcal": "킬로칼로리", "cal": "칼로리", "mL": "밀리리터", "ml": "밀리리터", "㎖": "밀리리터",
    "cc": "씨씨", "㏄": "씨씨", "L": "리터", "l": "리터", "ℓ": "리터", "kHz": "킬로헤르츠",
    "MHz": "메가헤르츠", "GHz": "기가헤르츠", "Hz": "헤르츠", "kWh": "킬로와트시", "kW": "킬로와트",
    "MW": "메가와트", "W": "와트", "kV": "킬로볼트", "V": "볼트", "mAh": "밀리암페어시",
    "mA": "밀리암페어", "dB": "데시벨", "TB": "테라바이트", "GB": "기가바이트", "MB": "메가바이트",
    "KB": "킬로바이트", "kB": "킬로바이트", "Gbps": "기가비피에스", "Mbps": "메가비피에스",
    "kbps": "킬로비피에스", "fps": "에프피에스", "rpm": "알피엠", "px": "픽셀", "ms": "밀리초",
    "inch": "인치",
}  # fmt: skip
"""What stands after a number."""
SPEEDS = {"km/h": "시속 ", "m/s": "초속 "}
"""What is said before the number instead."""
CURRENCIES = {
    "$": "달러", "₩": "원", "￦": "원", "€": "유로", "£": "파운드", "¥": "엔", "￥": "엔",
}  # fmt: skip
"""What is written before an amount and said after it."""
SYMBOLS = {
    "&": " 앤드 ", "@": " 골뱅이 ", "+": " 플러스 ", "=": "은 ", "×": " 곱하기 ", "÷": " 나누기 ",
    "±": " 플러스마이너스 ", "%": "퍼센트", "％": "퍼센트", "℃": "도", "㈜": "주식회사 ", "№": "넘버 ",
    "™": "", "®": "", "©": "", "※": " ", "→": " ", "≥": " 이상 ", "≤": " 이하 ", "≠": " 같지 않다 ",
    "√": " 루트 ", "∞": " 무한대 ",
}  # fmt: skip
MONTHS = {6: "유", 10: "시"}
"""The months whose numbers have lost their last sound."""

COUNTERS = _names(
    "개 명 사람 마리 권 장 살 잔 병 대 채 켤레 벌 송이 그루 가지 군데 곳 달 번째 번 시간 통 척 쌍 그릇 "
    "조각 컵 배 편 판 팀 줄 칸 끼 방울 모금 자루 다발 포기 바퀴 알 갑 상자 봉지 숟가락 스푼 접시 걸음 "
    "마디 차례 시"
)
"""What is counted with native Korean numbers."""
NOT_COUNTERS = _names(
    "개월 개국 개년 개소 개사 개교 개점 대학 대로 달러 시즌 장르 명령 배럴 배속 통신 편성 판정 번지 번길 "
    "번가 번대 번호 번역 시리즈 시대 시도"
)
"""What begins like a counter but is a longer word."""
NUMBERED = _names("출구 문제 버스 트랙 버튼 채널 선수 답 홀 국도 게이트 창구 좌석 타자")
"""What has a number: 3번 출구 is exit number three, not three exits."""
PARTICLES = _names(
    "가 이 은 는 을 를 의 에 로 으로 와 과 도 만 씩 쯤 반 당 중 간 들 뿐 까지 부터 마다 정도 이상 이하 "
    "미만 초과 짜리 보다 처럼 동안 전 후 내 째 밖 입 였 예 하 면 모두 라 랑 요 한 준 건 치 분량"
)
"""What may follow a counter without a space."""
