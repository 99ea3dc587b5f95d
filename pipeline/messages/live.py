"""Sentences about live sessions."""

from pipeline.messages.sentence import Sentence

# opening one
SESSION_NOT_OBJECT = Sentence(
    "session_not_object",
    ko='요청 본문은 {{"avatar": "..."}} 형태의 JSON 객체여야 합니다.',
    en='The body must be a JSON object such as {{"avatar": "..."}}.',
)
CLIP_TOO_LONG_FOR_SESSION = Sentence(
    "clip_too_long_for_session",
    ko="avatar: 세션에서는 이 해상도에서 {seconds:.0f}초까지의 영상만 쓸 수 있습니다. 더 짧은 영상으로 아바타를 "
    "만들거나 더 낮은 resolution을 고르세요.",
    en="avatar: a session takes clips up to {seconds:.0f} s in this resolution. Make the avatar of a shorter clip, or "
    "choose a lower resolution.",
)
CLIP_NOT_DECODED = Sentence(
    "clip_not_decoded",
    ko="영상을 풀어 둘 수 없습니다 ({reason}). 디스크 여유 공간을 확인하세요.",
    en="The decoded clip could not be saved ({reason}). Check for free disk space.",
)
ENGINE_NOT_LIVE = Sentence(
    "engine_not_live",
    ko="engine: {engine}은(는) 라이브 세션에 쓰기에는 이 컴퓨터에서 너무 느립니다. 이 컴퓨터의 GPU가 있어야 합니다. "
    "mesh를 고르세요.",
    en="engine: {engine} is too slow for a live session here: it needs a GPU of this machine. Choose mesh.",
)
SESSIONS_FULL = Sentence(
    "sessions_full",
    ko="지금은 세션을 더 열 수 없습니다. 잠시 뒤에 다시 시도하세요.",
    en="No more sessions can be opened now. Try again in a moment.",
)

# using one
SESSION_NOT_FOUND = Sentence(
    "session_not_found",
    ko="세션을 찾을 수 없거나 이미 끝났습니다: {session_id:.40}. POST /api/v2/sessions로 새로 여세요.",
    en="There is no such session, or it has ended: {session_id:.40}. Open another with POST /api/v2/sessions.",
)
SESSION_CLOSED = Sentence(
    "session_closed",
    ko="이미 닫은 세션입니다. POST /api/v2/sessions로 새로 여세요.",
    en="This session was closed. Open another with POST /api/v2/sessions.",
)
SESSION_FAILED = Sentence(
    "session_failed",
    ko="서버에서 세션이 중단되었습니다. 새로 열면 계속할 수 있습니다.",
    en="The session broke off on the server. Open another one to go on.",
)
PIECE_MISSING = Sentence(
    "piece_missing",
    ko='text: 말할 글이 필요합니다: {{"text": "안녕하세요."}}',
    en='text: write what to say: {{"text": "Hello."}}',
)
TAG_INVALID = Sentence(
    "tag_invalid",
    ko="tag: {limit}자 이하의 한 줄 글이어야 합니다.",
    en="tag: must be a text of one line, up to {limit} characters.",
)
TOO_MUCH_TEXT = Sentence(
    "too_much_text",
    ko="text: 말하기를 기다리는 글이 {limit:,}자를 넘습니다. 말한 뒤에 이어서 보내세요.",
    en="text: more than {limit:,} characters wait to be spoken. Send more when they were said.",
)
MOMENT_INVALID = Sentence(
    "moment_invalid",
    ko="{field}: 스트림의 시각(초)이어야 합니다: 12.5",
    en="{field}: must be a time of the stream in seconds: 12.5",
)

# sound
RATE_INVALID = Sentence(
    "rate_invalid",
    ko="rate: {rate}은(는) 쓸 수 없습니다. {lowest}~{highest}Hz의 16비트 모노 PCM을 보내세요.",
    en="rate: {rate} is not possible. Send 16-bit mono PCM at {lowest} to {highest} Hz.",
)
HALF_A_SAMPLE = Sentence(
    "half_a_sample",
    ko="소리 메시지가 {count}바이트입니다. 16비트 모노 PCM이므로 짝수여야 합니다.",
    en="A message of sound has {count} bytes. It must be 16-bit mono PCM, so their number is even.",
)
SOUND_TOO_LONG = Sentence(
    "sound_too_long",
    ko="한 메시지에는 {limit:.0f}초까지의 소리만 담을 수 있습니다 (현재 {seconds:.0f}초).",
    en="A message may hold up to {limit:.0f} s of sound (it has {seconds:.0f} s).",
)
SOUND_AHEAD = Sentence(
    "sound_ahead",
    ko="소리가 {limit:.0f}초 넘게 앞서 왔습니다. 말하는 속도에 맞춰 받습니다.",
    en="More than {limit:.0f} s of sound wait to be spoken. It is now taken as fast as it is spoken.",
)

CAPTIONS_NOT_BURNT_LIVE = Sentence(
    "captions_not_burnt_live",
    ko="captions: burn은 영상에서만 됩니다. 세션의 낱말은 word 이벤트로 오고, <talking-avatar>가 보여 줍니다.",
    en="captions: burn works for videos only. A session tells its words as events, which <talking-avatar> shows.",
)

# messages of the socket
MESSAGE_NOT_JSON = Sentence(
    "message_not_json",
    ko='메시지가 JSON 객체가 아닙니다. {{"type": "say", "text": "..."}}처럼 보내세요.',
    en='The message is no JSON object. Send one such as {{"type": "say", "text": "..."}}.',
)
WORDS_MISSING = Sentence(
    "words_missing",
    ko='words: [{{"text": "안녕하세요.", "start": 0.1, "end": 0.7}}] 같은 목록이어야 합니다.',
    en='words: must be a list such as [{{"text": "Hello.", "start": 0.1, "end": 0.7}}].',
)
WORD_WITHOUT_TIME = Sentence(
    "word_without_time",
    ko="{field}: start와 end는 소리의 처음부터 센 초이고, 낱말은 시간 순서여야 합니다.",
    en="{field}: start and end must be seconds from the beginning of the sound, and the words in order of time.",
)
MESSAGE_UNKNOWN = Sentence(
    "message_unknown",
    ko="type: {value}은(는) 모르는 메시지입니다. 가능한 값: {choices}",
    en="type: {value} is not a known message. Choose one of: {choices}",
)
MESSAGE_TOO_LARGE = Sentence(
    "message_too_large",
    ko="메시지가 너무 큽니다 ({size:,}바이트). {limit:,}바이트까지 보낼 수 있습니다.",
    en="The message is too large ({size:,} bytes). It may have {limit:,} bytes.",
)

# recordings
RECORDING = Sentence("recording", ko="녹화", en="recording")
NOTHING_RECORDED = Sentence(
    "nothing_recorded",
    ko="세션이 화면을 보내기 전에 끝나 녹화가 없습니다.",
    en="The session ended before its first picture, so there is no recording.",
)
