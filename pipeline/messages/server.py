"""Sentences about the server: access, REST, the queue and the page."""

from pipeline.messages.sentence import Sentence

# access to the server
KEY_NEEDED = Sentence(
    "key_needed",
    ko="API 키가 필요합니다. 요청에 Authorization: Bearer <키> 헤더를 넣으세요.",
    en="An API key is needed. Send it in the header Authorization: Bearer <key>.",
)
TOKEN_EXPIRED = Sentence(
    "token_expired",
    ko="토큰의 시간이 지났습니다. 서버에서 새 토큰을 받으세요: POST /api/v2/tokens",
    en="The token has expired. Get a new one on your server: POST /api/v2/tokens",
)
TOKEN_INVALID = Sentence(
    "token_invalid",
    ko="올바른 토큰이 아닙니다. 서버에서 새 토큰을 받으세요: POST /api/v2/tokens",
    en="The token is not valid. Get a new one on your server: POST /api/v2/tokens",
)
TOKEN_WRONG_ORIGIN = Sentence(
    "token_wrong_origin",
    ko="이 토큰은 다른 웹사이트의 것입니다. 이 사이트의 origin으로 새 토큰을 받으세요.",
    en="The token is for another web site. Get one whose origin is this site.",
)
TOKEN_WRONG_ENDPOINT = Sentence(
    "token_wrong_endpoint",
    ko="이 토큰으로는 쓸 수 없는 주소입니다. 쓸 수 있는 것: {allowed}. 그 밖에는 API 키가 필요합니다.",
    en="The token is not for this address, but for: {allowed}. Anything else needs an API key.",
)
TOKEN_WRONG_AVATAR = Sentence(
    "token_wrong_avatar",
    ko="이 토큰은 아바타 '{avatar}'만 쓸 수 있습니다.",
    en="The token is for the avatar '{avatar}' only.",
)
TOKEN_SPENT = Sentence(
    "token_spent",
    ko="토큰의 말하기 시간({seconds:g}초)이 모자랍니다. 더 짧게 말하거나 새 토큰을 받으세요.",
    en="The token's seconds of speech ({seconds:g}) do not suffice. Say less, or get a new token.",
)
WEBHOOK_NOT_SET_UP = Sentence(
    "webhook_not_set_up",
    ko="webhook_url: 서버에 WEBHOOK_SECRET이 있어야 웹훅을 보낼 수 있습니다.",
    en="webhook_url: the server sends webhooks only with WEBHOOK_SECRET.",
)
WEBHOOK_URL_INVALID = Sentence(
    "webhook_url_invalid",
    ko="webhook_url: https://example.com/hook 같은 http나 https 주소여야 합니다.",
    en="webhook_url: must be an address of http or https, such as https://example.com/hook.",
)
WEBHOOK_URL_PRIVATE = Sentence(
    "webhook_url_private",
    ko="webhook_url: 내부 네트워크의 주소로는 보내지 않습니다. 보내려면 서버에 WEBHOOK_PRIVATE=1을 설정하세요.",
    en="webhook_url: the address is in a private network. To allow that, set WEBHOOK_PRIVATE=1 on the server.",
)
ENDPOINTS_INVALID = Sentence(
    "endpoints_invalid",
    ko="endpoints: {choices} 가운데 하나 이상을 담은 목록이어야 합니다.",
    en="endpoints: must be a list of one or more of: {choices}",
)
ORIGIN_UNKNOWN = Sentence(
    "origin_unknown",
    ko="origin: {value}은(는) 이 서버가 허락한 사이트가 아닙니다. https://example.com처럼 쓰고, "
    "서버의 ALLOWED_ORIGINS에 추가하세요.",
    en="origin: {value} is not a site that this server allows. Write it like https://example.com, and add it to "
    "ALLOWED_ORIGINS on the server.",
)
SITE_NOT_ALLOWED = Sentence(
    "site_not_allowed",
    ko="다른 웹사이트에서 온 요청입니다. 서버의 ALLOWED_ORIGINS에 그 사이트를 적으면 쓸 수 있습니다.",
    en="The request comes from another web site. To allow it, add the site to ALLOWED_ORIGINS on the server.",
)
HOST_NOT_ALLOWED = Sentence(
    "host_not_allowed",
    ko="서버가 모르는 이름입니다: {name}. 이 이름으로 쓰려면 서버의 ALLOWED_HOSTS에 적으세요.",
    en="The server does not accept this host name: {name}. To use it, add it to ALLOWED_HOSTS on the server.",
)
BODY_TOO_SLOW = Sentence(
    "body_too_slow",
    ko="요청 본문이 너무 느리게 오거나 끊겼습니다. 연결을 확인하고 다시 보내세요.",
    en="The body of the request comes too slowly, or has stopped. Check the connection, and send it again.",
)
METHOD_NOT_ALLOWED = Sentence(
    "method_not_allowed",
    ko="이 주소에서는 사용할 수 없는 HTTP 메서드입니다.",
    en="This address does not support that HTTP method.",
)

