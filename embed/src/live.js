// mode="live" and mode="interview": somebody who is there, says what is written at once, and stops when interrupted.

import { Microphone } from './microphone.js';
import { ServerError } from './server.js';
import { Session, pause } from './session.js';
import { Stream } from './stream.js';

const ALONE = 300_000; // milliseconds after which a session that nobody uses ends
const HIDDEN = 60_000; // the same where the window cannot be seen
const FORESEEN = 0.3; // seconds before it is said that a word can be seen
const SETTLING = 300; // milliseconds in which options may change before a session is opened with them
const TOLD = 3000; // milliseconds for which a stage is shown that is told of once a second
const [ANSWER, CHAT] = ['visitor_said', 'chat']; // commands that bear no tag; at most one of each is not answered yet
const RETRY = 3; // seconds until a server that is away is asked again

export class Live {
    microphone = null;
    interview = null; // what the running interview asks
    #asked = false; // whether the visitor can know its present question
    #stage;
    #stream;
    #session = null;
    #opening = null; // a promise while a session is being opened
    #wanted = null; // the options of a session, as JSON
    #next = null; // those of the one that is to replace it, as soon as they no longer change
    #speaking = false;
    #visitor = false; // whether the visitor speaks
    #away = false;
    #sentAt = 0; // when a text was sent that is not being said yet (ms)
    #quiet = null; // whether the visitor wants no sound; null as long as nobody was asked
    #slept = false;
    #cut = 0; // up to where in the stream what was said is dropped
    #seen = false; // whether a picture of the session can be seen
    #aloneSince = 0;
    #settling = 0;
    #retrying = 0;
    #sent = new Map(); // texts that were sent, and who waits until each was said, by its tag
    #count = 0;
    #watch;

