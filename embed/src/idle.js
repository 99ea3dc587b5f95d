// Shows the avatar before, between and after what it says: its own clip, silent, round and round. A film begins with the
// clip's first picture, into which what was seen fades, and shows one after the other: so after SECONDS of it the clip
// goes on from SECONDS.
//
// Before its clip is there, which takes a slow line long, its first picture stands for it.

import { fitting } from './media.js';

const FADE = 300; // milliseconds in which one picture gives way to another one
const stillness = matchMedia('(prefers-reduced-motion: reduce)');

export class Idle {
    #screen;
    #mixer;
    #clip;
    #cover; // holds what was seen until now while something else begins under it
    #appeared;
    #failed;
    #picture = null; // address of its first picture
    #address = null; // of its clip
    #key = null; // what is being loaded, or was, and the promise of its resolution
    #loading = null;
    #avatar = null; // what is to be shown
    #fading = null; // the animation in which what was seen until now goes
    #seen = true; // whether it is what can be seen, and not an answer

    /**
     * @param {HTMLElement} screen with a video `.idle` and a canvas `.cover`
     * @param {import('./mixer.js').Mixer} mixer draws it, where nothing is behind the person
     * @param {(ratio: number) => void} appeared told when the first picture of another avatar is there, with its shape
     * @param {(address: string) => void} failed told where a picture or clip cannot be fetched
     */
    constructor(screen, mixer, appeared, failed) {
        this.#screen = screen;
        this.#mixer = mixer;
        this.#clip = screen.querySelector('.idle');
        this.#cover = screen.querySelector('.cover');
        this.#appeared = appeared;
        this.#failed = failed;
    }

    /** Load and play when it can be seen, and stand still when it cannot. */
    look() {
        if (!this.#shown) return this.#clip.pause();
        this.load(this.#avatar);
        this.#play();
    }

    get #shown() {
        return this.#screen.getClientRects().length > 0;
    }

    /**
     * Show an avatar: the address of its first picture, and those of its clip by resolution, the largest first (or none
     * as long as they are not wanted), and whether nothing is behind the person, so that the clip has pictures of two
     * parts. Returns the resolution that is shown; null if there is none.
     */
    async load(avatar) {
        this.#avatar = avatar;
        if (!avatar?.picture || !this.#shown) return null;
        const key = JSON.stringify(avatar);
        if (key === this.#key) return this.#loading;
        this.#key = key;
        this.#loading = this.#fetch(avatar, key);
        const size = await this.#loading;
        if (size === null && key === this.#key) this.#key = null; // asked for again when something changes
        return size;
    }

    async #fetch({ picture, clips = {}, parted = false }, key) {
        if (picture !== this.#picture && !(await this.#begin(picture, parted))) return null;
        const sizes = Object.keys(clips);
        const first = sizes.indexOf(sizes.length ? fitting(sizes) : '');
        for (const size of sizes.slice(first).concat(sizes.slice(0, first).reverse())) {
            if (clips[size] === this.#address) return size;
            const response = await fetch(clips[size]).catch(() => null);
            const clip = response?.ok ? await response.blob().catch(() => null) : null; // in memory: it may go anywhere in it
            if (key !== this.#key) return size; // another one was chosen meanwhile
            if (!response) return this.#failed(clips[size]), null;
            if (!clip) continue; // there may be others
            this.#address = clips[size];
            this.#take(clip, parted);
            return size;
        }
        return sizes.length ? null : '';
    }

    #take(clip, parted) {
        if (this.#seen) this.#hold(this.#clip);
        this.#free();
        this.#mixer.take(this.#clip, parted);
        this.#clip.src = URL.createObjectURL(clip);
        this.#screen.classList.add('alive');
        this.#clip.addEventListener('loadeddata', () => this.#yield(), { once: true });
        this.#play();
    }

    // Show the first picture of another avatar; returns whether it is there.
    async #begin(picture, parted) {
        this.#picture = picture;
        this.#address = null;
        if (this.#seen) this.#hold(this.#clip);
        const image = new Image();
        image.crossOrigin = this.#clip.crossOrigin;
        image.src = picture;
        const there = await image.decode().then(() => true, () => false);
        if (picture !== this.#picture) return false;
        this.#free();
        this.#clip.removeAttribute('src');
        this.#clip.load();
        if (there) this.#clip.poster = picture;
        else this.#clip.removeAttribute('poster');
        this.#screen.classList.toggle('alive', there);
        this.#mixer.take(this.#clip, parted);
        this.#mixer.stand(there ? image : null);
        this.#yield();
        if (there) this.#appeared(image.naturalWidth / image.naturalHeight);
        else this.#failed(picture);
        if (!there) this.#picture = null;
        return there;
    }

    #free() {
        if (this.#clip.src) URL.revokeObjectURL(this.#clip.src);
    }

    /** Stand still for an answer, whose first pictures need the browser's whole strength; they come out of this one. */
    standStill() {
        this.#clip.pause();
        if (this.#seen) this.#hold(this.#clip);
    }

    /** An answer can be seen from now on. */
    leave() {
        this.#seen = false;
        this.#screen.classList.remove('idling');
        this.#mixer.draw();
        this.#clip.pause();
        this.#yield();
    }

    /** Be ready to go on after SECONDS of the answer that can be seen. */
    standBy(seconds) {
        if (!this.#seen) this.#goTo(seconds);
    }

    /** Go on where the answer ended. */
    async comeBack() {
        if (this.#seen) return this.#play();
        this.#seen = true;
        await this.#arrived();
        if (this.#seen) this.#show();
    }

    #show() {
        this.#seen = true;
        this.#screen.classList.add('idling');
        this.#mixer.draw();
        this.#play();
    }

    /** Go on although the ANSWER, a video, has not ended, with what it shows now. */
    async takeOver(answer) {
        if (!this.#seen) {
            if (this.#hold(answer)) this.#goTo(answer.currentTime);
            else this.#show(); // at any place: nothing stands for it while one is sought
        }
        await this.comeBack();
        this.#yield();
    }

    #play() {
        if (this.#seen && !stillness.matches && this.#shown) this.#clip.play().catch(() => {}); // a newer call came in between
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
        if (!this.#mixer.copy(shown, this.#cover)) return false;
        this.#fading?.cancel(); // what it stands for now may not be there when that ends
        this.#fading = null;
        this.#cover.hidden = false;
        return true;
    }

    async #yield() {
        if (this.#cover.hidden || this.#fading) return;
        if (this.#mixer.on) this.#cover.nextElementSibling.animate({ opacity: [0, 1] }, FADE);
        const fading = (this.#fading = this.#cover.animate({ opacity: [1, 0] }, FADE));
        await fading.finished.catch(() => {}); // another picture is held
        if (this.#fading !== fading) return;
        this.#fading = null;
        this.#cover.hidden = true;
    }
}
