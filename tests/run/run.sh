#!/bin/bash
# Numbers in, numbers out: gradients against a second implementation, what a cell becomes, and scores that depend on
# nothing but their row.  Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
here=$PWD
cd "$tmp" || exit 1

cc="${CC:-cc} -std=gnu11 -O1 -Wall -I$here -I$here/runtime"
if ! { $cc "$here/tests/run/tensors.c" "$MTL_BUILD/libmtlrt.a" -lz -lzstd -ljansson -lpthread -lm -o tensors &&
	$cc -DMTL_DOUBLE "$here/tests/run/tensors.c" "$MTL_BUILD/libmtlrt64.a" -lz -lzstd -ljansson -lpthread -lm -o tensors64 &&
	$cc "$here/tests/run/reference.c" -lm -o reference; }; then
	verdict 1 "the helpers are not built"
	finish
fi
# Lines "NAME VALUE" of two files: the same names in the same order, values apart at most BOUND of the largest under a name's
# tensor, or of 1e-3.
near() { # FILE FILE BOUND
	awk -v bound="$3" '
		function abs(x) { return x < 0 ? -x : x }
		{ tensor = $1; sub(/\[.*/, "", tensor) }
		FNR == NR { name[FNR] = $1; value[FNR] = $2; if (abs($2) > most[tensor]) most[tensor] = abs($2); n = FNR; next }
		{ if ($1 != name[FNR]) { print FILENAME ": " $1 " where " name[FNR] " is expected"; bad++; exit 1 }
		  scale = most[tensor] > 1e-3 ? most[tensor] : 1e-3
		  if (!(abs($2 - value[FNR]) <= bound * scale)) { if (!bad++) print $1 ": " $2 ", expected " value[FNR] } }
		END { exit !(n > 0 && FNR == n && !bad) }' "$1" "$2"
}

# ---- gradients, a second time ----

cat >net.mtl <<'END'
model net
features g per request { k : id(size: 5)  c : real(missing: 0)  x : real(missing: 0) }
embed 3
rows { weight: weight }
event click
event buy of click
shared f = g -> dense(4, act: relu)
tower ctr = f -> dense(1)
tower cvr = f -> dense(1)
P(click)       = sigmoid(ctr)
P(buy | click) = sigmoid(cvr)
loss ctr:   bce(P(click))
loss ctcvr: bce(P(buy)) weight 0.5
END
# 700 rows: six blocks, the last one broken; unknown labels, row weights.  `log`: the same, with table rows for ids.
awk 'BEGIN {
	state = 7
	print "k,c,x,click,buy,weight" >"net.csv"
	for (r = 0; r < 700; r++) {
		for (i = 0; i < 7; i++) { state = state * 16807 % 2147483647; d[i] = state / 2147483647 }
		k = int(d[0] * 7) - 1 # -1: empty; 5: outside
		c = int(d[1] * 4000 - 2000) / 1000
		x = int(d[2] * 4000 - 2000) / 1000
		click = d[3] < 0.1 ? 2 : d[3] < 0.5
		buy = click == 0 ? 0 : d[4] < 0.15 ? 2 : d[4] < 0.5
		if (click == 0 && d[4] < 0.2) buy = 2
		w = int(d[5] * 8) / 4
		print (k < 0 ? "" : k) "," c "," x "," (click == 2 ? "" : click) "," (buy == 2 ? "" : buy) "," w >"net.csv"
		print (k < 0 ? 0 : k == 5 ? 1 : k + 2), c, x, click, buy, w >"log"
	}
}'
quietly "$MTLC" build net.mtl -o net && quietly ./net init --seed 3 --out fresh
verdict $? "net.mtl: no program"
# Biases away from 0, weights large enough for the losses to bend.
./tensors fresh | awk '{ h = (NR * 7919 % 101) / 101 - 0.5; print $1, $2 * 1.5 + ($1 ~ /bias/ ? h : 0) + ($1 ~ /embed/ ? h / 2 : 0) }' >wanted
quietly ./tensors --set fresh model <wanted
./tensors model >parameters
./reference parameters log >expected
verdict $? "the reference does not know these parameters"
sort expected >expected.sorted
for v in "" v2 v3 v4; do
	[ -z "$v" ] || MTL_VARIANT=$v ./net info >/dev/null 2>&1 || { echo "skipped: this machine has no $v"; continue; }
	for threads in 1 2; do
		MTL_VARIANT=$v quietly ./net grad --data net.csv --model model --out grad --threads $threads
		./tensors grad | sort >got
		near expected.sorted got 2e-6
		verdict $? "gradients ${v:-as chosen}, $threads threads, differ from the reference"
	done
