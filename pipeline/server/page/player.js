// Shows a video while it is being made, and keeps the finished one.
//
// The body of a function that Gradio calls once, with the component's `element` and its `props`; `watch` calls back
// whenever `props.value`, the latest stage of the page's task, has changed. The growing mp4 is fetched and handed to a
// MediaSource, since only there the browser plays each fragment as soon as it comes.

const MIME = 'video/mp4; codecs="avc1.42C01F, mp4a.40.2"';
const Source = [window.MediaSource, window.ManagedMediaSource].find((known) => known?.isTypeSupported(MIME));
const FRAGMENT = 0.5; // seconds that a fragment lasts; of the first, shorter ones none is longer than all before it
const DECODING = 0.1; // seconds from the command to play to the first picture
const FIRST_HOLD = 1; // seconds to have in hand when the video ran dry; twice as many each time it does so again
const MOST_HOLD = 4; // seconds in hand that are enough for a start, however slowly the video is made
const FAR_AHEAD = 60; // seconds in hand with which nothing more is fetched for now
const KEPT_BEHIND = 10; // seconds that stay where the browser's memory for the video is full

const player = element.querySelector('.player');
const video = element.querySelector('.answer');
const cue = element.querySelector('.cue');
const play = element.querySelector('.play');
const replay = element.querySelector('.replay');
const captions = element.querySelector('.captions');
const download = element.querySelector('.download');
const korean = navigator.language.startsWith('ko');

if (!korean) {
    for (const part of element.querySelectorAll('[data-en]')) part.innerText = part.dataset.en;
    for (const part of element.querySelectorAll('[data-en-label]')) part.ariaLabel = part.dataset.enLabel;
}

let task = null; // id of the task that is shown, or was until it was stopped
let live = null; // what feeds the video while it is being made
let file = null; // address of the finished video
let ends = 0; // how long it is (s), once it is finished
let captioned = true; // whether the visitor wants captions

function show(stage) {
    if (stage.kept) return putBack(stage);
    if (stage.state === 'failed') document.querySelector('#status')?.scrollIntoView({ block: 'nearest' });
    if (stage.video_url && stage.task_id !== task) start(stage); // what comes late of one that was let go is passed over
    if (stage.duration && live) live.seconds = stage.duration;
    if (stage.state === 'done') finish(stage);
    const broken = stage.state === 'stopping' || (stage.state === 'failed' && stage.task_id === task);
    if (stage.state === 'queued' || (broken && !file)) letGo();
}

function start(stage) {
    letGo();
    task = stage.task_id;
    screen.scrollIntoView({ block: 'nearest', behavior: 'smooth' }); // on a phone it is below the form
    takeCaptions(stage);
    if (Source) {
        live = new Live(stage.video_url);
        live.run().catch(() => live?.close()); // stopped, or broken off: the finished file will do
    } else {
        video.src = stage.video_url;
        idle.standStill();
        begin();
    }
}

// Show again, without playing it, what was finished before the page was loaded anew, if it is still kept.
async function putBack(stage) {
    if (stage.task_id === task) return;
    task = stage.task_id;
    const answer = await fetch(stage.video_url, { method: 'HEAD' }).catch(() => null);
    if (task !== stage.task_id || !answer?.ok) return; // another one has begun, or it was kept long enough
    takeCaptions(stage);
    offer(stage);
    video.preload = 'metadata';
    video.src = file;
    transport.show();
    replay.hidden = false;
}

function offer(stage) {
    file = stage.video_url;
    download.href = `${file}?download=1`; // in one piece
    download.download = fileName(stage.text);
    download.hidden = false;
    ends = stage.audio_duration;
}

// A video is named after its first words and the time: "Hello and welcome 2026-03-01 09.30.mp4".
function fileName(text) {
    const words = (text ?? '').match(/[\p{L}\p{M}\p{N}]+/gu) ?? [korean ? '녹음' : 'recording'];
    const two = (number) => String(number).padStart(2, '0');
    const now = new Date();
    const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-');
    const first = [...words.slice(0, 5).join(' ')].slice(0, 40).join('').trim();
    return `${first} ${day} ${two(now.getHours())}.${two(now.getMinutes())}.mp4`;
}

function finish(stage) {
    offer(stage);
    idle.standBy(ends);
    if (video.error || !video.currentSrc || (live && live.closed)) {
        video.src = file;
        begin();
    } else if (video.paused && !live?.held) {
        takeFile();
    }
}

// Go on with the finished file, at the same place. Done where the video stands still, so that the switch is not noticed.
function takeFile() {
    if (!file || video.getAttribute('src') === file) return;
    const at = video.currentTime;
    video.poster = picture();
    live?.close();
    live = null;
    video.src = file;
    video.currentTime = at;
}

// What the video shows now.
function picture() {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext('2d').drawImage(video, 0, 0);
    return canvas.toDataURL('image/jpeg');
}

function letGo() {
    idle.takeOver(video);
    live?.close();
    live = file = null;
    ends = 0;
    video.querySelector('track')?.remove();
    video.removeAttribute('src');
    video.removeAttribute('poster');
    video.load(); // only this frees what is buffered
    screen.classList.remove('filled');
    cue.innerText = '';
    transport.hide();
    captions.hidden = download.hidden = replay.hidden = play.hidden = true;
}

function begin() {
    video.play().catch((error) => {
        play.hidden = error.name !== 'NotAllowedError'; // others: a newer call came in between
    });
}

