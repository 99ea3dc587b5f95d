"""Every text of the page, in Korean and English; the browser's language decides which one is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.avatars.background import BLUR, TRANSPARENT
from pipeline.avatars.background import SOURCE as BEHIND_AS_FILMED
from pipeline.avatars.framing import ASPECTS, RATES, SOURCE
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.engines.musetalk.musetalk_engine import MuseTalkEngine
from pipeline.engines.select import AUTO
from pipeline.jobs.look import BURN, CAPTIONS, LABELS, NO_LABEL
from pipeline.jobs.voice_download import LICENCE, LICENCE_URL
from pipeline.messages import Language, Message
from pipeline.preparing.file_kinds import PICTURES, VIDEOS
from pipeline.server.reply_language import language_of

TITLE = "실시간 립싱크 아바타 / Real-time talking avatar"
"""Title of the window, for which Gradio takes only one text."""
DESCRIPTION = Message(
    "글이나 녹음을 주면 영상 속 사람이 실시간으로 말합니다.",
    "Write a text or give a recording, and a person on video says it, in real time.",
)
CHOOSE = Message("아바타 고르기", "Choose an avatar")
WORDS = {
    "live": Message("라이브", "Live"),
    "live_stage": Message("라이브 아바타", "Live avatar"),
    "speak": Message("영상", "Video"),
    "talk": Message("말하기", "Talk"),
    "audio": Message("녹음", "Audio"),
    "avatars": Message("아바타", "Avatars"),
    "api": Message("개발", "Build"),
    "about": Message("소개", "About"),
    "about_text": Message(*(Path(__file__).with_name(f"about.{one}.md").read_text("utf-8") for one in ("ko", "en"))),
    "text": Message("대사", "Text"),
    "examples": Message("예문", "Examples"),
    "generate": Message("생성", "Generate"),
    "stop": Message("중지", "Stop"),
    "recording": Message("녹음 파일", "Recording"),
    "transcript": Message("녹음에서 말한 내용 (없어도 됩니다)", "What the recording says (may be left empty)"),
    "transcript_help": Message("그대로 쓰면 입이 더 정확해집니다", "With its words the lips follow more exactly"),
    "choose": CHOOSE,
    "settings": Message("더 많은 설정", "More settings"),
    "resolution": Message("해상도", "Resolution"),
    "tts_engine": Message("음성 엔진", "Speech engine"),
    "voice": Message("음성", "Voice"),
    "listen": Message("들어 보기", "Listen"),
    "fetch_voices": Message("Supertonic 음성 받기 (400MB)", "Fetch Supertonic's voices (400 MB)"),
    "leave_voices": Message("받기 멈추기", "Stop fetching"),
    "tts_speed": Message("말하는 속도", "Speaking speed"),
    "tts_pitch": Message("목소리 높이 (반음)", "Pitch (semitones)"),
    "mood": Message("표정", "Mood"),
    "liveliness": Message("생동감", "Liveliness"),
    "liveliness_help": Message(
        "목소리를 따라 눈썹과 눈이 움직이는 정도입니다. 0: 입만 움직입니다",
        "How much brows and eyes move with the voice; 0: only the mouth moves",
    ),
    "eye_contact": Message("카메라 바라보기", "Look at the camera"),
    "eye_contact_help": Message(
        "다른 곳을 보던 눈을 자연스러운 만큼만 카메라 쪽으로 돌립니다",
        "Eyes that look elsewhere are turned to the camera as far as it looks natural",
    ),
    "pronunciations": Message("이렇게 읽기", "Pronunciations"),
    "pronunciations_help": Message(
        "한 줄에 하나씩, 쓴 대로 = 읽는 대로", "One in each line: as it is written = as it is spoken"
    ),
    "aspect": Message("화면 비율", "Aspect"),
    "aspect_help": Message("사람을 가운데 두고 자릅니다", "Cropped around the person"),
    "fps": Message("초당 프레임", "Frames per second"),
    "captions_in": Message("자막", "Captions"),
    "label": Message("AI 표시", "AI mark"),
    "label_help": Message("화면 모서리에 새깁니다", "Drawn into a corner of the picture"),
    "behind": Message("배경", "Background"),
    "behind_help": Message(
        "#1e90ff 같은 색을 직접 써도 됩니다",
        "Or write a colour such as #1e90ff",
    ),
    "behind_picture": Message("사진 올리기...", "Upload a picture..."),
    "frame_skip": Message("입을 움직이는 간격 (프레임)", "Mouth moves every so many pictures"),
    "frame_skip_help": Message("1이 가장 부드럽습니다", "1 is the smoothest"),
    "engine": Message("입을 움직이는 방식", "How the mouth is moved"),
    "language": Message("글의 언어", "Language of the text"),
    "player": Message("재생", "Player"),
    "status": Message("진행 상태", "Status"),
    "length": Message("글자 수", "Length"),
    "details": Message("자세히: 음소와 입 모양", "Details: phonemes and mouth"),
    "make_help": Message(
        "5-15초 동안 입을 다물고 카메라를 바라보는 영상이 가장 좋습니다. 말하는 영상이나 사진도 됩니다.",
        "Best is a clip of 5 to 15 seconds, looking at the camera, mouth closed. A clip of a person talking works too, "
        "and so does a photo.",
    ),
    "accepted": Message(
        f"동영상({', '.join(VIDEOS)} 등)과 사진({', '.join(PICTURES)}, 움직이는 것도)을 받습니다.",
        f"Videos ({', '.join(VIDEOS)}...) and pictures ({', '.join(PICTURES)}, also animated ones) are accepted.",
    ),
    "clip": Message("영상이나 사진 (끌어다 놓기)", "Clip or photo (drop it here)"),
    "webcam": Message("웹캠으로 찍기", "Film with the webcam"),
    "clip_listening": Message("듣는 모습", "Listening"),
    "clip_nod": Message("끄덕이는 모습", "Nodding"),
    "faces": Message("찾은 얼굴", "Faces found"),
    "face": Message("말할 얼굴", "The face that speaks"),
    "face_help": Message(
        "고르지 않으면 가운데 얼굴, 장면이 여럿이면 가장 긴 장면의 얼굴입니다.",
        "If you choose none: the one in the middle; with several shots, that of the longest.",
    ),
    "name": Message("아바타 이름", "Name of the avatar"),
    "name_help": Message("글자, 숫자, -, _", "Letters, digits, - and _"),
    "gender": Message("목소리", "Voice"),
    "gender_help": Message("음성을 고르지 않으면 이 목소리로 말합니다.", "How it sounds if no voice is chosen."),
    "find_clips": Message("여러 모습 찾기", "Find several clips"),
    "find_clips_help": Message(
        "긴 영상에서 기다리고, 듣고, 끄덕이고, 말하는 부분을 찾아 라이브에 씁니다",
        "In a longer recording: where you wait, listen, nod and talk, to be shown in live sessions",
    ),
    "consent": Message(
        "이 영상이나 사진의 인물이 아바타로 말하게 되는 것에 동의했습니다.",
        "The person shown agreed to be made to speak as an avatar.",
    ),
    "consent_by": Message("동의를 확인한 사람", "Who confirmed it"),
    "consent_by_help": Message(
        "적지 않아도 됩니다. 때와 파일의 해시와 함께 동의 기록에 남습니다.",
        "You may leave it empty. It is kept in a record, with the time and the hash of the file.",
    ),
    "make": Message("아바타 만들기", "Make the avatar"),
    "try": Message("시험 문장", "Test sentence"),
    "uploaded": Message("내가 만든 아바타", "Avatars that you made"),
    "delete": Message("지우기", "Delete"),
    "really_delete": Message("예, 지우기", "Yes, delete it"),
    "keep": Message("그대로 두기", "Keep it"),
    "api_help": Message(
        "지금 고른 설정으로 같은 영상을 만드는 요청과, 다른 사이트에 아바타를 넣는 태그입니다. "
        "전체 명세: [/api/openapi.json](api/openapi.json)\n\n"
        "다른 웹사이트의 JavaScript에서 부르려면 서버의 `ALLOWED_ORIGINS`에 그 사이트의 주소를 적어야 합니다.",
        "Requests that make the same video with the settings chosen now, and the tag for your own site. "
        "All of it is described at "
        "[/api/openapi.json](api/openapi.json).\n\n"
        "For JavaScript on another web site, name that site in `ALLOWED_ORIGINS` on the server.",
    ),
}
FACES = {
    "neutral": Message("보통", "Neutral"),
    "smile": Message("미소", "Smile"),
    "thinking": Message("생각", "Thinking"),
    "serious": Message("진지", "Serious"),
}
"""The moods of a face."""
GUIDE = {
    "open": Message("카메라 켜기", "Turn on the camera"),
    "close": Message("카메라 끄기", "Turn off the camera"),
    "film_own": Message("찍기 (8초)", "Film (8 s)"),
    "film_listening": Message("듣는 모습 찍기 (6초)", "Film how you listen (6 s)"),
    "film_nod": Message("끄덕이는 모습 찍기 (5초)", "Film a nod (5 s)"),
    "look": Message("얼굴을 타원에 맞추고 카메라를 보세요.", "Put your face into the oval, and look at the camera."),
    "no_face": Message("얼굴이 보이지 않습니다. 타원에 맞춰 주세요.", "No face can be seen. Come into the oval."),
    "nearer": Message("조금 더 가까이 오세요.", "Come a little closer."),
    "farther": Message("조금 뒤로 가세요.", "Move back a little."),
    "middle": Message("얼굴을 타원 가운데로 옮겨 주세요.", "Move your face to the middle of the oval."),
    "dark": Message(
        "너무 어둡습니다. 불을 켜거나 창을 마주 보세요.", "It is too dark. Turn on a light, or face a window."
    ),
    "bright": Message("너무 밝습니다. 빛을 줄여 주세요.", "It is too bright. Turn down the light."),
    "good": Message("좋습니다. 찍을 수 있습니다.", "Good. You can film now."),
    "do_own": Message(
        "{}초 동안 입을 다물고 카메라를 편하게 보세요.",
        "For {} s, keep your mouth closed and look at the camera, relaxed.",
    ),
    "do_listening": Message(
        "{}초 동안 상대의 말을 듣듯이 카메라를 보세요.",
        "For {} s, look into the camera as if you were listening to someone.",
    ),
    "do_nod": Message("{}초 동안 입을 다물고 한두 번 끄덕이세요.", "For {} s, nod once or twice, mouth closed."),
    "done_own": Message(
        "찍었습니다. 듣는 모습과 끄덕이는 모습도 찍으면 더 살아 있습니다.",
        "Done. Film how you listen and nod as well, and the avatar is livelier.",
    ),
    "done_listening": Message("듣는 모습을 찍었습니다.", "Done: how you listen."),
    "done_nod": Message("끄덕이는 모습을 찍었습니다.", "Done: your nod."),
    "failed": Message("찍지 못했습니다. 다시 해 보세요.", "That was not filmed. Try again."),
    "refused": Message(
        "카메라를 쓸 수 없습니다. 브라우저의 주소창에서 카메라를 허용하거나, 영상이나 사진을 올려 주세요.",
        "The camera may not be used. Allow it in the address bar of your browser, or upload a clip or photo.",
    ),
    "missing": Message(
        "카메라를 찾을 수 없습니다. 카메라를 연결하거나, 영상이나 사진을 올려 주세요.",
        "No camera was found. Plug one in, or upload a clip or photo.",
    ),
    "in_use": Message(
        "다른 프로그램이 카메라를 쓰고 있습니다. 그 프로그램을 닫고 다시 해 보세요.",
        "Another program is using the camera. Close it, and try again.",
    ),
    "insecure": Message(
        "이 브라우저는 여기서 카메라를 쓸 수 없습니다. https 주소로 열거나, 영상이나 사진을 올려 주세요.",
        "This browser cannot use a camera here. Open the page over https, or upload a clip or photo.",
    ),
    "lost": Message("카메라가 꺼졌습니다.", "The camera was turned off."),
}
"""What guides at the webcam."""
LOOKS = {
    "aspect": {
        SOURCE: Message("원본 그대로", "As filmed"),
        "16:9": Message("가로 16:9", "Wide 16:9"),
        "9:16": Message("세로 9:16", "Tall 9:16"),
        "1:1": Message("정사각형 1:1", "Square 1:1"),
        "4:5": Message("세로 4:5", "Tall 4:5"),
    },
    "fps": {SOURCE: Message("원본 그대로", "As filmed")},
    "captions": {
        CAPTIONS[0]: Message("영상 옆에", "Beside the video"),
        BURN: Message("영상 안에 새김", "Drawn into the video"),
    },
    "label": {NO_LABEL: Message("없음", "None")},
    "background": {
        BEHIND_AS_FILMED: Message("원본 그대로", "As filmed"),
        BLUR: Message("흐리게", "Blurred"),
        TRANSPARENT: Message("투명하게", "Transparent"),
        "white": Message("흰색", "White"),
        "black": Message("검은색", "Black"),
        "#e8eaed": Message("밝은 회색", "Light grey"),
    },
}
"""The values of the fields that say how a video looks; others are shown as they are."""
LIVE = {
    "avatar": Message("아바타", "Avatar"),
    "you": Message("나", "You"),
    "text": Message("아바타가 할 말", "What the avatar says"),
    "placeholder": Message("할 말을 쓰세요", "Write what to say"),
    "first": Message("안녕하세요, 면접에 오신 것을 환영합니다.", "Hello, and welcome to the interview."),
    "say": Message("말하기", "Say it"),
    "stop": Message("멈추기", "Stop"),
    "start": Message("시작", "Start"),
    "keys": Message("Enter: {} · Shift+Enter: 줄 바꿈 · Esc: 멈추기", "Enter: {} · Shift+Enter: new line · Esc: stop"),
    "sound_on": Message("소리 켜기", "Sound on"),
    "sound_off": Message("소리 끄기", "Sound off"),
    "conversation": Message("대화", "Conversation"),
    "hint": Message(
        "글을 보내면 아바타가 바로 말합니다. 말하는 중에 새 글을 보내면 하던 말을 멈춥니다.",
        "Send a text, and the avatar says it at once. A new text interrupts what it is saying.",
    ),
    "latency": Message("첫 화면 {}초", "first picture {} s"),
    "placeholder_chat": Message("아바타에게 말을 걸어 보세요", "Talk to the avatar"),
    "placeholder_answer": Message("말로 답하거나 여기에 쓰세요", "Answer by voice, or write here"),
    "hint_chat": Message(
        "글을 보내거나 마이크를 켜고 말해 보세요. 아바타가 대답합니다.",
        "Send a text, or turn on the microphone and speak. The avatar replies.",
    ),
    "send": Message("보내기", "Send"),
    "mic_on": Message("마이크 켜기", "Turn on the microphone"),
    "mic_off": Message("마이크 끄기", "Turn off the microphone"),
    "state_hearing": Message("듣는 중", "Listening"),
    "interview": Message("면접", "Interview"),
    "interview_help": Message(
        "아바타가 질문을 하나씩 하고, 대답이 끝나면 다음으로 넘어갑니다. 브라우저가 물으면 마이크를 허용해 주세요. "
        "글로 답해도 됩니다. 면접은 영상으로 녹화됩니다.",
        "The avatar asks one question after the other, and goes on when you have answered. Allow the microphone when "
        "your browser asks, or answer in writing. The interview is recorded.",
    ),
    "questions": Message(
        "먼저 간단한 자기소개를 부탁드립니다.\n"
        "지금까지 맡은 일 가운데 가장 어려웠던 문제는 무엇이었나요?\n"
        "마지막으로 하고 싶은 말씀이 있으신가요?",
        "Please tell me a little about yourself.\n"
        "What was the most difficult problem you have solved?\n"
        "Is there anything else you would like to say?",
    ),
    "question": Message("질문", "Question"),
    "up": Message("위로", "Move up"),
    "down": Message("아래로", "Move down"),
    "remove": Message("빼기", "Remove"),
    "add": Message("질문 추가", "Add a question"),
    "begin": Message("면접 시작", "Begin the interview"),
    "greeting": Message("안녕하세요, 면접에 오신 것을 환영합니다.", "Hello, and welcome to the interview."),
    "farewell": Message("면접을 마치겠습니다. 수고하셨습니다.", "That is all. Thank you for your time."),
    "interview_begins": Message("면접을 시작합니다", "The interview begins"),
    "interview_over": Message("면접이 끝났습니다", "The interview is over"),
    "next": Message("다음 질문", "Next question"),
    "quit": Message("끝내기", "End"),
    "answers": Message("대답", "Answers"),
    "lasted": Message("{}초", "{} s"),
    "unanswered": Message("대답 없음", "no answer"),
    "get_video": Message("영상 내려받기", "Download the video"),
    "get_data": Message("기록 내려받기 (JSON)", "Download the record (JSON)"),
    "state_closed": Message("쉬는 중", "Resting"),
    "state_opening": Message("연결하는 중", "Connecting"),
    "state_ready": Message("준비됨", "Ready"),
    "state_waiting": Message("잠시만요", "One moment"),
    "state_speaking": Message("말하는 중", "Speaking"),
    "state_away": Message("다시 연결하는 중", "Reconnecting"),
}
"""What the tab Live shows; its script chooses the language."""
PLAYER = {
    "hint": Message(
        "아래에 글을 쓰고 생성을 누르면 이 사람이 말합니다. 영상은 내려받을 수 있습니다.",
        "Write a text below and press Generate: this person says it, and you can keep the video.",
    ),
    "hint_audio": Message(
        "아래에 녹음을 넣고 생성을 누르면 이 사람이 그 목소리로 말합니다. 영상은 내려받을 수 있습니다.",
        "Give a recording below and press Generate: this person speaks with that voice, and you can keep the video.",
    ),
    "first": Message("첫 화면 {}초", "first picture {} s"),
    "times": Message("실시간의 {}배", "{} times real time"),
    "with_gpu": Message("코어 {}개 · GPU 사용", "{} cores · on a GPU"),
    "without_gpu": Message("코어 {}개 · GPU 없음", "{} cores · no GPU"),
}
"""What is under the picture: what to do first; how quick a video was, and on what."""
STRIP = {
    "name": Message("음소와 입이 벌어진 정도", "Phonemes and opening of the mouth"),
    "empty": Message(
        "아바타가 말하면 음소와 입이 벌어진 정도가 여기에 흐릅니다.",
        "Phonemes and the opening of the mouth run here as the avatar speaks.",
    ),
    "nothing": Message("이 영상의 음소는 알 수 없습니다.", "The phonemes of this video are not known."),
    "seconds": Message("{}초", "{} s"),
    "pause": Message("쉼", "pause"),
    "open": Message("입 {}% 벌림", "mouth {} % open"),
}
"""What the strip under "Details" says."""
_OURS = "page_"
"""Prefix of every key, since Gradio has its own texts under "audio" and the like."""
I18N = gr.I18n(
    ko={_OURS + key: message.ko for key, message in WORDS.items()},
    en={_OURS + key: message.en for key, message in WORDS.items()},
)
GENDERS = {"female": Message("여자", "woman"), "male": Message("남자", "man")}
HEADING = Message("실시간 립싱크 아바타", "Real-time talking avatar")
_LICENCE = f'<a href="{LICENCE_URL}" target="_blank" rel="noopener">{LICENCE}</a>'
FETCH_HELP = Message(
    f"사람처럼 말하는 31개 언어의 음성입니다. 코드는 MIT, 가중치는 {_LICENCE} 라이선스이며, 버튼을 누르면 받습니다.",
    f"Natural voices for 31 languages. The code is under the MIT licence, the weights under {_LICENCE}; they are "
    "fetched when you press the button.",
)
BE_AVATAR = Message("내가 아바타 되기", "Be the avatar")
ENTER = Message("Enter: 생성 · Shift+Enter: 줄 바꿈", "Enter: Generate · Shift+Enter: new line")
CTRL_ENTER = Message("Ctrl+Enter: 생성", "Ctrl+Enter: Generate")
"""What the keys do that send a text."""
AUTOMATIC = Message("자동", "Automatic")
ENGINES = {
    AUTO: AUTOMATIC,
    MeshEngine.name: Message("영상 속 입을 그대로 움직임", "The filmed mouth itself is moved"),
    MuseTalkEngine.name: Message("신경망이 입을 새로 그림 (MuseTalk)", "A network draws a new mouth (MuseTalk)"),
}
"""Names of the lipsync engines on the page."""
BUNDLED = {
    "talk_long": Message("준호", "Junho"),
    "talk_short": Message("준호 2", "Junho 2"),
    "woman": Message("서연", "Seoyeon"),
}
"""Names of the bundled avatars beside their portraits; others keep their own name."""
EXAMPLES = (
    "안녕하세요, 면접에 오신 것을 환영합니다.",
    "먼저 간단한 자기소개를 부탁드립니다. 지원 동기도 함께 말씀해 주세요.",
    "지금까지 맡은 일 가운데 가장 어려웠던 문제는 무엇이었고, 어떻게 해결하셨나요?",
    "Hello, and welcome to the interview. Please tell me a little about yourself.",
    "What was the most difficult problem you have solved, and how did you solve it?",
)
KEEP_RECORD = Message("동의 기록 받기", "Keep the record")
TEST_SENTENCE = Message("안녕하세요, 만나서 반갑습니다.", "Hello, it is a pleasure to meet you.")


def shown(key: str) -> Any:
    """Return a value for Gradio's components that the browser shows in its own language."""
    return I18N(_OURS + key)


