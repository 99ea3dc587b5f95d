// The tab Live: an avatar that is there, says what you write, and stops when you interrupt it.
//
// The body of a function that Gradio calls once, with the component's `element` and its `props`. `watch` calls back
// whenever `props.value` has changed: the words of the page, and the options of a session (which avatar and voice).
//
// Session, Player, Captions and Microphone know nothing of Gradio or of each other, so that they can become an element of their own.

const MIME = 'video/mp4; codecs="avc1.42C01F, mp4a.40.2"';
const Source = [window.MediaSource, window.ManagedMediaSource].find((known) => known?.isTypeSupported(MIME));
const BEHIND = 0.25; // seconds behind the newest picture: what a network may delay unnoticed
const HURRY = 0.35; // from here on, play a little faster
const LATE = 0.6; // from here on, jump
const KEPT = 30; // seconds that stay in the browser's memory
const RESUMABLE = 30_000; // milliseconds for which the server keeps a session without a connection
const PATIENCE = 5000; // milliseconds that the server may take to reply
const SETTLING = 300; // milliseconds in which options may change before a session is opened with them
const ALONE = 300_000; // milliseconds after which a session that nobody uses ends
const HIDDEN = 60_000; // the same where the window cannot be seen
const FORESEEN = 0.3; // seconds before it is said that a word can be seen
const LINE = 60; // letters of a line of captions

const pause = (milliseconds) => new Promise((over) => setTimeout(over, milliseconds));

// --- a session on the server

class Refused extends Error {
    constructor(message, retryAfter) {
        super(message);
        this.retryAfter = retryAfter; // seconds; undefined where trying again is of no use
    }
}

// A session, until it ends. A lost connection is taken up again with the same id.
//
// `heard` has a function for what happens: `event` (each event of the session), `away` and `back` (the connection), and
// `ended` (a reason: that of the event `closed`, "expired" or "gone").
class Session {
    over = false;
    greeting = null; // what is sent with each connection first
    #told;
    #heard;
    #socket = null;
    #after = 0; // number of the last event
    #lostAt = 0;
    #stop = new AbortController();

    // Open a session; throws what the server says if it refuses.
    static async open(url, options, heard) {
        const response = await fetch(url, {
            method: 'POST',
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify(options),
        });
        const told = await response.json().catch(() => ({}));
        if (response.ok) return new Session(told, heard);
        const retryAfter = Number(response.headers.get('Retry-After')) || undefined;
        throw new Refused(told.error ?? response.statusText, retryAfter);
    }

