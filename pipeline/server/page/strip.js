// The strip under "Details": what is said and how far the mouth opens, moving with the video.
//
// The body of a function that Gradio calls once, with the component's `element`. The player says in `window.page.film`
// which video it shows. Whatever fails here is only missing here.

const words = WORDS;
const [canvas, now] = [element.querySelector('.strip'), element.querySelector('.now')];
const stillness = matchMedia('(prefers-reduced-motion: reduce)');
const SECOND = 150; // pixels
const WHERE = 0.35; // share of the width at which the moment lies that is seen and heard
const CLOSED = /^[pbm]/; // the lips meet
const over = new AbortController();

let video = null;
let opening = []; // { time, share } of each picture, in order
let phonemes = []; // { text, start, end }
let problem = '';
let reading = new AbortController();
let drawing = false;
let shown = ''; // what was drawn last, where nothing may move

canvas.ariaLabel = words.name;

function follow() {
    reading.abort();
    reading = new AbortController();
    [opening, phonemes, problem, shown] = [[], [], '', ''];
    const { film } = window.page;
    if (film && film.video !== video) {
        video = film.video;
        const { signal } = over;
        for (const event of ['playing', 'pause', 'seeked', 'timeupdate', 'ended', 'emptied']) {
            video.addEventListener(event, look, { signal });
        }
    }
    if (film) read(film.address.replace(/[.]mp4$/, '.mouth.ndjson'), reading.signal);
    look();
}

// Fetch what there is of a video, which grows as the video does.
async function read(address, signal) {
    try {
        const response = await fetch(address, { signal });
        if (!response.ok) throw new Error(String(response.status));
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = '';
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
            const lines = (rest + part.value).split('\n');
            rest = lines.pop();
            for (const line of lines) if (line) take(JSON.parse(line));
        }
    } catch (error) {
        if (signal.aborted) return; // another video is shown
        if (!phonemes.length) problem = words.nothing;
        look();
    }
}

function take(piece) {
    for (const [at, share] of piece.opening.entries()) opening.push({ time: piece.start + at / piece.fps, share });
    for (const [text, start, end] of piece.phonemes) phonemes.push({ text, start, end });
    look();
}

function phonemeAt(time) {
    return phonemes.findLast((one) => one.start <= time && time < one.end);
}

// How far the mouth is open at a time, 0..1.
function openingAt(time) {
    return opening.findLast((one) => one.time <= time)?.share ?? 0;
}

function told(time) {
    if (!phonemes.length) return problem || words.empty;
    const { text = '' } = phonemeAt(time) ?? {};
    const sound = text ? `/${text}/` : words.pause;
    const open = words.open.replace('{}', Math.round(100 * openingAt(time)));
    return `${words.seconds.replace('{}', time.toFixed(1))} · ${sound} · ${open}`;
}

function look() {
    if (drawing || !element.isConnected) return element.isConnected || over.abort();
    if (!canvas.clientWidth) return; // closed
    draw();
    if (!video || video.paused || video.ended) return settle();
    drawing = true;
    requestAnimationFrame(() => {
        drawing = false;
        look();
    });
}

// What a screen reader says of it; while it moves nothing is said.
function settle() {
    canvas.ariaValueMax = (phonemes.at(-1)?.end ?? 0).toFixed(1);
    canvas.ariaValueNow = (video?.currentTime ?? 0).toFixed(1);
    canvas.ariaValueText = told(video?.currentTime ?? 0);
}

