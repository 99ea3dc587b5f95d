// <talking-avatar>: a person on video who says what you write. docs/embed.md describes it from outside.

import { Captions } from './captions.js';
import { Transport, fileName, label } from './controls.js';
import { Idle } from './idle.js';
import { Live } from './live.js';
import { fitting } from './media.js';
import { Mixer, canMix } from './mixer.js';
import { Server, ServerError } from './server.js';
import { Speaking } from './speaking.js';
import css from './style.css';
import html from './template.html';
import { forPeople, wordsFor } from './words.js';

const SIZES = ['720p', '480p', '360p'];
const RATIOS = { '16:9': 16 / 9, '9:16': 9 / 16, '1:1': 1, '4:5': 4 / 5 };
const LOADING = 2000; // milliseconds that a first text waits until it is known in which resolutions there is the avatar
const stillness = matchMedia('(prefers-reduced-motion: reduce)');

/**
 * What the ways to speak share: the parts of the player, the server, and what to do with them.
 *
 * @typedef {object} Stage
 * @property {HTMLVideoElement} video
 * @property {Idle} idle
 * @property {Captions} captions
 * @property {Server} server
 * @property {string} sessions where sessions are opened
 * @property {boolean} autostart
 * @property {(key: string, ...values: string[]) => string} words
 * @property {() => Promise<object>} fields what every request says of avatar and voice
 * @property {(type: string, detail: object) => void} emit
 * @property {(name: string) => void} state
 * @property {(message: string, milliseconds?: number) => void} tell
 * @property {(error: Error, milliseconds?: number) => void} fail
 * @property {(text: string) => void} unsaid gives back a text that could not be said
 * @property {(error: Error) => boolean} without whether it can go on without what this avatar cannot do
 * @property {() => boolean} shown
 * @property {(yes: boolean) => void} blocked
 * @property {(parted: boolean) => void} mixes
 * @property {() => void} begins
 * @property {() => void} filled
 * @property {() => void} offer
 * @property {() => void} clear
 */

export class TalkingAvatar extends HTMLElement {
    static observedAttributes = [
        ...['server', 'avatar', 'voice', 'language', 'token', 'captions', 'mode', 'format', 'background'],
        ...['resolution', 'controls', 'muted', 'badge'],
    ];

    /** More fields of every request, as REST names them: `{ mood: 'smile', tts_speed: 1.1 }`. */
    #options = {};
    /** The interview that mode="interview" holds, as REST takes it; without one, the lines in the tag are its questions. */
    interview = null;
    /** Where sessions are opened. */
    sessions = '/api/v2/sessions';

    #parts = {};
    #words;
    #captions;
    #mixer;
    #idle;
    #transport;
    #server = null;
    #way = null; // Speaking or Live, as the mode says
    #mode = null;
    #state = 'closed';
    #loaded = null; // a promise of the resolution that the avatar is shown in
    #updating = false;
    #ratio = 16 / 9; // of the avatar's picture
    #crops = {}; // of the avatar by aspect, as the server makes them
    #cropped = ''; // address from which they came
    #forgetting = 0;
    #typed = ''; // what the visitor sent last
    #problem = ''; // what is wrong with the tag itself
    #refused = new Map(); // what an avatar cannot do, by the name of the field
    #unmixed = false; // whether it was told that nothing can be transparent
    #stop = null;

