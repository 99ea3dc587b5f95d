"""Sentences about reading and writing video."""

from pipeline.messages.sentence import Sentence

# what is saved
CAPTIONS_FILE = Sentence("captions_file", ko="자막", en="captions")

# what pictures bear
AI_MARK = Sentence("ai_mark", ko="AI 생성", en="AI")
FONT_MISSING = Sentence(
    "font_missing",
    ko="자막과 표시를 그릴 글꼴이 설치되어 있지 않습니다. 설치: pip install -r requirements.txt",
    en="The font of captions and marks is not installed. Install it: pip install -r requirements.txt",
)
FONT_BROKEN = Sentence(
    "font_broken",
    ko="자막과 표시를 그릴 글꼴을 열 수 없습니다 ({reason}). 다시 설치하세요: "
    "pip install --force-reinstall pylopdf-fonts-ko",
    en="The font of captions and marks cannot be opened ({reason}). Install it again: "
    "pip install --force-reinstall pylopdf-fonts-ko",
)

# the avatar's video
AVATAR_VIDEO_BROKEN = Sentence(
    "avatar_video_broken",
    ko="아바타 영상을 읽을 수 없습니다 ({reason}). 아바타를 다시 준비하세요 (python -m pipeline.preparing).",
    en="The avatar's video cannot be read ({reason}). Prepare the avatar again (python -m pipeline.preparing).",
)

# the video of a task
VIDEO_NOT_WRITTEN = Sentence(
    "video_not_written",
    ko="비디오 파일을 만들 수 없습니다 ({reason}). 디스크 여유 공간을 확인한 뒤 다시 시도하세요.",
    en="The video file could not be made ({reason}). Check for free disk space, then try again.",
)
