#!/bin/sh
# A scorer against ONNX Runtime and torch on this machine: rows of table ids in, probabilities out, one thread; median and 99th
# percentile of single calls, and the medians as multiples of the scorer's.  A benchmark, no test.
#
#   examples/bench/peers/run.sh [F.mtl...]
#
# A peer that is not there is left out.  ONNX Runtime: MTL_ORT, a folder with node_modules/onnxruntime-node or with
# libonnxruntime.so* (tests/onnx/run.sh installs one into build/ort).  torch: PYTHON (python3) with torch and onnx, in Debian
# python3-torch and python3-onnx.  QUIET: a command that goes before each measurement.
set -eu
cd "$(dirname -- "$0")/../../.."
: "${MTL_BUILD:=$PWD/build}" "${MTLC:=$MTL_BUILD/mtlc}" "${CC:=cc}" "${PYTHON:=python3}" "${MTL_ORT:=$MTL_BUILD/ort}" "${QUIET:=}"
here=examples/bench/peers
[ $# -gt 0 ] || set -- examples/esmm/esmm.mtl examples/mmoe_kuairand/mmoe_kuairand.mtl examples/bench/esmm360.mtl examples/bench/mmoe512.mtl
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Debian's OpenBLAS does not know every processor of today: told the best it has for this one.
if [ -z "${OPENBLAS_CORETYPE:-}" ] && grep -q avx512f /proc/cpuinfo; then export OPENBLAS_CORETYPE=SkylakeX; fi
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

lib=
for f in "$MTL_ORT"/libonnxruntime.so* "$MTL_ORT"/node_modules/onnxruntime-node/bin/*/linux/*/libonnxruntime.so*; do
	if [ -e "$f" ] && case $f in */arm64/*) [ "$(uname -m)" = aarch64 ] ;; */x64/*) [ "$(uname -m)" = x86_64 ] ;; esac; then lib=$f; fi
done
if [ -n "$lib" ]; then "$CC" -O2 -o "$tmp/ort" $here/ort.c -ldl; else echo "no ONNX Runtime: see $0"; fi
torch=1
"$PYTHON" -c 'import torch, onnx' 2>/dev/null || { torch= && echo "no torch and onnx for $PYTHON: see $0"; }

for text; do
	name=$(basename "$text" .mtl)
	"$MTLC" build --cpu=native "$text" -o "$tmp/prog" >/dev/null
	"$tmp/prog" init --seed 3 --out "$tmp/model" >/dev/null
	"$MTLC" build --cpu=native "$text" --model "$tmp/model" -o "$tmp/scorer" >/dev/null
	"$MTLC" build "$text" --model "$tmp/model" --emit=onnx -o "$tmp/model.onnx" >/dev/null
	"$PYTHON" $here/inputs.py "$tmp/model.onnx" "$tmp/scorer" >"$tmp/inputs"
	$QUIET "$tmp/scorer" bench --threads 1 >"$tmp/bench"
	sed -n 's/^\([a-z]*\), [a-z]* *\([0-9]*\) *\([0-9.]*\) us a call, p99 *\([0-9.]*\) .*/scorer \1 \2 \3 \4/p' "$tmp/bench" |
		sed 's/ score / batch /' >"$tmp/times"
	say() { tail -3 "$tmp/said" >&2; } # and its column stays empty
	[ -z "$lib" ] || $QUIET "$tmp/ort" "$lib" "$tmp/model.onnx" "$tmp/inputs" >>"$tmp/times" 2>"$tmp/said" || say
	[ ! -e "$tmp/said" ] || cat "$tmp/said" >>"$tmp/versions"
	[ -z "$torch" ] || $QUIET "$PYTHON" $here/torch_peer.py "$tmp/model.onnx" "$tmp/inputs" >>"$tmp/times" 2>"$tmp/said" || say
	[ ! -e "$tmp/said" ] || cat "$tmp/said" >>"$tmp/versions"
	echo "== $name"
	awk '
		function cell(who, k) {
			return (who, k) in median ? sprintf("%10.1f %10.1f %6.1fx", median[who, k], p99[who, k],
				median[who, k] / median["scorer", k]) : sprintf("%28s", "-")
		}
		{
			k = $2 " " $3
			median[$1, k] = $4
			p99[$1, k] = $5
			if ($1 == "scorer") order[++n] = k
			if (NF > 5 && $2 != "empty") {
				if (k in sum && (d = sum[k] - $6) * d > 1e-8 * (1 + sum[k] * sum[k])) differ = differ " " k
				sum[k] = $6
			}
		}
		END {
			printf "%-14s %21s %28s %28s\n", "us", "scorer, p99", "ONNX Runtime, p99", "torch, p99"
			for (i = 1; i <= n; i++) {
				k = order[i]
				what = k
				if (sub(/^request /, "", what)) what = "1 x " what
				printf "%-14s %10.1f %10.1f %s %s\n", what, median["scorer", k], p99["scorer", k], cell("onnxruntime", k), cell("torch", k)
			}
			if (("torch", "empty 0") in median) printf "(of torch, calling alone: %.1f)\n", median["torch", "empty 0"]
			if (differ) { print "the peers scores differ:" differ; exit 1 }
		}' "$tmp/times"
done
[ ! -e "$tmp/versions" ] || sort -u "$tmp/versions"