    constructor(told, heard) {
        this.#told = told;
        this.#heard = heard;
        this.began = performance.now() / 1000 - told.stream;
        this.connected = new Promise((connected) => this.#talk(connected));
    }

    get video() {
        return this.#told.video_url;
    }

    // The address of its recording, once it has ended; undefined if it is not recorded.
    get recording() {
        const { task_id } = this.#told;
        return task_id ? `/video/${task_id}.mp4` : undefined;
    }

    // Fetch what came of its interview.
    async interview() {
        return (await fetch(this.#url('interview'), { cache: 'no-store' })).json();
    }

    send(message) {
        if (this.#socket?.readyState !== WebSocket.OPEN) return false;
        this.#socket.send(message instanceof ArrayBuffer ? message : JSON.stringify(message));
        return true;
    }

    // End the session, also while the page is being left.
    close() {
        if (this.over) return;
        this.#leave();
        fetch(this.#url(''), { method: 'DELETE', keepalive: true }).catch(() => {}); // it ends without a viewer, too
    }

    // Its stream from now on, piece by piece.
    async *stream() {
        while (!this.over) {
            try {
                const response = await fetch(this.video, { signal: this.#stop.signal });
                if (!response.ok) throw new Error(response.statusText);
                const reader = response.body.getReader();
                for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
            } catch {
                // lost, or refused
            }
            await this.#again();
        }
    }

    async #talk(connected) {
        while (!this.over) {
            await new Promise((lost) => {
                const url = new URL(this.#told.socket_url, location);
                url.protocol = url.protocol.replace('http', 'ws');
                if (this.#after) url.searchParams.set('after', this.#after);
                this.#socket = new WebSocket(url);
                this.#socket.onopen = () => {
                    if (this.greeting) this.send(this.greeting);
                    connected();
                };
                this.#socket.onclose = lost;
                this.#socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
            });
            await this.#again();
        }
    }

    #take(event) {
        this.#after = event.id ?? this.#after;
        if (event.type === 'closed') this.#end(event.reason);
        else this.#heard.event(event);
    }

    // Return when the session can be connected to again; or it has ended.
    async #again() {
        while (!this.over) {
            await pause(500);
            if (this.over) return;
            try {
                const signal = AbortSignal.timeout(PATIENCE);
                const response = await fetch(this.#url(''), { cache: 'no-store', signal });
                if (response.ok && this.#lostAt) this.#heard.back();
                if (!response.ok) this.#end('expired');
                this.#lostAt = 0;
                return;
            } catch {
                this.#lostAt ||= performance.now();
                if (this.over) return;
                this.#heard.away();
                if (performance.now() - this.#lostAt > RESUMABLE) this.#end('gone');
            }
        }
    }

    // The address of one of its endpoints; it holds the session's token where there is one.
    #url(what) {
        const { search } = new URL(this.#told.events_url, location);
        const base = this.#told.events_url.replace(/[/]events.*/, '');
        return base + (what && `/${what}`) + search;
    }

    #end(reason) {
        if (this.over) return;
        this.#leave();
        this.#heard.ended(reason);
    }

    #leave() {
        this.over = true;
        this.#stop.abort();
        this.#socket?.close();
    }
}

// --- its picture

// Plays the stream of a session, a moment behind its newest picture.
class Player {
    #video;
    #session = null;
    #buffer = null;
    #parts = [];
    #acts = []; // what waits for a time of the stream
    #looking = false;

    constructor(video) {
        this.#video = video;
        video.disableRemotePlayback = true; // a ManagedMediaSource does not open otherwise
    }

    // Where it is, in seconds of the stream.
    get time() {
        if (Source) return this.#video.currentTime;
        return this.#session ? performance.now() / 1000 - this.#session.began : 0;
    }

    async play(session) {
        this.stop();
        this.#session = session;
        if (!Source) {
            this.#video.src = session.video;
            return this.#begin();
        }
        const source = new Source();
        const address = URL.createObjectURL(source);
        this.#video.src = address;
        await new Promise((opened) => source.addEventListener('sourceopen', opened, { once: true }));
        URL.revokeObjectURL(address);
        if (this.#session !== session) return;
        const buffer = (this.#buffer = source.addSourceBuffer(MIME));
        buffer.addEventListener('updateend', () => {
            if (buffer !== this.#buffer) return;
            this.#pump();
            this.#keepUp();
        });
        this.#begin();
        for await (const part of session.stream()) {
            if (this.#session !== session) return;
            this.#parts.push(part);
            this.#pump();
        }
    }

    stop() {
        this.#session = this.#buffer = null;
        this.#parts = [];
        this.#acts = [];
        this.#video.removeAttribute('src');
        this.#video.load(); // only this frees what is buffered
    }

    // Go to a later time that is there already.
    jump(time) {
        if (Source && this.#video.currentTime < time && time < this.#end()) this.#video.currentTime = time;
    }

    // Act when the visitor sees a time of the stream.
    at(time, act) {
        this.#acts.push({ time, act });
        this.#acts.sort((one, other) => one.time - other.time);
        this.#look();
    }

    // Let go what waits for times after this one.
    dropAfter(time) {
        this.#acts = this.#acts.filter((one) => one.time <= time);
    }

    #begin() {
        this.#video.play().catch((error) => {
            if (error.name !== 'NotAllowedError' || this.#video.muted) return;
            this.#video.muted = true; // without sound it may
            this.#video.play().catch(() => {});
        });
    }

    #look() {
        if (this.#looking || !this.#acts.length) return;
        this.#looking = true;
        const again = () => {
            this.#looking = false;
            const now = this.time;
            while (this.#acts.length && this.#acts[0].time <= now) this.#acts.shift().act();
            this.#look();
        };
        if (document.hidden) setTimeout(again, 100); // there are no frames then
        else requestAnimationFrame(again);
    }

    #end() {
        const { buffered } = this.#video;
        return buffered.length ? buffered.end(buffered.length - 1) : 0;
    }

    #pump() {
        const buffer = this.#buffer;
        if (!buffer || buffer.updating) return;
        const old = this.#video.currentTime - KEPT;
        try {
            if (buffer.buffered.length && buffer.buffered.start(0) < old - KEPT) buffer.remove(0, old);
            else if (this.#parts.length) buffer.appendBuffer(this.#parts[0]), this.#parts.shift();
        } catch (error) {
            if (error.name === 'QuotaExceededError') return buffer.remove(0, this.#video.currentTime - 1);
            throw error;
        }
    }

    #keepUp() {
        const { buffered, currentTime } = this.#video;
        if (!buffered.length) return;
        const behind = this.#end() - currentTime;
        if (behind > LATE || currentTime < buffered.start(0)) this.#video.currentTime = this.#end() - BEHIND;
        this.#video.playbackRate = behind > HURRY ? 1.05 : 1;
    }
}

// --- its words

// Shows the line that is being said, each word lit as soon as it is said.
class Captions {
    #place;
    #words = []; // of the line, as elements
    #whole = true; // whether the next word begins another line

    constructor(place) {
        this.#place = place;
    }

    // Show a word that comes soon; returns what lights it.
    add(text) {
        const word = document.createElement('span');
        word.textContent = this.#whole ? text.trimStart() : text;
        const line = this.#whole ? [word] : [...this.#words, word];
        if (line.length > 1) this.#place.append(word);
        this.#words = line;
        const length = line.reduce((sum, one) => sum + one.textContent.length, 0);
        const ends = length > 2 * LINE || (length > LINE ? /[.?!…,;:。？！、，]\s*$/ : /[.?!…。？！]\s*$/).test(text);
        this.#whole = ends;
        return () => {
            word.className = 'lit';
            if (!word.isConnected && this.#words.includes(word)) this.#place.replaceChildren(...this.#words);
        };
    }

    clear() {
        this.#words = [];
        this.#whole = true;
        this.#place.replaceChildren();
    }
}

// --- the visitor's voice

const RECORDER = `registerProcessor('pcm', class extends AudioWorkletProcessor {
    part = new Int16Array(512);
    length = 0;
    process([[sound]]) {
        for (const sample of sound ?? []) {
            this.part[this.length++] = 32767 * Math.max(-1, Math.min(1, sample));
            if (this.length < this.part.length) continue;
            this.port.postMessage(this.part.buffer, [this.part.buffer]);
            this.part = new Int16Array(512);
            this.length = 0;
        }
        return true;
    }
})`;

// A microphone as 16-bit mono PCM; `heard` gets each part of it.
class Microphone {
    #stream;
    #context;

    static async open(heard) {
        const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
        const stream = await navigator.mediaDevices.getUserMedia({ audio });
        const module = URL.createObjectURL(new Blob([RECORDER], { type: 'text/javascript' }));
        for (const options of [{ sampleRate: 16_000 }, {}]) { // some browsers take only the microphone's own rate
            const context = new AudioContext(options);
            try {
                await context.audioWorklet.addModule(module);
                const recorder = new AudioWorkletNode(context, 'pcm', { numberOfOutputs: 0 });
                recorder.port.onmessage = ({ data }) => heard(data);
                context.createMediaStreamSource(stream).connect(recorder);
                return new Microphone(stream, context);
            } catch (error) {
                context.close();
                if (error.name !== 'NotSupportedError' || !options.sampleRate) {
                    for (const track of stream.getTracks()) track.stop();
                    throw error;
                }
            }
        }
    }

    constructor(stream, context) {
        this.#stream = stream;
        this.#context = context;
    }

    get rate() {
        return this.#context.sampleRate;
    }

    close() {
        for (const track of this.#stream.getTracks()) track.stop();
        this.#context.close();
    }
}

// --- the tab

const tab = element.querySelector('.live');
const part = (name) => tab.querySelector(`.${name}`);
const [video, text, main, note, log] = [
    tab.querySelector('video'),
    tab.querySelector('textarea'),
    part('main'),
    part('note'),
    part('log'),
];
const korean = navigator.language.startsWith('ko');
const words = Object.fromEntries(
    Object.entries(props.value.words).map(([key, { ko, en }]) => [key, korean ? ko : en]),
);
const player = new Player(video);
const captions = new Captions(part('caption'));
const stillness = matchMedia('(prefers-reduced-motion: reduce)');

let session = null;
let opening = null; // a promise while a session is being opened
let options = null; // of the session that is wanted
let speaking = false;
let sentAt = 0; // when a text was sent that is not being said yet (ms)
let quiet = null; // whether the visitor wants no sound; null as long as nobody was asked
let settling, retrying, aloneSince, forgetting;
let microphone = null;
let visitor = false; // whether the visitor speaks
let interview = null; // the questions of the interview that is held

for (const place of tab.querySelectorAll('[data-word]')) place.textContent = words[place.dataset.word];
for (const place of tab.querySelectorAll('[data-label]')) place.ariaLabel = words[place.dataset.label];
const chats = props.value.chat; // whether a language model answers what is written
text.placeholder = chats ? words.placeholder_chat : words.placeholder;
text.value = chats ? '' : words.first;
part('hint').textContent = chats ? words.hint_chat : words.hint;

// Show how things are.
function show() {
    const state = !session ? (opening ? 'opening' : 'closed') : tab.dataset.away ? 'away'
        : visitor ? 'hearing' : speaking ? 'speaking' : sentAt ? 'waiting' : video.readyState > 1 ? 'ready' : 'opening';
    tab.dataset.state = state;
    part('name').textContent = words[`state_${state}`];
    part('start').hidden = state !== 'closed' || !options;
    part('sound').hidden = !session;
    part('sound').ariaPressed = String(!video.muted);
    part('sound').querySelector('span').textContent = words.sound_on;
    part('sound').ariaLabel = video.muted ? words.sound_on : words.sound_off;
    const stops = state === 'speaking' || state === 'waiting';
    main.classList.toggle('stops', stops);
    main.textContent = stops ? words.stop : interview || chats ? words.send : words.say;
    part('mic').ariaPressed = String(Boolean(microphone));
    part('mic').title = part('mic').ariaLabel = microphone ? words.mic_off : words.mic_on;
    part('progress').hidden = !interview;
    part('plan').hidden = Boolean(interview);
    text.placeholder = interview ? words.placeholder_answer : chats ? words.placeholder_chat : words.placeholder;
}

function tell(message, milliseconds = 0) {
    clearTimeout(forgetting);
    note.textContent = message;
    if (milliseconds) forgetting = setTimeout(() => tell(''), milliseconds);
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

// Open a session, if there is none; returns whether there is one.
async function open() {
    if (session) return true;
    opening ??= begin().finally(() => {
        opening = null;
        show();
    });
    show();
    return opening;
}

async function begin() {
    clearTimeout(retrying);
    const asked = options;
    const held = interview && { record: true, interview };
    aloneSince = performance.now();
    try {
        const opened = await Session.open(`${window.page.root}/page/sessions`, { ...asked, ...held }, {
            event: (event) => opened === session && take(event),
            away: () => opened === session && away(true),
            back: () => opened === session && away(false),
            ended: (reason) => opened === session && ended(reason),
        });
        if (asked !== options || !isShown()) return opened.close(), false;
        session = opened;
        if (microphone) session.greeting = { type: 'microphone', rate: microphone.rate };
        video.muted = quiet ?? !navigator.userActivation?.hasBeenActive;
        player.play(session).catch((error) => opened === session && ended('failed', error));
        tell('');
        return true;
    } catch (error) {
        tell(error instanceof Refused ? error.message : words.gone);
        const seconds = error instanceof Refused ? error.retryAfter : 3;
        if (seconds) retrying = setTimeout(() => isShown() && open(), 1000 * seconds);
        return false;
    }
}

// End the session, for a reason that the visitor may read.
function rest(message = '') {
    clearTimeout(retrying);
    session?.close();
    forget();
    tell(message);
}

function forget() {
    session = null;
    speaking = visitor = false;
    sentAt = 0;
    delete tab.dataset.away;
    captions.clear();
    player.stop();
    show();
}

function ended(reason) {
    if (interview) conclude();
    forget();
    if (reason === 'time_limit' || reason === 'deleted') tell(words.time_limit);
    else if (isShown()) tell(reason === 'gone' ? words.gone : words.broken), open();
}

function away(lost) {
    if (lost) tab.dataset.away = true;
    else delete tab.dataset.away;
    tell(lost ? words.away : '');
    show();
}

// Take an event of the session; it is true when the player gets there.
function take(event) {
    switch (event.type) {
        case 'turn_started':
            player.at(event.stream - FORESEEN, () => captions.clear());
            player.at(event.stream, () => {
                if (sentAt) part('latency').textContent = words.latency.replace('{}', since(sentAt));
                [speaking, sentAt] = [true, 0];
                show();
            });
            break;
        case 'word':
            player.at(event.stream - FORESEEN, () => player.at(event.stream, captions.add(event.text)));
            break;
        case 'turn_ended':
            player.at(event.stream, () => {
                [speaking, sentAt] = [false, 0];
                write(event.said, false);
                show();
            });
            break;
        case 'interrupted':
            player.dropAfter(event.stream);
            player.jump(event.stream); // what lies before it is no longer wanted
            speaking = false;
            write(event.said, false, true);
            video.volume = 1;
            show();
            break;
        case 'visitor_speaking':
        case 'visitor_stopped':
            visitor = event.type === 'visitor_speaking';
            show();
            break;
        case 'visitor_said':
            write(event.text, true);
            break;
        case 'question':
            asks(event);
            break;
        case 'interview_ended':
            over();
            break;
        case 'error':
            sentAt = 0;
            tell(event.error, 8000);
            show();
            break;
    }
    aloneSince = performance.now();
}

const since = (begin) => ((performance.now() - begin) / 1000).toFixed(2);

// Have the avatar say a text; what it says now is stopped.
async function say(message) {
    if (!message.trim()) return text.focus();
    hear();
    if (!(await open())) return; // the text stays
    await session?.connected;
    if (!session) return;
    if (interview) {
        if (!session.send({ type: 'visitor_said', text: message })) return;
        session.send({ type: 'next' });
    } else {
        if ((speaking || sentAt) && !chats) stop();
        if (!session.send({ type: chats ? 'chat' : 'say', text: message })) return;
        if (chats) write(message, true);
        sentAt = performance.now();
        part('latency').textContent = '';
    }
    if (text.value === message) text.value = '';
    grow();
    show();
}

function stop() {
    video.volume = 0; // at once; what comes is silent
    setTimeout(() => (video.volume = 1), 1000);
    sentAt = 0;
    session?.send({ type: 'interrupt', at: player.time });
    captions.clear();
}

// With a press, a page may be heard.
function hear() {
    aloneSince = performance.now();
    if (quiet || !session) return;
    video.muted = false;
    show();
}

// The text box is as high as its text, its first one and its placeholder included; older browsers need help.
function grow() {
    if (CSS.supports('field-sizing', 'content')) return;
    text.style.height = 'auto';
    text.style.height = `${text.scrollHeight + 2}px`;
}

const isShown = () => tab.offsetParent !== null;

// --- the microphone and the interview

async function listen() {
    if (microphone) return;
    if (!navigator.mediaDevices) return tell(words.mic_insecure);
    try {
        microphone = await Microphone.open((sound) => session?.send(sound));
    } catch (error) {
        const refused = error.name === 'NotAllowedError';
        return tell(refused ? words.mic_refused : words.mic_missing);
    }
    tell('');
    if (session) {
        session.greeting = { type: 'microphone', rate: microphone.rate };
        session.send(session.greeting);
    }
    show();
}

function deafen() {
    microphone?.close();
    microphone = null;
    visitor = false;
    if (session) session.greeting = null;
    show();
}

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
        const [row, field] = [document.createElement('li'), document.createElement('textarea')];
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
        row.append(
            field,
            button('up', '↑', () => swap(number - 1), number === 0),
            button('down', '↓', () => swap(number + 1), number === questions.length - 1),
            button('remove', '×', () => list(questions.splice(number, 1) && Math.max(0, number - 1)), questions.length < 2),
        );
        return row;
    };
    part('questions').replaceChildren(...questions.map(item));
    if (focus !== null) part('questions').children[focus]?.querySelector('textarea').focus();
}

async function interviewVisitor() {
    const asked = questions.map((one) => one.trim()).filter(Boolean);
    if (!asked.length) return part('questions').querySelector('textarea').focus();
    hear();
    await listen();
    part('result').replaceChildren();
    interview = { questions: asked, greeting: words.greeting, farewell: words.farewell };
    part('where').textContent = words.interview_begins;
    part('bar').max = asked.length;
    part('bar').value = 0;
    rest(note.textContent);
    if (!(await open())) interview = null;
    hear();
    show();
    part('next').focus();
}

function asks({ number, text: question }) {
    const count = interview?.questions.length ?? number;
    part('where').textContent = `${words.question} ${number} / ${count}: ${question}`;
    part('bar').value = number - 1;
}

// All was asked: let the avatar say goodbye, then show what came of it.
async function over() {
    part('bar').value = part('bar').max;
    part('where').textContent = words.interview_over;
    part('next').hidden = true;
    const held = session;
    await pause(1000);
    for (let waited = 0; held === session && (speaking || sentAt) && waited < 20_000; waited += 200) await pause(200);
    if (held === session) conclude();
}

// Show the answers of the interview, and where its recording is.
async function conclude() {
    const held = session;
    interview = null;
    deafen();
    rest();
    part('next').hidden = false;
    const told = await held.interview().catch(() => null);
    if (told?.answers) showAnswers(told, held.recording);
    if (isShown()) open();
}

function showAnswers(told, recording) {
    const title = document.createElement('h3');
    title.textContent = words.answers;
    title.tabIndex = -1;
    const answers = document.createElement('ol');
    for (const answer of told.answers) {
        const item = document.createElement('li');
        const seconds = answer.begin === null || answer.end === null ? null : answer.end - answer.begin;
        const lasted = seconds === null ? words.unanswered : words.lasted.replace('{}', seconds.toFixed(0));
        item.textContent = `${answer.question} (${lasted})`;
        if (answer.transcript) item.append(document.createElement('br'), `“${answer.transcript}”`);
        answers.append(item);
    }
    const link = (name, href, file) => {
        const one = document.createElement('a');
        Object.assign(one, { href, download: file, textContent: words[name] });
        return one;
    };
    const links = document.createElement('p');
    if (recording) links.append(link('get_video', `${window.page.root}${recording}?download=1`, 'interview.mp4'));
    const data = new Blob([JSON.stringify(told, null, 2)], { type: 'application/json' });
    links.append(link('get_data', URL.createObjectURL(data), 'interview.json'));
    part('result').replaceChildren(title, answers, links);
    title.focus();
}

part('mic').addEventListener('click', () => {
    if (microphone) return deafen();
    open().then(hear);
    listen();
});
part('add').addEventListener('click', () => {
    questions.push('');
    list(questions.length - 1);
});
part('begin').addEventListener('click', interviewVisitor);
part('next').addEventListener('click', () => session?.send({ type: 'next' }));
part('quit').addEventListener('click', conclude);
list();

part('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    if (main.matches('.stops')) stop(), show();
    else say(text.value);
});
text.addEventListener('input', grow);
text.addEventListener('keydown', (event) => {
    if (event.isComposing || event.keyCode === 229) return; // Enter completes a Korean syllable
    if (event.key === 'Enter' && !event.shiftKey) {
        event.preventDefault();
        say(text.value);
    } else if (event.key === 'Escape' && main.matches('.stops')) {
        stop();
        show();
    }
});
part('start').addEventListener('click', () => {
    tell('');
    open().then(hear);
});
part('sound').addEventListener('click', () => {
    quiet = !video.muted;
    video.muted = quiet;
    show();
});
for (const news of ['loadeddata', 'playing', 'volumechange', 'emptied']) video.addEventListener(news, show);

// --- when there is a session

watch('value', () => settle());

// Open a session with other options, once they no longer change.
function settle() {
    const { wanted, poster } = props.value;
    if (!wanted?.avatar || JSON.stringify(wanted) === JSON.stringify(options)) return;
    video.poster = poster;
    const picture = new Image();
    picture.src = poster;
    const there = () => part('stage').classList.add('alive');
    picture.decode().then(there, there);
    clearTimeout(settling);
    settling = setTimeout(() => {
        const first = !options;
        options = wanted;
        const alive = session || opening;
        if (session) rest();
        if (isShown() && (alive || (first && !stillness.matches))) open();
        show();
    }, SETTLING);
}

new ResizeObserver(() => {
    if (!isShown()) deafen(), interview ? conclude() : rest();
    else if (options && !session && !stillness.matches) open();
}).observe(tab);

addEventListener('pagehide', () => session?.close());
addEventListener('pageshow', ({ persisted }) => {
    if (!persisted) return;
    forget();
    if (isShown()) open();
});
document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    if (tab.dataset.slept && isShown()) open();
    delete tab.dataset.slept;
});
setInterval(() => {
    if (!session || speaking || sentAt || visitor || interview) return;
    const alone = performance.now() - aloneSince;
    if (document.hidden && alone > HIDDEN) {
        tab.dataset.slept = true;
        rest();
    } else if (alone > ALONE) {
        rest(words.asleep);
    }
}, 5000);
show();
