"""Sentences about tasks: requests, events and uploads."""

from pipeline.messages.sentence import Sentence

# events of a task
READING_FILE = Sentence("reading_file", ko="파일을 읽는 중...", en="Reading the file...")
FINDING_FACE = Sentence("finding_face", ko="얼굴을 찾는 중...", en="Finding the face...")
MEASURING_FACE = Sentence("measuring_face", ko="얼굴을 재는 중...", en="Measuring the face...")
CLOSING_MOUTH = Sentence("closing_mouth", ko="입을 다무는 중...", en="Closing the mouth...")
SEPARATING_PERSON = Sentence(
    "separating_person", ko="배경에서 사람을 나누는 중...", en="Separating the person from the background..."
)
WRITING_AVATAR = Sentence("writing_avatar", ko="아바타를 쓰는 중...", en="Writing the avatar...")
WITH_RESOLUTION = Sentence("with_resolution", ko="{message} {resolution}", en="{message} {resolution}")
WAITING = Sentence("waiting", ko="대기 중... ({position}번째)", en="Waiting... (number {position} in the queue)")
MAKING_SPEECH = Sentence("making_speech", ko="TTS 음성 생성 중...", en="Making speech...")
SPEECH_READY = Sentence("speech_ready", ko="TTS 완료 ({duration:.1f}초)", en="Speech is ready ({duration:.1f} s)")
COMPOSING = Sentence(
    "composing",
    ko="새 배경을 준비하는 중... (처음 한 번만)",
    en="Preparing the new background... (the first time only)",
)
MAKING_VIDEO = Sentence("making_video", ko="립싱크 비디오 생성 중...", en="Making the lipsync video...")
DONE = Sentence("done", ko="완료 ({total:.1f}초)", en="Done ({total:.1f} s)")
AVATAR_READY = Sentence("avatar_ready", ko="아바타 '{name}'을(를) 만들었습니다.", en="The avatar '{name}' is ready.")
WITH_NOTE = Sentence("with_note", ko="{message} · 알림: {note}", en="{message} · note: {note}")
WITH_LOSS = Sentence(
    "with_loss",
    ko="{message} · 녹음이 손상되어 {seconds}초를 읽지 못했습니다",
    en="{message} · the recording is damaged: {seconds} s of it could not be read",
)
USABLE_SHARE = Sentence(
    "usable_share",
    ko="{seconds:.1f}초 가운데 {usable:.0f}%에서 입을 움직일 수 있고, 얼굴 너비는 {width:.0f}픽셀입니다.",
    en="The mouth can be moved in {usable:.0f} % of {seconds:.1f} s; the face is {width:.0f} pixels wide.",
)

# recordings
NO_SPEECH_IN_RECORDING = Sentence(
    "no_speech_in_recording",
    ko="audio: 말소리가 들리지 않습니다. 더 크게 녹음하거나 다른 파일을 올려 주세요.",
    en="audio: no speech can be heard in it. Record it louder, or upload another file.",
)

