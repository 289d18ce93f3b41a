// ONNX Runtime's scores against a program's: node compare.mjs ORT FOLDER NAME [ROWS.csv]
// FOLDER holds NAME.onnx, the programs `prog` and `hash`, and `model`. Without rows, random ones are made.
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
const [ort_at, folder, name, rows_at] = process.argv.slice(2);
const ort = createRequire(ort_at + '/')('onnxruntime-node');
const file = readFileSync(`${folder}/${name}.onnx`);

// "mtlc.inputs" of the metadata: a string field behind the key's.
function inputs_of(bytes) {
	let at = bytes.indexOf('mtlc.inputs') + 'mtlc.inputs'.length + 1, n = 0;
	for (let shift = 0; ; shift += 7) {
		const b = bytes[at++];
		n += (b & 127) * 2 ** shift;
		if (b < 128) break;
	}
	return JSON.parse(bytes.subarray(at, at + n).toString());
}
const inputs = inputs_of(file);

// ---- rows ----
let seed = 12345;
const pick = n => { seed = (seed * 1103515245 + 12345) % 2147483648; return Math.floor(seed / 65536) % n; };
function cell(of) {
	if (of.kind != 'ids' && pick(6) == 0) return '';
	if (of.kind == 'real' || !of.code) return String(pick(2000) / 20);
	const item = () => of.code == 'size' ? String(pick(of.n + 3)) : of.code == 'hash' ? 'w' + pick(5000)
		: pick(5) ? of.words[pick(of.words.length)] : 'nobody knows';
	if (of.kind == 'id') return item();
	return Array.from({ length: pick(6) }, () => of.pool && !pick(6) ? '' : item() + (pick(3) ? '' : ':' + pick(40) / 8)).join('|');
}
const columns = [...new Map(Object.values(inputs).filter(i => i.column).map(i => [i.column, i])).values()];
// The fields of a sequence have as many steps in a row; one alone is there, or the cell would say that there is none.
function steps(of, lengths) {
	const n = lengths[of.sequence] ??= pick(7);
	const step = () => of.code == undefined ? String(pick(200) / 8) : of.code == 'size' ? String(pick(of.n + 3))
		: of.code == 'hash' ? 'w' + pick(5000) : pick(5) ? of.words[pick(of.words.length)] : 'nobody';
	return Array.from({ length: n }, () => n > 1 && pick(5) == 0 ? '' : step()).join(of.separator);
}
if (!rows_at) {
	// The program reads the columns of features that no output needs, too.
	const all = JSON.parse(spawnSync(`${folder}/prog`, ['info', '--json']).stdout.toString()).inputs.map(i => i.column);
	const spare = [...new Set(all)].filter(c => !columns.some(i => i.column == c));
	const lines = [[...columns.map(i => i.column), ...spare].join(',')];
	for (let r = 0; r < 300; r++) {
		const lengths = {};
		lines.push([...columns.map(of => of.sequence && !of.pool ? steps(of, lengths) : cell(of)), ...spare.map(() => '1')].join(','));
	}
	writeFileSync(`${folder}/rows.csv`, lines.join('\n') + '\n');
}
const lines = readFileSync(rows_at ?? `${folder}/rows.csv`, 'utf8').trimEnd().split('\n').map(l => l.split(','));
const at = Object.fromEntries(lines[0].map((c, i) => [c, i]));
const log = lines.slice(1);