# the form that asks for a key
KEY_FORM_TITLE = Sentence("key_form_title", ko="실시간 립싱크 아바타", en="Real-time talking avatar")
KEY_FORM_LABEL = Sentence("key_form_label", ko="이 서버의 API 키를 입력하세요.", en="Enter an API key of this server.")
KEY_FORM_BUTTON = Sentence("key_form_button", ko="들어가기", en="Enter")
KEY_NOT_VALID = Sentence("key_not_valid", ko="올바른 키가 아닙니다.", en="That key is not valid.")

# Gradio's own endpoints
ENDPOINT_INTERNAL = Sentence(
    "endpoint_internal",
    ko="이 주소는 서버 내부용입니다. POST /api/v2/lipsync를 쓰세요.",
    en="This endpoint is internal to the server. Use POST /api/v2/lipsync.",
)
TOO_MANY_REQUESTS = Sentence(
    "too_many_requests",
    ko="요청이 너무 많이 열려 있습니다. 앞선 요청이 끝난 뒤에 다시 시도하세요.",
    en="Too many requests are open. Try again when earlier ones have finished.",
)

# the queue
SERVER_ENDS = Sentence(
    "server_ends",
    ko="이 서버는 하던 일을 마치고 꺼지는 중입니다. 잠시 후에 다시 시도하세요.",
    en="This server finishes what it does, and then ends. Try again in a moment.",
)
QUEUE_FULL = Sentence(
    "queue_full",
    ko="대기열이 가득 찼습니다 (최대 {limit}개). {retry_after}초 후에 다시 시도하세요.",
    en="The queue is full ({limit} tasks wait). Try again in {retry_after} seconds.",
)
QUEUE_FULL_OF_ADDRESS = Sentence(
    "queue_full_of_address",
    ko="이 주소({address})에서 보낸 작업이 이미 {limit}개 기다립니다. {retry_after}초 후에 다시 시도하세요.",
    en="As many tasks as allowed ({limit}) from this address ({address}) wait already. Try again in {retry_after} "
    "seconds.",
)

# the page
RESULT_TITLE = Sentence("result_title", ko="말하는 아바타", en="A talking avatar")
RESULT_TEXT = Sentence("result_text", ko="대사", en="What it says")
RESULT_VIDEO = Sentence("result_video", ko="영상 내려받기", en="Download the video")
RESULT_CAPTIONS = Sentence("result_captions", ko="자막 내려받기", en="Download the captions")
RESULT_OWN = Sentence("result_own", ko="나도 만들기", en="Make your own")
RESULT_MADE = Sentence("result_made", ko="컴퓨터가 만든 영상입니다.", en="This video was made by a computer.")
RESULT_GONE = Sentence("result_gone", ko="이 영상은 이제 없습니다", en="This video is no longer here")
RESULT_GONE_WHY = Sentence(
    "result_gone_why",
    ko="영상은 만든 뒤 정해진 시간 동안만 보관합니다. 주소가 잘못되었을 수도 있습니다.",
    en="Videos are kept for a limited time after they are made. Or the address is not quite right.",
)
PAGE_READY = Sentence("page_ready", ko="준비됨", en="Ready")
PAGE_WARMING = Sentence(
    "page_warming",
    ko="준비 중... 지금 시작해도 됩니다",
    en="Getting ready... you can start already",
)
PAGE_WAITING = Sentence("page_waiting", ko="대기 중...", en="Waiting...")
PAGE_STOPPING = Sentence("page_stopping", ko="중지 중...", en="Stopping...")
PAGE_STOPPED = Sentence("page_stopped", ko="중지됨", en="Stopped")
SERVER_AWAY = Sentence(
    "server_away",
    ko="서버에 연결할 수 없습니다. 쓴 글과 고른 것은 그대로 두고, 다시 연결되면 알려 드립니다.",
    en="The server cannot be reached. What you wrote and chose is kept; the page tells you when the server is back.",
)
SERVER_BACK = Sentence("server_back", ko="서버에 다시 연결되었습니다.", en="The server is back.")
PAGE_RELOADED = Sentence(
    "page_reloaded",
    ko="서버와 연결이 끊겨 화면을 다시 불러왔습니다. 글과 설정, 마지막 영상은 그대로입니다.",
    en="The connection was lost, so the page was loaded again. Your text, choices and last video are still here.",
)
VIDEO_DROPPED = Sentence(
    "video_dropped",
    ko="만들던 영상은 중단되었으니 다시 눌러 주세요.",
    en="The video in the making was dropped: press again.",
)
RECORDING_REQUIRED = Sentence(
    "recording_required",
    ko="녹음 파일을 먼저 올리거나 녹음해 주세요.",
    en="Upload or record a voice first.",
)
AVATAR_DELETED = Sentence(
    "avatar_deleted",
    ko="아바타 '{gone}'은(는) 지워졌습니다. 이제 '{chosen}'이(가) 말합니다. 다시 눌러 주세요.",
    en="The avatar '{gone}' has been deleted. Now '{chosen}' speaks: press again.",
)
CONSENT_BY = Sentence(
    "consent_by", ko="동의를 확인한 사람: {by} ({at})", en="The consent was confirmed by {by} ({at})."
)
CONSENT_AT = Sentence("consent_at", ko="동의를 확인한 때: {at}", en="The consent was confirmed at {at}.")
DELETE_AVATAR = Sentence(
    "delete_avatar",
    ko="아바타 **{name}**을(를) 지울까요? 되돌릴 수 없습니다.",
    en="Delete the avatar **{name}**? It cannot be brought back.",
)
WAITING_WITH_ETA = Sentence(
    "waiting_with_eta",
    ko="대기 중... ({position}번째), 약 {eta:.0f}초 뒤 완료",
    en="Waiting... (number {position} in the queue), ready in about {eta:.0f} s",
)

