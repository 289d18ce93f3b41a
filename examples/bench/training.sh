#!/bin/sh
# Whole training against torch: steps of 1024 rows (the census model: 512, as its text has it), ids in memory, other ones in every
# step, tables and optimisers included, one thread; and the way through one table against torch's sparse Adagrad.  A benchmark, no test.
#
#   examples/bench/training.sh [SECONDS]    torch runs that long for each figure (3)
#
# torch (PYTHON, in Debian python3-torch) is left out where it is not; it has OpenBLAS's best core and tcmalloc or jemalloc if
# they are installed.  peers/torch_training.py says how its programs are made.  QUIET: a command that goes before each measurement.
set -eu
cd "$(dirname -- "$0")/../.."
: "${MTL_BUILD:=$PWD/build}" "${MTLC:=$MTL_BUILD/mtlc}" "${PYTHON:=python3}" "${QUIET:=}"
seconds=${1:-3}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ -z "${OPENBLAS_CORETYPE:-}" ] && grep -q avx512f /proc/cpuinfo; then export OPENBLAS_CORETYPE=SkylakeX; fi
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
malloc=
for f in /usr/lib/*/libjemalloc.so.2 /usr/lib/*/libtcmalloc_minimal.so.4; do [ ! -e "$f" ] || malloc=$f; done
torch=1
"$PYTHON" -c 'import torch' 2>/dev/null || { torch= && echo "no torch for $PYTHON: see $0"; }

peer() { # MODEL BATCH -> median least
	[ -n "$torch" ] || { echo - -; return; }
	LD_PRELOAD=$malloc $QUIET "$PYTHON" examples/bench/peers/torch_training.py "$1" "$2" "$seconds" | awk '{ print $4, $5 }'
}
row() { awk -v what="$1" -v own="$2" -v peer="$3" -v unit="$4" 'BEGIN {
	split(peer, p, " ")
	printf "%-34s %10.1f %10s %10s %7s   %s\n", what, own, p[1], p[2], p[1] == "-" ? "" : sprintf("%.1fx", p[1] / own), unit }'; }

printf '%-34s %10s %10s %10s\n' "" here "torch" "its least"
for text in examples/bench/esmm360.mtl:1024 examples/mmoe/mmoe.mtl:512 examples/bench/fwfm30.mtl:1024; do
	batch=${text##*:} text=${text%:*}
	name=$(basename "$text" .mtl)
	"$MTLC" build --cpu=native "$text" -o "$tmp/prog" >/dev/null
	for threads in 1 2; do $QUIET "$tmp/prog" bench --threads $threads | awk -v n="$batch" '$1 == "train" && $3 == n { print $4 }' >"$tmp/$threads"; done
	row "$name, $batch rows" "$(cat "$tmp/1")" "$(peer "$name" "$batch")" "us a step; two threads $(cat "$tmp/2")"
done
$QUIET "$MTLC" bench --only=tables examples/bench/esmm360.mtl | awk '/^1000*  / { print $1, $6 }' >"$tmp/tables"
while read -r rows ns; do
	row "table of $rows rows" "$ns" "$(peer tables "$rows" | awk '{ if ($1 == "-") print; else printf "%.1f %.1f\n", $1 / 20.48, $2 / 20.48 }')" "ns a look-up"
done <"$tmp/tables"
