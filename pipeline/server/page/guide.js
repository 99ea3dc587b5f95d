// The webcam in "Be the avatar": guides into the oval and into the light, counts down, films, and hands over the clip.
//
// The body of a function that Gradio calls once, with the component's `element`. The light is measured here; where the
// face is, the server says of small pictures that it does not keep. Without its answer people may film all the same.

const words = WORDS;
const guide = element.querySelector('.guide');
const part = (name) => guide.querySelector(`.${name}`);
const [seen, advice, count, left] = ['seen', 'advice', 'count', 'left'].map(part);
const films = [part('film'), ...guide.querySelectorAll('.more')];

const SIDE = 192; // pixels of the pictures that are checked
const EVERY = 600; // milliseconds between two of them
const OVAL = { x: 0.5, y: 0.48, across: 0.21, down: 0.29 }; // in shares of the picture
const NEAR = { least: 0.3, most: 0.56, aside: 0.1 }; // height of the face, and how far it may be off the middle
const LIGHT = { least: 55, most: 215 }; // mean brightness in the oval, of 255
const CLIPS = { // seconds, and the field that takes it
    own: { seconds: 8, field: '#clip' },
    listening: { seconds: 6, field: '#clip_listening' },
    nod: { seconds: 5, field: '#clip_nod' },
};
const TYPES = ['video/webm;codecs=vp8', 'video/webm', 'video/mp4'];

let stream = null;
let filming = false;
let own = false; // whether the first clip was filmed
let checking = 0;

part('open').textContent = words.open;
part('close').textContent = words.close;
for (const one of films) one.textContent = words[`film_${one.dataset.clip}`];

function tell(sentence, state = 'off') {
    if (advice.textContent !== sentence) advice.textContent = sentence;
    guide.dataset.state = state;
}

async function open() {
    if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) return tell(words.insecure);
    try {
        const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 25 }, facingMode: 'user' };
        stream = await navigator.mediaDevices.getUserMedia({ video });
    } catch (error) {
        const refused = error.name === 'NotAllowedError' || error.name === 'SecurityError';
        return tell(refused ? words.refused : error.name === 'NotReadableError' ? words.in_use : words.missing);
    }
    for (const track of stream.getTracks()) track.addEventListener('ended', () => close(words.lost));
    seen.srcObject = stream;
    await seen.play().catch(() => {});
    show();
    tell(words.look);
    check();
}

function close(sentence = '') {
    clearTimeout(checking);
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = seen.srcObject = null;
    show();
    tell(sentence);
}

function show() {
    part('close').hidden = part('film').hidden = !stream;
    part('open').hidden = Boolean(stream);
    for (const one of guide.querySelectorAll('.more')) one.hidden = !stream || !own;
    for (const one of [...films, part('close')]) one.disabled = filming;
    left.classList.toggle('unused', !filming);
}

// --- light and distance

// The middle of what the camera sees, as the oval lies over it.
function picture() {
    const canvas = new OffscreenCanvas(SIDE, SIDE);
    const { videoWidth: width, videoHeight: height } = seen;
    const side = Math.min(width, height);
    const pen = canvas.getContext('2d', { willReadFrequently: true });
    pen.drawImage(seen, (width - side) / 2, (height - side) / 2, side, side, 0, 0, SIDE, SIDE);
    return pen.getImageData(0, 0, SIDE, SIDE).data;
}

function lightIn(pixels) {
    let [sum, number] = [0, 0];
    for (let y = 0; y < SIDE; y += 2) {
        for (let x = 0; x < SIDE; x += 2) {
            const [across, down] = [(x / SIDE - OVAL.x) / OVAL.across, (y / SIDE - OVAL.y) / OVAL.down];
            if (across * across + down * down > 1) continue;
            const at = 4 * (y * SIDE + x);
            sum += 0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2];
            number++;
        }
    }
    return sum / number;
}

