"""Sentences about speech and recordings."""

from pipeline.messages.sentence import Sentence

# recordings; the clauses say why one cannot be used
RECORDING_WITHOUT_SOUND = Sentence("recording_without_sound", ko="소리가 없는 파일입니다", en="the file holds no sound")
RECORDING_OF_UNKNOWN_FORMAT = Sentence(
    "recording_of_unknown_format",
    ko="알 수 없는 형식의 소리입니다",
    en="its sound is in a format that cannot be decoded",
)
RECORDING_MISSING = Sentence("recording_missing", ko="파일이 없습니다", en="there is no such file")
RECORDING_BROKEN = Sentence("recording_broken", ko="읽을 수 없는 파일입니다", en="the file cannot be read")
RECORDING_TOO_SHORT = Sentence("recording_too_short", ko="{limit}초보다 짧습니다", en="it is shorter than {limit} s")
RECORDING_SILENT = Sentence("recording_silent", ko="소리가 들리지 않습니다", en="nothing can be heard in it")
RECORDING_TOO_LONG = Sentence("recording_too_long", ko="{limit:.0f}초보다 깁니다", en="it is longer than {limit:.0f} s")
RECORDING_NOISE = Sentence(
    "recording_noise",
    ko="소리가 아니라 잡음입니다",
    en="it holds noise far beyond full scale, not sound",
)
RECORDING_UNUSABLE = Sentence(
    "recording_unusable",
    ko="audio: {why}. 음성 파일을 보내 주세요: {kinds}",
    en="audio: {why}. Send a file with speech: {kinds}",
)

# what is saved
SPEECH_FILE = Sentence("speech_file", ko="음성", en="speech")
MOUTH_LINES = Sentence("mouth_lines", ko="입 모양", en="the mouth")
