"""Sentences about conversations and interviews in live sessions."""

from pipeline.messages.sentence import Sentence

# asking for one
NOT_AN_OBJECT = Sentence("not_an_object", ko="{field}: JSON 객체여야 합니다.", en="{field}: must be a JSON object.")
FIELD_NOT_TEXT = Sentence(
    "field_not_text",
    ko="{field}: 올바른 유니코드 문자열이어야 합니다.",
    en="{field}: must be a string of valid Unicode.",
)
FIELD_TOO_LONG = Sentence(
    "field_too_long",
    ko="{field}: {limit:,}자까지 쓸 수 있습니다 (현재 {length:,}자).",
    en="{field}: may have {limit:,} characters (it has {length:,}).",
)
NOT_IN_RANGE = Sentence(
    "not_in_range",
    ko="{field}: {lowest:g}에서 {highest:g} 사이의 수여야 합니다.",
    en="{field}: must be a number from {lowest:g} to {highest:g}.",
)
QUESTIONS_MISSING = Sentence(
    "questions_missing",
    ko='{field}: 질문의 목록이 필요합니다: ["자기소개를 해 주세요."]',
    en='{field}: write a list of questions: ["Please introduce yourself."]',
)
TOO_MANY_QUESTIONS = Sentence(
    "too_many_questions",
    ko="{field}: 질문은 {limit}개까지 쓸 수 있습니다 (현재 {count:,}개).",
    en="{field}: may have {limit} questions (it has {count:,}).",
)
NOTHING_SPEAKABLE = Sentence(
    "nothing_speakable",
    ko="{field}: 소리 내어 말할 글자나 숫자가 없습니다.",
    en="{field}: contains no letter or digit that could be spoken.",
)

# interviews
NO_INTERVIEW = Sentence(
    "no_interview",
    ko="이 세션에는 면접이 없습니다. POST /api/v2/sessions에 interview를 넣어 여세요.",
    en="This session holds no interview. Open one with the field interview of POST /api/v2/sessions.",
)
INTERVIEW_RUNS = Sentence(
    "interview_runs",
    ko="이 세션에서는 면접이 진행 중입니다. 끝난 뒤에 대화할 수 있습니다.",
    en="This session holds an interview. You can chat once it has ended.",
)
NO_SUCH_QUESTION = Sentence(
    "no_such_question",
    ko="question: {number}번 질문은 없습니다.",
    en="question: there is no question {number}.",
)
NO_SUCH_ANSWER = Sentence(
    "no_such_answer",
    ko="{number}번 질문에 대한 답의 소리가 없습니다. 답이 있는 질문만, record가 true일 때 저장됩니다.",
    en="There is no sound of an answer to question {number}. It is kept where there was an answer, with record: true.",
)
ANSWERS_SOUND = Sentence("answers_sound", ko="답의 소리", en="sound of the answer")

# language models and transcription
LANGUAGE_MODEL_MISSING = Sentence(
    "language_model_missing",
    ko="언어 모델이 설정되지 않았습니다. LLM_BASE_URL(예: http://localhost:11434/v1)과 LLM_MODEL을, 필요하면 "
    "LLM_API_KEY도 설정한 뒤 서버를 다시 시작하세요.",
    en="No language model is set up. Set LLM_BASE_URL (http://localhost:11434/v1, for example) and LLM_MODEL, and "
    "LLM_API_KEY if it needs a key, then start the server again.",
)
SERVICE_SILENT = Sentence(
    "service_silent",
    ko="{prefix}_BASE_URL의 서비스가 {seconds:g}초 동안 응답하지 않았습니다. 잠시 뒤에 다시 시도하세요.",
    en="The service at {prefix}_BASE_URL said nothing for {seconds:g} s. Try again in a moment.",
)
SERVICE_NOT_REACHED = Sentence(
    "service_not_reached",
    ko="{prefix}_BASE_URL의 서비스에 연결할 수 없거나 연결이 끊어졌습니다. 주소와 네트워크를 확인하세요.",
    en="The service at {prefix}_BASE_URL cannot be reached, or the connection broke. Check the address.",
)
SERVICE_REFUSES_KEY = Sentence(
    "service_refuses_key",
    ko="{prefix}_BASE_URL의 서비스가 키를 거부했습니다. {prefix}_API_KEY를 확인하세요.",
    en="The service at {prefix}_BASE_URL refuses the key. Check {prefix}_API_KEY.",
)
SERVICE_BUSY = Sentence(
    "service_busy",
    ko="{prefix}_BASE_URL의 서비스가 바쁘거나 한도에 이르렀습니다. 잠시 뒤에 다시 시도하세요. ({said})",
    en="The service at {prefix}_BASE_URL is busy, or its limit is reached. Try again in a moment. ({said})",
)
SERVICE_HAS_NO_MODEL = Sentence(
    "service_has_no_model",
    ko="{prefix}_BASE_URL의 서비스에 {model} 모델이나 그 주소가 없습니다. {prefix}_BASE_URL과 {prefix}_MODEL을 "
    "확인하세요. ({said})",
    en="The service at {prefix}_BASE_URL has no model {model}, or not that address. Check {prefix}_BASE_URL and "
    "{prefix}_MODEL. ({said})",
)
SERVICE_FAILED = Sentence(
    "service_failed",
    ko="{prefix}_BASE_URL의 서비스에서 오류가 났습니다 (상태 {status}). ({said})",
    en="The service at {prefix}_BASE_URL failed (status {status}). ({said})",
)
SERVICE_UNUSABLE = Sentence(
    "service_unusable",
    ko="{prefix}_BASE_URL의 서비스가 보낸 응답을 쓸 수 없거나 응답이 도중에 끊어졌습니다.",
    en="The reply of the service at {prefix}_BASE_URL cannot be used, or broke off.",
)
ANSWER_TOO_LONG = Sentence(
    "answer_too_long",
    ko="언어 모델의 답이 {limit:,}자를 넘거나 너무 오래 걸려 잘랐습니다.",
    en="The language model's answer was cut off: it exceeds {limit:,} characters, or takes too long.",
)
ANSWER_EMPTY = Sentence(
    "answer_empty",
    ko="언어 모델이 빈 답을 보냈습니다. 다르게 물어보세요.",
    en="The language model's answer is empty. Ask in another way.",
)

# Whisper
WHISPER_FAILED = Sentence(
    "whisper_failed",
    ko="이 컴퓨터의 Whisper가 받아쓰지 못했습니다. 서버 로그를 확인하세요.",
    en="Whisper on this computer failed. The server's log says why.",
)
WHISPER_NOT_INSTALLED = Sentence(
    "whisper_not_installed",
    ko="faster-whisper가 설치되어 있지 않습니다. 실행하세요: {command}",
    en="faster-whisper is not installed. Run: {command}",
)
WHISPER_NOT_DOWNLOADED = Sentence(
    "whisper_not_downloaded",
    ko="내려받지 못했습니다: {reason} 인터넷 연결을 확인하고 다시 실행하세요.",
    en="The download failed: {reason} Check the internet connection, and run it again.",
)
WHISPER_READY = Sentence(
    "whisper_ready",
    ko="Whisper를 쓸 수 있습니다. 가중치: {folder}",
    en="Whisper is ready; its weights are in {folder}.",
)
