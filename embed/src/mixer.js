// Nothing behind the person: such videos have pictures of two parts, the person above, and below how far each pixel is
// theirs, since H.264 knows no transparency. WebGL mixes the parts on a canvas, through which the page is seen.

const PATIENCE = 3000; // milliseconds that a lost context may take to come back
const VERTICES = `
attribute vec2 corner;
varying vec2 place;
void main() {
  place = vec2(corner.x, 1.0 - corner.y);
  gl_Position = vec4(2.0 * corner - 1.0, 0.0, 1.0);
}`;
// The parts are read half a pixel away from where they meet. What compression left of shares near 0 and 1 is dropped.
const COLOURS = `
precision highp float;
varying vec2 place;
uniform sampler2D picture;
uniform bool parted;
uniform float edge;
void main() {
  if (!parted) {
    gl_FragColor = texture2D(picture, place);
    return;
  }
  vec3 own = texture2D(picture, vec2(place.x, min(0.5 * place.y, 0.5 - edge))).rgb;
  vec3 matte = texture2D(picture, vec2(place.x, max(0.5 + 0.5 * place.y, 0.5 + edge))).rgb;
  float share = clamp((dot(matte, vec3(0.2126, 0.7152, 0.0722)) - 0.03) / 0.94, 0.0, 1.0);
  gl_FragColor = vec4(own * share, share);
}`;

let able = null;

/** Whether the browser can mix parts. */
export function canMix() {
    able ??= Boolean(document.createElement('canvas').getContext('webgl'));
    return able;
}

/** Draws the video that is shown, the avatar's clip or its answer, as long as one of them has pictures of two parts. */
export class Mixer {
    on = false;
    #screen;
    #canvas;
    #answer;
    #idle;
    #parted = new Set(); // the videos whose pictures have two parts
    #watched = new Set();
    #still = null; // what stands for the clip before it is there
    #gl = null;
    #parts = null; // the shader's inputs
    #failed;

    /**
     * @param {HTMLElement} screen with videos `.answer` and `.idle`, and a canvas `.parts`
     * @param {() => void} failed told when nothing can be mixed any more
     */
    constructor(screen, failed) {
        this.#screen = screen;
        [this.#canvas, this.#answer, this.#idle] = ['.parts', '.answer', '.idle'].map((one) => screen.querySelector(one));
        this.#failed = failed;
        for (const video of [this.#answer, this.#idle]) {
            for (const event of ['loadeddata', 'seeked', 'playing']) video.addEventListener(event, () => this.#look(video));
        }
        this.#canvas.addEventListener('webglcontextlost', (event) => {
            event.preventDefault(); // or it would not come back
            this.#parts = null;
            setTimeout(() => this.#parts || this.#giveUp(), PATIENCE);
        });
        this.#canvas.addEventListener('webglcontextrestored', () => this.draw());
    }

    /** Say whether a video's pictures have two parts. */
    take(video, parted) {
        if (parted) this.#parted.add(video);
        else this.#parted.delete(video);
        video.classList.toggle('halved', parted && !canMix()); // the person alone, at least
        const on = this.#parted.size > 0 && canMix();
        if (on !== this.on) {
            this.on = on;
            this.#screen.classList.toggle('mixed', on);
        }
        if (on) for (const one of [this.#answer, this.#idle]) this.#watch(one);
        this.draw();
    }

    /** Whether a video's pictures have two parts. */
    parted(video) {
        return this.#parted.has(video);
    }

    /** Show a picture as long as the clip is not there. */
    stand(still) {
        this.#still = still;
        this.draw();
    }

    /** Width by height of what a video shows. */
    ratio(video) {
        return (video.videoWidth / video.videoHeight) * (this.#parted.has(video) ? 2 : 1);
    }

    /** Copy what a video shows to a canvas; returns whether there is anything. */
    copy(video, canvas) {
        if (!video.videoWidth) return false;
        const source = this.on ? this.#canvas : video;
        if (this.on && !this.#paint(video)) return false; // what was painted is there until the browser shows it
        [canvas.width, canvas.height] = this.on ? [source.width, source.height] : [video.videoWidth, video.videoHeight];
        canvas.getContext('2d').drawImage(source, 0, 0);
        this.draw();
        return true;
    }

    /** Draw what is shown now. */
    draw() {
        if (!this.on) return;
        const video = this.#shown;
        if (video.readyState > 1) this.#paint(video);
        else if (video === this.#idle && this.#still) this.#paint(this.#still);
    }

    get #shown() {
        return this.#screen.matches('.alive.idling') ? this.#idle : this.#answer;
    }

    #look(video) {
        if (this.on && video === this.#shown) this.draw();
    }

    // Draw each picture of a video as it comes.
    #watch(video) {
        if (this.#watched.has(video)) return;
        this.#watched.add(video);
        const next = () => {
            if (!this.on) return this.#watched.delete(video);
            this.#look(video);
            this.#await(video, next);
        };
        this.#await(video, next);
    }

    #await(video, next) {
        if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next);
        else requestAnimationFrame(next);
    }

    #paint(source) {
        this.#gl ??= this.#canvas.getContext('webgl', { antialias: false, depth: false });
        if (!this.#gl || this.#gl.isContextLost()) return false;
        const gl = this.#gl;
        this.#parts ??= this.#prepare();
        const parted = this.#parted.has(source);
        const [width, whole] = [source.videoWidth ?? source.naturalWidth, source.videoHeight ?? source.naturalHeight];
        const height = parted ? whole / 2 : whole;
        if (this.#canvas.width !== width || this.#canvas.height !== height) {
            [this.#canvas.width, this.#canvas.height] = [width, height];
        }
        gl.viewport(0, 0, width, height);
        try {
            gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, source);
        } catch {
            return false; // a video of another site that does not let this one read it
        }
        gl.uniform1i(this.#parts.parted, parted);
        gl.uniform1f(this.#parts.edge, 0.5 / whole);
        gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
        return true;
    }

    #prepare() {
        const gl = this.#gl;
        const program = gl.createProgram();
        for (const [kind, code] of [[gl.VERTEX_SHADER, VERTICES], [gl.FRAGMENT_SHADER, COLOURS]]) {
            const shader = gl.createShader(kind);
            gl.shaderSource(shader, code);
            gl.compileShader(shader);
            gl.attachShader(program, shader);
        }
        gl.linkProgram(program);
        gl.useProgram(program);
        gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
        gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), gl.STATIC_DRAW);
        const corner = gl.getAttribLocation(program, 'corner');
        gl.enableVertexAttribArray(corner);
        gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
        gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
        for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
        for (const size of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, size, gl.LINEAR);
        gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, true); // pictures may be transparent themselves
        return { parted: gl.getUniformLocation(program, 'parted'), edge: gl.getUniformLocation(program, 'edge') };
    }

    #giveUp() {
        able = false;
        for (const video of [...this.#parted]) this.take(video, true);
        this.#failed();
    }
}