// Captions have a line of their own: over the picture they would lie on the mouth.
function takeCaptions(stage) {
    video.querySelector('track')?.remove();
    if (!stage.captions_url) return;
    const part = document.createElement('track');
    Object.assign(part, { kind: 'captions', label: captions.innerText, src: stage.captions_url });
    video.append(part);
    part.track.mode = 'hidden'; // is read, and never drawn by the browser
    part.track.addEventListener('cuechange', showCaptions);
    captions.hidden = false;
    showCaptions();
}

function showCaptions() {
    captions.setAttribute('aria-pressed', captioned);
    const cues = [...(video.textTracks[0]?.activeCues ?? [])];
    cue.innerText = captioned ? cues.map((one) => one.getCueAsHTML().textContent).join('\n') : '';
}

// Feeds the video from an address at which it grows.
class Live {
    seconds = null; // of the whole video, once they are known
    held = true; // whether playing waits until there is more in hand
    closed = false;
    #whole = false; // whether everything has been fetched
    #stop = new AbortController();
    #hold = 0;
    #since = 0; // when the speed began to be measured (ms), and up to where the video was there then (s)
    #from = 0;

    constructor(url) {
        this.url = url;
    }

    close() {
        this.closed = true;
        this.#stop.abort();
    }

    async run() {
        const { signal } = this.#stop;
        const source = new Source();
        const fetching = fetch(this.url, { signal });
        const address = URL.createObjectURL(source);
        video.disableRemotePlayback = true; // a ManagedMediaSource does not open otherwise
        video.src = address;
        await happening(source, 'sourceopen', signal);
        URL.revokeObjectURL(address);
        const buffer = source.addSourceBuffer(MIME);
        const response = await fetching;
        if (!response.ok) throw new Error(response.statusText);
        idle.standStill(); // the first pictures are there in a moment
        video.addEventListener('waiting', () => this.#ranDry(), { signal });
        video.addEventListener('canplay', () => this.#goOn(), { signal });
        const reader = response.body.getReader();
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
            this.#since ||= performance.now();
            await append(buffer, part.value, signal);
            if (this.seconds > source.duration || source.duration === Infinity) source.duration = this.seconds ?? Infinity;
            this.#goOn();
            while (inHand() > FAR_AHEAD) await happening(video, 'timeupdate', signal);
        }
        this.#whole = true;
        source.endOfStream();
        this.#goOn();
    }

    // Play, where what is in hand lasts until the next fragment is there, and to the end, as far as can be foreseen.
    #goOn() {
        if (!this.held) return;
        const ready = video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA; // before that it would only wait
        if (!this.#whole && !(ready && inHand() + DECODING > Math.max(this.#hold, this.#needed()))) return;
        this.held = false;
        begin();
    }

    // Seconds to have in hand.
    #needed() {
        const taken = (performance.now() - this.#since) / 1000;
        if (madeUntil() < FRAGMENT) return taken; // the next takes no longer than all before it
        const speed = (madeUntil() - this.#from) / taken; // seconds made in a second
        const rest = this.seconds ? this.seconds - video.currentTime : 0;
        const missing = rest * (1 - speed); // by the end, if it goes on like this
        return Math.max(FRAGMENT / speed, Math.min(missing, MOST_HOLD));
    }

    #ranDry() {
        if (this.held || this.#whole || video.seeking || inHand() > FRAGMENT) return; // the browser itself was late
        this.held = true;
        this.#hold = Math.max(FIRST_HOLD, 2 * this.#hold);
        [this.#since, this.#from] = [performance.now(), madeUntil()];
        video.pause();
    }
}

// Up to where the video can be played (s).
function madeUntil() {
    const { buffered } = video;
    return buffered.length ? buffered.end(buffered.length - 1) : 0;
}

// Seconds that can be played on from here.
function inHand() {
    return Math.max(0, madeUntil() - video.currentTime);
}

async function append(buffer, bytes, signal) {
    try {
        buffer.appendBuffer(bytes);
    } catch (error) {
        if (error.name !== 'QuotaExceededError' || video.currentTime < 2 * KEPT_BEHIND) throw error;
        buffer.remove(0, video.currentTime - KEPT_BEHIND);
        await happening(buffer, 'updateend', signal);
        return append(buffer, bytes, signal);
    }
    await happening(buffer, 'updateend', signal);
}

function happening(target, event, signal) {
    return new Promise((resolve, reject) => {
        target.addEventListener(event, resolve, { once: true, signal });
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
}

video.addEventListener('pause', () => live?.held || video.ended || takeFile());
video.addEventListener('ended', () => {
    takeFile();
    idle.comeBack();
    replay.hidden = false;
});
video.addEventListener('play', () => (play.hidden = replay.hidden = true));
video.addEventListener('playing', () => {
    const seen = () => {
        if (!video.currentSrc || video.ended) return;
        screen.classList.add('filled');
        transport.show();
        idle.leave();
        idle.standBy(ends);
    };
    // the avatar stays until the first picture of the answer is really there
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(seen);
    else seen();
});
play.addEventListener('click', begin);
replay.addEventListener('click', () => {
    idle.standStill();
    video.currentTime = 0;
    begin();
});
captions.addEventListener('click', () => {
    captioned = !captioned;
    showCaptions();
});

watch('value', () => {
    idle.load(props.value.idle);
    show(props.value);
});
