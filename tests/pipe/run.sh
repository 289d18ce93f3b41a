#!/bin/sh
# A scorer as a filter, as ClickHouse and Spark use it: examples/pipe.  Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
t=$tmp

if ! command -v python3 >/dev/null; then
	echo "skipped: python3 is missing"
	verdict 0
	finish
fi
quietly "$MTLC" data gen funnel --rows 3000 --seed 3 -o "$t/funnel.csv" &&
	quietly "$MTLC" build --cpu=native examples/esmm/esmm.mtl -o "$t/prog" &&
	quietly "$t/prog" train --data "$t/funnel.csv" --out "$t/model" --epochs 1 &&
	quietly "$MTLC" build --cpu=native examples/esmm/esmm.mtl --model "$t/model" -o "$t/scorer"
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