async function faceIn(pixels) {
    const plain = new Uint8Array(SIDE * SIDE * 3);
    for (let at = 0; at < SIDE * SIDE; at++) plain.set(pixels.subarray(4 * at, 4 * at + 3), 3 * at);
    const answer = await fetch(`${window.page.root}/page/face`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/octet-stream' },
        body: plain,
        signal: AbortSignal.timeout(5000),
    });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
}

// What to do about the light or the place of the face; null if all is well, or not known.
async function problem() {
    const pixels = picture();
    const light = lightIn(pixels);
    if (light < LIGHT.least) return words.dark;
    if (light > LIGHT.most) return words.bright;
    const { face, busy } = await faceIn(pixels);
    if (busy) return undefined;
    if (!face) return words.no_face;
    const [x, y, width, height] = face;
    if (height < NEAR.least) return words.nearer;
    if (height > NEAR.most) return words.farther;
    const [aside, off] = [x + width / 2 - OVAL.x, y + height / 2 - OVAL.y];
    if (Math.abs(aside) > NEAR.aside || Math.abs(off) > NEAR.aside) return words.middle;
    return null;
}

async function check() {
    clearTimeout(checking);
    if (!stream || !element.isConnected) return stream && close();
    if (!filming && seen.videoWidth) {
        try {
            const found = await problem();
            if (stream && !filming && found !== undefined) tell(found ?? words.good, found ? 'on' : 'good');
        } catch {
            if (stream && !filming) tell(words.look, 'on'); // the server does not say where the face is
        }
    }
    checking = setTimeout(check, EVERY);
}

// --- filming

const after = (milliseconds) => new Promise((over) => setTimeout(over, milliseconds));

async function film(name) {
    const { seconds, field } = CLIPS[name];
    filming = true;
    show();
    try {
        tell(words[`do_${name}`].replace('{}', seconds), 'filming');
        for (let number = 3; number && stream; number--) {
            count.textContent = String(number);
            await after(1000);
        }
        count.textContent = '';
        if (!stream) return; // closed, or pulled out
        const clip = await recorded(seconds);
        if (!stream || !clip.size) return tell(words.failed);
        hand(new File([clip], `webcam_${name}.${clip.type.includes('mp4') ? 'mp4' : 'webm'}`, { type: clip.type }), field);
        own ||= name === 'own';
        tell(words[`done_${name}`], 'good');
        await after(2500);
    } catch {
        tell(words.failed);
    } finally {
        filming = false;
        count.textContent = '';
        show();
    }
}

function recorded(seconds) {
    const type = TYPES.find((one) => MediaRecorder.isTypeSupported(one));
    const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 6_000_000 });
    const parts = [];
    return new Promise((resolve, reject) => {
        const begun = performance.now();
        const ticking = setInterval(() => (left.value = (performance.now() - begun) / 1000 / seconds), 100);
        recorder.addEventListener('dataavailable', ({ data }) => parts.push(data));
        recorder.addEventListener('stop', () => {
            clearInterval(ticking);
            resolve(new Blob(parts, { type: type.split(';')[0] }));
        });
        recorder.addEventListener('error', ({ error }) => reject(error));
        recorder.start();
        setTimeout(() => recorder.state !== 'inactive' && recorder.stop(), 1000 * seconds);
    });
}

// Put a clip into the field in which files are dropped, in place of another one.
function hand(file, field) {
    const place = document.querySelector(field);
    place.querySelector('button[aria-label]:not(.center)')?.click(); // what was there before
    setTimeout(() => {
        const input = place.querySelector('input[type=file]');
        const transfer = new DataTransfer();
        transfer.items.add(file);
        input.files = transfer.files;
        input.dispatchEvent(new Event('change', { bubbles: true }));
    }, 200);
}

part('open').addEventListener('click', open);
part('close').addEventListener('click', () => close());
for (const one of films) one.addEventListener('click', () => film(one.dataset.clip));
