// What film and stream share: the browser's way to play an mp4 that grows.

const MIME = 'video/mp4; codecs="avc1.42C01F, mp4a.40.2"';

/** The class that plays what is appended to it; undefined where the browser has none and plays plain mp4 only. */
export const Source = [window.MediaSource, window.ManagedMediaSource].find((known) => known?.isTypeSupported(MIME));

/** Let a video play a new Source; returns its buffer once it is open. */
export async function open(video, signal) {
    const source = new Source();
    const address = URL.createObjectURL(source);
    video.disableRemotePlayback = true; // a ManagedMediaSource does not open otherwise
    video.src = address;
    await happening(source, 'sourceopen', signal);
    URL.revokeObjectURL(address);
    return { source, buffer: source.addSourceBuffer(MIME) };
}

/** Up to where a video can be played (s). */
export function madeUntil({ buffered }) {
    return buffered.length ? buffered.end(buffered.length - 1) : 0;
}

const [SOONEST, LATEST] = [15, 100]; // milliseconds: a frame, and what a change of its pace or place may make it late

/** Look again when a video that plays is some seconds further, or sooner; returns the number of the timer. */
export function lookIn(video, seconds, look) {
    return setTimeout(look, Math.min(Math.max(1000 * seconds / (video.playbackRate || 1), SOONEST), LATEST));
}

/** Return when an event happens; throws when the signal says that nobody waits any longer. */
export function happening(target, event, signal) {
    return new Promise((resolve, reject) => {
        target.addEventListener(event, resolve, { once: true, signal });
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
}

// Mbit/s of the visitor's line: as quickly as the largest parts of the page came, if they did not come out of the
// browser's memory, or else what the browser thinks of it, which where it knows nothing is 1.4.
function lineSpeed() {
    const { downlink = Infinity, effectiveType = '4g', saveData = false } = navigator.connection ?? {};
    if (saveData) return 0;
    if (effectiveType !== '4g') return downlink;
    const parts = performance.getEntriesByType('resource').filter((part) => part.transferSize > 30_000);
    const speeds = parts.map((part) => (8 * part.transferSize) / (part.responseEnd - part.responseStart) / 1000);
    return speeds.length ? Math.max(...speeds) : downlink; // the quickest of them: it may share the line with others
}

const ENOUGH = { '1080p': 8, '720p': 4, '480p': 2 }; // Mbit/s: a slower line gets a smaller picture

/** Of some resolutions, the largest first, the largest that the visitor's line carries in good time. */
export function fitting(sizes) {
    const speed = lineSpeed();
    return sizes.find((size) => speed >= (ENOUGH[size] ?? 0)) ?? sizes.at(-1);
}
