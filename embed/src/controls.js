// The buttons under the picture, and the bar with which one goes to another place of a film: the browser's own would lie
// on the face.

import { madeUntil } from './media.js';

const SIGNS = {
    play: 'M7 5v14l12-7z',
    pause: 'M8 5v14M16 5v14',
    loud: 'M4 9v6h4l5 4V5L8 9zM16 9a4 4 0 0 1 0 6M18 6a8 8 0 0 1 0 12',
    silent: 'M4 9v6h4l5 4V5L8 9zM16 9l5 6M21 9l-5 6',
    whole: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
}; // drawn, since few systems have letters for all of them

/** Give a button a sign and a name. */
export function label(button, sign, name) {
    if (button.dataset.sign !== sign) {
        button.dataset.sign = sign;
        button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${SIGNS[sign]}"/></svg>`;
    }
    button.ariaLabel = button.title = name;
}

/** The bar of a film. */
export class Transport {
    #video;
    #group;
    #toggle;
    #seek;
    #time;
    #mute;
    #words;

    /**
     * @param {HTMLElement} player
     * @param {(key: string) => string} words
     * @param {() => void} again what to do where the film is over and shall begin again
     */
    constructor(player, words, again) {
        const part = (name) => player.querySelector(`.${name}`);
        const video = (this.#video = part('answer'));
        this.#group = part('transport');
        this.#toggle = part('toggle');
        this.#seek = part('seek');
        this.#time = part('time');
        this.#mute = part('mute');
        this.#words = words;
        this.#group.ariaLabel = words('controls');
        this.#seek.ariaLabel = words('position');
        label(part('whole'), 'whole', words('whole'));
        for (const event of ['play', 'pause', 'ended', 'emptied', 'volumechange']) {
            video.addEventListener(event, () => this.#drawButtons());
        }
        for (const event of ['timeupdate', 'durationchange', 'seeked']) {
            video.addEventListener(event, () => this.#drawTime());
        }
        this.#toggle.addEventListener('click', () => {
            if (!video.paused) video.pause();
            else if (video.ended || part('screen').matches('.idling')) again();
            else video.play().catch(() => {}); // a newer call came in between
        });
        this.#seek.addEventListener('input', () => {
            const { duration } = video;
            const growing = video.currentSrc.startsWith('blob:'); // what is not there yet cannot be gone to
            video.currentTime = Math.min(this.#seek.value * duration, growing ? madeUntil(video) : duration);
        });
        this.#mute.addEventListener('click', () => (video.muted = !video.muted));
        part('whole').hidden = !document.fullscreenEnabled;
        part('whole').addEventListener('click', () => {
            if (document.fullscreenElement) document.exitFullscreen();
            else player.requestFullscreen().catch(() => {}); // the visitor may forbid it
        });
        this.#drawButtons();
    }

    show() {
        this.#group.hidden = false;
        this.#drawTime();
    }

    hide() {
        this.#group.hidden = true;
    }

    #drawButtons() {
        const { paused, muted } = this.#video;
        label(this.#toggle, paused ? 'play' : 'pause', this.#words(paused ? 'play' : 'pause'));
        label(this.#mute, muted ? 'silent' : 'loud', this.#words(muted ? 'sound_on' : 'sound_off'));
    }

    #drawTime() {
        const { currentTime, duration } = this.#video;
        const known = Number.isFinite(duration) && duration > 0; // not while a video of unknown length is made
        this.#seek.disabled = !known;
        this.#seek.value = known ? currentTime / duration : 0;
        this.#time.textContent = clock(currentTime) + (known ? ` / ${clock(duration)}` : '');
        this.#seek.setAttribute('aria-valuetext', this.#time.textContent);
    }
}

// SECONDS as 1:05.
function clock(seconds) {
    const whole = Math.floor(seconds);
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** Name a video after its first words and the time: "Hello and welcome 2026-03-01 09.30.mp4". */
export function fileName(text, otherwise, kind) {
    const words = (text ?? '').match(/[\p{L}\p{M}\p{N}]+/gu) ?? [otherwise];
    const two = (number) => String(number).padStart(2, '0');
    const now = new Date();
    const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-');
    const first = [...words.slice(0, 5).join(' ')].slice(0, 40).join('').trim();
    return `${first} ${day} ${two(now.getHours())}.${two(now.getMinutes())}.${kind}`;
}
