// A live session on the server.

const RESUMABLE = 30_000; // milliseconds for which the server keeps a session without a connection
const PATIENCE = 5000; // milliseconds that the server may take to reply

export const pause = (milliseconds) => new Promise((over) => setTimeout(over, milliseconds));

/**
 * A session, until it ends. A lost connection is taken up again with the same id.
 *
 * `heard` has a function for what happens: `event` (each event of the session), `away` and `back` (the connection), and
 * `ended` (a reason: that of the event `closed`, "expired" or "gone").
 */
export class Session {
    over = false;
    greeting = null; // what is sent with each connection first
    #server;
    #told;
    #heard;
    #socket = null;
    #after = 0; // number of the last event
    #lostAt = 0;
    #stop = new AbortController();

    /** Open a session; throws what the server says if it refuses. */
    static async open(server, path, options, heard) {
        const response = await server.request(server.at(path), { body: options });
        return new Session(server, await response.json(), heard);
    }

    constructor(server, told, heard) {
        this.#server = server;
        this.#told = told;
        this.#heard = heard;
        this.began = performance.now() / 1000 - told.stream;
        this.connected = new Promise((connected) => this.#talk(connected));
    }

    get id() {
        return this.#told.session_id;
    }

    get video() {
        return this.#server.named(this.#told.video_url);
    }

    /** The address of its recording, once it has ended; undefined if it is not recorded. */
    get recording() {
        const { task_id } = this.#told;
        return task_id ? this.#server.named(this.#server.at(`/video/${task_id}.mp4`)) : undefined;
    }

    /** Fetch what came of its interview. */
    async interview() {
        return (await this.#server.request(this.#url('interview'), { cache: 'no-store' })).json();
    }

    send(message) {
        if (this.#socket?.readyState !== WebSocket.OPEN) return false;
        this.#socket.send(message instanceof ArrayBuffer ? message : JSON.stringify(message));
        return true;
    }

    /** End the session, also while the page is being left. */
    close() {
        if (this.over) return;
        this.#leave();
        this.#server.request(this.#url(''), { method: 'DELETE', keepalive: true }).catch(() => {}); // it ends unseen, too
    }

    /** Its stream from now on, piece by piece. */
    async *stream() {
        while (!this.over) {
            try {
                const response = await fetch(this.video, { signal: this.#stop.signal });
                if (!response.ok) throw new Error(response.statusText);
                const reader = response.body.getReader();
                for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
            } catch {
                // lost, or refused
            }
            await this.#again();
        }
    }

    async #talk(connected) {
        while (!this.over) {
            await new Promise((lost) => {
                const url = new URL(this.#server.named(this.#told.socket_url), location);
                url.protocol = url.protocol.replace('http', 'ws');
                if (this.#after) url.searchParams.set('after', this.#after);
                this.#socket = new WebSocket(url);
                this.#socket.onopen = () => {
                    if (this.greeting) this.send(this.greeting);
                    connected();
                };
                this.#socket.onclose = lost;
                this.#socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
            });
            await this.#again();
        }
        connected(); // who waits for it learns that it is over
    }

    #take(event) {
        this.#after = event.id ?? this.#after;
        if (event.type === 'closed') this.#end(event.reason);
        else this.#heard.event(event);
    }

    // Return when the session can be connected to again; or it has ended.
    async #again() {
        while (!this.over) {
            await pause(500);
            if (this.over) return;
            try {
                const signal = AbortSignal.timeout(PATIENCE);
                const response = await fetch(this.#url(''), { cache: 'no-store', signal });
                if (response.ok && this.#lostAt) this.#heard.back();
                if (!response.ok) this.#end('expired');
                this.#lostAt = 0;
                return;
            } catch {
                this.#lostAt ||= performance.now();
                if (this.over) return;
                this.#heard.away();
                if (performance.now() - this.#lostAt > RESUMABLE) this.#end('gone');
            }
        }
    }

    // The address of one of its endpoints; it holds the session's own token where there is one.
    #url(what) {
        const { origin, pathname, search } = new URL(this.#server.named(this.#told.events_url), location);
        return origin + pathname.replace(/[/]events$/, what && `/${what}`) + search;
    }

    #end(reason) {
        if (this.over) return;
        this.#leave();
        this.#heard.ended(reason);
    }

    #leave() {
        this.over = true;
        this.#stop.abort();
        this.#socket?.close();
    }
}
