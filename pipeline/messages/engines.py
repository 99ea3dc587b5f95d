"""Sentences about lipsync engines."""

from pipeline.messages.sentence import Sentence

# fetching the weights of MuseTalk
# what MuseTalk needs
LIBRARIES_MISSING = Sentence(
    "libraries_missing",
    ko="musetalk: {missing}이(가) 설치되지 않았습니다. 서버에서 pip install -r requirements-gpu.txt를 실행하세요.",
    en="musetalk: not installed: {missing}. On the server, run pip install -r requirements-gpu.txt.",
)
CARD_MEMORY_FULL = Sentence(
    "card_memory_full",
    ko="musetalk: 그래픽 카드의 남은 메모리가 부족합니다. 6GB가 필요합니다. 카드를 쓰는 다른 프로그램을 끝내거나 "
    "LIPSYNC_ENGINE=mesh로 설정하세요.",
    en="musetalk: the graphics card has too little memory left; it takes 6 GB. End what else uses the card, or set "
    "LIPSYNC_ENGINE=mesh.",
)

# the weights of MuseTalk; the clauses say why a file cannot be used
WEIGHTS_CUT_SHORT = Sentence("weights_cut_short", ko="중간에서 잘렸습니다", en="is cut short")
WEIGHTS_MISSING = Sentence("weights_missing", ko="없습니다", en="is missing")
WEIGHTS_BROKEN = Sentence("weights_broken", ko="읽을 수 없습니다", en="cannot be read")
WEIGHTS_OF_OTHER_KIND = Sentence("weights_of_other_kind", ko="가중치 파일이 아닙니다", en="does not hold weights")
WEIGHTS_OF_OTHER_SHAPE = Sentence(
    "weights_of_other_shape",
    ko="이 모델의 것이 아닙니다 (모양이 다름)",
    en="does not fit the model (other shapes)",
)
WEIGHTS_UNUSABLE = Sentence(
    "weights_unusable",
    ko="musetalk: 가중치 파일 {file}이(가) {why}. 서버에서 {command}을(를) 실행하거나 MODELS_DIR을 확인하세요.",
    en="musetalk: the file {file} {why}. On the server, run {command}, or check MODELS_DIR.",
)

# MuseTalk on ZeroGPU
ZEROGPU_CANNOT_DRAW = Sentence(
    "zerogpu_cannot_draw",
    ko="musetalk: ZeroGPU에서 그릴 수 없습니다 ({reason}). 잠시 후 다시 시도하거나 engine: mesh로 요청하세요.",
    en="musetalk: ZeroGPU cannot draw ({reason}). Try again later, or ask for engine: mesh.",
)
