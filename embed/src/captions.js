// The line under the picture: what is being said, each word lit as soon as it is said.

import { lookIn } from './media.js';
import { linesOf } from './server.js';

const LINE = 60; // letters of a line of a session
const ROWS = 2; // rows for which there is room; more would move what is below

/** A line of words in a place of the page; screen readers get whole lines at another place. */
export class Captions {
    #place;
    #log;
    #words = []; // of the line, as elements
    #text = ''; // of the line, as far as it is known
    #whole = true; // whether the next word begins another line

    constructor(place, log) {
        this.#place = place;
        this.#log = log;
    }

    /** Show a word that comes soon; returns what lights it. */
    add(text) {
        const word = spanOf(text);
        const line = this.#whole ? [word] : [...this.#words, word];
        if (line.length > 1 && line[0].isConnected) { // or else it comes with the first word
            const blank = new Text(' ');
            this.#place.append(blank, word);
            if (new Set(line.map((one) => one.offsetTop)).size > ROWS) {
                for (const last of [blank, word]) last.remove();
                this.#read();
                line.splice(0, line.length - 1);
            }
        }
        this.#words = line;
        this.#text = line.map((one) => one.textContent).join(' ');
        const { length } = this.#text;
        const ends = length > 2 * LINE || (length > LINE ? /[.?!…,;:。？！、，]\s*$/ : /[.?!…。？！]\s*$/).test(text);
        this.#whole = ends;
        if (ends) this.#read();
        return () => {
            word.className = 'lit';
            if (!word.isConnected && this.#words.includes(word)) this.#draw();
        };
    }

    /** Show a whole line, of which words can be lit one after the other; returns them. */
    show(words) {
        this.#words = words.map(spanOf);
        this.#text = words.join('');
        this.#draw();
        this.#read();
        return this.#words;
    }

    /** Show nothing. */
    clear() {
        if (!this.#whole) this.#read();
        this.#words = [];
        this.#whole = true;
        this.#place.replaceChildren();
    }

    #draw() {
        this.#place.replaceChildren(...this.#words.flatMap((word, number) => (number ? [' ', word] : [word])));
    }

    #read() {
        const line = document.createElement('p');
        line.textContent = this.#text.trim();
        if (!line.textContent || this.#log.lastChild?.textContent === line.textContent) return;
        while (this.#log.childElementCount > 3) this.#log.firstChild.remove();
        this.#log.append(line);
    }
}

function spanOf(text) {
    return Object.assign(document.createElement('span'), { textContent: text.trim() });
}

/** The captions of a film: fetched while they grow, and shown where the film is. */
export class Track {
    #video;
    #captions;
    #said;
    #cues = [];
    #shown = null;
    #lit = 0;
    #words = [];
    #stop = new AbortController();
    #timer = 0;

    /**
     * @param {HTMLVideoElement} video
     * @param {Captions} captions
     * @param {(word: { text: string, start: number }) => void} said told of each word when it is said
     */
    constructor(video, captions, said) {
        this.#video = video;
        this.#captions = captions;
        this.#said = said;
        const { signal } = this.#stop;
        for (const event of ['playing', 'seeked', 'timeupdate']) video.addEventListener(event, () => this.#look(), { signal });
    }

    /** Fetch captions as they grow; a video may have none. */
    async read(address) {
        const { signal } = this.#stop;
        try {
            const response = await fetch(address, { signal });
            if (!response.ok) return;
            let block = [];
            for await (const line of linesOf(response)) {
                if (line.trim()) block.push(line);
                else this.#take(block), (block = []);
            }
            this.#take(block);
        } catch {
            // stopped, or broken off: the film goes on without
        }
    }

    close() {
        this.#stop.abort();
        clearTimeout(this.#timer);
        this.#captions.clear();
    }

    #take(block) {
        const at = block.findIndex((line) => line.includes('-->'));
        if (at < 0) return;
        const [start, end] = block[at].split('-->').map(secondsOf);
        this.#cues.push({ start, end, words: wordsOf(block.slice(at + 1).join(' '), start) });
        this.#look();
    }

    #look() {
        const video = this.#video;
        clearTimeout(this.#timer);
        if (this.#stop.signal.aborted) return;
        const now = video.currentTime;
        const cue = this.#cues.find((one) => one.start <= now && now < one.end) ?? null;
        if (cue !== this.#shown) {
            this.#shown = cue;
            this.#lit = 0;
            this.#words = cue ? this.#captions.show(cue.words.map((word) => word.text)) : [];
            if (!cue) this.#captions.clear();
        }
        while (cue && this.#lit < cue.words.length && cue.words[this.#lit].start <= now) {
            this.#words[this.#lit].className = 'lit';
            if (!video.paused) this.#said(cue.words[this.#lit]);
            this.#lit++;
        }
        for (const [number, word] of this.#words.entries()) {
            if (number < this.#lit && cue.words[number].start > now) this.#lit = number, (word.className = ''); // gone back
        }
        if (video.paused || video.ended) return;
        // not at each frame: the page would be drawn 60 times a second, however seldom a word comes
        const next = cue?.words[this.#lit]?.start ?? cue?.end ?? this.#cues.find((one) => one.start > now)?.start;
        if (next !== undefined) this.#timer = lookIn(video, next - now, () => this.#look());
    }
}

// "00:01:02.500" in seconds; what follows it is passed over.
function secondsOf(time) {
    return time.trim().split(/\s/)[0].split(':').reduce((sum, part) => 60 * sum + Number(part), 0);
}

// The words of a cue, with blanks, and the time from which each is said.
function wordsOf(text, start) {
    const words = [];
    for (const part of text.split(/(?=<[\d:.]+>)/)) {
        const [, time, rest] = /^(?:<([\d:.]+)>)?(.*)$/s.exec(part);
        if (time) start = secondsOf(time);
        const plain = rest.replace(/<[^>]*>/g, '').replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&');
        for (const word of plain.match(/\S+/g) ?? []) words.push({ text: `${word} `, start });
    }
    return words;
}
