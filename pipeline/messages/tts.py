"""Sentences about speech engines."""

from pipeline.messages.sentence import Sentence

# ElevenLabs
ELEVENLABS_WITHOUT_KEY = Sentence(
    "elevenlabs_without_key",
    ko="elevenlabs: API 키가 없습니다. 환경 변수 ELEVENLABS_API_KEY를 설정하고 서버를 다시 시작하거나 tts_engine을 "
    "빼고 요청하세요.",
    en="elevenlabs: there is no API key. Set the environment variable ELEVENLABS_API_KEY and start the server again, "
    "or leave tts_engine out.",
)
ELEVENLABS_SILENT = Sentence(
    "elevenlabs_silent",
    ko="ElevenLabs가 응답하지 않습니다. 잠시 후 다시 시도하거나 다른 tts_engine을 고르세요.",
    en="ElevenLabs does not respond. Try again later or choose another tts_engine.",
)
ELEVENLABS_NOT_REACHED = Sentence(
    "elevenlabs_not_reached",
    ko="ElevenLabs에 연결할 수 없습니다. 인터넷 연결을 확인하거나 다른 tts_engine을 고르세요.",
    en="ElevenLabs cannot be reached. Check the internet connection or choose another tts_engine.",
)
ELEVENLABS_CONNECTION_BROKE = Sentence(
    "elevenlabs_connection_broke",
    ko="연결이 도중에 끊어졌습니다",
    en="the connection broke off in the middle",
)
ELEVENLABS_REPLY_NOT_DECODABLE = Sentence(
    "elevenlabs_reply_not_decodable",
    ko="음성 데이터를 읽을 수 없습니다",
    en="its sound cannot be decoded",
)
ELEVENLABS_REPLY_EMPTY = Sentence("elevenlabs_reply_empty", ko="음성이 비어 있습니다", en="it holds no sound")
ELEVENLABS_REPLY_CUT_OFF = Sentence(
    "elevenlabs_reply_cut_off",
    ko="음성이 중간에 잘렸습니다",
    en="its sound is cut off in the middle of a sample",
)
ELEVENLABS_REPLY_PARTLY_READABLE = Sentence(
    "elevenlabs_reply_partly_readable",
    ko="응답의 일부를 읽을 수 없습니다",
    en="a part of it cannot be read",
)
ELEVENLABS_QUOTA = Sentence(
    "elevenlabs_quota",
    ko="ElevenLabs 사용량이나 요금제가 부족합니다. 요금제를 확인하거나 다른 tts_engine을 고르세요.",
    en="The ElevenLabs quota or plan does not allow this. Check the plan or choose another tts_engine.",
)
ELEVENLABS_CREDIT = Sentence(
    "elevenlabs_credit",
    ko="남은 글자 수: {left} / {limit}",
    en="{left} of {limit} characters are left",
)
ELEVENLABS_QUOTA_LEFT = Sentence("elevenlabs_quota_left", ko="{why} (지금 {credit})", en="{why} ({credit})")
ELEVENLABS_TOO_LONG = Sentence(
    "elevenlabs_too_long",
    ko="text: ElevenLabs의 {model} 모델은 한 번에 {most}자까지 말합니다 (현재 {count}자). 나누어 요청하세요.",
    en="text: the model {model} of ElevenLabs speaks up to {most} characters at a time (the text has {count}). "
    "Split it up.",
)
ELEVENLABS_VOICE_UNKNOWN = Sentence(
    "elevenlabs_voice_unknown",
    ko="ElevenLabs에 그 음성이 없습니다. tts_voice 또는 ELEVENLABS_VOICE_ID를 확인하세요.",
    en="ElevenLabs has no such voice. Check tts_voice or ELEVENLABS_VOICE_ID.",
)
ELEVENLABS_BUSY = Sentence(
    "elevenlabs_busy",
    ko="ElevenLabs 요청이 너무 많습니다. 잠시 후 다시 시도하세요.",
    en="ElevenLabs is busy or gets too many requests. Try again later.",
)
ELEVENLABS_CONCURRENT = Sentence(
    "elevenlabs_concurrent",
    ko="ElevenLabs 요금제가 허용하는 수만큼 이미 동시에 말하고 있습니다. 앞의 음성이 끝난 뒤 다시 시도하세요. 자주 "
    "그렇다면 MAX_SHARING을 낮추거나 동시 요청 수가 더 많은 요금제를 쓰세요.",
    en="ElevenLabs speaks as many texts at a time already as the plan allows. Try again when one of them is done. If "
    "this happens often, lower MAX_SHARING, or choose a plan with more concurrent requests.",
)
ELEVENLABS_ERROR = Sentence(
    "elevenlabs_error",
    ko="ElevenLabs 서비스에 오류가 있습니다 ({status}). 잠시 후 다시 시도하거나 다른 tts_engine을 고르세요.",
    en="ElevenLabs has an error ({status}). Try again later or choose another tts_engine.",
)
ELEVENLABS_REJECTED = Sentence(
    "elevenlabs_rejected",
    ko="ElevenLabs가 요청을 거절했습니다 ({status}): {reason}. 대사와 ELEVENLABS_MODEL을 확인하세요.",
    en="ElevenLabs rejected the request ({status}): {reason}. Check the text and ELEVENLABS_MODEL.",
)
ELEVENLABS_KEY_REFUSED = Sentence(
    "elevenlabs_key_refused",
    ko="ElevenLabs가 API 키를 거부했습니다. ELEVENLABS_API_KEY를 확인하세요.",
    en="ElevenLabs refused the API key. Check ELEVENLABS_API_KEY.",
)
ELEVENLABS_REPLY_UNUSABLE = Sentence(
    "elevenlabs_reply_unusable",
    ko="ElevenLabs의 응답을 사용할 수 없습니다: {why}. 다시 시도하세요.",
    en="The reply of ElevenLabs cannot be used: {why}. Try again.",
)

