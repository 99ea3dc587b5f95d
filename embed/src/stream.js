// The picture of a live session.

import { Source, lookIn, madeUntil, open } from './media.js';

const BEHIND = 0.25; // seconds behind the newest picture after a jump
const ENOUGH = 0.2; // seconds with which browsers begin to play
const MEASURED = 10; // parts by which it is judged how late they come: two seconds
// Seconds of which the next part may come later than the latest of these before the picture halts. Where nothing is
// heard the picture is a little slower below the least, a little faster above the most, and jumps from LATE on.
const LEAST = 0.05;
const MOST = 0.12;
const LATE = 0.6;
const LOST = 2; // from here on it jumps, whatever is heard
const CHANGE = 0.25; // how much slower or faster
const KEPT = 30; // seconds that stay in the browser's memory

const now = () => performance.now() / 1000;

/** Plays the stream of a session, a moment behind its newest picture. */
export class Stream {
    #video;
    #session = null;
    #buffer = null;
    #parts = [];
    #acts = []; // what waits for a time of the stream
    #timer = 0;
    #calm = true;
    #late = []; // when the last parts came, as against their time in the stream
    #halted = false; // whether it waits for a part that is late

    constructor(video) {
        this.#video = video;
        video.preservesPitch = false; // to keep the pitch, browsers need to know more of what comes
        video.addEventListener('waiting', () => (this.#halted = !video.seeking));
        video.addEventListener('playing', () => (this.#halted = false));
    }

    /** Where it is, in seconds of the stream. */
    get time() {
        if (Source) return this.#video.currentTime;
        return this.#session ? now() - this.#session.began : 0;
    }

    /** Whether nothing is to be heard: then it may catch up. */
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
            if (this.#video.currentTime) this.#late.push(now() - madeUntil(this.#video)); // the first ones come at once
            if (this.#late.length > MEASURED) this.#late.shift();
            this.#parts.push(part);
            this.#pump();
        }
    }

    stop() {
        this.#session = this.#buffer = null;
        this.#parts = [];
        this.#acts = [];
        this.#late = [];
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
        clearTimeout(this.#timer);
        if (!this.#acts.length) return;
        this.#timer = lookIn(this.#video, this.#acts[0].time - this.time, () => {
            const time = this.time;
            while (this.#acts.length && this.#acts[0].time <= time) this.#acts.shift().act();
            this.#look();
        });
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
        if (!buffered.length || !this.#late.length) return;
        const until = madeUntil(this.#video);
        const spare = now() - currentTime - Math.max(...this.#late);
        const jumps = spare > (this.#calm ? LATE : LOST) || currentTime < buffered.start(0);
        if (jumps) this.#video.currentTime = until - BEHIND;
        else if (this.#halted && until - currentTime > ENOUGH) {
            // Chromium goes on only with twice as much after each halt; with a seek, to where it is, it forgets that
            this.#video.currentTime = this.#calm ? Math.max(currentTime, until - BEHIND) : currentTime;
        }
        const steady = jumps || !this.#calm;
        this.#video.playbackRate = steady ? 1 : spare > MOST ? 1 + CHANGE : spare < LEAST ? 1 - CHANGE : 1;
    }
}
