// Bundles src/ into the one file that the server sends at /embed/v1.js, and notes in it which sources it was made of.
//
//     npm ci && npm run build

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** SHA-256 of the names and contents of all sources, as tests/test_embed.py counts it. */
function digest() {
    const hash = createHash('sha256');
    for (const name of readdirSync(here('src')).sort()) hash.update(name).update('\0').update(readFileSync(here(`src/${name}`)));
    return hash.digest('hex');
}

await build({
    entryPoints: [here('src/index.js')],
    outfile: process.argv[2] ?? here('../pipeline/server/embed/v1.js'),
    bundle: true,
    minify: true,
    format: 'iife',
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'none',
    loader: { '.css': 'text', '.html': 'text' },
    banner: { js: `/* <talking-avatar> v1, MIT licence, made of embed/src ${digest()} */` },
});
