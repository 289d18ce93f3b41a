#!/bin/sh
# Models as ONNX files: ONNX Runtime's scores are ours within 1e-5.  Last line: N passed, N failed.
#
# ONNX Runtime comes from npm (onnxruntime-node, without its scripts): from MTL_ORT, a folder with node_modules, or
# installed into the build folder, once.
. "$(dirname -- "$0")/../lib.sh"
t=$tmp

# ---- a model of every kind of input ----
awk -v rows=2000 -f tests/embed/log.awk >"$t/kinds.csv"
# Without the cross: what encodes here does not hash the rows of its parts.
sed '/cross(/d' tests/embed/kinds.mtl >"$t/kinds.mtl"
quietly "$MTLC" build --cpu=native "$t/kinds.mtl" -o "$t/prog" &&
	quietly "$t/prog" train --data "$t/kinds.csv" --out "$t/model" --epochs 1 &&
	quietly "$MTLC" build --cpu=native "$t/kinds.mtl" --model "$t/model" --emit=onnx -o "$t/kinds.onnx"
code=$?
verdict $code "no ONNX file"
[ $code -eq 0 ] || finish
quietly "$MTLC" build --cpu=native "$t/kinds.mtl" --model "$t/model" --emit=onnx -o "$t/again.onnx" && cmp -s "$t/kinds.onnx" "$t/again.onnx"
verdict $? "the same model gives other bytes"
"$MTLC" build "$t/kinds.mtl" --emit=onnx -o "$t/no.onnx" 2>"$t/said"
[ $? -eq 2 ] && grep -q -e --model "$t/said" && [ ! -e "$t/no.onnx" ]
verdict $? "--emit=onnx without --model: $(cat "$t/said")"

ort=${MTL_ORT:-$MTL_BUILD/ort}
if [ ! -d "$ort/node_modules/onnxruntime-node" ] && [ -z "${MTL_QUICK:-}" ] && command -v npm >/dev/null; then
	mkdir -p "$ort" && (cd "$ort" && npm install --silent --no-audit --no-fund --ignore-scripts onnxruntime-node) >"$t/said" 2>&1
fi
if [ ! -d "$ort/node_modules/onnxruntime-node" ] || ! command -v node >/dev/null; then
	echo "skipped: ONNX Runtime is not here (npm install --ignore-scripts onnxruntime-node, in $ort)"
	finish
fi
quietly "$CC" -O1 tests/onnx/hash.c -o "$t/hash"
verdict $? "no hash"
compare() { # NAME [ROWS]
	node tests/onnx/compare.mjs "$ort" "$t" "$@" >"$t/said" 2>&1
	code=$?
	if [ $code -eq 0 ]; then cat "$t/said"; fi
	verdict $code "$1: $(head -5 "$t/said")"
}
compare kinds "$t/kinds.csv"
compare kinds

# ---- all that scoring can be made of, and the examples, with random weights where no log is needed ----
for text in tests/onnx/words.mtl tests/onnx/steps.mtl tests/doors/ranker.mtl examples/*/*.mtl; do
	case $text in examples/bench/* | examples/features/*) continue ;; esac
	name=$(basename "$text" .mtl)
	case ${MTL_QUICK:-}$name in *words | *steps | *ranker | *esm2 | *ple | [!1]*) ;; *) continue ;; esac
	quietly "$MTLC" build --cpu=native -O1 "$text" -o "$t/prog"
	code=$?
	verdict $code "$text: no program"
	[ $code -eq 0 ] || continue
	"$t/prog" init --seed 3 --out "$t/model" >"$t/said" 2>&1 || { grep -q statistics "$t/said" || verdict 1 "$text: $(cat "$t/said")"; continue; }
	quietly "$MTLC" build --cpu=native -O1 "$text" --model "$t/model" --emit=onnx -o "$t/$name.onnx"
	code=$?
	verdict $code "$text: no ONNX file"
	[ $code -ne 0 ] || compare "$name"
done
finish