# requests for a video
BODY_NOT_OBJECT = Sentence(
    "body_not_object",
    ko='요청 본문은 {{"text": "...", "avatar": "..."}} 형태의 JSON 객체여야 합니다.',
    en='The body must be a JSON object such as {{"text": "...", "avatar": "..."}}.',
)
AUDIO_IN_JSON = Sentence(
    "audio_in_json",
    ko="audio: JSON으로는 녹음을 받지 않습니다. 요청을 multipart/form-data로 보내고 audio에 파일을 넣으세요.",
    en="audio: JSON cannot carry recordings. Send the request as multipart/form-data, with the file in audio.",
)
SPEAKS_INSTEAD = Sentence(
    "speaks_instead",
    ko="대신 말하는 음성 엔진: {engine}. {why}",
    en="{engine} speaks instead. {why}",
)
NO_SUCH_VOICE = Sentence(
    "no_such_voice",
    ko="들어 볼 수 있는 음성이 아닙니다: {voice}. 음성 목록: GET /api/voices",
    en="There is no sample of the voice {voice}. GET /api/voices lists the voices.",
)
CAPTIONS_NOT_BURNT = Sentence(
    "captions_not_burnt",
    ko="자막을 그릴 수 없어, 비디오 화면에 자막이 없거나 일부만 있습니다.",
    en="Captions could not be drawn: the video shows none, or only some of them.",
)
CAPTIONS_LACK_LETTERS = Sentence(
    "captions_lack_letters",
    ko="화면 자막의 글꼴에 없는 글자가 있어, 그 글자는 빠졌습니다. 자막 파일에는 모두 있습니다.",
    en="The captions in the pictures lack letters that their font does not have. The files of captions have them all.",
)
FLAG_INVALID = Sentence("flag_invalid", ko="{field}: true 또는 false여야 합니다.", en="{field}: must be true or false.")
EYES_AS_FILMED = Sentence(
    "eyes_as_filmed",
    ko="눈은 찍힌 대로 둡니다. 시선 정보가 없는 예전 아바타이거나, 안경이나 작은 얼굴 때문에 안전하게 돌릴 수 "
    "없습니다. 예전 아바타라면 다시 만드세요.",
    en="The eyes stay as filmed: the avatar was made before gazes were measured, or its eyes cannot be turned safely "
    "(glasses, a small face). Make an older avatar again.",
)
NO_MATTE = Sentence(
    "no_matte",
    ko="background: 아바타 '{avatar}'은(는) 배경을 바꿀 수 있기 전에 만들어졌습니다. 다시 만들거나 "
    "source로 보내 주세요.",
    en="background: the avatar '{avatar}' was made before backgrounds could be changed. Make it again, or send source.",
)
BACKGROUND_UNKNOWN = Sentence(
    "background_unknown",
    ko="background: {value}은(는) 쓸 수 없습니다. source, blur, transparent, #1e90ff나 white 같은 색, 또는 POST "
    "{address}에서 알려 준 사진의 id를 보내 주세요.",
    en="background: {value} cannot be used. Send source, blur, transparent, a colour such as #1e90ff or white, or "
    "the id of a picture from POST {address}.",
)
BACKGROUND_GONE = Sentence(
    "background_gone",
    ko="background: 사진 {id}이(가) 없습니다. 쓰지 않은 사진은 하루 뒤에 지워집니다. "
    "POST {address}에 다시 올려 주세요.",
    en="background: there is no picture {id}. Pictures are removed a day after their last use: upload it again with "
    "POST {address}.",
)
BACKGROUND_MISSING = Sentence(
    "background_missing",
    ko="{field}: 배경으로 쓸 사진 파일을 보내 주세요 ({kinds}).",
    en="{field}: send the picture for the background as a file ({kinds}).",
)
BACKGROUND_NO_PICTURE = Sentence(
    "background_no_picture",
    ko="background: 사진으로 읽을 수 없는 파일입니다. 쓸 수 있는 형식: {kinds}",
    en="background: this file cannot be read as a picture. Usable formats: {kinds}",
)
BACKGROUND_DAMAGED = Sentence(
    "background_damaged",
    ko="background: 사진이 손상되었거나 끝까지 전송되지 않았습니다. 다시 저장하거나 다시 보내 주세요.",
    en="background: the picture is damaged or incomplete. Save it again, or send it again.",
)
BACKGROUND_TOO_SMALL = Sentence(
    "background_too_small",
    ko="background: 사진이 너무 작습니다 ({width}x{height}). 단색 배경은 #1e90ff처럼 색을 보내 주세요.",
    en="background: the picture is too small ({width}x{height}). For one colour, send the colour: #1e90ff",
)
BACKGROUND_UNUSABLE = Sentence(
    "background_unusable", ko="background: 쓸 수 없는 사진입니다. {why}", en="background: an unusable picture. {why}"
)
NUMBER_OUT_OF_RANGE = Sentence(
    "number_out_of_range",
    ko="{field}: {low}부터 {high}까지의 숫자여야 합니다.",
    en="{field}: must be a number from {low} to {high}.",
)
NO_SPEECH_ENGINE = Sentence(
    "no_speech_engine",
    ko="사용할 수 있는 음성 엔진이 없습니다. ELEVENLABS_API_KEY를 설정하거나 requirements.txt를 다시 설치하세요.",
    en="No speech engine is available now. Set ELEVENLABS_API_KEY, or install requirements.txt again.",
)
TEXT_MISSING = Sentence("text_missing", ko="text: 필수 항목입니다.", en="text: this field is required.")
TEXT_NOT_STRING = Sentence("text_not_string", ko="text: 문자열이어야 합니다.", en="text: must be a string.")
TEXT_TOO_LONG = Sentence(
    "text_too_long",
    ko="text: {limit:,}자를 넘을 수 없습니다 (현재 {length:,}자). 나누어 요청하세요.",
    en="text: must not be longer than {limit:,} characters (it has {length:,}). Split it up.",
)
TEXT_NOT_UNICODE = Sentence(
    "text_not_unicode",
    ko="text: 올바른 유니코드 문자열이 아닙니다.",
    en="text: is not valid Unicode.",
)
TEXT_BLANK = Sentence(
    "text_blank",
    ko="text: 비어 있습니다. 말할 내용을 입력하세요.",
    en="text: is blank. Write what the avatar should say.",
)
FRAME_SKIP_INVALID = Sentence(
    "frame_skip_invalid",
    ko="frame_skip: 1부터 {limit}까지의 정수여야 합니다 (1 = 건너뛰지 않음).",
    en="frame_skip: must be an integer from 1 to {limit} (1 skips nothing).",
)
LANGUAGE_UNKNOWN = Sentence(
    "language_unknown",
    ko="language: {value}은(는) 모르는 언어입니다. 가능한 값: {choices}",
    en="language: {value} is not a known language. Choose one of: {choices}",
)
AVATAR_REQUIRED = Sentence(
    "avatar_required",
    ko="avatar 또는 avatar_path 중 하나는 필수입니다. 사용 가능한 아바타: GET /api/avatars",
    en="avatar or avatar_path: one of them is required. GET /api/avatars lists what there is.",
)
RESOLUTION_DIFFERS = Sentence(
    "resolution_differs",
    ko="resolution: avatar_path의 아바타는 {found}입니다. resolution을 빼거나 {found}(으)로 요청하세요.",
    en="resolution: the avatar at avatar_path is {found}. Leave resolution out, or ask for {found}.",
)
NOT_A_CHOICE = Sentence(
    "not_a_choice",
    ko="{field}: {value}은(는) 사용할 수 없습니다. 가능한 값: {choices}",
    en="{field}: {value} is not possible. Choose one of: {choices}",
)
STRING_BLANK = Sentence(
    "string_blank",
    ko="{field}: 비어 있지 않은 문자열이어야 합니다.",
    en="{field}: must be a string that is not blank.",
)