done
[ "$(awk '$1 ~ /^grad\./ && $2 != 0' expected | wc -l)" -gt 45 ]
verdict $? "the reference has hardly a gradient: the test shows nothing"
# The same rows in another order are the same sums, nearly.
{ head -1 net.csv; tail -n +2 net.csv | tac; } >turned.csv
quietly ./net grad --data turned.csv --model model --out turned && ./tensors turned | sort >got
near expected.sorted got 2e-6
verdict $? "gradients of the rows in another order"
# A single row, which is the whole of every mean.
head -2 net.csv >one.csv
head -1 log >log.one
quietly ./net grad --data one.csv --model model --out grad && ./tensors grad | sort >got
./reference parameters log.one | sort >expected.one
near expected.one got 2e-6
verdict $? "gradients of a single row"
# One step of SGD is the gradient times the rate.
sed 's/^loss ctr:/train { optimizer: sgd(lr: 0.5)  batch: 1000 }\n&/' net.mtl >sgd.mtl
quietly "$MTLC" build --cpu=native sgd.mtl -o sgd && quietly ./sgd train --data net.csv --init model --epochs 1 --no-state --out stepped -q
./tensors stepped | sort >got
awk 'NR == FNR { g[substr($1, 6)] = $2; next } { printf "%s %.9g\n", $1, $2 - 0.5 * g[$1] }' expected parameters | sort >expected.step
near expected.step got 2e-6
verdict $? "a step of SGD"
# One step of Adam: bias correction makes it lr * g / (|g| + eps); table rows that no example touched stay.
sed 's/^loss ctr:/train { optimizer: adam(lr: 0.01)  batch: 1000 }\n&/' net.mtl >adam.mtl
quietly "$MTLC" build --cpu=native adam.mtl -o adam && quietly ./adam train --data net.csv --init model --epochs 1 --no-state --out stepped -q
./tensors stepped | sort >got
awk 'function abs(x) { return x < 0 ? -x : x }
	NR == FNR { g[substr($1, 6)] = $2; next } { d = g[$1]; printf "%s %.9g\n", $1, $2 - (abs(d) > 0 ? 0.01 * d / (abs(d) + 1e-8) : 0) }' expected parameters | sort >expected.step
near expected.step got 1e-5
verdict $? "a step of Adam"

# ---- the same in double precision: the two implementations share no code and agree to 12 digits ----

for backend in llvm c; do
	quietly "$MTLC" build net.mtl --double --backend=$backend -o net64 && quietly ./net64 init --out fresh64 && quietly ./tensors64 --set fresh64 model64 <wanted
	./tensors64 model64 >parameters64
	./reference parameters64 log | sort >expected64
	for v in v2 v3 v4; do
		MTL_VARIANT=$v ./net64 info >/dev/null 2>&1 || { echo "skipped: this machine has no $v"; continue; }
		MTL_VARIANT=$v quietly ./net64 grad --data net.csv --model model64 --out grad64 --threads 2
		./tensors64 grad64 | sort >got
		near expected64 got 1e-12
		verdict $? "gradients in double precision, $backend, $v, differ from the reference"
	done
done
near expected.sorted got 1e-12 >/dev/null
verdict $((1 - $?)) "single precision parameters give the same numbers: the test shows nothing"

# ---- what a cell becomes: tables whose row r holds r, and outputs that show them ----