# making an avatar on the page
NO_FILE_CHOSEN = Sentence(
    "no_file_chosen",
    ko="영상이나 사진을 먼저 올려 주세요.",
    en="Choose a clip or a photo first.",
)
CONSENT_NOT_TICKED = Sentence(
    "consent_not_ticked",
    ko="영상이나 사진의 인물이 동의했는지 확인하고 표시해 주세요.",
    en="Tick the box if the person shown agreed. Without that no avatar is made.",
)

# uploads by REST
CONSENT_MISSING = Sentence(
    "consent_missing",
    ko="consent: 이 영상이나 사진의 인물이 아바타로 말하게 되는 것에 동의했음을 consent=true로 확인해 주세요.",
    en="consent: confirm with consent=true that the person shown agreed to be made to speak as an avatar.",
)
NOT_ONE_TEXT = Sentence("not_one_text", ko="{field}: 글자 값 하나만 보내 주세요.", en="{field}: send one text.")
NOT_ONE_FILE = Sentence("not_one_file", ko="{field}: 파일 하나만 보내 주세요.", en="{field}: send one file.")
NOT_SECONDS = Sentence("not_seconds", ko="{field}: 0 이상의 초를 보내 주세요.", en="{field}: send seconds, 0 or more.")
FACE_INVALID = Sentence(
    "face_invalid",
    ko="face: center, largest, 또는 왼쪽부터 센 번호를 보내 주세요.",
    en="face: send center, largest, or a number counted from the left.",
)
VOICES_FETCHED = Sentence(
    "voices_fetched",
    ko="Supertonic 음성을 받는 중: {total:.0f} MB 가운데 {done:.0f} MB",
    en="Fetching Supertonic's voices: {done:.0f} of {total:.0f} MB",
)
VOICES_READY = Sentence("voices_ready", ko="Supertonic 음성이 준비되었습니다.", en="Supertonic's voices are ready.")
VOICES_LEFT = Sentence(
    "voices_left",
    ko="받다가 멈췄습니다. 다시 누르면 이어 받습니다.",
    en="Stopped. Press again to go on where it stopped.",
)
GENDER_INVALID = Sentence(
    "gender_invalid",
    ko="gender: {choices} 가운데 하나를 보내거나 비워 두세요.",
    en="gender: send one of {choices}, or leave it out.",
)
BACKGROUND_INVALID = Sentence(
    "background_invalid",
    ko="background: ffffff와 같은 RRGGBB 색을 보내 주세요.",
    en="background: send a colour as RRGGBB, such as ffffff.",
)
TOO_MANY_BACKGROUNDS = Sentence(
    "too_many_backgrounds",
    ko="지금 준비하는 배경이 너무 많습니다. 잠시 뒤에 다시 시도하세요.",
    en="Too many backgrounds are being prepared now. Try again in a moment.",
)
FILE_TOO_LARGE = Sentence(
    "file_too_large",
    ko="파일이 너무 큽니다 (최대 {limit} MiB).",
    en="The file is too large (at most {limit} MiB).",
)
BODY_NOT_FORM = Sentence(
    "body_not_form",
    ko="요청 본문이 올바른 multipart/form-data가 아닙니다.",
    en="The body is not valid multipart/form-data.",
)
AUDIO_NOT_FILE = Sentence(
    "audio_not_file",
    ko="audio: 글자가 아니라 음성 파일 하나를 보내 주세요: {kinds}",
    en="audio: send one file with speech, not a text: {kinds}",
)
NOT_TRANSPARENT = Sentence(
    "not_transparent",
    ko="/video/{task_id}.webm: 그런 결과가 없거나, background를 transparent로 요청한 영상이 아닙니다.",
    en="/video/{task_id}.webm: there is no such result, or it was not requested with the background transparent.",
)
FILE_MISSING = Sentence(
    "file_missing",
    ko="file: 영상이나 사진 파일을 보내 주세요.",
    en="file: send a clip or a photo.",
)
FILE_TO_VERIFY_MISSING = Sentence(
    "file_to_verify_missing",
    ko="file: 확인할 파일을 보내 주세요 (mp4, mov, WebM, WAV).",
    en="file: send the file to verify (mp4, mov, WebM or WAV).",
)
ONLY_MP4_SIGNED = Sentence(
    "only_mp4_signed",
    ko="서명한 사본은 mp4만 있습니다: /video/{task_id}.mp4?c2pa=1",
    en="Only the mp4 can be signed: /video/{task_id}.mp4?c2pa=1",
)