# speaking
SOUND_UNUSABLE = Sentence(
    "sound_unusable",
    ko="음성 엔진의 응답을 소리로 쓸 수 없습니다. 다시 시도하거나 다른 tts_engine을 선택하세요.",
    en="The speech engine's reply is not usable sound. Try again, or choose another tts_engine.",
)

# tasks
TASK_ENDED = Sentence(
    "task_ended",
    ko="작업을 찾을 수 없거나 이미 끝났습니다: {task_id:.40}",
    en="There is no such task, or it has finished already: {task_id:.40}",
)
INTERNAL_ERROR = Sentence(
    "internal_error",
    ko="서버 내부 오류가 발생했습니다. 다시 시도해도 같으면 서버 로그를 확인하세요.",
    en="An internal error occurred. If trying again does not help, check the server's log.",
)

# uploaded avatars
NAME_TAKEN = Sentence(
    "name_taken",
    ko="name '{name:.60}': 같은 이름의 아바타가 이미 있습니다. 다른 이름을 고르세요.",
    en="name '{name:.60}': there is an avatar of that name already. Choose another.",
)
TOO_MANY_AVATARS_WAIT = Sentence(
    "too_many_avatars_wait",
    ko="만들기를 기다리는 아바타가 너무 많습니다. 잠시 후에 다시 시도하세요.",
    en="Too many avatars are waiting to be made. Try again later.",
)
NOT_UPLOADED = Sentence(
    "not_uploaded",
    ko="'{name:.60}'은(는) 올려서 만든 아바타가 아니므로 지울 수 없습니다.",
    en="'{name:.60}' was not made from an upload, so it cannot be deleted.",
)

# voices that are fetched
DOWNLOAD_FORBIDDEN = Sentence(
    "download_forbidden",
    ko="이 서버는 음성을 내려받지 않습니다 (VOICE_DOWNLOADS=off, 또는 HF_HUB_OFFLINE).",
    en="This server fetches no voices (VOICE_DOWNLOADS=off, or HF_HUB_OFFLINE).",
)
SUPERTONIC_NOT_INSTALLED = Sentence(
    "supertonic_not_installed",
    ko="supertonic이 설치되어 있지 않습니다. 서버에서 실행하세요: pip install -r requirements-voices.txt",
    en="supertonic is not installed. Run on the server: pip install -r requirements-voices.txt",
)
