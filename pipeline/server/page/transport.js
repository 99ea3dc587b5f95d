// The video's controls, under the picture: the browser's own would lie on the face.
//
// Comes between idle.js and player.js, in the same function.

const SIGNS = {
    play: 'M7 5v14l12-7z',
    pause: 'M8 5v14M16 5v14',
    loud: 'M4 9v6h4l5 4V5L8 9zM16 9a4 4 0 0 1 0 6M18 6a8 8 0 0 1 0 12',
    silent: 'M4 9v6h4l5 4V5L8 9zM16 9l5 6M21 9l-5 6',
}; // drawn, since few systems have letters for all of them

const transport = new (class Transport {
    #video = element.querySelector('.answer');
    #group = element.querySelector('.transport');
    #toggle = element.querySelector('.toggle');
    #seek = element.querySelector('.seek');
    #time = element.querySelector('.time');
    #mute = element.querySelector('.mute');
    #whole = element.querySelector('.whole');
    #korean = navigator.language.startsWith('ko');

    constructor() {
        const video = this.#video;
        for (const event of ['play', 'pause', 'ended', 'emptied', 'volumechange']) {
            video.addEventListener(event, () => this.#drawButtons());
        }
        for (const event of ['timeupdate', 'durationchange', 'seeked']) {
            video.addEventListener(event, () => this.#drawTime());
        }
        this.#toggle.addEventListener('click', () => {
            if (!video.paused) video.pause();
            else if (video.ended || screen.matches('.idling')) element.querySelector('.replay').click();
            else video.play().catch(() => {}); // a newer call came in between
        });
        this.#seek.addEventListener('input', () => {
            const { buffered, duration } = video;
            const there = buffered.length ? buffered.end(buffered.length - 1) : 0;
            const growing = video.currentSrc.startsWith('blob:'); // what is not there yet cannot be gone to
            video.currentTime = Math.min(this.#seek.value * duration, growing ? there : duration);
        });
        this.#mute.addEventListener('click', () => (video.muted = !video.muted));
        this.#whole.hidden = !document.fullscreenEnabled;
        this.#whole.addEventListener('click', () => {
            if (document.fullscreenElement) document.exitFullscreen();
            else element.querySelector('.player').requestFullscreen().catch(() => {}); // the visitor may forbid it
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
        this.#label(this.#toggle, paused ? ['play', '재생', 'Play'] : ['pause', '일시 정지', 'Pause']);
        this.#label(this.#mute, muted ? ['silent', '소리 켜기', 'Unmute'] : ['loud', '소리 끄기', 'Mute']);
    }

    #label(button, [sign, ko, en]) {
        button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${SIGNS[sign]}"/></svg>`;
        button.ariaLabel = button.title = this.#korean ? ko : en;
    }

    #drawTime() {
        const { currentTime, duration } = this.#video;
        const known = Number.isFinite(duration) && duration > 0; // not while a video of unknown length is made
        this.#seek.disabled = !known;
        this.#seek.value = known ? currentTime / duration : 0;
        this.#time.innerText = clock(currentTime) + (known ? ` / ${clock(duration)}` : '');
        this.#seek.setAttribute('aria-valuetext', this.#time.innerText);
    }
})();

// SECONDS as 1:05.
function clock(seconds) {
    const whole = Math.floor(seconds);
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

