// The visitor's voice.

const RECORDER = `registerProcessor('pcm', class extends AudioWorkletProcessor {
    part = new Int16Array(512);
    length = 0;
    process([[sound]]) {
        for (const sample of sound ?? []) {
            this.part[this.length++] = 32767 * Math.max(-1, Math.min(1, sample));
            if (this.length < this.part.length) continue;
            this.port.postMessage(this.part.buffer, [this.part.buffer]);
            this.part = new Int16Array(512);
            this.length = 0;
        }
        return true;
    }
})`;

/** A microphone as 16-bit mono PCM; `heard` gets each part of it. */
export class Microphone {
    #stream;
    #context;

    static async open(heard) {
        const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
        const stream = await navigator.mediaDevices.getUserMedia({ audio });
        const module = URL.createObjectURL(new Blob([RECORDER], { type: 'text/javascript' }));
        for (const options of [{ sampleRate: 16_000 }, {}]) { // some browsers take only the microphone's own rate
            const context = new AudioContext(options);
            try {
                await context.audioWorklet.addModule(module);
                const recorder = new AudioWorkletNode(context, 'pcm', { numberOfOutputs: 0 });
                recorder.port.onmessage = ({ data }) => heard(data);
                context.createMediaStreamSource(stream).connect(recorder);
                return new Microphone(stream, context);
            } catch (error) {
                context.close();
                if (error.name !== 'NotSupportedError' || !options.sampleRate) {
                    for (const track of stream.getTracks()) track.stop();
                    throw error;
                }
            }
        }
    }

    constructor(stream, context) {
        this.#stream = stream;
        this.#context = context;
    }

    get rate() {
        return this.#context.sampleRate;
    }

    close() {
        for (const track of this.#stream.getTracks()) track.stop();
        this.#context.close();
    }
}