    /** @param {import('./element.js').Stage} stage */
    constructor(stage) {
        this.#stage = stage;
        this.#stream = new Stream(stage.video);
        const { video } = stage;
        const news = () => this.#session && this.#show();
        for (const event of ['loadeddata', 'playing', 'volumechange', 'emptied']) video.addEventListener(event, news);
        video.addEventListener('playing', () => {
            if (!this.#session || this.#seen) return;
            if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(() => this.#appear());
            else this.#appear();
        });
        this.#watch = setInterval(() => this.#rest(), 5000);
    }

    /** Whether there is a session, or soon will be. */
    get on() {
        return Boolean(this.#session || this.#opening);
    }

    get busy() {
        return this.#speaking || Boolean(this.#sentAt);
    }

    get quiet() {
        return this.#quiet;
    }

    set quiet(quiet) {
        this.#quiet = quiet;
        this.#stage.video.muted = quiet;
    }

    /** Open a session, if there is none; returns whether there is one. */
    async start() {
        this.#replace(); // what is said from now on is said by the new one
        if (this.#session) return true;
        this.#opening ??= this.#begin().finally(() => {
            this.#opening = null;
            this.#show();
        });
        this.#show();
        return this.#opening;
    }

    /** Whether an interview's question is still to come, so that nothing can be an answer to it. */
    get early() {
        return Boolean(this.interview) && !this.#asked;
    }

    /** Have the avatar say a text, or with `chat` have the language model answer it; what it says now is stopped. */
    async say(text, tag = null, chat = false) {
        this.hear();
        await this.start();
        await this.#session?.connected;
        if (this.early) this.#stage.tell(this.#stage.words('not_asked'), TOLD);
        if (!this.#session || this.early) return this.#stage.unsaid(text), false;
        const type = this.interview ? ANSWER : chat ? CHAT : 'say';
        if (this.busy && type === 'say') this.interrupt();
        if (type !== 'say') tag = type;
        tag ??= `say ${++this.#count}`;
        const over = new Promise((end) => this.#sent.set(tag, { text, end }));
        if (!this.#session.send({ type, text, ...(type === 'say' && { tag }) })) {
            this.#stage.fail(new ServerError(this.#stage.words('away'), 'unreachable'), TOLD);
            this.#giveBack([tag]);
            return false;
        }
        if (type !== ANSWER) this.#sentAt = performance.now();
        this.#show();
        return chat || over;
    }

    /** Stop what is being said, at once. */
    interrupt() {
        if (!this.#session) return;
        const { video } = this.#stage;
        video.volume = 0; // at once; until where the server stops is known
        setTimeout(() => (video.volume = 1), 1000);
        this.#sentAt = 0;
        for (const tag of this.#sent.keys()) if (tag !== ANSWER) this.#over({ tag }, false);
        this.#session.send({ type: 'interrupt', at: this.#stream.time });
        this.#stage.captions.clear();
        this.#show();
    }

    send(message) {
        return this.#session?.send(message) ?? false;
    }

    /** Turn the microphone on or off; returns whether it is on. */
    async listen(on = true) {
        if (!on) return this.#deafen(), false;
        if (this.microphone) return true;
        if (!navigator.mediaDevices) return this.#stage.fail(new ServerError(this.#stage.words('mic_insecure'), 'microphone')), false;
        try {
            this.microphone = await Microphone.open((sound) => this.#session?.send(sound));
        } catch (error) {
            const reason = error.name === 'NotAllowedError' ? 'mic_refused' : 'mic_missing';
            return this.#stage.fail(new ServerError(this.#stage.words(reason), 'microphone')), false;
        }
        this.#stage.tell('');
        if (this.#session) {
            this.#session.greeting = { type: 'microphone', rate: this.microphone.rate };
            this.#session.send(this.#session.greeting);
        }
        this.#show();
        return true;
    }

    /** Hold an interview; returns whether it begins. */
    async ask(interview) {
        this.hear();
        await this.listen();
        this.interview = interview;
        this.#asked = false;
        this.#end();
        const begins = await this.start();
        if (!begins) this.interview = null;
        this.hear();
        this.#show();
        return begins;
    }

    /** End the interview: what came of it is in the event. */
    async conclude() {
        const held = this.#session;
        this.interview = null;
        this.#deafen();
        this.#end();
        this.#show();
        const told = await held?.interview().catch(() => null);
        if (told?.answers) this.#stage.emit('interview-ended', { ...told, recording: held.recording ?? null });
        return told;
    }

    /** Note what a session shall be like; one that runs is replaced by another once this no longer changes. */
    settle(wanted, begins) {
        const now = JSON.stringify(wanted);
        clearTimeout(this.#settling);
        this.#next = null;
        if (now === this.#wanted) return;
        if (this.#wanted === null) {
            this.#wanted = now;
            if (begins() && this.#stage.shown()) this.start();
            return this.#show();
        }
        if (this.#opening && !this.#session) return void (this.#wanted = now); // it is opened with what is wanted now
        this.#next = now;
        this.#settling = setTimeout(() => {
            const alive = this.on;
            this.#replace();
            if ((alive || begins()) && this.#stage.shown()) this.start();
            this.#show();
        }, SETTLING);
    }

    /** With a press, a page may be heard. */
    hear() {
        this.#aloneSince = performance.now();
        if (this.#quiet || !this.#session) return;
        this.#stage.video.muted = false;
        this.#show();
    }

    /** The player cannot be seen any more: nobody is there. */
    leave() {
        this.#deafen();
        if (this.interview) this.conclude();
        else this.#end();
    }

    /** The window can be seen again. */
    wake() {
        if (this.#slept && this.#stage.shown()) this.start();
        this.#slept = false;
    }

    /** The page came back out of the browser's memory, where its session has ended. */
    revive() {
        const was = this.#session;
        this.#forget();
        if (was && this.#stage.shown()) this.start();
    }

    /** End the session, also while the page is being left. */
    close() {
        clearTimeout(this.#settling);
        clearTimeout(this.#retrying);
        this.#deafen();
        this.interview = null;
        this.#end();
    }

    dispose() {
        clearInterval(this.#watch);
        this.close();
    }

    // End a session that is to be replaced.
    #replace() {
        if (this.#next === null) return;
        clearTimeout(this.#settling);
        [this.#wanted, this.#next] = [this.#next, null];
        if (this.#session) this.#end();
    }

    async #begin() {
        clearTimeout(this.#retrying);
        const asked = this.#wanted;
        const held = this.interview && { record: true, interview: this.interview };
        this.#aloneSince = performance.now();
        try {
            const fields = await this.#stage.fields();
            const opened = await Session.open(this.#stage.server, this.#stage.sessions, { ...fields, ...held }, {
                event: (event) => opened === this.#session && this.#take(event),
                away: () => opened === this.#session && this.#isAway(true),
                back: () => opened === this.#session && this.#isAway(false),
                ended: (reason) => opened === this.#session && this.#ended(reason),
            });
            if (asked !== this.#wanted || !this.#stage.shown()) {
                opened.close();
                return this.#stage.shown() ? this.#begin() : false; // with what is wanted now
            }
            this.#session = opened;
            this.#stage.mixes(fields.background === 'transparent');
            if (this.microphone) opened.greeting = { type: 'microphone', rate: this.microphone.rate };
            this.#stage.idle.standStill();
            this.#stage.video.muted = this.#quiet ?? !navigator.userActivation?.hasBeenActive;
            this.#stream.play(opened).catch(() => opened === this.#session && this.#ended('failed'));
            this.#stage.tell('');
            return true;
        } catch (error) {
            if (this.#stage.without(error)) return this.#begin();
            this.#stage.fail(error);
            if (this.#stage.autostart && error.retryAfter !== undefined) {
                this.#retrying = setTimeout(() => this.#stage.shown() && this.start(), 1000 * error.retryAfter);
            }
            return false;
        }
    }

    #appear() {
        if (!this.#session || this.#seen) return;
        this.#seen = true;
        this.#stage.idle.leave();
        this.#stage.filled();
        this.#show();
        this.#stage.emit('session-started', { session_id: this.#session.id });
    }

    // End the session, for a reason that the visitor may read.
    #end(message = '') {
        clearTimeout(this.#retrying);
        this.#session?.close();
        this.#forget();
        this.#stage.tell(message);
    }

    #forget() {
        if (!this.#session) return this.#show();
        this.#stage.idle.takeOver(this.#stage.video);
        this.#session = null;
        this.#speaking = this.#visitor = this.#away = this.#seen = false;
        this.#sentAt = this.#cut = 0;
        this.#stage.captions.clear();
        this.#stream.stop();
        this.#stage.video.volume = 1;
        this.#stage.clear();
        for (const { end } of this.#sent.values()) end(false);
        this.#sent.clear();
        this.#show();
    }

    #ended(reason) {
        this.#giveBack();
        if (this.interview) this.conclude();
        this.#forget();
        if (reason === 'time_limit' || reason === 'deleted') this.#stage.tell(this.#stage.words('time_limit'));
        else if (this.#stage.shown()) {
            this.#stage.fail(new ServerError(this.#stage.words(reason === 'gone' ? 'gone' : 'broken'), `session_${reason}`));
            this.#retrying = setTimeout(() => this.#stage.shown() && this.start(), reason === 'gone' ? 1000 * RETRY : 0);
        }
    }

    #isAway(lost) {
        this.#away = lost;
        this.#stage.tell(lost ? this.#stage.words('away') : '');
        this.#show();
    }

    // Take an event of the session; it is true when the stream gets there.
    #take(event) {
        const { captions } = this.#stage;
        const stream = this.#stream;
        switch (event.type) {
            case 'composing':
                this.#stage.tell(event.message, TOLD);
                break;
            case 'turn_started':
                stream.at(event.stream - FORESEEN, () => captions.clear());
                stream.at(event.stream, () => {
                    this.#asked = true;
                    this.#over({ tag: CHAT }, true);
                    if (event.stream < this.#cut) return;
                    const seconds = this.#sentAt ? (performance.now() - this.#sentAt) / 1000 : null;
                    [this.#speaking, this.#sentAt] = [true, 0];
                    this.#show();
                    this.#stage.emit('turn-started', { turn: event.turn, tag: event.tag, seconds });
                });
                break;
            case 'word':
                stream.at(event.stream - FORESEEN, () => {
                    if (event.stream < this.#cut) return;
                    const light = captions.add(event.text);
                    stream.at(event.stream, () => {
                        if (event.stream < this.#cut) return;
                        light();
                        this.#stage.emit('word', { text: event.text, start: event.stream, end: event.end, turn: event.turn });
                    });
                });
                break;
            case 'turn_ended':
                stream.at(event.stream, () => {
                    [this.#speaking, this.#sentAt] = [false, 0];
                    const sent = this.#sent.get(event.tag);
                    const unsaid = sent && !event.said.trim();
                    if (unsaid) this.#stage.fail(new ServerError(this.#stage.words('nothing'), 'nothing_to_say'), 8000);
                    if (unsaid) this.#stage.unsaid(sent.text);
                    this.#over(event, !unsaid);
                    this.#show();
                    this.#stage.emit('turn-ended', { turn: event.turn, said: event.said, tag: event.tag });
                });
                break;
            case 'interrupted':
                stream.dropAfter(event.stream);
                this.#cut = event.stream; // what is left of it is neither heard nor told
                this.#stage.video.volume = 0;
                stream.at(event.stream, () => (this.#stage.video.volume = 1));
                this.#speaking = false;
                this.#over(event, false);
                this.#show();
                this.#stage.emit('interrupted', { turn: event.turn, said: event.said, tag: event.tag });
                break;
            case ANSWER:
                if (event.text !== this.#sent.get(ANSWER)?.text) break;
                this.#session.send({ type: 'next' });
                this.#over({ tag: ANSWER }, true);
                break;
            case 'visitor_speaking':
            case 'visitor_stopped':
                this.#visitor = event.type === 'visitor_speaking';
                this.#show();
                break;
            case 'question':
                if (!event.reminders) this.#asked = false;
                break;
            case 'listening': // also where a question could not be said
                this.#asked = true;
                break;
            case 'interview_ended':
                this.#sayGoodbye();
                break;
            case 'error':
                this.#sentAt = 0;
                this.#asked = true; // the question may be what could not be said
                this.#stage.fail(new ServerError(event.error, event.code), 8000);
                this.#giveBack();
                this.#show();
                break;
        }
        this.#stage.emit('session-event', event);
        this.#aloneSince = performance.now();
    }

    #over({ tag }, whole) {
        this.#sent.get(tag)?.end(whole);
        this.#sent.delete(tag);
    }

    // What was sent cannot be said.
    #giveBack(tags = [...this.#sent.keys()]) {
        for (const tag of tags) {
            this.#stage.unsaid(this.#sent.get(tag).text);
            this.#over({ tag }, false);
        }
    }

    // All was asked: let the avatar say goodbye, then end.
    async #sayGoodbye() {
        const held = this.#session;
        await pause(1000);
        for (let waited = 0; held === this.#session && this.busy && waited < 20_000; waited += 200) await pause(200);
        if (held === this.#session) this.conclude();
    }

    #deafen() {
        this.microphone?.close();
        this.microphone = null;
        this.#visitor = false;
        if (this.#session) this.#session.greeting = null;
        this.#show();
    }

    #rest() {
        if (!this.#session || this.busy || this.#visitor || this.interview) return;
        const alone = performance.now() - this.#aloneSince;
        if (document.hidden && alone > HIDDEN) {
            this.#slept = true;
            this.#end();
        } else if (alone > ALONE) {
            this.#end(this.#stage.words('asleep'));
        }
    }

    // Show how things are.
    #show() {
        const { video } = this.#stage;
        this.#stream.calm = !this.#speaking;
        this.#stage.state(
            !this.#session ? (this.#opening ? 'opening' : 'closed')
                : this.#away ? 'away'
                : this.#visitor ? 'hearing'
                : this.#speaking ? 'speaking'
                : this.#sentAt ? 'waiting'
                : video.readyState > 1 ? 'ready' : 'opening',
        );
    }
}
