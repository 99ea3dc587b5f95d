// Shows the page's task and the chosen avatar in the player, <talking-avatar>.
//
// The body of a function that Gradio calls once, with the component's `element` and its `props`; `watch` calls back
// whenever `props.value`, the latest stage of the page's task, has changed.

const avatar = element.querySelector('talking-avatar');
let task = null; // id of the task that is shown
avatar.setAttribute('server', location.origin + window.page.root);

// --- how quick it was

const meter = element.querySelector('.meter');
const { cores, gpu } = document.querySelector('meta[name=avatar]').dataset;
const words = WORDS;
element.querySelector('.of-text').textContent = words.hint;
element.querySelector('.of-audio').textContent = words.hint_audio;
const speeds = {}; // seconds until the first picture, and how many times as quickly as it plays it was made
let pressedAt = 0; // when the button was pressed (ms)

function measure(stage) {
    if (stage.state === 'queued' && !stage.type) [pressedAt, speeds.first, speeds.times] = [performance.now(), null, null];
    if (stage.type === 'done' && stage.elapsed) speeds.times = stage.audio_duration / stage.elapsed.total;
    drawMeter();
}

function drawMeter() {
    const { first, times } = speeds;
    meter.textContent = [
        first && words.first.replace('{}', first.toFixed(2)),
        times && words.times.replace('{}', times.toFixed(1)),
        words[gpu === '1' ? 'with_gpu' : 'without_gpu'].replace('{}', cores),
    ].filter(Boolean).join(' · ');
}

avatar.addEventListener('turn-started', () => {
    if (pressedAt) speeds.first = (performance.now() - pressedAt) / 1000;
    pressedAt = 0;
    drawMeter();
});
drawMeter();

// --- what it shows

const person = element.querySelector('.person');

// Say what to do as long as nothing was made; captions and buttons come to the same place.
function advise(stage) {
    if (stage.state === 'queued' || stage.kept || stage.video_url) person.classList.remove('fresh');
    else if (stage.state === 'failed' && !task) person.classList.add('fresh');
}
avatar.addEventListener('error', () => person.classList.remove('fresh'));

function show(stage) {
    measure(stage);
    advise(stage);
    if (stage.idle) {
        if (stage.idle.resolutions) avatar.setAttribute('resolution', stage.idle.resolutions.join(' '));
        avatar.setAttribute('avatar', stage.idle.avatar);
        const { aspect, background } = stage.idle;
        avatar.options = { aspect, ...(background && { background }) };
    }
    if (stage.kept) return putBack(stage);
    if (stage.state === 'failed') document.querySelector('#status')?.scrollIntoView({ block: 'nearest' });
    if (stage.video_url && stage.task_id !== task) { // what comes late of one that was let go is passed over
        task = stage.task_id;
        tell(stage);
        comeToSee();
    }
    if (stage.task_id && stage.task_id === task) avatar.play(stage);
    const broken = stage.state === 'stopping' || (stage.state === 'failed' && stage.task_id === task);
    if (stage.state === 'queued' || broken) avatar.interrupt();
}

// Show again, without playing it, what was finished before the page was loaded anew, if it is still kept.
async function putBack(stage) {
    if (stage.task_id === task) return;
    task = stage.task_id;
    const answer = await fetch(stage.video_url, { method: 'HEAD' }).catch(() => null);
    if (task !== stage.task_id || !answer?.ok) return; // another one has begun, or it was kept long enough
    avatar.putBack(stage);
    tell(stage);
}

// On a phone the person is elsewhere than the button.
function comeToSee() {
    avatar.video.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
}
avatar.addEventListener('turn-started', comeToSee); // what came meanwhile may have moved the page again

// Tell the strip which video is shown.
function tell({ video_url: address }) {
    window.page.film = { video: avatar.video, address };
    document.dispatchEvent(new Event('film'));
}

avatar.addEventListener('statechange', ({ detail }) => {
    const speaks = detail.state === 'speaking' || detail.state === 'waiting';
    document.documentElement.classList.toggle('speaks', speaks); // the main button is Stop
});

// What cannot be seen, on another tab, is not heard either.
function hush() {
    if (!avatar.getClientRects().length) avatar.video?.pause();
}
new ResizeObserver(hush).observe(avatar);
customElements.whenDefined('talking-avatar').then(() => avatar.video.addEventListener('playing', hush));

watch('value', () => customElements.whenDefined('talking-avatar').then(() => show(props.value)));