function draw() {
    const time = video?.currentTime ?? 0;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const sentence = told(time);
    const current = phonemeAt(time);
    // where nothing may move the strip stands still, and is turned like a page
    const seconds = width / SECOND;
    const begin = stillness.matches ? Math.floor(time / seconds) * seconds : time - WHERE * seconds;
    if (stillness.matches) {
        const still = [begin, current?.start, width, height, opening.length, getComputedStyle(canvas).color].join();
        if (still === shown) return;
        shown = still;
    }
    if (now.textContent !== sentence) now.textContent = sentence;
    const ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    }
    const { color, accentColor } = getComputedStyle(canvas);
    const pen = canvas.getContext('2d');
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const x = (at) => (at - begin) * SECOND;
    const [top, floor, row] = [10, height - 40, 22]; // of the opening; height of the row of phonemes
    drawOpening(pen, { x, top, floor, width, accentColor, color });
    drawPhonemes(pen, { x, top: floor + 8, row, width, accentColor, color, current });
    if (stillness.matches) return;
    pen.globalAlpha = 1;
    pen.fillStyle = color;
    pen.fillRect(x(time) - 1, 2, 2, height - 8);
}

function drawOpening(pen, { x, top, floor, width, accentColor, color }) {
    pen.globalAlpha = 0.3;
    pen.fillStyle = color;
    pen.fillRect(0, floor, width, 1);
    const visible = opening.filter(({ time }) => x(time) > -20 && x(time) < width + 20);
    if (!visible.length) return;
    const y = (share) => floor - share * (floor - top);
    pen.beginPath();
    pen.moveTo(x(visible[0].time), floor);
    for (const { time, share } of visible) pen.lineTo(x(time), y(share));
    pen.lineTo(x(visible.at(-1).time), floor);
    pen.fillStyle = pen.strokeStyle = accentColor;
    pen.globalAlpha = 0.25;
    pen.fill();
    pen.globalAlpha = 1;
    pen.lineWidth = 2;
    pen.stroke();
}

function drawPhonemes(pen, { x, top, row, width, accentColor, color, current }) {
    pen.font = '13px system-ui, sans-serif';
    pen.textAlign = 'center';
    pen.textBaseline = 'middle';
    for (const one of phonemes) {
        const [left, right] = [x(one.start), x(one.end)];
        if (!one.text || right < 0 || left > width) continue;
        const wide = Math.max(1, right - left - 1);
        pen.globalAlpha = one === current ? 1 : CLOSED.test(one.text) ? 0.45 : 0.12;
        pen.fillStyle = one === current || CLOSED.test(one.text) ? accentColor : color;
        pen.fillRect(left, top, wide, row);
        if (pen.measureText(one.text).width > wide + 2) continue;
        pen.globalAlpha = 1;
        pen.fillStyle = one === current ? getComputedStyle(canvas).backgroundColor : color;
        pen.fillText(one.text, left + wide / 2, top + row / 2);
    }
}

// --- by mouse and by keys

function goTo(time) {
    const { seekable } = video ?? {};
    if (!seekable?.length) return;
    const last = Math.min(seekable.end(seekable.length - 1), phonemes.at(-1)?.end ?? Infinity);
    video.currentTime = Math.min(Math.max(0, time), Math.max(0, last - 0.02));
    look();
}

canvas.addEventListener('pointerdown', ({ offsetX }) => {
    const seconds = canvas.clientWidth / SECOND;
    const time = video?.currentTime ?? 0;
    const begin = stillness.matches ? Math.floor(time / seconds) * seconds : time - WHERE * seconds;
    goTo(begin + offsetX / SECOND);
});
canvas.addEventListener('keydown', (event) => {
    const time = video?.currentTime ?? 0;
    const starts = phonemes.filter((one) => one.text).map((one) => one.start);
    const goal = {
        ArrowRight: () => starts.find((start) => start > time + 0.01),
        ArrowLeft: () => starts.findLast((start) => start < time - 0.01) ?? 0,
        Home: () => 0,
        End: () => starts.at(-1),
    }[event.key]?.();
    if (goal === undefined) return;
    event.preventDefault();
    goTo(goal + 0.005); // within it, however a browser rounds
});

document.addEventListener('film', follow, { signal: over.signal });
new ResizeObserver(look).observe(canvas);
follow();