# eSpeak NG
ESPEAK_NOT_LOADED = Sentence(
    "espeak_not_loaded",
    ko="espeak-ng를 불러올 수 없습니다 ({reason}). pip install espeakng-loader로 설치하세요.",
    en="espeak-ng cannot be loaded ({reason}). Install it with: pip install espeakng-loader",
)
ESPEAK_FAILED = Sentence(
    "espeak_failed",
    ko="espeak-ng가 음성을 만들지 못했습니다 ({reason}).",
    en="espeak-ng could not speak ({reason}).",
)

# texts and voices that no engine accepts
SPEECH_ENGINE_UNAVAILABLE = Sentence(
    "speech_engine_unavailable",
    ko="{name}: 지금은 사용할 수 없는 음성 엔진입니다. tts_engine을 빼고 요청하세요.",
    en="{name}: this speech engine is not available now. Leave tts_engine out.",
)
NOTHING_TO_SAY = Sentence(
    "nothing_to_say",
    ko="text: 소리 내어 읽을 글자가 없습니다. 글자나 숫자를 입력하세요.",
    en="text: holds nothing that can be spoken. Write letters or numbers.",
)
LANGUAGE_WITHOUT_VOICE = Sentence(
    "language_without_voice",
    ko="text: {engine}에는 이 글의 언어({language})를 말하는 음성이 없습니다. 다른 언어로 쓰거나, 이 언어를 말하는 "
    "tts_engine을 고르거나, 글의 언어가 다르면 language로 알려 주세요.",
    en="text: {engine} has no voice that speaks the language of this text ({language}). Write it in another language, "
    "choose a tts_engine that speaks this one, or name the right one in language if it is another.",
)
BURMESE = Sentence("burmese", ko="버마어", en="Burmese")
KHMER = Sentence("khmer", ko="크메르어", en="Khmer")
LAO = Sentence("lao", ko="라오어", en="Lao")
TIBETAN = Sentence("tibetan", ko="티베트어", en="Tibetan")
DHIVEHI = Sentence("dhivehi", ko="디베히어", en="Dhivehi")
MONGOLIAN = Sentence("mongolian", ko="몽골 문자", en="Mongolian")
SYRIAC = Sentence("syriac", ko="시리아어", en="Syriac")
VOICE_UNKNOWN = Sentence(
    "voice_unknown",
    ko="tts_voice: {engine}에 없는 음성입니다: {voice!r}. 사용할 수 있는 음성: {choices}",
    en="tts_voice: {engine} has no voice {voice!r}. Choices: {choices}",
)

# voices that come with the program
VOICE_NOT_OPENED = Sentence(
    "voice_not_opened",
    ko="{engine} 음성을 열 수 없습니다 ({why}). 다시 설치하세요: {command}",
    en="The voice {engine} cannot be opened ({why}). Install it again: {command}",
)
VOICE_MODULE_MISSING = Sentence("voice_module_missing", ko="모듈 없음: {name}", en="no module {name}")
VOICE_LIBRARY_BROKEN = Sentence(
    "voice_library_broken", ko="라이브러리를 불러올 수 없음", en="a library cannot be loaded"
)
VOICE_FILE_UNREADABLE = Sentence("voice_file_unreadable", ko="읽을 수 없는 파일: {file}", en="{file} cannot be read")
VOICE_FILE_DAMAGED = Sentence(
    "voice_file_damaged",
    ko="손상되었거나 다른 버전인 파일: {file}",
    en="{file} is damaged, or of another version",
)
VOICE_FILES_DAMAGED = Sentence(
    "voice_files_damaged",
    ko="파일이 손상되었거나 다른 버전임",
    en="its files are damaged, or of another version",
)
VOICE_NOT_MEASURED = Sentence(
    "voice_not_measured",
    ko="{engine} 음성이 이 컴퓨터에서 충분히 빠른지 아직 재지 못했습니다. tts_engine으로 고르면 지금도 말합니다.",
    en="The voice {engine} is not measured on this machine yet: it may be too slow. Name it in tts_engine to hear it.",
)
VOICE_TOO_SLOW = Sentence(
    "voice_too_slow",
    ko="{engine} 음성은 이 컴퓨터에서 끊기지 않고 말하기에 너무 느립니다 (1초에 {pace:.1f}초 분량). tts_engine으로 "
    "고르면 그대로 말합니다.",
    en="The voice {engine} is too slow to speak without gaps on this machine ({pace:.1f} s of speech in a second). "
    "Name it in tts_engine to hear it all the same.",
)

# Supertonic
SUPERTONIC_MISSING = Sentence(
    "supertonic_missing",
    ko="supertonic: 설치되지 않았거나 모델이 없습니다. 서버에서 다음을 실행하세요: {steps} 또는 tts_engine을 빼고 "
    "요청하세요.",
    en="supertonic: it is not installed, or has no weights yet. On the server, run: {steps} Or leave tts_engine out.",
)
SUPERTONIC_NOT_LOADED = Sentence(
    "supertonic_not_loaded",
    ko="supertonic 모델을 열 수 없습니다 ({reason}). 모델 폴더를 지우고 다시 받으세요: {command}",
    en="supertonic cannot be opened ({reason}). Delete the folder of its weights, and fetch them again: {command}",
)
SUPERTONIC_FAILED = Sentence(
    "supertonic_failed",
    ko="supertonic이 음성을 만들지 못했습니다: {reason}",
    en="supertonic could not speak: {reason}",
)
SUPERTONIC_EMPTY = Sentence(
    "supertonic_empty",
    ko="supertonic이 빈 음성을 만들었습니다.",
    en="supertonic returned no sound.",
)
