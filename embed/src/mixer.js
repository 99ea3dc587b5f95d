// Nothing behind the person: such videos have pictures of two parts, the person above, and below how far each pixel is
// theirs, since H.264 knows no transparency. WebGL mixes the parts, and a canvas shows them, through which the page is
// seen.

const PATIENCE = 3000; // milliseconds that a lost context may take to come back
const SLOW_WIDTH = 640; // pixels of pictures that are mixed without WebGL
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
uniform float edge;
void main() {
  vec3 own = texture2D(picture, vec2(place.x, min(0.5 * place.y, 0.5 - edge))).rgb;
  vec3 matte = texture2D(picture, vec2(place.x, max(0.5 + 0.5 * place.y, 0.5 + edge))).rgb;
  float share = clamp((dot(matte, vec3(0.2126, 0.7152, 0.0722)) - 0.03) / 0.94, 0.0, 1.0);
  gl_FragColor = vec4(own * share, share);
}`;

/**
 * Mixes the parts of pictures for all tags of a page: browsers keep some 16 contexts of WebGL, and drop the oldest.
 *
 * As long as there is no WebGL, or its context is lost, the processor mixes smaller pictures.
 */
class Painter {
    #canvas = document.createElement('canvas');
    #gl;
    #edge = null; // the shader's input
    #slow = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    #honest;
    #gone = false;

    constructor() {
        this.#gl = this.#canvas.getContext('webgl', { antialias: false, depth: false });
        this.#honest = this.#readsWhatIsDrawn();
        this.#canvas.addEventListener('webglcontextlost', (event) => {
            event.preventDefault(); // or it would not come back
            this.#edge = null;
            setTimeout(() => (this.#gone = this.#gl.isContextLost()), PATIENCE);
        });
        this.#canvas.addEventListener('webglcontextrestored', () => (this.#gone = false));
    }

    /** Whether pictures can be mixed, now or in a moment. */
    get able() {
        return this.#honest || Boolean(this.#gl && !this.#gone);
    }

    /** Draw the person of a picture with two parts on a canvas; returns whether that was possible. */
    paint(source, width, height, canvas) {
        try {
            if (this.#gl && !this.#gl.isContextLost()) this.#paintWithGl(source, width, height, canvas);
            else if (this.#honest) this.#paintSlowly(source, width, height, canvas);
            else return false;
            return true;
        } catch {
            return false; // a video of another site that does not let this one read it
        }
    }

    #paintWithGl(source, width, height, canvas) {
        const gl = this.#gl;
        this.#edge ??= this.#prepare();
        const own = this.#canvas;
        if (own.width < width || own.height < height) {
            [own.width, own.height] = [Math.max(own.width, width), Math.max(own.height, height)];
        }
        gl.viewport(0, 0, width, height);
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, source);
        gl.uniform1f(this.#edge, 0.25 / height);
        gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
        over(canvas, width, height).drawImage(own, 0, own.height - height, width, height, 0, 0, width, height);
    }

    #paintSlowly(source, wide, high, canvas) {
        const width = Math.min(wide, SLOW_WIDTH);
        const height = Math.round((high * width) / wide);
        const [slow, { canvas: own }] = [this.#slow, this.#slow];
        if (own.width !== width || own.height !== height) [own.width, own.height] = [width, height];
        const part = (top) => {
            slow.drawImage(source, 0, top, wide, high, 0, 0, width, height);
            return slow.getImageData(0, 0, width, height);
        };
        const [person, { data: matte }] = [part(0), part(high)];
        for (let i = 0; i < matte.length; i += 4) {
            const luma = 0.2126 * matte[i] + 0.7152 * matte[i + 1] + 0.0722 * matte[i + 2];
            person.data[i + 3] = (luma - 0.03 * 255) / 0.94; // the array rounds, and keeps it within 0..255
        }
        over(canvas, width, height).putImageData(person, 0, 0);
    }

    // Some browsers answer with noise where a page reads pictures, so that it cannot tell visitors apart.
    #readsWhatIsDrawn() {
        const slow = this.#slow;
        if (!slow) return false;
        return [[30, 144, 255], [200, 10, 90]].every((color) => {
            slow.fillStyle = `rgb(${color})`;
            slow.fillRect(0, 0, 16, 16);
            const { data } = slow.getImageData(0, 0, 16, 16);
            return data.every((value, i) => value === (color[i % 4] ?? 255));
        });
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
        return gl.getUniformLocation(program, 'edge');
    }
}

let painter = null;

/** Whether the browser can mix parts. */
export function canMix() {
    return (painter ??= new Painter()).able;
}

// The context of a canvas in a size, on which the next picture replaces what is there.
function over(canvas, width, height) {
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext('2d');
    context.globalCompositeOperation = 'copy';
    return context;
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
        this.#canvas.addEventListener('contextrestored', () => this.draw());
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

    /** Copy what a video shows to a canvas; returns whether there is anything: not while a place is sought in it. */
    copy(video, canvas) {
        if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return false;
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
        if (!canMix()) return this.#giveUp(), false;
        const [width, height] = [source.videoWidth ?? source.naturalWidth, source.videoHeight ?? source.naturalHeight];
        if (this.#parted.has(source)) return painter.paint(source, width, height / 2, this.#canvas);
        over(this.#canvas, width, height).drawImage(source, 0, 0);
        return true;
    }

    // Nothing can be mixed any more.
    #giveUp() {
        for (const video of [...this.#parted]) this.take(video, true);
        this.#failed();
    }
}