// ---- cells to tensors, as the metadata say ----
const hashed = new Map();
function rows_of_words(of, words) {
	if (of.code == 'vocab') return words.map(w => { const i = of.words.indexOf(w); return i < 0 ? 1 : i + 2; });
	if (of.code == 'size') return words.map(w => /^[0-9]+$/.test(w) && Number(w) < of.n ? Number(w) + 2 : 1);
	const asked = [...new Set(words)];
	const rows = asked.length ? spawnSync(`${folder}/hash`, { input: asked.map(w => `${of.n} ${w}\n`).join('') }).stdout.toString().split('\n') : [];
	asked.forEach((w, i) => hashed.set(w, Number(rows[i])));
	return words.map(w => hashed.get(w));
}
function list(text, of) {
	let items = text.split('|').map(i => {
		const m = /^(.*):([0-9.]+)$/.exec(i);
		return m ? [m[1], Number(m[2])] : [i, 1];
	}).filter(i => i[0] != '');
	if (of.max && items.length > of.max) items = of.keep == 'last' ? items.slice(-of.max) : items.slice(0, of.max);
	return items;
}
// The steps of a sequence's field, '' where one has no value; of a list whose maximum is taken, the items there are.
function steps_of(text, of) {
	if (of.pool == 'max') return list(text, of).map(i => i[0]);
	const all = text == '' ? [] : text.split(of.separator);
	return !of.max || all.length <= of.max ? all : of.keep == 'last' ? all.slice(-of.max) : all.slice(0, of.max);
}
const n = log.length, feeds = {};
for (const [key, of] of Object.entries(inputs)) {
	if (of.kind == 'length') {
		const field = Object.values(inputs).find(i => i.sequence == of.sequence && i.column);
		feeds[key] = new ort.Tensor('int64', BigInt64Array.from(log.map(r => BigInt(steps_of(r[at[field.column]] ?? '', field).length))), [n]);
		continue;
	}
	const cells = log.map(r => r[at[of.column]] ?? '');
	if (of.sequence) {
		const lists = cells.map(c => steps_of(c, of)), k = Math.max(1, ...lists.map(l => l.length));
		const flat = lists.flatMap(l => Array.from({ length: k }, (_, i) => l[i] ?? ''));
		const there = of.code ? rows_of_words(of, flat) : [];
		feeds[key] = of.code
			? new ort.Tensor('int64', BigInt64Array.from(flat.map((w, i) => BigInt(w == '' ? 0 : there[i]))), [n, k])
			: new ort.Tensor('float64', Float64Array.from(flat, w => w == '' ? NaN : Number(w)), [n, k]);
	} else if (of.kind == 'real' || (of.kind == 'id' && !of.code)) {
		feeds[key] = new ort.Tensor('float64', Float64Array.from(cells, c => c == '' ? NaN : Number(c)), [n]);
	} else if (of.kind == 'id') {
		const rows = rows_of_words(of, cells);
		feeds[key] = new ort.Tensor('int64', BigInt64Array.from(cells, (c, i) => BigInt(c == '' ? 0 : rows[i])), [n]);
	} else {
		const own = of.weights_of ? Object.values(inputs).find(i => i.feature == of.feature && i.code) : of;
		const lists = cells.map(c => list(c, own)), k = Math.max(1, ...lists.map(l => l.length));
		if (of.weights_of) {
			feeds[key] = new ort.Tensor('float32', Float32Array.from(lists.flatMap(l => Array.from({ length: k }, (_, i) => l[i]?.[1] ?? 0))), [n, k]);
		} else {
			const rows = rows_of_words(of, lists.flat().map(i => i[0]));
			let next = 0;
			feeds[key] = new ort.Tensor('int64', BigInt64Array.from(lists.flatMap(l => Array.from({ length: k }, (_, i) => BigInt(i < l.length ? rows[next++] : 0)))), [n, k]);
		}
	}
}

// ---- both ----
const session = await ort.InferenceSession.create(`${folder}/${name}.onnx`, { graphOptimizationLevel: 'all', intraOpNumThreads: 1, logSeverityLevel: 3 });
const got = await session.run(feeds);
const said = spawnSync(`${folder}/prog`, ['score', rows_at ?? `${folder}/rows.csv`, '--model', `${folder}/model`, '--on-bad-row', 'null'], { maxBuffer: 1 << 28 });
const ours = said.stdout.toString().trimEnd().split('\n').map(l => l.split(','));
let worst = 0, compared = 0;
for (let k = 0; k < ours[0].length; k++)
	for (let r = 0; r < n; r++) {
		if (ours[r + 1][k] == '') continue;
		const a = (got[ours[0][k]] ?? got[ours[0][k] + '.output']).data[r], b = Number(ours[r + 1][k]);
		worst = Math.max(worst, Math.abs(a - b) / Math.max(1, Math.abs(b)));
		if (Number.isNaN(a)) worst = Infinity;
		compared++;
	}
console.log(`${name}: ${n} rows, ${compared} scores, largest difference ${worst.toExponential(1)}`);
process.exit(worst <= 1e-5 && compared > n / 2 ? 0 : 1);
