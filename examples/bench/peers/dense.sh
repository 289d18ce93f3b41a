#!/bin/sh
# The benchmark's networks and functions against oneDNN and torch, one thread: the least of many short repeats, of a
# thread's own time.  A peer that is not there is left out (Debian: libdnnl-dev, python3-torch).  A benchmark, no test.
#
#   examples/bench/peers/dense.sh [REPEATS]
#
# The peers get the networks' inputs as they are; mtlc looks its up in tables first.  QUIET: a command that goes before each
# measurement.
set -eu
cd "$(dirname -- "$0")/../../.."
: "${MTL_BUILD:=$PWD/build}" "${MTLC:=$MTL_BUILD/mtlc}" "${CC:=cc}" "${PYTHON:=/usr/bin/python3}" "${QUIET:=}"
here=examples/bench/peers
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ -z "${OPENBLAS_CORETYPE:-}" ] && grep -q avx512f /proc/cpuinfo; then export OPENBLAS_CORETYPE=SkylakeX; fi
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

"$CC" -O2 -march=native $here/dnnl.c -ldnnl -o "$tmp/dnnl" 2>/dev/null || echo "no oneDNN: see $0"
torch=1
"$PYTHON" -c 'import torch' 2>/dev/null || { torch= && echo "no torch for $PYTHON: see $0"; }

# shellcheck disable=SC2034  # so many times
for i in $(seq "${1:-1}"); do
	for model in esmm360 mmoe512; do
		$QUIET "$MTLC" bench --only=whole examples/bench/$model.mtl >"$tmp/bench"
		awk -v m=$model '/^[0-9]+ / { print "mtlc net", m, $1, $2, $4; print "mtlc step", m, $1, $6, $8 }' "$tmp/bench"
	done
	$QUIET "$MTLC" bench --only=layers examples/bench/mmoe512.mtl >"$tmp/bench"
	awk '/^  [0-9]+ -> [0-9]+, 128 rows/ { sub(/,/, "", $3); print "mtlc layer", $1 "x" $3, 128, $7, $9 }' "$tmp/bench"
	$QUIET "$MTLC" bench --only=functions examples/bench/esmm360.mtl >"$tmp/bench"
	awk '/ ulp$/ { print "mtlc function", $1, "-", $2, $4 " ulp" }' "$tmp/bench"
	# shellcheck disable=SC2086
	{ [ ! -x "$tmp/dnnl" ] || $QUIET "$tmp/dnnl"; } >"$tmp/bench"
	awk '$1 == "net" || $1 == "layer" { print "oneDNN", $1, $2, $3, $4, $5 } $1 == "function" { print "oneDNN function", $2, "-", $3 }' "$tmp/bench"
	# shellcheck disable=SC2086
	{ [ -z "$torch" ] || $QUIET "$PYTHON" $here/nets.py; } >"$tmp/bench"
	awk '$1 == "net" || $1 == "step" { print "torch", $1, $2, $3, $4 } $1 == "function" { print "torch function", $2, "-", $3 }' "$tmp/bench"
done >"$tmp/lines"

awk '
	{
		key = $2 " " $3 " " $4
		if (!(key in seen)) { seen[key] = 1; order[++n] = key }
		if (!((key, $1) in best) || $5 + 0 < best[key, $1]) {
			best[key, $1] = $5 + 0
			more[key, $1] = $6 == "" ? "" : $6 ($2 == "function" ? " ulp" : " %")
		}
	}
	function ratio(key, who) {
		return (key, who) in best ? sprintf("%10.2f %9s %5.2fx", best[key, who], more[key, who], best[key, who] / best[key, "mtlc"]) : sprintf("%27s", "")
	}
	END {
		printf "%-22s %10s %10s %27s %27s\n", "us; functions: ns", "mtlc", "", "oneDNN", "torch"
		for (i = 1; i <= n; i++) {
			key = order[i]
			if (!((key, "mtlc") in best) || (!((key, "oneDNN") in best) && !((key, "torch") in best))) continue
			sub(/ -$/, "", key)
			name = key
			key = order[i]
			printf "%-22s %10.2f %10s %s %s\n", name, best[key, "mtlc"], more[key, "mtlc"], ratio(key, "oneDNN"), ratio(key, "torch")
		}
	}' "$tmp/lines"
