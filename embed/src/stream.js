// The picture of a live session.

import { Source, madeUntil, open } from './media.js';

const BEHIND = 0.25; // seconds behind the newest picture: what a network may delay unnoticed
const HURRY = 0.35; // from here on, play a little faster
const HOLD = 0.2; // up to here, play a little slower: at its end it would halt
const HEARD = 0.05; // how much faster or slower where it can be heard
const CALM = 0.25; // the same where nothing is heard
const LATE = 0.6; // from here on, jump
const KEPT = 30; // seconds that stay in the browser's memory

/** Plays the stream of a session, a moment behind its newest picture. */
export class Stream {
    #video;
    #session = null;
    #buffer = null;
    #parts = [];
    #acts = []; // what waits for a time of the stream
    #looking = false;
    #calm = true;

    constructor(video) {
        this.#video = video;
    }

    /** Where it is, in seconds of the stream. */
    get time() {
        if (Source) return this.#video.currentTime;
        return this.#session ? performance.now() / 1000 - this.#session.began : 0;
    }

    /** Whether nothing is to be heard: then it may catch up quickly. */
    set calm(calm) {
        if (calm === this.#calm) return;
        this.#calm = calm;
        this.#video.playbackRate = 1; // until the next part comes
    }

    async play(session) {
        this.stop();
        this.#session = session;
        if (!Source) {
            this.#video.src = session.video;
            return this.#begin();
        }
        const { buffer } = await open(this.#video);
        if (this.#session !== session) return;
        this.#buffer = buffer;
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
        this.#video.playbackRate = 1;
        this.#video.removeAttribute('src');
        this.#video.load(); // only this frees what is buffered
    }

    /** Act when the visitor sees a time of the stream. */
    at(time, act) {
        this.#acts.push({ time, act });
        this.#acts.sort((one, other) => one.time - other.time);
        this.#look();
    }

    /** Let go what waits for times after this one. */
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
        const behind = madeUntil(this.#video) - currentTime;
        if (behind > LATE || currentTime < buffered.start(0)) this.#video.currentTime = madeUntil(this.#video) - BEHIND;
        const change = this.#calm ? CALM : HEARD;
        this.#video.playbackRate = behind > HURRY ? 1 + change : behind < HOLD ? 1 - change : 1;
    }
}