cat >cells.mtl <<'END'
model cells
features g per request {
  h : id(hash: 50)
  v : id(vocab: ["red", "blue"])
  a : id(vocab: auto(2, 2))
  s : id(size: 5)
  b : real(bucket: [1, 2.5], column: "edge (cm)")
  q : real(bucket: quantiles(4))
  m : real(missing: 7)
  l : real(normalize: log1p, missing: learned)
  z : real(normalize: standard, missing: 3)
  x : real(normalize: minmax, missing: 3)
  t : ids(size: 9, pool: sum)
  u : ids(size: 9, pool: mean, max: 2, keep: last, sep: ";")
  n : ids(share: s, pool: mean)
}
embed 1
event click
tower c = g -> dense(1)
P(click) = sigmoid(c)
loss click: bce(P(click))
output h = g.h, v = g.v, a = g.a, s = g.s, b = g.b, q = g.q, m = g.m, l = g.l, z = g.z, x = g.x, t = g.t, u = g.u, n = g.n
END
# Statistics: words x 3, y 2, z 2, w 1; quartiles of 1 .. 8; mean 5 and deviation 2; 0 to 10.
cat >statistics.csv <<'END'
h,v,a,s,edge (cm),q,m,l,z,x,t,u,n,click
,,x,,,8,,,2,0,,,,0
,,y,,,1,,,4,,,,,0
,,z,,,7,,,4,5,,,,0
,,x,,,2,,,4,10,,,,1
,,w,,,6,,,5,2,,,,0
,,z,,,3,,,5,,,,,0
,,y,,,5,,,7,1,,,,1
,,x,,,4,,,9,9,,,,1
,,,,,,,,,,,,,0
END
printf '#define XXH_INLINE_ALL\n#include <xxhash.h>\n#include <stdio.h>\n#include <string.h>\nint main(int c, char **v) { return printf("%%llu\\n", 2 + XXH3_64bits(v[1], strlen(v[1])) %% 50ull) < 0 || c < 2; }\n' >hash.c
$cc hash.c -o hash
quietly "$MTLC" build cells.mtl -o cells && quietly ./cells train --data statistics.csv --epochs 0 --no-state --out fresh -q
verdict $? "cells.mtl: no program"
./tensors fresh | awk '/^embed\.l\.missing/ { print $1, 5; next } /^embed\./ { r = $1; gsub(/.*\[|\]/, "", r); print $1, r }' | ./tensors --set fresh model
cat >cells.csv <<'END'
h,v,a,s,edge (cm),q,m,l,z,x,t,u,n
,,,,,,,,,,,,
abc,red,x,0,0.5,2,2.5,0,5,0,1|2,1;2;3,0|1
a b,blue,y,4,1,3,-1,1,7,10,1:0.5|2:2,1:3;2:1,4
1,green,z,5,2.4,4.9,1e2,2,1,-10,9,;7;;8;,x|0
01,red ,w,x,2.5,5,+3,3,5.5,20,1||2,0,||
,RED,X,-1,1e9,7,.5,1e3,0,5,a,3:0;4:0,4:3|0:1
END
# The row of a hashed word comes from xxhash itself; the rest by hand.
cat >expected <<END
h,v,a,s,b,q,m,l,z,x,t,u,n
0,0,0,0,0,0,7,5,-1,0.3,0,0,0
$(./hash abc),2,2,2,2,2,2.5,0,0,0,7,4.5,2.5
$(./hash 'a b'),3,3,6,3,3,-1,0.693147181,1,1,9.5,3.25,6
$(./hash 1),1,1,1,3,3,100,1.098612289,-2,-1,1,9.5,1.5
$(./hash 01),1,1,1,4,4,3,1.386294361,0.25,2,7,2,0
0,1,1,1,4,5,0.5,6.908754779,-2.5,0.5,1,0,5
END
quietly ./cells score cells.csv --model model -o scores
verdict $? "cells: no scores"
paste -d, expected scores | awk -F, '
	NR == 1 { for (i = 1; i <= 13; i++) { name[i] = $i; if ($i != $(i + 13)) exit bad = 1 } next }
	{ for (i = 1; i <= 13; i++) { d = $i - $(i + 13); if (!(d < 1e-5 && d > -1e-5) || $(i + 13) == "") { print "row " NR - 1 ", " name[i] ": " $(i + 13) ", expected " $i; bad++ } } }
	END { exit bad || NR != 7 }'
verdict $? "a cell becomes something else"
# Trainer and scorer hold the same code for it.
quietly "$MTLC" build cells.mtl --model model -o scorer && quietly ./scorer cells.csv -o scorer.scores
same scores scorer.scores "cells: the scorer says something else"
# Statistics are kept by --init: other data do not change them.
sed 's/,x,/,new,/; s/,z,/,new,/' statistics.csv >other.csv
quietly ./cells train --data other.csv --init model --epochs 0 --no-state --out kept -q && quietly ./cells score cells.csv --model kept -o scores.kept
same scores scores.kept "cells: --init does not keep vocabularies and normalisers"

# ---- a score depends on its row alone ----

