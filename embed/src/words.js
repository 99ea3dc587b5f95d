// What the player says itself, in Korean and English.

const WORDS = {
    answer: ['아바타의 영상', 'What the avatar says'],
    empty: ['여기에 영상이 나옵니다', 'The video appears here'],
    badge: ['AI로 만든 사람입니다', 'This person is AI-generated'],
    controls: ['영상 조작', 'Video controls'],
    position: ['위치', 'Position'],
    play: ['재생', 'Play'],
    pause: ['일시 정지', 'Pause'],
    say: ['말하기', 'Speak'],
    stop: ['멈추기', 'Stop'],
    replay: ['다시 보기', 'Replay'],
    captions: ['자막', 'Captions'],
    sound_on: ['소리 켜기', 'Unmute'],
    sound_off: ['소리 끄기', 'Mute'],
    whole: ['전체 화면', 'Full screen'],
    download: ['내려받기', 'Download'],
    recording: ['녹음', 'recording'],
    start: ['시작', 'Start'],
    next: ['다음 질문', 'Next question'],
    quit: ['끝내기', 'End'],
    text: ['아바타가 할 말', 'What the avatar says'],
    placeholder: ['할 말을 쓰세요', 'Write what to say'],
    placeholder_answer: ['말로 답하거나 여기에 쓰세요', 'Answer by voice, or write here'],
    send: ['보내기', 'Send'],
    mic_on: ['마이크 켜기', 'Turn on the microphone'],
    mic_off: ['마이크 끄기', 'Turn off the microphone'],
    mic_refused: [
        '마이크를 쓸 수 없습니다. 브라우저의 주소창에서 마이크를 허용해 주세요.',
        'The microphone may not be used. Allow it in the address bar of your browser.',
    ],
    mic_missing: ['마이크를 찾을 수 없습니다.', 'No microphone was found.'],
    mic_insecure: [
        '브라우저는 https 주소나 localhost에서만 마이크를 허용합니다.',
        'Browsers allow a microphone only at https addresses and on localhost.',
    ],
    no_server: [
        '<talking-avatar>에 서버의 주소가 없습니다. server="https://..."를 적어 주세요.',
        '<talking-avatar> has no server. Give it the address: server="https://...".',
    ],
    bad_server: [
        '<talking-avatar>의 server가 http나 https 주소가 아닙니다: {}',
        'The server of <talking-avatar> is no http or https address: {}',
    ],
    no_avatar: [
        '<talking-avatar>에 아바타가 없습니다. avatar="이름"을 적어 주세요.',
        '<talking-avatar> has no avatar. Name one: avatar="name".',
    ],
    no_webgl: [
        '이 브라우저는 배경을 투명하게 할 수 없어 촬영한 배경을 보여 줍니다.',
        'This browser cannot show a transparent background, so you see the one that was filmed.',
    ],
    nothing: [
        '소리 내어 읽을 글자가 없습니다. 글자나 숫자를 써 주세요.',
        'Nothing in it can be spoken. Write letters or numbers.',
    ],
    no_background: [
        '이 아바타는 배경을 바꿀 수 없어 촬영한 배경을 보여 줍니다.',
        'This avatar cannot have another background, so you see the one that was filmed.',
    ],
    no_aspect: [
        '이 아바타는 그 화면 비율에 맞지 않아 원래 비율로 보여 줍니다.',
        'This avatar does not fit into that shape, so you see it in its own.',
    ],
    no_fps: ['이 아바타는 원래 속도로 움직입니다.', 'This avatar moves at its own frame rate.'],
    no_resolution: [
        '이 아바타에는 그 해상도가 없어 다른 해상도로 보여 줍니다.',
        'This avatar does not come in that size, so you see another one.',
    ],
    no_text: ['할 말이 없습니다.', 'There is nothing to say.'],
    no_questions: [
        '면접에 질문이 없습니다. 태그 안에 한 줄에 하나씩 적어 주세요.',
        'The interview has no questions. Write them into the tag, one in each line.',
    ],
    not_asked: ['질문이 끝나면 답해 주세요.', 'The question is about to come. Answer it then.'],
    only_live: [
        'mode="live"나 mode="interview"에서만 됩니다.',
        'This works with mode="live" and mode="interview" only.',
    ],
    unreachable: [
        '{}에 연결할 수 없습니다. 서버가 켜져 있는지, ALLOWED_ORIGINS에 이 사이트({})가 있는지 확인하세요.',
        '{} cannot be reached. See whether it runs, and whether its ALLOWED_ORIGINS name this site ({}).',
    ],
    broken_off: ['영상이 중간에 끊겼습니다.', 'The video broke off.'],
    away: ['서버와 연결이 끊겼습니다. 다시 연결하고 있습니다.', 'The connection to the server was lost. Reconnecting...'],
    gone: [
        '서버에 연결할 수 없습니다. 연결되면 다시 시작합니다.',
        'The server cannot be reached. The avatar comes back when the server does.',
    ],
    broken: [
        '서버에서 세션이 끊겨 새로 열었습니다. 하던 말은 다시 보내 주세요.',
        'The session broke off on the server and was opened anew. Send again what was not said.',
    ],
    time_limit: [
        '정해진 시간이 지나 세션이 끝났습니다. 시작을 누르면 다시 이어집니다.',
        'The time for this session is over. Press Start to go on.',
    ],
    asleep: ['한동안 조용해서 쉬고 있습니다.', 'It was quiet for a while, so the avatar is resting.'],
};

// The fields of a request, which the server's errors begin with, as visitors call them.
const FIELDS = {
    text: ['글', 'Text'],
    audio: ['녹음', 'Recording'],
    avatar: ['아바타', 'Avatar'],
    resolution: ['해상도', 'Resolution'],
    tts_voice: ['음성', 'Voice'],
    language: ['언어', 'Language'],
    pronunciations: ['읽는 법', 'Pronunciations'],
    aspect: ['화면 비율', 'Aspect'],
    fps: ['초당 프레임', 'Frames per second'],
    background: ['배경', 'Background'],
};

/** Return the words in the language of the part of the page around an element, or else of the browser. */
export function wordsFor(element) {
    const column = columnFor(element);
    return (key, ...values) => WORDS[key][column].replace(/\{\}/g, () => values.shift());
}

/** Return an error of the server as visitors read it, in the language around an element: fields have names of words. */
export function forPeople(element, message) {
    const column = columnFor(element);
    return message.replace(/^(\w+)(?=: )/, (field) => FIELDS[field]?.[column] ?? field);
}

function columnFor(element) {
    const language = element.closest('[lang]')?.lang || document.documentElement.lang || navigator.language;
    return language.toLowerCase().startsWith('ko') ? 0 : 1;
}
