// The tab Live: a message box under somebody who is there, what was said, and interviews.
//
// The body of a function that Gradio calls once, with the component's `element` and its `props`. `watch` calls back
// whenever `props.value` has changed: the options of a session (which avatar and voice).
//
// The person, the session and the microphone are <talking-avatar>'s.

const tab = element.querySelector('.live');
const part = (name) => tab.querySelector(`.${name}`);
const avatar = tab.querySelector('talking-avatar');
const [text, main, log] = [part('writing'), part('main'), part('log')];
const words = WORDS;

let interview = null; // the questions of the interview that is held
avatar.setAttribute('server', location.origin + window.page.root);
avatar.sessions = '/page/sessions'; // which need no key where the page is public

for (const place of tab.querySelectorAll('[data-word]')) place.textContent = words[place.dataset.word];
for (const place of tab.querySelectorAll('[data-label]')) place.ariaLabel = words[place.dataset.label];
const chats = props.value.chat; // whether a language model answers what is written
text.value = chats ? '' : words.first;
part('hint').textContent = chats ? words.hint_chat : words.hint;

// Show how things are.
function show() {
    const { state } = avatar;
    const muted = avatar.video?.muted ?? true;
    tab.dataset.state = state;
    const name = words[`state_${state}`];
    if (part('name').textContent !== name) part('name').textContent = name; // which is read out each time
    part('start').hidden = state !== 'closed' || !avatar.getAttribute('avatar');
    part('sound').hidden = state === 'closed' || state === 'opening';
    part('sound').classList.toggle('on', !muted); // its name says what it will do
    part('sound').querySelector('span').textContent = words.sound_on;
    part('sound').ariaLabel = muted ? words.sound_on : words.sound_off;
    const stops = state === 'speaking' || state === 'waiting';
    main.classList.toggle('stops', stops);
    main.textContent = stops ? words.stop : interview || chats ? words.send : words.say;
    part('mic').classList.toggle('on', avatar.listening);
    part('mic').title = part('mic').ariaLabel = avatar.listening ? words.mic_off : words.mic_on;
    part('progress').hidden = !interview;
    part('interview').hidden = Boolean(interview);
    part('keys').textContent = words.keys.replace('{}', interview || chats ? words.send : words.say);
    text.placeholder = interview ? words.placeholder_answer : chats ? words.placeholder_chat : words.placeholder;
}

function write(message, mine, cut = false) {
    if (!message.trim()) return;
    const entry = document.createElement('p');
    entry.className = `entry${mine ? ' mine' : ''}${cut ? ' cut' : ''}`;
    const who = document.createElement('span');
    who.className = 'unseen';
    who.textContent = `${mine ? words.you : words.avatar}: `;
    entry.append(who, message.trim().replace(/ +/g, ' '));
    log.append(entry);
    log.scrollTop = log.scrollHeight;
}

// Have the avatar say a text; what it says now is stopped.
function say(message) {
    if (!message.trim()) return text.focus();
    part('latency').textContent = '';
    fill(''); // it comes back if it cannot be said
    if (interview || !chats) return avatar.say(message);
    write(message, true);
    avatar.chat(message);
}

function fill(message) {
    text.value = message;
    grow();
}

// The text box is as high as its text, its first one and its placeholder included; older browsers need help.
function grow() {
    if (CSS.supports('field-sizing', 'content')) return;
    text.style.height = 'auto';
    text.style.height = `${text.scrollHeight + 2}px`;
}

avatar.addEventListener('statechange', show);
avatar.addEventListener('unsaid', ({ detail }) => fill([detail.text, text.value].filter((one) => one.trim()).join('\n')));
avatar.addEventListener('turn-started', ({ detail }) => {
    if (detail.seconds) part('latency').textContent = words.latency.replace('{}', detail.seconds.toFixed(2));
});
avatar.addEventListener('turn-ended', ({ detail }) => write(detail.said, false));
avatar.addEventListener('interrupted', ({ detail }) => write(detail.said, false, true));
avatar.addEventListener('session-event', ({ detail }) => {
    if (detail.type === 'visitor_said') write(detail.text, true);
    if (detail.type === 'question') asks(detail);
    if (detail.type === 'interview_ended') isOver();
});
avatar.addEventListener('interview-ended', ({ detail }) => {
    conclude();
    showAnswers(detail);
});

// --- the interview

const STORED = 'talking-avatar-questions';
const questions = (() => {
    try {
        return JSON.parse(sessionStorage.getItem(STORED)) ?? words.questions.split('\n');
    } catch {
        return words.questions.split('\n'); // it may be forbidden
    }
})();

function keepQuestions() {
    try {
        sessionStorage.setItem(STORED, JSON.stringify(questions));
    } catch {
        // forbidden, or full
    }
}

