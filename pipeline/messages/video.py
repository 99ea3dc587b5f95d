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

# signed copies
C2PA_MISSING = Sentence(
    "c2pa_missing",
    ko="콘텐츠 자격 증명(C2PA)에 필요한 패키지가 설치되어 있지 않습니다. 설치: pip install -r requirements-c2pa.txt",
    en="Content Credentials (C2PA) need a package that is not installed. Install it: "
    "pip install -r requirements-c2pa.txt",
)
C2PA_FILE_UNREADABLE = Sentence(
    "c2pa_file_unreadable",
    ko="{variable} 파일을 읽을 수 없습니다 ({reason}). 경로와 읽기 권한을 확인하세요.",
    en="The file of {variable} cannot be read ({reason}). Check its path, and that the server may read it.",
)
C2PA_KEY_BROKEN = Sentence(
    "c2pa_key_broken",
    ko="C2PA_KEY의 개인 키를 쓸 수 없습니다 ({reason}). 암호 없는 PEM 형식의 EC(P-256, P-384, P-521), RSA, "
    "Ed25519 키가 필요합니다.",
    en="The private key of C2PA_KEY cannot be used ({reason}). It must be PEM without a password: EC (P-256, P-384, "
    "P-521), RSA or Ed25519.",
)
C2PA_CERT_BROKEN = Sentence(
    "c2pa_cert_broken",
    ko="C2PA_CERT의 인증서를 쓸 수 없습니다 ({reason}). C2PA_KEY의 인증서가 먼저 오는 PEM 파일이어야 합니다.",
    en="The certificates of C2PA_CERT cannot be used ({reason}). The file must be PEM, with the certificate of "
    "C2PA_KEY first.",
)
C2PA_NOT_SIGNED = Sentence(
    "c2pa_not_signed",
    ko="비디오에 서명하지 못했습니다 ({reason}). 서명 없는 비디오는 그대로 받을 수 있습니다. "
    "C2PA_CERT와 C2PA_KEY, 디스크 여유 공간을 확인하세요.",
    en="The video could not be signed ({reason}); without a signature you can still fetch it. Check C2PA_CERT, "
    "C2PA_KEY and the disk space.",
)
KEY_DOES_NOT_FIT = Sentence("key_does_not_fit", ko="인증서의 키가 아님", en="it is not the key of the certificate")
KEY_OF_WRONG_KIND = Sentence("key_of_wrong_kind", ko="지원하지 않는 종류", en="it is of another kind")
CERTIFICATE_EXPIRED = Sentence("certificate_expired", ko="{date}에 만료됨", en="it is not valid any more, since {date}")
CERTIFICATE_NOT_YET = Sentence("certificate_not_yet", ko="{date}부터 유효함", en="it is valid from {date} on")
