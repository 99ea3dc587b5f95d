// The server: its addresses, its errors, its events.

/** Something that the server refused, or that kept it from being reached; the message is for people. */
export class ServerError extends Error {
    /**
     * @param {string} message
     * @param {string} code the server's, or "unreachable"
     * @param {number} [retryAfter] seconds; undefined where trying again is of no use
     */
    constructor(message, code, retryAfter) {
        super(message);
        this.code = code;
        this.retryAfter = retryAfter;
    }
}

export class Server {
    /**
     * @param {string} address its public address, with its path if it has one
     * @param {string | null} token sent as a bearer, where there is one
     * @param {(key: string, ...values: string[]) => string} words
     */
    constructor(address, token, words) {
        this.address = new URL(address, location.href).href.replace(/[/]+$/, '');
        this.token = token;
        this.words = words;
    }

    /** Whether it is the one that the page itself comes from. */
    get own() {
        return new URL(this.address).origin === location.origin;
    }

    /** The mark that it prescribes for all pictures, "off" for none; undefined while it cannot be asked. */
    async label() {
        this.asked ??= fetch(this.at('/assets/label.json')).then((reply) => reply.json()).catch(() => (this.asked = null));
        return (await this.asked)?.label;
    }

    /** The address of one of its endpoints. */
    at(path) {
        return this.address + path;
    }

    /** The address that a reply names, which counts from the root of the server; without it where that is this page's. */
    named(path) {
        const { href, origin } = new URL(path, this.address);
        return origin === location.origin ? href.slice(origin.length) : href;
    }

    /** Send a request; throws a ServerError if it is refused, or if there is no reply. */
    async request(address, { body, signal, ...options } = {}) {
        const headers = {
            ...(this.token && { Authorization: `Bearer ${this.token}` }),
            ...(body && { 'Content-Type': 'application/json' }),
        };
        const content = body && { method: 'POST', body: JSON.stringify(body) };
        const response = await fetch(address, { headers, signal, ...content, ...options }).catch((error) => {
            if (signal?.aborted) throw error;
            throw new ServerError(this.words('unreachable', this.address, location.origin), 'unreachable', 3);
        });
        if (response.ok) return response;
        const told = await response.json().catch(() => ({}));
        const retryAfter = Number(response.headers.get('Retry-After')) || undefined;
        throw new ServerError(told.error ?? (response.statusText || String(response.status)), told.code ?? 'failed', retryAfter);
    }
}

/** Yield the events of a server-sent stream that answers a POST, which an EventSource cannot ask for. */
export async function* eventsOf(response) {
    for await (const line of linesOf(response)) {
        if (line.startsWith('data: ')) yield JSON.parse(line.slice(6));
    }
}

/** Yield the lines of a response as they come. */
export async function* linesOf(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const lines = (rest + part.value).split('\n');
        rest = lines.pop(); // a piece may end in the middle of a line
        yield* lines;
    }
    if (rest) yield rest;
}