// Draw the list of questions; `focus` is the number of the one to be written next.
function list(focus = null) {
    keepQuestions();
    const item = (question, number) => {
        const [row, line, field, moves] = ['li', 'div', 'textarea', 'div'].map((name) => document.createElement(name));
        [line.className, moves.className] = ['question', 'moves'];
        Object.assign(field, { rows: 2, value: question, maxLength: 500, ariaLabel: `${words.question} ${number + 1}` });
        field.addEventListener('input', () => {
            questions[number] = field.value;
            keepQuestions();
        });
        const button = (name, sign, act, disabled) => {
            const one = document.createElement('button');
            Object.assign(one, { type: 'button', textContent: sign, disabled, title: words[name] });
            one.ariaLabel = `${words.question} ${number + 1}: ${words[name]}`;
            one.addEventListener('click', act);
            return one;
        };
        const swap = (other) => {
            [questions[number], questions[other]] = [questions[other], questions[number]];
            list(other);
        };
        row.append(line);
        moves.append(
            button('up', '↑', () => swap(number - 1), number === 0),
            button('down', '↓', () => swap(number + 1), number === questions.length - 1),
            button('remove', '×', () => list(questions.splice(number, 1) && Math.max(0, number - 1)), questions.length < 2),
        );
        line.append(field, moves);
        return row;
    };
    part('questions').replaceChildren(...questions.map(item));
    if (focus !== null) part('questions').children[focus]?.querySelector('textarea').focus();
}

async function interviewVisitor() {
    const asked = questions.map((one) => one.trim()).filter(Boolean);
    if (!asked.length) return part('questions').querySelector('textarea').focus();
    part('result').replaceChildren();
    fill(''); // it was meant for the avatar, and is no answer
    interview = { questions: asked, greeting: words.greeting, farewell: words.farewell };
    part('where').textContent = words.interview_begins;
    part('done').max = asked.length;
    part('done').value = 0;
    show();
    avatar.interview = interview;
    avatar.mode = 'interview';
    if (!(await avatar.start())) conclude();
    show();
    part('next').focus();
}

function asks({ number, text: question }) {
    const count = interview?.questions.length ?? number;
    part('where').textContent = `${words.question} ${number} / ${count}: ${question}`;
    part('done').value = number - 1;
}

// All was asked: the avatar says goodbye, and then shows what came of it.
function isOver() {
    part('done').value = part('done').max;
    part('where').textContent = words.interview_over;
    part('next').hidden = true;
}

function conclude() {
    interview = null;
    avatar.mode = 'live';
    part('next').hidden = false;
    show();
    avatar.start();
}

function showAnswers({ recording, ...told }) {
    const title = document.createElement('h2');
    title.textContent = words.answers;
    title.tabIndex = -1;
    const answers = document.createElement('ol');
    for (const answer of told.answers) {
        const item = document.createElement('li');
        const seconds = answer.begin === null || answer.end === null ? null : answer.end - answer.begin;
        const lasted = seconds === null ? words.unanswered : words.lasted.replace('{}', Math.max(1, seconds).toFixed(0));
        const written = seconds === null && answer.transcript;
        item.textContent = written ? answer.question : `${answer.question} (${lasted})`;
        if (answer.transcript) item.append(document.createElement('br'), `“${answer.transcript}”`);
        answers.append(item);
    }
    const link = (name, href, file) => {
        const one = document.createElement('a');
        Object.assign(one, { href, download: file, textContent: words[name] });
        return one;
    };
    const links = document.createElement('p');
    if (recording) links.append(link('get_video', `${recording}?download=1`, 'interview.mp4'));
    const data = new Blob([JSON.stringify(told, null, 2)], { type: 'application/json' });
    links.append(link('get_data', URL.createObjectURL(data), 'interview.json'));
    part('result').replaceChildren(title, answers, links);
    title.focus();
}

part('mic').addEventListener('click', () => avatar.listen(!avatar.listening).then(show));
part('add').addEventListener('click', () => {
    questions.push('');
    list(questions.length - 1);
});
part('begin').addEventListener('click', interviewVisitor);
part('next').addEventListener('click', () => avatar.next());
part('quit').addEventListener('click', () => avatar.conclude());
list();

part('message-box').addEventListener('submit', (event) => {
    event.preventDefault();
    if (main.matches('.stops')) avatar.interrupt();
    else say(text.value);
});
text.addEventListener('input', grow);
text.addEventListener('keydown', (event) => {
    if (event.isComposing || event.keyCode === 229) return; // Enter completes a Korean syllable
    if (event.key === 'Enter' && !event.shiftKey) {
        event.preventDefault();
        say(text.value);
    } else if (event.key === 'Escape' && main.matches('.stops')) {
        avatar.interrupt();
    }
});
part('start').addEventListener('click', () => avatar.start());
part('sound').addEventListener('click', () => (avatar.muted = !avatar.video.muted));

watch('value', () => settle());

// Show the chosen avatar; its session is another one where its options are.
function settle() {
    const { wanted } = props.value;
    if (!wanted?.avatar) return;
    avatar.options = wanted.options;
    avatar.setAttribute('resolution', wanted.resolutions.join(' '));
    avatar.setAttribute('avatar', wanted.avatar);
    show();
}

customElements.whenDefined('talking-avatar').then(() => {
    avatar.video.addEventListener('volumechange', show);
    show();
});
settle();
