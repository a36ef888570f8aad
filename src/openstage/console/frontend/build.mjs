// Bundles the pages' scripts and styles into the folder named on the command line: names with a digest (cached for
// ever), each also compressed, and manifest.json, which tells the server the name of each entry.
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { build } from "esbuild";

const folder = path.resolve(process.argv[2]);
const entries = ["main.ts", "style.css"];

const { metafile } = await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: entries.map((entry) => path.join("src", entry)),
  outdir: folder,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  legalComments: "linked",
  metafile: true,
  logLevel: "warning",
});

const manifest = {};
for (const [file, output] of Object.entries(metafile.outputs)) {
  if (output.entryPoint && entries.includes(path.basename(output.entryPoint))) {
    manifest[path.basename(output.entryPoint)] = path.basename(file);
  }
}

for (const name of await readdir(folder)) {
  const bytes = await readFile(path.join(folder, name));
  await writeFile(path.join(folder, `${name}.br`), await promisify(zlib.brotliCompress)(bytes));
  await writeFile(path.join(folder, `${name}.gz`), await promisify(zlib.gzip)(bytes, { level: 9 }));
}
await writeFile(path.join(folder, "manifest.json"), JSON.stringify(manifest, null, 2));
