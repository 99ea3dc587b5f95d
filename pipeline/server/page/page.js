// What the page does around Gradio's components: keeps what was written, reports when the server is away, takes keys.
//
// Runs in the document's head, before anything of Gradio is there.

(() => {
    const korean = navigator.language.startsWith('ko');
    const local = (ko, en) => (korean ? ko : en);
    document.documentElement.lang = local('ko', 'en');

    // --- Gradio's sign of loading
    // It counts the time at every frame, and goes on when it was removed: the page would never be at rest.
    {
        const { requestAnimationFrame } = window;
        const waiting = new Map(); // what is to be done at the next frame
        window.requestAnimationFrame = (act) => {
            const number = requestAnimationFrame((time) => {
                waiting.delete(number);
                act(time);
            });
            waiting.set(number, act);
            return number;
        };
        let sign = null;
        const removed = new MutationObserver(() => {
            sign ??= document.querySelector('[data-testid=status-tracker].translucent');
            if (!sign || sign.isConnected) return;
            removed.disconnect();
            window.requestAnimationFrame = requestAnimationFrame;
            for (const [number, act] of waiting) if (`${act}`.includes('performance.now()')) cancelAnimationFrame(number);
        });
        removed.observe(document, { childList: true, subtree: true });
    }

    // --- what survives the page being loaded anew, in this tab
    const NAME = 'talking-avatar';
    const kept = (() => {
        try {
            return JSON.parse(sessionStorage.getItem(NAME)) ?? {};
        } catch {
            return {}; // it may be forbidden
        }
    })();
    const before = structuredClone(kept);
    let restored = false; // until then what changes is what Gradio itself fills in

    function keep(what) {
        Object.assign(kept, what);
        try {
            sessionStorage.setItem(NAME, JSON.stringify(kept));
        } catch {
            // forbidden, or full: the page works without
        }
    }

    const { content: first, dataset } = document.querySelector('meta[name=avatar]');
    const root = new URL(dataset.root || '/', location).pathname.replace(/[/]$/, ''); // under which visitors see the server
    const pictureOf = (avatar) => `${root}/assets/idle/${encodeURIComponent(avatar)}.jpg`;

    // The resolutions that there are of an avatar, up to one, or else all; undefined as long as they are not known.
    function upTo(resolution, avatar, gallery) {
        const sizes = gallery?.avatars?.find((one) => one.name === avatar)?.resolutions;
        const small = sizes?.filter((size) => parseInt(size) <= parseInt(resolution));
        return small?.length ? small : sizes;
    }

    const STILL = 100; // milliseconds in which nothing changes any more in a tab or drawer whose parts have come
    const LATEST = 5000; // milliseconds after which it is shown at any rate
    const NARROW = '(max-width: 999px)'; // layout.css puts one below the other there
    window.page = {
        root,
        // What the tab Live shows: what it knew, and the session that is wanted, once it is known which avatars there are.
        live(shown, gallery, avatar, resolution, engine, voice, language, speed, pitch, mood, liveliness, ...more) {
            const [pronunciations, aspect, fps, label, eyeContact, background] = more;
            const resolutions = upTo(resolution, avatar, gallery);
            if (!resolutions) return shown;
            const options = {
                tts_engine: engine,
                tts_voice: voice,
                ...(language && { language }),
                tts_speed: speed,
                tts_pitch: pitch,
                mood,
                liveliness,
                ...(aspect !== "source" && { aspect }),
                ...(Number(fps) && { fps: Number(fps) }),
                ...(label !== "off" && { label }),
                ...(eyeContact && { eye_contact: true }),
                ...(background && background !== "source" && { background }),
                ...(pronunciations?.trim() && { pronunciations }),
            };
            return { ...shown, wanted: { avatar, resolutions, options } };
        },
        // What the player shows: the stage of the page's task, and the chosen avatar while it does not speak, in no more
        // than the chosen resolution, in front of the chosen background.
        shown(stage, avatar, resolution, gallery, aspect, background) {
            if (!avatar) return stage;
            keep({ avatar });
            return { ...stage, idle: { avatar, resolutions: upTo(resolution, avatar, gallery), aspect, background } };
        },
        // Bring a part into view that has changed, as little as needed.
        see: (id) => requestAnimationFrame(() => document.getElementById(id)?.scrollIntoView({ block: 'nearest' })),
        // Bring a part to the top where it lies below the stage, also while what is in it still comes.
        bring(id) {
            if (!matchMedia(NARROW).matches) return;
            const part = document.getElementById(id);
            const grows = new ResizeObserver(() => part.scrollIntoView());
            const rest = () => grows.disconnect();
            grows.observe(part);
            for (const own of ['wheel', 'touchmove', 'keydown']) addEventListener(own, rest, { once: true });
            setTimeout(rest, LATEST);
        },
        // A tab or drawer is opened for the first time: it is shown once its parts are there, in place of one by one.
        comes(id, parts) {
            const holder = document.getElementById(id);
            if (!holder || holder.dataset.came) return;
            holder.dataset.came = 'coming';
            let still = 0;
            const shown = () => {
                holder.dataset.came = 'there';
                changes.disconnect();
            };
            const changes = new MutationObserver(() => {
                clearTimeout(still);
                if (parts.every((part) => document.getElementById(part))) still = setTimeout(shown, STILL);
            });
            changes.observe(holder, { childList: true, subtree: true });
            setTimeout(shown, LATEST);
        },
        // The stage and the fields, as they were before, or else as they are NOW.
        restore(...now) {
            restored = true;
            for (const id of Object.values(before.tabs ?? {})) setTimeout(() => document.getElementById(id)?.click());
            if (location.hash) setTimeout(() => named()?.click());
            const fields = before.fields?.length === now.length - 1 ? before.fields : now.slice(1);
            return [before.stage ? { ...before.stage, kept: true } : now[0], ...fields];
        },
        fields(...fields) {
            if (restored) keep({ fields });
        },
        stage(stage) {
            if (!restored || stage.kept) return;
            keep({ running: ['queued', 'running'].includes(stage.state) });
            if (stage.state === 'done' && stage.video_url) keep({ stage });
        },
    };
    const way = location.hash === '#speak' || before.tabs?.ways === 'speak_tab-button';
    document.documentElement.classList.toggle('speaks-first', way && location.hash !== '#live'); // has another height
    const named = () => document.getElementById(`${location.hash.slice(1)}_tab-button`); // of an address such as /#speak
    addEventListener('hashchange', () => named()?.click());
    addEventListener('click', (event) => {
        const tab = event.target.closest('[role=tab]');
        const group = tab?.closest('.tabs')?.id;
        if (!group) return;
        keep({ tabs: { ...kept.tabs, [group]: tab.id } });
        // a new avatar is tried out on the stage of videos
        const live = document.querySelector('#live_tab-button[aria-selected=true]');
        if (tab.id === 'avatars_tab-button' && live) document.querySelector('#speak_tab-button').click();
    });

    // --- the server
    const LOOK = 1500; // milliseconds between two looks whether it is there
    const FIRST_LOOK = 5000; // milliseconds in which the page comes; it would tell, too
    const PATIENCE = 5000; // milliseconds that it may take to answer
    const RECENT = 15000; // milliseconds for which the connection is remembered to have been lost
    const sentences = JSON.parse(document.getElementById('sentences').textContent);
    const [AWAY, BACK, ANEW, DROPPED] = sentences.map(({ ko, en }) => local(ko, en));
    const note = document.createElement('div');
    note.id = 'connection';
    note.setAttribute('role', 'status');
    let away = false;
    let forgetting = 0;

    function notify(text, milliseconds = 0) {
        clearTimeout(forgetting);
        note.textContent = text;
        if (milliseconds) forgetting = setTimeout(() => (note.textContent = ''), milliseconds);
    }

    function isAway(now) {
        if (now) keep({ lost: Date.now() });
        if (now === away) return;
        away = now;
        document.documentElement.classList.toggle('away', away);
        if (away) notify(AWAY);
        else notify(BACK, 8000);
    }

    async function look() {
        if (!navigator.onLine) return isAway(true);
        try {
            const signal = AbortSignal.timeout(PATIENCE);
            await fetch(`${root}/gradio_api/app_id`, { cache: 'no-store', signal });
            isAway(false);
        } catch {
            isAway(true);
        }
    }

    async function watch() {
        if (document.visibilityState === 'visible') await look();
        setTimeout(watch, LOOK);
    }

    addEventListener('offline', () => isAway(true));
    addEventListener('online', look);
    document.addEventListener('DOMContentLoaded', () => {
        document.body.prepend(note);
        if (before.running) notify(`${ANEW} ${DROPPED}`, 20000);
        else if (Date.now() - before.lost < RECENT) notify(ANEW, 20000);
        keep({ running: false, lost: 0 });
        setTimeout(watch, FIRST_LOOK);
    });
    // what is pressed now would only have Gradio give up
    addEventListener('click', (event) => {
        if (!away || !event.target.closest('#generate, #say, #make')) return;
        event.stopImmediatePropagation();
        notify(AWAY);
        note.animate({ opacity: [0.3, 1] }, 400);
    }, true);

    // --- keys
    addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' || event.isComposing || event.keyCode === 229) return; // Enter completes a syllable
        const field = event.target.closest?.('#text, #transcript')?.id;
        const button = { text: '#generate', transcript: '#say' }[field];
        const sends = event.ctrlKey || event.metaKey || (field === 'text' && !event.shiftKey);
        if (!button || !sends) return;
        event.preventDefault();
        event.stopImmediatePropagation();
        setTimeout(() => document.querySelector(button)?.click()); // after Gradio has seen the last letter
    }, true);
    // A long list of Gradio's is a stop of its own where a browser lets keys scroll; it closes with the step into it, and
    // the focus would be nowhere.
    addEventListener('keydown', ({ key }) => {
        if (key === 'Tab') for (const list of document.querySelectorAll('.options, .option-list')) list.tabIndex = -1;
    }, true);

    // --- files
    // Browsers call every webm, mp4 and 3gp a video, also where it holds sound alone; Gradio then refuses a recording.
    // Some have no name for a kind at all. The server finds out whether it has sound.
    const mayBeSound = (file) => /^$|^video\/|^application\/(?!pdf|zip|json|msword)/.test(file.type);
    function asSound(files) {
        const transfer = new DataTransfer();
        for (const file of files) {
            const type = `audio/${file.type.split('/')[1] || 'unknown'}`;
            transfer.items.add(mayBeSound(file) ? new File([file], file.name, { type }) : file);
        }
        return transfer;
    }
    addEventListener('change', ({ target }) => {
        if (target.type !== 'file' || !target.closest('#audio') || ![...target.files].some(mayBeSound)) return;
        target.files = asSound(target.files).files;
    }, true);
    addEventListener('drop', (event) => {
        const files = [...(event.dataTransfer?.files ?? [])];
        if (!event.target.closest?.('#audio') || !files.some(mayBeSound)) return;
        event.preventDefault();
        event.stopImmediatePropagation();
        const again = { bubbles: true, cancelable: true, dataTransfer: asSound(files) };
        event.target.dispatchEvent(new DragEvent('drop', again));
    }, true);

    // What a browser has recorded says nothing of its length; going to its end has the browser find out.
    addEventListener('loadedmetadata', ({ target }) => {
        if (target.duration !== Infinity || target.closest('#video')) return;
        target.addEventListener('durationchange', () => (target.currentTime = 0), { once: true });
        target.currentTime = Number.MAX_SAFE_INTEGER;
    }, true);

    // --- the avatar, before Gradio's page is there, and at the place where that is going to show it
    const avatar = kept.avatar ?? first;
    if (avatar) {
        const look = new Image();
        const picture = { src: pictureOf(avatar), fetchPriority: 'high' };
        Object.assign(look, { id: 'first-look', slot: 'poster', alt: '', ...picture });
        const place = new MutationObserver(() => {
            const players = [...document.querySelectorAll('talking-avatar')];
            const player = players.find((one) => one.offsetParent); // of the tab that is shown
            if (player?.matches('[alive]')) {
                look.remove();
                place.disconnect();
                return;
            }
            const home = player ?? document.querySelector('#stop')?.closest('.column') ?? document.body;
            if (home && look.parentElement !== home) home.prepend(look);
        });
        look.addEventListener('error', () => {
            look.remove();
            place.disconnect();
        });
        const all = { childList: true, subtree: true, attributeFilter: ['alive', 'class'] };
        place.observe(document.documentElement, all);
    }
})();