# results
NO_SUCH_FILE = Sentence(
    "no_such_file",
    ko="파일이 없습니다: {file}. 결과는 정해진 시간 동안만 보관됩니다. 다시 생성하세요.",
    en="There is no such file: {file}. Results are kept for a limited time; make it again.",
)

# Idempotency-Key
IDEMPOTENCY_KEY_INVALID = Sentence(
    "idempotency_key_invalid",
    ko="Idempotency-Key: 1자에서 255자까지의 ASCII 글자여야 합니다 (공백 제외).",
    en="Idempotency-Key: must be 1 to 255 characters of ASCII, without blanks.",
)
IDEMPOTENCY_KEY_REUSED = Sentence(
    "idempotency_key_reused",
    ko="Idempotency-Key: 이 키는 다른 요청에 이미 쓰였습니다. 새 키를 쓰세요.",
    en="Idempotency-Key: this key was used before with another body. Use a new one.",
)

# inspection
TASK_NOT_FINISHED = Sentence(
    "task_not_finished",
    ko="끝난 작업이 아니거나 결과가 지워졌습니다: {task_id:.40}",
    en="There is no such finished task, or its results are gone: {task_id:.40}",
)

# requests by REST
LAST_EVENT_ID_INVALID = Sentence(
    "last_event_id_invalid",
    ko="Last-Event-ID: 이벤트 번호여야 합니다.",
    en="Last-Event-ID: must be the number of an event.",
)
NO_SUCH_RESULT = Sentence(
    "no_such_result",
    ko="그런 결과는 없습니다: {task_id:.40}",
    en="There is no such result: {task_id:.40}",
)
NO_SUCH_TASK = Sentence(
    "no_such_task",
    ko="작업을 찾을 수 없습니다: {task_id:.40}. 작업은 결과와 함께 정해진 시간 동안만 보관됩니다.",
    en="There is no such task: {task_id:.40}. Tasks are kept for a limited time, like their results.",
)
BODY_TOO_LARGE = Sentence(
    "body_too_large",
    ko="요청 본문이 너무 큽니다 (최대 {limit} KiB).",
    en="The body is too large (at most {limit} KiB).",
)
NO_WEBCAM_PICTURE = Sentence(
    "no_webcam_picture",
    ko="웹캠 사진이 아닙니다. RGB로 {size}바이트를 보내 주세요.",
    en="This is no picture of a webcam. Send {size} bytes of RGB.",
)
BODY_NOT_JSON = Sentence(
    "body_not_json",
    ko="요청 본문이 올바른 JSON(UTF-8)이 아닙니다.",
    en="The body is not valid JSON in UTF-8.",
)
INTERNAL_SERVER_ERROR = Sentence(
    "internal_server_error",
    ko="서버 내부 오류가 발생했습니다.",
    en="Internal server error.",
)
NO_SUCH_ADDRESS = Sentence("no_such_address", ko="그런 주소는 없습니다.", en="There is no such address.")

HTTP_ERROR = Sentence("http_error", ko="{detail}", en="{detail}")

# starting the server
CANNOT_LISTEN = Sentence(
    "cannot_listen",
    ko="{where}에서 서버를 시작할 수 없습니다 ({reason}). 이미 사용 중이면 GRADIO_SERVER_PORT로 다른 포트를 "
    "지정하세요.",
    en="Cannot listen on {where} ({reason}). If it is in use, set GRADIO_SERVER_PORT to another port.",
)

# visitors of the page
COOKIES_REFUSED = Sentence(
    "cookies_refused",
    ko="브라우저가 쿠키를 받지 않아 만든 아바타를 다시 찾을 수 없습니다. 쿠키를 허용하고 다시 열어 주세요.",
    en="Your browser does not accept cookies, so it will not find your avatar again. Allow them, and reload.",
)