    constructor() {
        super();
        const root = this.attachShadow({ mode: 'open' });
        root.innerHTML = `<style>${css}</style>${html}<slot hidden></slot>`;
        for (const one of root.querySelectorAll('[class]')) this.#parts[one.classList[0]] = one;
        this.#parts.text = root.querySelector('textarea');
        this.#words = wordsFor(this);
        this.#captions = new Captions(this.#parts.caption, this.#parts.log);
        this.#mixer = new Mixer(this.#parts.screen, () => this.isConnected && this.#update());
        this.#idle = new Idle(this.#parts.screen, this.#mixer, (ratio) => this.#announce(ratio), (address) => this.#missing(address));
        this.#transport = new Transport(this.#parts.player, (key) => this.#words(key), () => this.replay());
        this.#parts.answer.addEventListener('volumechange', () => this.#show());
        this.#parts.answer.addEventListener('loadedmetadata', ({ target }) => {
            if (!target.videoWidth) return;
            if (!this.getAttribute('avatar')) this.#ratio = this.#mixer.ratio(target); // nobody was there before
            this.#takeLook();
        });
        this.#listenToButtons();
    }

    connectedCallback() {
        this.#words = wordsFor(this);
        this.#name();
        this.#stop = new AbortController();
        const { signal } = this.#stop;
        this.#observer.observe(this.#parts.screen);
        addEventListener('pagehide', () => this.#way instanceof Live && this.#way.close(), { signal });
        addEventListener('pageshow', ({ persisted }) => persisted && this.#revive(), { signal });
        document.addEventListener('visibilitychange', () => document.hidden || this.#way?.wake?.(), { signal });
        this.#updateSoon();
    }

    disconnectedCallback() {
        this.#observer.disconnect();
        this.#stop?.abort();
        this.#leaveWay();
        this.#state = 'closed';
    }

    attributeChangedCallback(name, before, now) {
        if (before === now) return;
        if (name === 'captions') this.#showCaptions();
        else if (this.isConnected) this.#updateSoon();
    }

    // --- what pages call

    get options() {
        return this.#options;
    }

    set options(options) {
        this.#options = { ...options };
        if (this.isConnected) this.#updateSoon();
    }

    get mode() {
        const mode = this.getAttribute('mode');
        return mode === 'live' || mode === 'interview' ? mode : 'speak';
    }

    set mode(mode) {
        this.setAttribute('mode', mode);
    }

    /** "closed", "opening", "ready", "waiting", "speaking", "hearing" or "away". */
    get state() {
        return this.#state;
    }

    /** The video element that shows what is said. */
    get video() {
        return this.#parts.answer;
    }

    /** Whether the video that is shown is finished, and so can be kept. */
    get finished() {
        return Boolean(this.#way?.file);
    }

    get captions() {
        return this.getAttribute('captions') !== 'off';
    }

    set captions(on) {
        this.setAttribute('captions', on ? 'on' : 'off');
    }

    get muted() {
        return this.#parts.answer.muted;
    }

    set muted(muted) {
        if (this.#way instanceof Live) this.#way.quiet = muted;
        else this.#parts.answer.muted = muted;
    }

    /** Whether the microphone is on. */
    get listening() {
        return Boolean(this.#way?.microphone);
    }

    /** Say a text, without one that of the tag; what is being said is interrupted. Returns whether all of it was said. */
    async say(text = this.#written(), { tag } = {}) {
        this.#update();
        if (this.#problem || !this.#check()) return this.#unsaid(text), false;
        this.#way.hear?.();
        if (!text?.trim()) return this.#fail(new ServerError(this.#words('no_text'), 'text_required')), false;
        this.#tell('');
        return this.#way.say(text, tag);
    }

    /** Have the language model answer a text (mode="live"). */
    async chat(text) {
        if (!this.#live() || !this.#check()) return this.#unsaid(text), false;
        return this.#way.say(text, null, true);
    }

    /** Stop what is being said, at once. */
    interrupt() {
        this.#way?.interrupt();
    }

    /** Turn the visitor's microphone on, or off; returns whether it is on (mode="live" and "interview"). */
    async listen(on = true) {
        if (!this.#live() || !this.#check()) return false;
        if (on) this.#way.start().then(() => this.#way.hear?.());
        return this.#way.listen(on);
    }

    /** Open the session before there is something to say, or begin the interview (mode="live" and "interview"). */
    async start() {
        this.#update();
        if (this.#problem || !this.#check()) return false;
        if (this.mode === 'speak') return this.say();
        if (this.mode === 'live') {
            const began = await this.#way.start();
            this.#way.hear();
            return began;
        }
        const interview = this.interview ?? { questions: this.#written().split('\n').map((one) => one.trim()).filter(Boolean) };
        if (!interview.questions?.length) {
            return this.#fail(new ServerError(this.#words('no_questions'), 'questions_required')), false;
        }
        return this.#way.ask(interview);
    }

    /** Go on to the next question of the interview. */
    next() {
        return this.#way?.send?.({ type: 'next' }) ?? false;
    }

    /** Send a command to the session as it is; returns whether it was sent. */
    send(message) {
        return this.#way?.send?.(message) ?? false;
    }

    /** End the interview; returns what came of it. */
    async conclude() {
        return this.#way?.conclude?.();
    }

    /** Stop, and end the session if there is one. */
    close() {
        this.#way?.close();
    }

    /** Show the video of a task that somebody else asked for: an event of the server; call it with each that comes. */
    play(event) {
        this.#update();
        if (this.#way instanceof Speaking) this.#way.play(event);
    }

    /** Show the finished video of a task, without playing it yet. */
    putBack(event) {
        this.#update();
        if (this.#way instanceof Speaking) this.#way.putBack(event);
    }

    /** Play the last video again (mode="speak"). */
    replay() {
        this.#way?.replay?.();
    }

    // --- attributes

    #observer = new ResizeObserver(() => {
        this.#idle.look();
        if (!(this.#way instanceof Live)) return;
        if (!this.#shown()) this.#way.leave();
        else if (this.#startsItself() && !this.#way.on) this.#way.start();
    });

    #updateSoon() {
        if (this.#updating) return;
        this.#updating = true;
        queueMicrotask(() => this.isConnected && this.#update());
    }

    #update() {
        this.#updating = false;
        this.#takeServer();
        this.#takeLook();
        this.#takeBadge();
        this.#takeMode();
        if (!this.#problem) this.#takeAvatar();
        const unmixed = this.#asked === 'transparent' && !canMix();
        if (unmixed && !this.#unmixed) this.#fail(new ServerError(this.#words('no_webgl'), 'no_webgl'), 8000);
        this.#unmixed = unmixed;
        this.#show();
    }

    #takeServer() {
        const [address, token] = [this.getAttribute('server'), this.getAttribute('token')];
        const before = this.#problem;
        this.#problem = this.#problemOf(address);
        if (this.#problem) {
            this.#server = null;
            if (this.#problem !== before) this.#fail(new ServerError(this.#problem, 'tag_invalid'));
            return;
        }
        if (before) this.#tell('');
        const server = new Server(address, token, (...asked) => this.#words(...asked));
        if (server.address === this.#server?.address && server.token === this.#server.token) return;
        this.#server = server;
        // a picture of another site may only be drawn where that lets this one
        for (const video of [this.#parts.answer, this.#parts.idle]) video.crossOrigin = server.own ? null : 'anonymous';
    }

    #problemOf(address) {
        if (!address?.trim()) return this.#words('no_server');
        const url = tryUrl(address);
        if (!url || !/^https?:$/.test(url.protocol)) return this.#words('bad_server', address);
        return this.hasAttribute('avatar') ? '' : this.#words('no_avatar');
    }

    #takeLook() {
        const format = this.getAttribute('format');
        const ratio = RATIOS[format] ?? RATIOS[this.#aspect] ?? this.#ratio;
        const { answer } = this.#parts;
        this.#parts.player.style.setProperty('--ratio', ratio);
        const other = !RATIOS[format] && answer.videoWidth && Math.abs(this.#mixer.ratio(answer) / ratio - 1) > 0.02;
        this.#parts.screen.classList.toggle('other', Boolean(other)); // of a time when another aspect was chosen
        this.#takeFocus(format in RATIOS ? format : this.#aspect);
        const background = this.getAttribute('background');
        if (background && CSS.supports('background', background)) this.style.setProperty('--avatar-background', background);
        else if (background) this.style.removeProperty('--avatar-background');
        if (this.hasAttribute('muted')) this.#parts.answer.muted = true;
        this.#showCaptions();
    }

    /** The badge says that the person is synthetic; badge="off" hides it where the server prescribes no label. */
    async #takeBadge() {
        const { badge } = this.#parts;
        badge.hidden = false;
        if (this.getAttribute('badge') !== 'off' || !this.#server) return;
        const server = this.#server;
        const label = await server.label();
        if (server === this.#server && this.getAttribute('badge') === 'off') badge.hidden = label === 'off';
    }

    // Crop the avatar's own clip as its answers are cropped.
    async #takeFocus(aspect) {
        const avatar = this.getAttribute('avatar');
        const { style } = this.#parts.screen;
        if (!avatar || !this.#server || !(aspect in RATIOS)) return style.removeProperty('--focus');
        const address = this.#server.at(`/assets/idle/${encodeURIComponent(avatar)}.json`);
        if (address !== this.#cropped) {
            [this.#cropped, this.#crops] = [address, {}];
            const found = await this.#server.request(address).then((answer) => answer.json(), () => ({}));
            if (address !== this.#cropped) return;
            this.#crops = found.crops ?? {}; // without them it is cropped in the middle
            return this.#takeLook();
        }
        const { left = 0, top = 0, width = 1, height = 1 } = this.#crops[aspect] ?? {};
        const share = (offset, size) => `${size < 1 ? (100 * offset) / (1 - size) : 50}%`;
        style.setProperty('--focus', `${share(left, width)} ${share(top, height)}`);
    }

    #takeMode() {
        if (this.mode === this.#mode) return;
        const lives = (mode) => mode === 'live' || mode === 'interview';
        const kept = this.#mode !== null && lives(this.mode) && lives(this.#mode);
        if (this.#mode !== null && !kept) this.#leaveWay();
        this.#mode = this.mode;
        if (kept) return;
        const stage = this.#stage();
        this.#way = lives(this.mode) ? new Live(stage) : new Speaking(stage);
        if (this.hasAttribute('muted') && this.#way instanceof Live) this.#way.quiet = true;
    }

    #leaveWay() {
        if (this.#way instanceof Live) this.#way.dispose();
        else this.#way?.close();
        this.#way = this.#mode = null;
    }

    #takeAvatar() {
        const avatar = this.getAttribute('avatar');
        if (!avatar) return;
        const assets = this.#server.at(`/assets/idle/${encodeURIComponent(avatar)}`);
        const listed = this.#lacks('resolution') ? null : this.getAttribute('resolution')?.split(/\s+/).filter(Boolean);
        const sizes = listed?.length ? listed : SIZES;
        const behind = this.#behind;
        const asked = behind ? `?background=${encodeURIComponent(behind)}` : '';
        const clips = Object.fromEntries(sizes.map((size) => [size, `${assets}_${size}.mp4${asked}`]));
        const soon = this.#way instanceof Live && this.#startsItself() && Boolean(listed); // its stream is there at once
        const loaded = this.#idle.load({
            picture: `${assets}.jpg${asked}`,
            clips: soon ? undefined : clips,
            parted: behind === 'transparent',
        });
        this.#loaded = listed?.length ? Promise.resolve(fitting(sizes)) : loaded.then((size) => size || fitting(sizes));
        if (this.#way instanceof Live) {
            const wanted = [this.#server.address, this.#server.token, avatar, sizes, ...this.#voice(), behind, this.#options];
            this.#way.settle(wanted, () => this.#startsItself());
        }
    }

    #voice() {
        return [this.getAttribute('voice'), this.getAttribute('language')];
    }

    #startsItself() {
        return this.mode === 'live' && this.hasAttribute('autostart') && !stillness.matches && !this.#problem
            && Boolean(this.getAttribute('avatar'));
    }

    async #fields() {
        const late = new Promise((resolve) => setTimeout(resolve, LOADING));
        const resolution = (await Promise.race([this.#loaded, late])) ?? fitting(SIZES);
        const [voice, language] = this.#voice();
        return {
            avatar: this.getAttribute('avatar'),
            resolution,
            ...(voice && { tts_voice: voice }),
            ...(language && { language }),
            ...Object.fromEntries(Object.entries(this.#options).filter(([field]) => !this.#lacks(field))),
            ...(this.#asked !== undefined && { background: this.#behind ?? 'source' }),
        };
    }

    // What shall be behind the person, as the server names it; undefined where nobody has said so.
    get #asked() {
        return this.#options.background ?? named(this.getAttribute('background'));
    }

    // What can be; undefined is what was filmed.
    get #behind() {
        const asked = this.#asked;
        const filmed = asked === 'source' || this.#lacks('background') || (asked === 'transparent' && !canMix());
        return filmed ? undefined : asked;
    }

    get #aspect() {
        return this.#lacks('aspect') ? undefined : this.#options.aspect;
    }

    // Go on without what this avatar cannot do, where an error says so; returns whether there is such a thing.
    #without({ code, message }) {
        const [named] = /^(background|aspect|fps)(?=:)/.exec(message) ?? [];
        const field = { avatar_cannot: named, resolution_not_found: 'resolution' }[code];
        if (!field || this.#lacks(field)) return false;
        this.#refused.set(field, this.#asking(field));
        console.warn(`<talking-avatar> ${message}`);
        this.#fail(new ServerError(this.#words(`no_${field}`), code), 8000);
        this.#update();
        return true;
    }

    #lacks(field) {
        return this.#refused.get(field) === this.#asking(field);
    }

    #asking(field) {
        const value = field === 'background' ? this.#asked : (this.#options[field] ?? this.getAttribute(field));
        return JSON.stringify([this.#server?.address, this.getAttribute('avatar'), value]);
    }

    // What is written in the tag, a line for each line and list item.
    #written() {
        const items = [...this.querySelectorAll('li, p')];
        const lines = items.length ? items.map((one) => one.textContent) : this.textContent.split('\n');
        return lines.map((line) => line.trim()).filter(Boolean).join('\n');
    }

    // --- what the ways to speak use

    /** @returns {Stage} */
    #stage() {
        const element = this;
        return {
            video: this.#parts.answer,
            idle: this.#idle,
            captions: this.#captions,
            get server() {
                return element.#server;
            },
            get sessions() {
                return element.sessions;
            },
            get autostart() {
                return element.hasAttribute('autostart');
            },
            words: (...asked) => this.#words(...asked),
            fields: () => this.#fields(),
            emit: (type, detail) => this.#emit(type, detail),
            state: (name) => this.#become(name),
            tell: (message, milliseconds) => this.#tell(message, milliseconds),
            fail: (error, milliseconds) => this.#fail(error, milliseconds),
            unsaid: (text) => this.#unsaid(text),
            without: (error) => this.#without(error),
            shown: () => this.#shown(),
            blocked: (yes) => {
                this.#parts.play.hidden = !yes;
                this.#show();
            },
            mixes: (parted) => this.#mixer.take(this.#parts.answer, parted),
            begins: () => this.#show(),
            filled: () => {
                this.#parts.screen.classList.add('filled');
                if (this.#full && this.#way instanceof Speaking) this.#transport.show();
                this.#show();
            },
            offer: () => {
                if (this.#full) this.#transport.show();
                this.#show();
            },
            clear: () => {
                this.#parts.screen.classList.remove('filled');
                this.#parts.play.hidden = true;
                this.#transport.hide();
                this.#show();
            },
        };
    }

    #shown() {
        return this.#parts.screen.getClientRects().length > 0;
    }

    #live() {
        this.#update();
        if (this.#way instanceof Live) return true;
        this.#fail(new ServerError(this.#words('only_live'), 'mode_invalid'));
        return false;
    }

    #check() {
        if (this.#problem) return this.#fail(new ServerError(this.#problem, 'tag_invalid')), false;
        if (this.getAttribute('avatar')) return true;
        this.#fail(new ServerError(this.#words('no_avatar'), 'tag_invalid'));
        return false;
    }

    #revive() {
        this.#way?.revive?.();
    }

    // A picture or clip of the avatar cannot be fetched: learn from the server why.
    async #missing(address) {
        try {
            await this.#server?.request(address);
            if (!address.includes('.jpg')) return;
            throw new ServerError(this.#words('unreachable', this.#server.address, location.origin), 'unreachable');
        } catch (error) {
            if (this.#without(error)) return;
            if (this.#parts.message.textContent !== forPeople(this, error.message)) this.#fail(error); // it may be asked for again
        }
    }

    // The avatar can be seen.
    #announce(ratio) {
        this.#ratio = ratio;
        this.#takeLook();
        this.toggleAttribute('alive', true);
        if (this.#way instanceof Speaking && this.#state === 'closed') this.#become('ready');
        this.#emit('ready', { avatar: this.getAttribute('avatar') });
    }

    #become(name) {
        if (name !== this.#state) {
            this.#state = name;
            this.setAttribute('state', name);
            this.#emit('statechange', { state: name });
        }
        this.#show();
    }

    #emit(type, detail) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }

    #tell(message, milliseconds = 0) {
        clearTimeout(this.#forgetting);
        const { message: place } = this.#parts;
        if (place.textContent !== message) place.textContent = message; // which is read out each time
        place.hidden = !message;
        if (milliseconds) this.#forgetting = setTimeout(() => this.#tell(''), milliseconds);
    }

    #fail(error, milliseconds) {
        const message = error instanceof ServerError ? error.message : String(error);
        this.#tell(forPeople(this, message), milliseconds);
        this.#emit('error', { message, code: error.code ?? 'failed' });
    }

    // A text could not be said: what the visitor wrote is in the box again, before what was written meanwhile.
    #unsaid(text) {
        if (!text) return;
        const { text: box } = this.#parts;
        if (text === this.#typed) {
            box.value = [text, box.value].filter((one) => one.trim()).join('\n');
            this.#typed = '';
            this.#show();
        }
        this.#emit('unsaid', { text });
    }

    // --- buttons

    get #full() {
        return this.getAttribute('controls') === 'full';
    }

    // Name everything in the language of the page.
    #name() {
        const { answer, badge, empty, text, send, replay, captions, download, next, quit, play } = this.#parts;
        badge.ariaLabel = badge.title = this.#words('badge');
        answer.ariaLabel = this.#words('answer');
        empty.textContent = this.#words('empty');
        text.ariaLabel = this.#words('text');
        send.textContent = this.#words('send');
        replay.textContent = this.#words('replay');
        captions.textContent = this.#words('captions');
        download.textContent = this.#words('download');
        next.textContent = this.#words('next');
        quit.textContent = this.#words('quit');
        play.textContent = `▶ ${this.#words('play')}`;
    }

    #listenToButtons() {
        const { main, play, replay, next, quit, sound, captions, composer, text, mic } = this.#parts;
        main.addEventListener('click', () => {
            if (this.#busy) this.interrupt();
            else if (this.mode === 'live') this.start().then((began) => began && this.#written() && this.say());
            else this.start();
        });
        play.addEventListener('click', () => this.#way.resume?.());
        replay.addEventListener('click', () => this.replay());
        next.addEventListener('click', () => this.next());
        quit.addEventListener('click', () => this.conclude());
        sound.addEventListener('click', () => (this.muted = !this.muted));
        captions.addEventListener('click', () => (this.captions = !this.captions));
        mic.addEventListener('click', () => this.listen(!this.listening));
        composer.addEventListener('submit', (event) => {
            event.preventDefault();
            if (this.#busy && !text.value.trim()) return this.interrupt();
            this.#send();
        });
        text.addEventListener('input', () => this.#show());
        text.addEventListener('keydown', (event) => {
            if (event.isComposing || event.keyCode === 229) return; // Enter completes a Korean syllable
            if (event.key === 'Enter' && !event.shiftKey) {
                event.preventDefault();
                this.#send();
            } else if (event.key === 'Escape' && this.#busy) {
                this.interrupt();
            }
        });
        for (const place of [this.#parts.screen, this.#parts.controls]) {
            place.addEventListener('keydown', (event) => event.key === 'Escape' && this.#busy && this.interrupt());
        }
    }

    #send() {
        const { text } = this.#parts;
        if (!text.value.trim()) return text.focus();
        this.#typed = text.value;
        text.value = ''; // it comes back if it cannot be said
        this.say(this.#typed);
        this.#show();
    }

    get #busy() {
        return this.#state === 'speaking' || this.#state === 'waiting';
    }

    #showCaptions() {
        const on = this.captions;
        this.#parts.captions.ariaPressed = String(on);
        this.#parts.caption.classList.toggle('off', !on);
    }

    // Show the buttons that are of use now.
    #show() {
        const parts = this.#parts;
        const [full, none] = [this.#full, this.getAttribute('controls') === 'none'];
        const speaks = this.mode === 'speak';
        const on = !speaks && this.#state !== 'closed' && this.#state !== 'opening';
        const film = speaks && parts.screen.classList.contains('filled');
        const asks = this.#way?.interview;
        parts.composer.hidden = none || full || speaks || !on;
        parts.controls.hidden = none;
        const written = Boolean(this.#written());
        const first = this.mode === 'interview' ? !on : this.mode === 'live' ? !on : written && !this.#way?.again;
        parts.main.hidden = none || full || Boolean(this.#problem) || !parts.play.hidden || !(speaks ? this.#busy || first : first);
        parts.main.disabled = this.#state === 'opening';
        parts.main.classList.toggle('stops', this.#busy);
        parts.main.textContent = this.#words(this.#busy ? 'stop' : speaks ? 'say' : 'start');
        parts.send.classList.toggle('stops', this.#busy && !parts.text.value.trim());
        parts.send.textContent = this.#words(this.#busy && !parts.text.value.trim() ? 'stop' : 'send');
        parts.text.placeholder = this.#words(asks ? 'placeholder_answer' : 'placeholder');
        parts.mic.classList.toggle('on', this.listening); // its name says what it will do
        parts.mic.ariaLabel = parts.mic.title = this.#words(this.listening ? 'mic_off' : 'mic_on');
        parts.replay.hidden = !this.#way?.again || this.#busy;
        parts.next.hidden = parts.quit.hidden = !asks;
        const { muted } = parts.answer;
        label(parts.sound, muted ? 'silent' : 'loud', this.#words(muted ? 'sound_on' : 'sound_off'));
        parts.sound.hidden = full || !(film || on);
        parts.captions.hidden = !(speaks ? this.#way?.captioned : on);
        const file = full && this.#way?.file;
        parts.download.hidden = !file;
        if (file) {
            const clear = this.#mixer.parted(parts.answer); // then as WebM with alpha; else in one piece
            parts.download.href = clear ? file.replace(/mp4$/, 'webm') : `${file}?download=1`;
            parts.download.download = fileName(this.#way.text, this.#words('recording'), clear ? 'webm' : 'mp4');
        }
    }
}

// What a `background` asks for, as the server names it: colours of any spelling are #rrggbb. Undefined for what only a
// stage can have: a gradient, a colour that lets the page through.
function named(value) {
    const asked = value?.trim();
    if (!asked) return undefined;
    if (asked === 'transparent' || !CSS.supports('background', asked)) return asked;
    const pen = document.createElement('canvas').getContext('2d');
    pen.fillStyle = 'transparent';
    pen.fillStyle = asked;
    return pen.fillStyle.startsWith('#') ? pen.fillStyle : undefined;
}

function tryUrl(address) {
    try {
        return new URL(address, location.href);
    } catch {
        return null;
    }
}
