"""Sentences about tasks, child processes and files."""

from pipeline.messages.sentence import Sentence

# child processes
CHILD_DIED = Sentence(
    "child_died",
    ko="서버에서 뜻하지 않은 오류가 났습니다. 파일 문제가 아닙니다. 서버 로그에서 {number}을(를) 찾아보세요.",
    en="Something went wrong on the server; your file is not the cause. Look for {number} in the server's log.",
)

# the disk
DISK_NOT_WRITABLE = Sentence(
    "disk_not_writable",
    ko="서버의 디스크에 쓸 수 없습니다 ({reason}). 디스크 공간과 폴더의 쓰기 권한을 확인한 뒤 다시 시도하세요.",
    en="The server cannot write to its disk ({reason}). Check the space on the disk, and that the server may write to "
    "its folders, then try again.",
)

# files that grow
FILE_NOT_SAVED = Sentence(
    "file_not_saved",
    ko="{what} 파일을 저장할 수 없습니다 ({reason}). 디스크 여유 공간을 확인하세요.",
    en="The {what} could not be saved ({reason}). Check for free disk space.",
)

# tasks
TOOK_TOO_LONG = Sentence(
    "took_too_long",
    ko="작업이 제한 시간 {seconds:g}초를 넘어 중단되었습니다. 글이나 영상을 나누어 요청하거나 서버의 MAX_SECONDS를 "
    "늘리세요.",
    en="The task took longer than {seconds:g} s and was stopped. Split the text or clip up, or raise MAX_SECONDS on "
    "the server.",
)
CANCELLED = Sentence("cancelled", ko="작업이 취소되었습니다.", en="The task was cancelled.")

DOWNLOAD_FAILED = Sentence(
    "download_failed",
    ko="{file}: {hub}에서 받을 수 없습니다 ({reason}). 인터넷 연결과 디스크 여유 공간을 확인하고 다시 실행하세요. "
    "멈춘 곳에서 이어 받습니다.",
    en="{file}: it cannot be fetched from {hub} ({reason}). Check the connection and the free disk space, and run "
    "this again: it goes on where it stopped.",
)
DOWNLOAD_INVALID = Sentence(
    "download_invalid",
    ko="{file}: 받은 파일이 올바르지 않아 지웠습니다 ({reason}). 다시 실행하세요.",
    en="{file}: the downloaded file is not valid and was removed ({reason}). Run this again.",
)
