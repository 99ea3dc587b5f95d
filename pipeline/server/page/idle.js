// Shows the avatar before, between and after answers: its own clip, silent, round and round. An answer begins with the
// clip's first picture, into which what was seen fades, and shows one after the other: so after SECONDS of it the clip
// goes on from SECONDS.
//
// Before its clip is there, which takes a slow line long, its first picture stands for it.
//
// Comes before transport.js and player.js, in the same function.

const screen = element.querySelector('.screen');
const stillness = matchMedia('(prefers-reduced-motion: reduce)');
const FADE = 300; // milliseconds in which one picture gives way to another one

class Idle {
    #clip = element.querySelector('.idle');
    #cover = element.querySelector('.cover'); // holds what was seen until now while something else begins under it
    #picture = null; // address of its first picture
    #address = null; // of its clip
    #avatar = null; // what is to be shown
    #seen = true; // whether it is what can be seen, and not an answer

    // What cannot be seen, since another tab is shown, loads and plays nothing.
    constructor() {
        new ResizeObserver(() => {
            if (!screen.offsetParent) return this.#clip.pause();
            this.load(this.#avatar);
            this.#play();
        }).observe(screen);
    }

    // Show AVATAR: the address of its first picture, and those of its clip by resolution, the largest first (or none
    // as long as they are not known).
    async load(avatar) {
        this.#avatar = avatar;
        if (!avatar?.picture || !screen.offsetParent) return;
        if (avatar.picture !== this.#picture) this.#begin(avatar.picture);
        const address = avatar.clips && avatar.clips[window.page.fitting(Object.keys(avatar.clips))];
        if (!address || address === this.#address) return;
        this.#address = address;
        const response = await fetch(address).catch(() => null);
        const clip = response?.ok ? await response.blob() : null; // in memory: the browser may go anywhere in it at once
        if (address !== this.#address) return; // another one was chosen meanwhile
        if (!clip) return (this.#address = null); // asked for again when something changes
        if (this.#seen) this.#hold(this.#clip);
        this.#free();
        this.#clip.src = URL.createObjectURL(clip);
        screen.classList.add('alive');
        this.#clip.addEventListener('loadeddata', () => this.#yield(), { once: true });
        this.#play();
    }

    // Show the first picture of another avatar.
    async #begin(picture) {
        this.#picture = picture;
        this.#address = null;
        if (this.#seen) this.#hold(this.#clip);
        const image = new Image();
        image.src = picture;
        const there = await image.decode().then(() => true, () => false);
        if (picture !== this.#picture) return;
        if (!this.#address || !this.#clip.src) {
            this.#free();
            this.#clip.removeAttribute('src');
            this.#clip.load();
        }
        if (there) this.#clip.poster = picture;
        else this.#clip.removeAttribute('poster');
        screen.classList.toggle('alive', there || Boolean(this.#clip.src));
        this.#yield();
    }

    #free() {
        if (this.#clip.src) URL.revokeObjectURL(this.#clip.src);
    }

    // Stand still for an answer, whose first pictures need the browser's whole strength; they come out of this one.
    standStill() {
        this.#clip.pause();
        if (this.#seen) this.#hold(this.#clip);
    }

    // An answer can be seen from now on.
    leave() {
        this.#seen = false;
        screen.classList.remove('idling');
        this.#clip.pause();
        this.#yield();
    }

    // Be ready to go on after SECONDS of the answer that can be seen.
    standBy(seconds) {
        if (!this.#seen) this.#goTo(seconds);
    }

    // Go on where the answer ended.
    async comeBack() {
        if (this.#seen) return this.#play();
        this.#seen = true;
        await this.#arrived();
        if (!this.#seen) return;
        screen.classList.add('idling');
        this.#play();
    }

    // Go on although the ANSWER, a video, has not ended, with what it shows now.
    async takeOver(answer) {
        if (!this.#seen) {
            this.#hold(answer);
            this.#goTo(answer.currentTime);
        }
        await this.comeBack();
        this.#yield();
    }

    #play() {
        if (this.#seen && !stillness.matches) this.#clip.play().catch(() => {}); // a newer call came in between
    }

    async #goTo(seconds) {
        if (this.#clip.duration) this.#clip.currentTime = seconds % this.#clip.duration;
        await this.#arrived();
    }

    async #arrived() {
        const clip = this.#clip;
        if (clip.seeking) await new Promise((resolve) => clip.addEventListener('seeked', resolve, { once: true }));
    }

    #hold(shown) {
        const { videoWidth, videoHeight } = shown;
        if (!videoWidth) return;
        [this.#cover.width, this.#cover.height] = [videoWidth, videoHeight];
        this.#cover.getContext('2d').drawImage(shown, 0, 0);
        this.#cover.hidden = false;
    }

    async #yield() {
        if (this.#cover.hidden || this.#cover.getAnimations().length) return;
        await this.#cover.animate({ opacity: [1, 0] }, FADE).finished;
        this.#cover.hidden = true;
    }
}

const idle = new Idle();

