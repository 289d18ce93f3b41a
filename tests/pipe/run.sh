#!/bin/sh
# A scorer as a filter, as ClickHouse and Spark use it: examples/pipe.  Last line: N passed, N failed.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
: "${MTL_BUILD:=$PWD/build}" "${MTLC:=$MTL_BUILD/mtlc}" "${TMPDIR:=/tmp}"
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT

passed=0 failed=0
verdict() { # 0|1 WHAT
	if [ "$1" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $2"; fi
}
finish() {
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
	exit
}
# Runs quietly; what it said, if it fails.
quiet() {
	"$@" >"$t/said" 2>&1 || { head -20 "$t/said"; return 1; }
}
if ! command -v python3 >/dev/null; then
	echo "skipped: python3 is missing"
	verdict 0
	finish
fi
quiet "$MTLC" data gen funnel --rows 3000 --seed 3 -o "$t/funnel.csv" &&
	quiet "$MTLC" build --cpu=native examples/esmm/esmm.mtl -o "$t/prog" &&
	quiet "$t/prog" train --data "$t/funnel.csv" --out "$t/model" --epochs 1 &&
	quiet "$MTLC" build --cpu=native examples/esmm/esmm.mtl --model "$t/model" -o "$t/scorer"
code=$?
verdict $code "no scorer"
[ $code -eq 0 ] || finish
timeout 60 python3 tests/pipe/play.py "$t" >"$t/out" 2>&1
code=$?
grep -v '^passed' "$t/out"
passed=$((passed + $(grep -c '^passed' "$t/out")))
failed=$((failed + $(grep -c '^failed' "$t/out")))
[ $code -eq 0 ] && grep -q '^done$' "$t/out"
verdict $? "the player died, or waited in vain: exit $code"
finish
