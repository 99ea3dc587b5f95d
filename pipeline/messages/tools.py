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

# verifying a file
FILE_UNREADABLE = Sentence(
    "file_unreadable", ko="{file}을(를) 읽을 수 없습니다: {reason}", en="{file} cannot be read: {reason}"
)
EMPTY_FILE = Sentence(
    "empty_file",
    ko="빈 파일입니다. 확인할 파일을 다시 보내세요.",
    en="The file is empty. Send the file to verify again.",
)
NOT_A_KIND = Sentence(
    "not_a_kind",
    ko="확인할 수 있는 파일이 아닙니다. 이 프로그램이 만드는 파일의 형식은 다음과 같습니다: {kinds}",
    en="This file cannot be verified. This program makes files of these kinds: {kinds}",
)
NOT_MEDIA = Sentence(
    "not_media",
    ko="파일이 손상되었거나 영상도 소리도 들어 있지 않아 확인할 수 없습니다. 원본 파일로 다시 시도하세요.",
    en="The file is damaged, or contains neither video nor sound, so it cannot be verified. Try the original file.",
)
NOT_OURS = Sentence(
    "not_ours",
    ko="이 프로그램이 만들었다는 표시가 없습니다. 표시는 다시 인코딩하면 사라지므로, 만들지 않았다는 증거는 아닙니다.",
    en="Nothing in the file says that this program made it. That is no proof: encoding it again removes such marks.",
)
NOT_SIGNED = Sentence(
    "not_signed",
    ko="이 프로그램이 만들었다고 적혀 있지만 서명이 없어, 바뀌었는지는 알 수 없습니다.",
    en="The file says that this program made it, but it is not signed: nothing shows whether it was changed.",
)
SIGNATURES_UNREADABLE = Sentence(
    "signatures_unreadable",
    ko="이 프로그램이 만들었다고 적혀 있습니다. 서명까지 확인하려면 설치하세요: pip install -r requirements-c2pa.txt",
    en="The file says that this program made it. To read signatures, too, install: "
    "pip install -r requirements-c2pa.txt",
)
AS_KEPT = Sentence(
    "as_kept",
    ko="이 서버가 만들어 보관 중인 파일과 똑같습니다.",
    en="The file is, byte by byte, one that this server has made and keeps.",
)
SIGNED = Sentence(
    "signed",
    ko="이 프로그램이 만들고 이 서버의 인증서({name})로 서명한 파일이며, 그 뒤로 바뀌지 않았습니다.",
    en="This program made the file and signed it with this server's certificate ({name}); it is unchanged since.",
)
SIGNED_FOR_TRIAL = Sentence(
    "signed_for_trial",
    ko="이 서버가 만들고 스스로 만든 시험용 키로 서명한 파일이며, 그 뒤로 바뀌지 않았습니다. "
    "다른 곳에서는 이 키를 믿지 않습니다.",
    en="This server made the file and signed it with a trial key of its own; it is unchanged since. No one else "
    "trusts that key.",
)
SIGNED_ELSEWHERE = Sentence(
    "signed_elsewhere",
    ko="이 프로그램이 만들었다고 적혀 있고 서명 뒤로 바뀌지 않았지만, 이 서버가 모르는 키({name})의 서명입니다.",
    en="The file says that this program made it, and is unchanged since it was signed, but with a key that this server "
    "does not know ({name}).",
)
SIGNED_BY_OTHERS = Sentence(
    "signed_by_others",
    ko="이 프로그램이 만든 파일이 아닙니다. {name}의 서명이 있으며, 그 뒤로 바뀌지 않았습니다.",
    en="This program did not make the file. It is signed by {name}, and unchanged since.",
)
CHANGED_SINCE_SIGNED = Sentence(
    "changed_since_signed",
    ko="서명된 뒤에 바뀐 파일입니다. 서명에 적힌 내용을 믿지 마세요.",
    en="The file was changed after it was signed. Do not trust what its signature says.",
)
