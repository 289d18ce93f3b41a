#!/bin/sh
# The whole journey in two minutes: builds mtlc, makes an impression log whose truth is known, trains ESMM on it,
# evaluates, ships a standalone scorer and measures how near its pCVR is to the truth.
#
#   examples/quickstart.sh [FOLDER]     default build/quickstart
#
# Installs what a fresh Debian 12 lacks (as root or through sudo).
set -eu
cd "$(dirname -- "$0")/.."
build=${MTL_BUILD:-build}
w=${1:-$build/quickstart}
rows=${ROWS:-400000}

step() { printf '\n== %s\n' "$*"; }
# Shows a command as a reader would type it, and runs it.
run() {
	echo "\$ $*"
	"$@"
}

step "mtlc itself"
tests/install.sh build
mkdir -p "$build" "$w"
{ cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release && cmake --build "$build" --target mtlc -j "$(nproc)"; } >"$build/build.log" 2>&1 ||
	{ tail -n 20 "$build/build.log" >&2; echo "quickstart: the build failed; all it said is in $build/build.log" >&2; exit 1; }
PATH=$(cd "$build" && pwd):$PATH
begin=$(date +%s)
run mtlc --version

step "an impression log: every click and purchase drawn from a probability that is written beside it"
run mtlc data gen funnel --rows "$rows" --seed 7 -o "$w/log.csv"
# By time, as one would: the first 80 % to learn from, then a part to watch, the last 10 % to judge by.
awk -v rows="$rows" -v train="$w/train.csv" -v valid="$w/valid.csv" -v test="$w/test.csv" '
	NR == 1 { print >train; print >valid; print >test; next }
	{ print >(NR - 1 <= rows * 0.8 ? train : NR - 1 <= rows * 0.9 ? valid : test) }' "$w/log.csv"
head -n 4 "$w/test.csv"

step "ESMM: from a model file to its program"
run mtlc build examples/esmm/esmm.mtl -o "$w/esmm"
run mtlc check -v examples/esmm/esmm.mtl | sed -n '/ dense parameters,/,$p'

step "training"
run "$w/esmm" train --data "$w/train.csv" --valid "$w/valid.csv" --out "$w/esmm.model"

step "metrics on rows it has not seen: each head and each derived event, on the rows where it is defined"
run "$w/esmm" eval --data "$w/test.csv" --model "$w/esmm.model"

step "a standalone scorer: the weights inside, nothing to install where it runs"
run mtlc build examples/esmm/esmm.mtl --model "$w/esmm.model" -o "$w/scorer"
run "$w/scorer" "$w/test.csv" -o "$w/scores.csv" --passthrough true_click,true_buy_given_click
head -n 4 "$w/scores.csv"
printf 'size:      %s\n' "$(du -h --apparent-size "$w/scorer" | cut -f1)"
printf 'links:     %s\n' "$(ldd "$w/scorer" 2>&1 | sed 's/^[ \t]*//' | tr '\n' ' ')"
head -n 2 "$w/test.csv" >"$w/one.csv"
start=$(date +%s%N)
for _ in 1 2 3 4 5 6 7 8 9 10; do "$w/scorer" "$w/one.csv" -o /dev/null; done
end=$(date +%s%N)
printf 'one row:   %s ms, from start to exit\n' "$(echo "$start $end" | awk '{ printf "%.1f", ($2 - $1) / 1e6 / 10 }')"
start=$(date +%s%N)
"$w/scorer" "$w/test.csv" -o /dev/null
end=$(date +%s%N)
printf 'all rows:  %s ms for %s\n' "$(echo "$start $end" | awk '{ printf "%.0f", ($2 - $1) / 1e6 }')" "$(awk 'END { print NR - 1 }' "$w/test.csv")"

step "the point of ESMM: conversion after a click, for every impression and not only for the clicked ones"
echo "The ordinary CVR model for comparison: the same tower over the same features, trained on clicked rows:"
run mtlc build examples/cvr_alone/cvr_alone.mtl -o "$w/cvr"
run "$w/cvr" train --data "$w/train.csv" --out "$w/cvr.model" --quiet
"$w/cvr" score "$w/test.csv" --model "$w/cvr.model" -o "$w/cvr.csv" --passthrough true_click,true_buy_given_click
# Both files are row for row the test log.
paste -d, "$w/scores.csv" "$w/cvr.csv" | awk -F, '
	NR == 1 { for (i = 1; i <= NF; i++) if (!($i in col)) { col[$i] = i } else if ($i == "pcvr") other = i; next }
	{
		seen = $col["true_click"]
		true = $col["true_buy_given_click"]
		esmm = $col["pcvr"]
		cvr = $other
		group = seen < 0.05 ? 1 : seen < 0.15 ? 2 : seen < 0.3 ? 3 : 4
		for (g = 0; g <= group; g += group) {
			n[g]++
			t[g] += true
			e[g] += esmm
			c[g] += cvr
			e2[g] += (esmm - true) ^ 2
			c2[g] += (cvr - true) ^ 2
		}
	}
	function line(name, g) {
		if (n[g]) printf "%-22s %8d   %.4f   %.4f (%+5.1f %%)  %.4f   %.4f (%+5.1f %%)  %.4f\n", name, n[g], t[g] / n[g],
			e[g] / n[g], 100 * (e[g] / t[g] - 1), sqrt(e2[g] / n[g]), c[g] / n[g], 100 * (c[g] / t[g] - 1), sqrt(c2[g] / n[g])
	}
	END {
		print "\n                           rows    truth   ESMM               error    click-only         error"
		line("all impressions", 0)
		line("P(click) below 5 %", 1)
		line("         5 to 15 %", 2)
		line("         15 to 30 %", 3)
		line("         above 30 %", 4)
		print "\n(truth: mean of true_buy_given_click; then for each model its mean pCVR, how far that is off, and the root of"
		print "the mean squared error of a single pCVR against its truth)"
	}'
[ "$rows" -ge 300000 ] || echo "(On $rows rows neither has learnt much: the difference shows on the 400000 of the default.)"

printf '\nDone in %s s after the build. Everything is in %s; what next: README.md, docs/guide.md.\n' "$(($(date +%s) - begin))" "$w"
