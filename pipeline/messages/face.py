"""Sentences about faces."""

from pipeline.messages.sentence import Sentence

# choosing a face
NO_SUCH_FACE = Sentence(
    "no_such_face",
    ko="얼굴 번호 {number}이(가) 없습니다. 찾은 얼굴은 {found}개이고, 왼쪽부터 1번입니다.",
    en="There is no face number {number}: {found} found, counted from the left from 1.",
)
