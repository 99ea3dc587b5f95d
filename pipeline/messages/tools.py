"""Sentences about the commands."""

from pipeline.messages.sentence import Sentence

# films
NOT_A_TEXT = Sentence(
    "not_a_text", ko="UTF-8 텍스트 파일이 아닙니다: {file}", en="This is no text file in UTF-8: {file}"
)
FILM_WITHOUT_SENTENCES = Sentence(
    "film_without_sentences",
    ko="문장이 하나 이상 있어야 하고, 쉬는 시간은 0~{limit:.0f}초여야 합니다.",
    en="At least one sentence is needed, and a pause of 0 to {limit:.0f} seconds.",
)
FILM_NOT_WRITTEN = Sentence(
    "film_not_written",
    ko="영상을 저장할 수 없습니다: {path}. 폴더와 디스크 여유 공간을 확인하세요.",
    en="The film cannot be written to {path}. Check that its folder exists and the disk has space.",
)

# inspecting a video
NOT_A_VIDEO = Sentence("not_a_video", ko="{file}: 동영상을 읽을 수 없습니다.", en="{file} cannot be read as a video.")
PICTURE_NOT_WRITTEN = Sentence(
    "picture_not_written",
    ko="{file}을(를) 쓸 수 없습니다: {reason}",
    en="{file} cannot be written: {reason}",
)
