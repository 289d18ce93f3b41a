#!/bin/sh
# Speed tables of this machine: `mtlc bench` on two models, each so many times, the least and the spread of every time.
# A benchmark, no test: nothing here fails on a clock.  docs/performance.md tells how to read it.
#
#   examples/bench/run.sh [REPEATS] [bench options: --backend=c, --cpu=v3, ...]
set -eu
cd "$(dirname -- "$0")/../.."
: "${MTL_BUILD:=$PWD/build}" "${MTLC:=$MTL_BUILD/mtlc}"
repeats=${1:-3}
[ $# -gt 0 ] && shift
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for model in esmm360 mmoe512; do
	for i in $(seq "$repeats"); do "$MTLC" bench "$@" "examples/bench/$model.mtl" >"$tmp/$i"; done
	echo "== $model, best of $repeats"
	sed -n 1,2p "$tmp/1"
	awk '/^  .* ->/' "$tmp/1"
	cat "$tmp"/* | awk '
		/^[0-9]+ / {
			if (!($1 in score)) { order[++n] = $1; score[$1] = step[$1] = 1e9 }
			if ($2 < score[$1]) { score[$1] = $2; share[$1] = $4 }
			if ($2 > worst[$1]) worst[$1] = $2
			if ($6 < step[$1]) { step[$1] = $6; steps[$1] = $8 }
			if ($6 > slow[$1]) slow[$1] = $6
		}
		END {
			printf "%-8s %12s %8s %8s %12s %8s %8s\n", "batch", "score, us", "peak %", "spread", "step, us", "peak %", "spread"
			for (i = 1; i <= n; i++) {
				b = order[i]
				printf "%-8s %12.2f %8s %7.0f%% %12.2f %8s %7.0f%%\n", b, score[b], share[b],
					100 * (worst[b] / score[b] - 1), step[b], steps[b], 100 * (slow[b] / step[b] - 1)
			}
		}'
	rm -f "$tmp"/*
done
echo "== functions"
"$MTLC" bench --only=functions examples/bench/esmm360.mtl | tail -n +4
echo "== beside oneDNN and torch"
examples/bench/peers/dense.sh "$repeats"
echo "== whole training beside torch"
examples/bench/training.sh