def choices_of(field: str, language: Language = "en") -> list[tuple[str, str]]:
    """Return the values of a field in `LOOKS` for a list: what people read, and what a request says."""
    values = {"aspect": (SOURCE, *ASPECTS), "fps": (SOURCE, *map(str, RATES)), "captions": CAPTIONS, "label": LABELS}
    values["background"] = tuple(LOOKS["background"])
    words = LOOKS[field]
    return [(words[value].in_language(language) if value in words else value, value) for value in values[field]]


def said(sentences: Mapping[str, Message], **placed: Any) -> gr.HTML:
    """Lay out sentences, each in an element with its tag; as HTML, which costs less than Gradio's large Markdown."""
    template = "".join(f"<{tag}>${{{in_browser(message)}}}</{tag}>" for tag, message in sentences.items())
    return gr.HTML(" ", html_template=template, padding=False, **placed)


def visitors_language(request: gr.Request) -> Language:
    """Return the visitor's language; English if it is neither, as in the browser."""
    return language_of(request.headers.get("accept-language"), "en")


def all_in_browser(messages: Mapping[str, Message]) -> str:
    """Return a JavaScript expression whose value is an object of messages in the browser's language."""
    return f"{{ {', '.join(f'{name}: {in_browser(message)}' for name, message in messages.items())} }}"


def in_browser(message: Message) -> str:
    """Return a JavaScript expression whose value is a message in the browser's language."""
    ko, en = (json.dumps(text, ensure_ascii=False) for text in (message.ko, message.en))
    return f"(navigator.language.startsWith('ko') ? {ko} : {en})"
