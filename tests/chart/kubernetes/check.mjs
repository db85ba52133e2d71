// SPDX-License-Identifier: Apache-2.0
// Checks manifests on standard input against the types and schemas of current Kubernetes, the Prometheus operator and cert-manager:
//   node check.mjs DIRECTORY < manifests.yaml      DIRECTORY holds node_modules, as tools/get-helm.sh installs it
// The validators know enums, patterns and required fields; the TypeScript compiler knows which fields exist at all.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const modules = path.resolve(process.argv[2], 'node_modules');
const require = createRequire(path.join(modules, 'x'));
const YAML = require('yaml');
const ts = require('typescript');

const problems = [];
const report = (object, message) => problems.push(`${object.kind}/${object.metadata?.name}: ${message}`);

function modelFile({ apiVersion, kind }) {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  const name = { 'monitoring.coreos.com': '@kubernetes-models/prometheus-operator', 'cert-manager.io': '@kubernetes-models/cert-manager' }[group]
    ?? 'kubernetes-models';
  const file = path.join(modules, name, group, version, kind);
  return ['.js', '.mjs'].map((ending) => file + ending).find(fs.existsSync) && file;
}

async function validate(object, file) {
  const module = await import(pathToFileURL(['.js', '.mjs'].map((ending) => file + ending).find(fs.existsSync)));
  const Model = module[object.kind] ?? module.default[object.kind];
  try {
    new Model(object).validate();
  } catch (error) {
    for (const each of error.errors ?? [error]) report(object, `${each.instancePath ?? ''} ${each.message}`);
  }
}

// One source file for each object, in memory only: a literal with a field that its type lacks does not compile.
function compile(checked) {
  const sources = new Map(checked.map(({ object, file }, i) => [
    path.join(modules, `../object${i}.ts`),
    `import { I${object.kind} as T } from ${JSON.stringify(file)};\nconst value: T = ${JSON.stringify(object)};\nexport default value;\n`,
  ]));
  const host = ts.createCompilerHost({});
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (name) => sources.get(name) ?? readFile(name);
  host.fileExists = (name) => sources.has(name) || fileExists(name);
  host.getSourceFile = (name, version) => (sources.has(name)
    ? ts.createSourceFile(name, sources.get(name), version) : getSourceFile.call(host, name, version));
  const program = ts.createProgram([...sources.keys()], {
    strict: true, noEmit: true, skipLibCheck: true, types: [], lib: ['lib.es2022.d.ts'], target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
  }, host);
  const names = [...sources.keys()];
  for (const each of ts.getPreEmitDiagnostics(program)) {
    const index = names.indexOf(each.file?.fileName);
    if (index >= 0) report(checked[index].object, ts.flattenDiagnosticMessageText(each.messageText, ' '));
  }
}

const checked = [];
let count = 0;
for (const document of YAML.parseAllDocuments(fs.readFileSync(0, 'utf8'))) {
  const object = document.toJS();
  if (!object) continue;
  count += 1;
  const file = modelFile(object);
  if (!file) {
    report(object, `${object.apiVersion} has no such kind`);
    continue;
  }
  await validate(object, file);
  checked.push({ object, file });
}
compile(checked);
for (const problem of problems) console.log(problem);
console.log(`${count} objects, ${problems.length} problems`);
process.exit(problems.length > 0 || count === 0 ? 1 : 0);
