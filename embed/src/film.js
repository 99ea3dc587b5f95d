// Shows a video while it is being made, and keeps the finished one.
//
// The growing mp4 is fetched and handed to a MediaSource, since only there the browser plays each fragment as soon as it
// comes.

import { Source, happening, madeUntil, open } from './media.js';

const FRAGMENT = 0.5; // seconds that a fragment lasts; of the first, shorter ones none is longer than all before it
const DECODING = 0.1; // seconds from the command to play to the first picture
const FIRST_HOLD = 1; // seconds to have in hand when the video ran dry; twice as many each time it does so again
const MOST_HOLD = 4; // seconds in hand that are enough for a start, however slowly the video is made
const FAR_AHEAD = 60; // seconds in hand with which nothing more is fetched for now
const KEPT_BEHIND = 10; // seconds that stay where the browser's memory for the video is full

/** One video of the server, from its first fragment to its replay; at most one is shown at a time. */
export class Film {
    file = null; // address of the finished video
    seconds = 0; // how long it is, once it is finished
    #video;
    #idle;
    #heard;
    #growing = null; // what feeds the video while it is being made

    /**
     * @param {HTMLVideoElement} video
     * @param {import('./idle.js').Idle} idle
     * @param {{ blocked(): void, broken(): void }} heard told when the browser wants a press first; when nothing comes
     */
    constructor(video, idle, heard) {
        this.#video = video;
        this.#idle = idle;
        this.#heard = heard;
        this.on = false; // whether a film is shown or awaited
        video.addEventListener('pause', () => this.on && (this.#growing?.held || video.ended || this.#takeFile()));
        video.addEventListener('ended', () => {
            if (!this.on) return;
            this.#takeFile();
            this.#idle.comeBack();
        });
        video.addEventListener('error', () => this.on && !this.#growing && video.error && this.#heard.broken());
    }

    /** Show a video that grows at an address. */
    begin(address) {
        this.letGo();
        this.on = true;
        if (Source) {
            const growing = (this.#growing = new Growing(this.#video, this.#idle, address, () => this.play()));
            growing.run().catch(() => growing.close()); // stopped, or broken off: the finished file will do
        } else {
            this.#video.src = address;
            this.#idle.standStill();
            this.play();
        }
    }

    /** Say how long it is going to be (s). */
    lasts(seconds) {
        if (this.#growing) this.#growing.seconds = seconds;
    }

    /** Say where the finished video is, and how long (s). */
    finish(address, seconds) {
        this.file = address;
        this.seconds = seconds;
        this.#idle.standBy(seconds);
        const video = this.#video;
        if (video.error || !video.currentSrc || this.#growing?.closed) {
            video.src = address;
            this.play();
        } else if (video.paused && !this.#growing?.held) {
            this.#takeFile();
        }
    }

    /** Show a finished video, without playing it yet. */
    putBack(address, seconds) {
        this.letGo();
        this.on = true;
        this.file = address;
        this.seconds = seconds;
        this.#video.preload = 'metadata';
        this.#video.src = address;
    }

    /** A picture of it can be seen. */
    seen() {
        this.#idle.leave();
        this.#idle.standBy(this.seconds);
    }

    /** Stop playing the finished video; the avatar goes on with what was shown. */
    halt() {
        this.#video.pause();
        this.#idle.takeOver(this.#video);
    }

    replay() {
        this.#idle.standStill();
        this.#video.currentTime = 0;
        this.play();
    }

    play() {
        this.#video.play().catch((error) => {
            if (error.name === 'NotAllowedError') this.#heard.blocked(); // others: a newer call came in between
        });
    }

    letGo() {
        if (this.on) this.#idle.takeOver(this.#video);
        this.#growing?.close();
        this.#growing = this.file = null;
        this.on = false;
        this.seconds = 0;
        this.#video.removeAttribute('src');
        this.#video.removeAttribute('poster');
        this.#video.load(); // only this frees what is buffered
    }

    // Go on with the finished file, at the same place. Done where the video stands still, so that the switch is not noticed.
    #takeFile() {
        const video = this.#video;
        if (!this.file || video.getAttribute('src') === this.file) return;
        const at = video.currentTime;
        video.poster = picture(video);
        this.#growing?.close();
        this.#growing = null;
        video.src = this.file;
        video.currentTime = at;
    }
}

// What a video shows now.
function picture(video) {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext('2d').drawImage(video, 0, 0);
    return canvas.toDataURL('image/jpeg');
}

// Feeds a video from an address at which it grows.
class Growing {
    seconds = null; // of the whole video, once they are known
    held = true; // whether playing waits until there is more in hand
    closed = false;
    #video;
    #idle;
    #address;
    #play;
    #whole = false; // whether everything has been fetched
    #stop = new AbortController();
    #hold = 0;
    #since = 0; // when the speed began to be measured (ms), and up to where the video was there then (s)
    #from = 0;

    constructor(video, idle, address, play) {
        this.#video = video;
        this.#idle = idle;
        this.#address = address;
        this.#play = play;
    }

    close() {
        this.closed = true;
        this.#stop.abort();
    }

    async run() {
        const { signal } = this.#stop;
        const video = this.#video;
        const fetching = fetch(this.#address, { signal });
        fetching.catch(() => {}); // it is awaited later, if at all
        const { source, buffer } = await open(video, signal);
        const response = await fetching;
        if (!response.ok) throw new Error(response.statusText);
        this.#idle.standStill(); // the first pictures are there in a moment
        video.addEventListener('waiting', () => this.#ranDry(), { signal });
        video.addEventListener('canplay', () => this.#goOn(), { signal });
        const reader = response.body.getReader();
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
            this.#since ||= performance.now();
            await append(video, buffer, part.value, signal);
            if (this.seconds > source.duration || source.duration === Infinity) source.duration = this.seconds ?? Infinity;
            this.#goOn();
            while (this.#inHand() > FAR_AHEAD) await happening(video, 'timeupdate', signal);
        }
        this.#whole = true;
        source.endOfStream();
        this.#goOn();
    }

    // Seconds that can be played on from here.
    #inHand() {
        return Math.max(0, madeUntil(this.#video) - this.#video.currentTime);
    }

    // Play, where what is in hand lasts until the next fragment is there, and to the end, as far as can be foreseen.
    #goOn() {
        if (!this.held) return;
        const ready = this.#video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA; // before that it would only wait
        if (!this.#whole && !(ready && this.#inHand() + DECODING > Math.max(this.#hold, this.#needed()))) return;
        this.held = false;
        this.#play();
    }

    // Seconds to have in hand.
    #needed() {
        const made = madeUntil(this.#video);
        const taken = (performance.now() - this.#since) / 1000;
        if (made < FRAGMENT) return taken; // the next takes no longer than all before it
        const speed = (made - this.#from) / taken; // seconds made in a second
        const rest = this.seconds ? this.seconds - this.#video.currentTime : 0;
        const missing = rest * (1 - speed); // by the end, if it goes on like this
        return Math.max(FRAGMENT / speed, Math.min(missing, MOST_HOLD));
    }

    #ranDry() {
        const video = this.#video;
        if (this.held || this.#whole || video.seeking || this.#inHand() > FRAGMENT) return; // the browser itself was late
        this.held = true;
        this.#hold = Math.max(FIRST_HOLD, 2 * this.#hold);
        [this.#since, this.#from] = [performance.now(), madeUntil(video)];
        video.pause();
    }
}

async function append(video, buffer, bytes, signal) {
    try {
        buffer.appendBuffer(bytes);
    } catch (error) {
        if (error.name !== 'QuotaExceededError' || video.currentTime < 2 * KEPT_BEHIND) throw error;
        buffer.remove(0, video.currentTime - KEPT_BEHIND);
        await happening(buffer, 'updateend', signal);
        return append(video, buffer, bytes, signal);
    }
    await happening(buffer, 'updateend', signal);
}