spec=$here/examples/esmm/esmm.mtl
quietly "$MTLC" data gen funnel --rows 3000 --seed 8 -o log.csv
quietly "$MTLC" build "$spec" -o prog && quietly ./prog train --data log.csv --epochs 1 --out model -q && quietly ./prog score log.csv --model model -o scores --threads 1
verdict $? "esmm: no scores"
[ "$(sort -u scores | wc -l)" -gt 2500 ]
verdict $? "the scores hardly differ: the test shows nothing"
for n in 2 3 8; do
	quietly ./prog score log.csv --model model -o other --threads $n
	same scores other "other scores with $n threads"
done
for v in v3 v4; do
	MTL_VARIANT=$v ./prog info >/dev/null 2>&1 || { echo "skipped: this machine has no $v"; continue; }
	MTL_VARIANT=$v quietly ./prog score log.csv --model model -o other
	same scores other "other scores with MTL_VARIANT=$v"
done
{ head -1 log.csv; tail -n +2 log.csv | tac; } >turned.csv
quietly ./prog score turned.csv --model model -o other && { head -1 other; tail -n +2 other | tac; } >other.turned
same scores other.turned "other scores when the rows are turned round"
# Alone, in a few, behind others: every cut of a block.
for n in 1 2 7 16 17 127 128 129 1000; do
	for from in 2 500; do
		{ head -1 log.csv; sed -n "$from,$((from + n - 1))p" log.csv; } >part.csv
		{ head -1 scores; sed -n "$from,$((from + n - 1))p" scores; } >part.expected
		quietly ./prog score part.csv --model model -o other
		same part.expected other "other scores for $n rows from row $from"
	done
done
# Neighbours that are odd: unreadable rows keep their place, the others their scores.
awk -F, -v OFS=, 'NR % 3 == 0 { $3 = "old" } { print }' log.csv >odd.csv
quietly ./prog score odd.csv --model model --on-bad-row null -o other
awk -F, 'NR % 3 == 0 { print ",,"; next } { print }' scores >odd.expected
same odd.expected other "rows beside unreadable ones have other scores"

# ---- the scorer is the program, whatever the form of the log ----

quietly "$MTLC" build "$spec" --model model -o scorer
verdict $? "esmm: no scorer"
tr ',' '\t' <log.csv >log.tsv
gzip -k log.csv
zstd -q log.csv 2>/dev/null || echo "skipped: no zstd command"
# Columns in another order, some more, no label, no truth.
awk -F, -v OFS=, '{ print NR == 1 ? "colour" : "blue", $7, $6, $5, $4, $3, $2, $1 }' log.csv >bare.csv
head -1500 log.csv >part1.csv
{ head -1 bare.csv; tail -n +1501 bare.csv; } >part2.csv
sed 's/$/\r/' log.csv >crlf.csv
awk -F, -v OFS=, '{ for (i = 1; i <= NF; i++) $i = "\"" $i "\""; print }' log.csv >quoted.csv
# shellcheck disable=SC2209
for program in "./prog score --model model" ./scorer; do
	for f in log.csv log.tsv log.csv.gz log.csv.zst bare.csv crlf.csv quoted.csv; do
		[ -e $f ] || continue
		# shellcheck disable=SC2086
		quietly $program $f -o other
		same scores other "$program: other scores from $f"
	done
	for f in log.csv log.csv.gz log.csv.zst; do
		[ -e $f ] || continue
		$program <$f >other 2>said
		same scores other "$program: other scores from $f through stdin"
		# shellcheck disable=SC2002  # a pipe is the point
		cat $f | $program - >other 2>said
		same scores other "$program: other scores from $f through a pipe"
	done
	$program --input-format tsv <log.tsv >other 2>said
	same scores other "$program: other scores from TSV through stdin"
	$program log.csv --format tsv | tr '\t' ',' >other
	same scores other "$program: other scores as TSV"
	$program log.csv --format jsonl | sed 's/[{}]//g; s/"[a-z]*"://g' >other
	tail -n +2 scores >expected
	same expected other "$program: other scores as JSONL"
	{ $program part1.csv; $program part2.csv | tail -n +2; } >other 2>said
	same scores other "$program: other scores in two files"
done
# What is printed reads back as the float it was, in the fewest digits: no shorter text does.
awk -F, 'NR > 1 { for (i = 1; i <= NF; i++) if (length($i) > 16) bad++ } END { exit bad > 0 }' scores
verdict $? "scores are not in their shortest form"

finish
