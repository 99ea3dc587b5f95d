// mode="speak": every text becomes a video, which is watched while it is made and can be watched again.

import { Track } from './captions.js';
import { Film } from './film.js';
import { ServerError, eventsOf } from './server.js';

const TOLD = 3000; // milliseconds for which a stage is shown, until it is told of again

export class Speaking {
    text = ''; // what the film says, as far as it is known
    #stage;
    #film;
    #track = null;
    #turn = null; // what is being said, or will be
    #task = null; // id of the task that is shown, or was until it was stopped
    #stop = new AbortController(); // of the request that this player sent itself

    /** @param {import('./element.js').Stage} stage */
    constructor(stage) {
        this.#stage = stage;
        const { video } = stage;
        this.#film = new Film(video, stage.idle, {
            blocked: () => stage.blocked(true),
            broken: () => this.#fail(new ServerError(stage.words('broken_off'), 'broken_off')),
        });
        video.addEventListener('play', () => this.#film.on && stage.blocked(false));
        video.addEventListener('playing', () => {
            if (!this.#film.on) return;
            // the avatar stays until the first picture of the answer is really there
            if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(() => this.#seen());
            else this.#seen();
        });
        video.addEventListener('ended', () => this.#film.on && this.#ended());
    }

    /** Address of the finished video; null until it is. */
    get file() {
        return this.#film.file;
    }

    /** Whether it can be watched again. */
    get again() {
        return Boolean(this.#film.file) && !this.#turn;
    }

    /** Whether its words are known. */
    get captioned() {
        return this.#track !== null;
    }

    /** Have a text made into a video and show that; returns whether all of it was said. */
    async say(text, tag = null) {
        this.close();
        const turn = this.#expect(text, tag);
        const { signal } = (this.#stop = new AbortController());
        try {
            const response = await this.#ask(text, signal);
            let last = null;
            for await (last of eventsOf(response)) {
                if (last.stage === 'background') this.#stage.tell(last.message, TOLD);
                if (last.type === 'error') throw new ServerError(last.message, last.code);
                this.#take(last);
            }
            if (last?.type !== 'done') throw new ServerError(this.#stage.words('broken_off'), 'broken_off');
        } catch (error) {
            if (!signal.aborted) this.#fail(error);
        }
        return turn.over;
    }

    // Request a video, without what this avatar cannot do.
    async #ask(text, signal) {
        const body = { ...(await this.#stage.fields()), text };
        signal.throwIfAborted();
        const { server } = this.#stage;
        try {
            return await server.request(server.at('/api/v2/lipsync/stream'), { body, signal });
        } catch (error) {
            if (signal.aborted || !this.#stage.without(error)) throw error;
            return this.#ask(text, signal);
        }
    }

    /** Show the video of a task: an event as the server sends it; call it with each that comes. */
    play(event) {
        if (event.video_url && event.task_id !== this.#task) {
            this.close();
            this.#expect(event.text ?? '', null);
        }
        this.#take(event);
    }

    /** Show a finished video, without playing it yet. */
    putBack(event) {
        if (event.task_id === this.#task) return;
        this.close();
        this.#task = event.task_id;
        this.#offer(event);
        this.#stage.mixes(event.background === 'transparent');
        this.#film.putBack(this.#stage.server.named(event.video_url), event.audio_duration);
        this.#takeCaptions(event);
        this.#stage.offer();
    }

    replay() {
        if (!this.#film.file) return;
        this.#expect(this.text, null);
        this.#film.replay();
    }

    /** Play, after the browser wanted a press first. */
    resume() {
        this.#film.play();
    }

    /** Stop at once, and let go what is being made; what is finished can still be watched again. */
    interrupt() {
        this.#stop.abort();
        if (this.#film.file) this.#film.halt();
        else this.#clear();
        const turn = this.#turn;
        this.#turn = null;
        if (!turn) return;
        this.#stage.state('ready');
        this.#stage.emit('interrupted', { said: turn.said, tag: turn.tag });
        turn.end(false);
    }

    close() {
        this.interrupt();
        this.#clear();
    }

    #clear() {
        this.#track?.close();
        this.#track = null;
        this.#film.letGo();
        this.#stage.clear();
    }

    #expect(text, tag) {
        const turn = { text, tag, said: '', begun: false, at: performance.now() };
        turn.over = new Promise((end) => (turn.end = end));
        this.#turn = turn;
        this.text = text;
        this.#stage.state('waiting');
        return turn;
    }

    #take(event) {
        if (event.video_url && event.task_id !== this.#task) {
            this.#task = event.task_id;
            this.#stage.mixes(event.background === 'transparent');
            this.#film.begin(this.#stage.server.named(event.video_url));
            this.#takeCaptions(event);
            this.#stage.begins();
        }
        if (!this.#film.on) return; // what comes late of one that was let go is passed over
        if (event.duration) this.#film.lasts(event.duration);
        if (event.type !== 'done' || event.task_id !== this.#task) return;
        this.#offer(event);
        this.#film.finish(this.#stage.server.named(event.video_url), event.audio_duration);
        this.#stage.offer();
    }

    #offer(event) {
        this.text = event.text || this.text;
    }

    #takeCaptions(event) {
        this.#track?.close();
        this.#track = null;
        if (!event.captions_url) return;
        this.#track = new Track(this.#stage.video, this.#stage.captions, (word) => {
            if (this.#turn) this.#turn.said += word.text;
            this.#stage.emit('word', word);
        });
        this.#track.read(this.#stage.server.named(event.captions_url));
    }

    #seen() {
        const { video } = this.#stage;
        if (!this.#film.on || !video.currentSrc || video.ended) return;
        this.#film.seen();
        this.#stage.filled();
        const turn = (this.#turn ??= this.#expect(this.text, null)); // it was played again with another button
        if (turn.begun) return;
        turn.begun = true;
        this.#stage.state('speaking');
        const seconds = (performance.now() - turn.at) / 1000;
        this.#stage.emit('turn-started', { text: turn.text, tag: turn.tag, seconds });
    }

    #ended() {
        const turn = this.#turn;
        this.#turn = null;
        this.#stage.state('ready');
        if (!turn) return;
        this.#stage.emit('turn-ended', { said: this.text || turn.said, tag: turn.tag });
        turn.end(true);
    }

    #fail(error) {
        this.#stop.abort();
        const turn = this.#turn;
        this.#turn = null;
        if (!this.#film.file) this.#film.letGo();
        this.#stage.state('ready');
        this.#stage.fail(error);
        if (turn) this.#stage.unsaid(turn.text);
        turn?.end(false);
    }
}
