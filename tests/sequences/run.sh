#!/bin/sh
# Sequences from cells to scores: both backends, any number of threads, rows in any order and alone, lists cut by the
# reader and before it, longer maxima, empty items, bad rows, a scorer and a library.  Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
here=tests/sequences

awk -v rows=1500 -v seed=7 -f $here/log.awk >"$tmp/log.csv"
awk -v rows=900 -v seed=11 -f $here/log.awk >"$tmp/test.csv"

"$MTLC" gradcheck $here/seq.mtl >"$tmp/out" 2>&1
verdict $? "gradients, and the kernels' bits"

# normalised within a step, not over the steps
"$MTLC" gradcheck --cpu=v3 $here/norm.mtl >"$tmp/out" 2>&1
verdict $? "gradients of a normalised step"
[ "$("$MTLC" check --dump=graph $here/norm.mtl 2>/dev/null | grep -c '= sum_last .*\[n, T\]')" -eq 2 ]
verdict $? "a step is normalised over the steps"

# pool: max is the maximum over the steps of a sequence; weights are not looked at, empty items are none, the last six stay
"$MTLC" gradcheck $here/pool.mtl >"$tmp/out" 2>&1
verdict $? "gradients of pool: max"
awk 'BEGIN { s = 5; print "tags,steps,click"
	for (r = 0; r < 700; r++) { a = b = ""; n = r % 9
		for (i = 0; i < n; i++) { s = (171 * s + 11) % 30269; k = s % 45
			a = a (i ? "|" : "") "t" k (s % 3 ? "" : ":0.5") (s % 5 ? "" : "|"); b = b (i ? "|" : "") "t" k }
		print a "," b "," (s % 2) } }' >"$tmp/pool.csv"
"$MTLC" build $here/pool.mtl -o "$tmp/pool" && "$tmp/pool" train --data "$tmp/pool.csv" --cache "$tmp" --epochs 2 --out "$tmp/pool.m" -q &&
	"$tmp/pool" score --model "$tmp/pool.m" "$tmp/pool.csv" >"$tmp/out"
awk -F, 'NR > 1 && $2 != $3 { bad = 1 } NR > 1 && ($2 != 0) != (NR % 9 != 2) { bad = 1 } END { exit bad || NR != 701 }' "$tmp/out"
verdict $? "pool: max is the largest of each column, and 0 of an empty list"
"$tmp/pool" train --data "$tmp/pool.csv" --epochs 2 --threads 3 --out "$tmp/pool.3" -q && cmp -s "$tmp/pool.m" "$tmp/pool.3"
verdict $? "pool: max trains to the same bits on three threads, and without a pack"

for backend in llvm c; do
	"$MTLC" build --backend=$backend $here/seq.mtl -o "$tmp/$backend" 2>"$tmp/err" &&
		"$tmp/$backend" train --data "$tmp/log.csv" --out "$tmp/$backend.m" -q 2>>"$tmp/err"
	verdict $? "$backend: builds and trains"
	"$tmp/$backend" score --model "$tmp/$backend.m" "$tmp/test.csv" >"$tmp/$backend.out" 2>>"$tmp/err"
	verdict $? "$backend: scores"
done
same "$tmp/llvm.out" "$tmp/c.out" "both backends give the same bits"
[ "$(wc -l <"$tmp/llvm.out")" -eq 901 ]
verdict $? "a score for each row"
"$tmp/llvm" eval --model "$tmp/llvm.m" --data "$tmp/test.csv" --json >"$tmp/eval" 2>/dev/null
awk -F'"auc":' '{ split($2, x, ","); exit !(x[1] > 0.7) }' "$tmp/eval"
verdict $? "the steps are learnt from"

"$tmp/llvm" train --data "$tmp/log.csv" --out "$tmp/threads.m" --threads 3 -q
"$tmp/llvm" score --model "$tmp/threads.m" --threads 3 "$tmp/test.csv" >"$tmp/threads.out"
same "$tmp/llvm.out" "$tmp/threads.out" "three threads give the same bits"

# rows see no other row: the log backwards, rows that are never in a run, a row alone
{ sed 1q "$tmp/test.csv"; sed 1d "$tmp/test.csv" | tac; } >"$tmp/back.csv"
"$tmp/llvm" score --model "$tmp/llvm.m" "$tmp/back.csv" | { read -r h; echo "$h"; tac; } >"$tmp/back.out"
same "$tmp/llvm.out" "$tmp/back.out" "the order of rows does not matter"
awk 'NR == 1 { print; next } { line[NR] = $0 }
	END { for (k = 0; k < 45; k++) for (i = 2 + k; i <= NR; i += 45) print line[i] }' "$tmp/test.csv" >"$tmp/mixed.csv"
"$tmp/llvm" score --model "$tmp/llvm.m" "$tmp/mixed.csv" >"$tmp/mixed.out"
sed 1d "$tmp/llvm.out" | sort >"$tmp/a"
sed 1d "$tmp/mixed.out" | sort >"$tmp/b"
same "$tmp/a" "$tmp/b" "requests in one run or scattered"
for row in 2 137 500 901; do
	sed -n "1p;${row}p" "$tmp/test.csv" | "$tmp/llvm" score --model "$tmp/llvm.m" | sed -n 2p >"$tmp/a"
	sed -n "${row}p" "$tmp/llvm.out" >"$tmp/b"
	same "$tmp/a" "$tmp/b" "row $row alone"
done

# how long lists may be is not how long they are
"$MTLC" build $here/seq.mtl -D longest=200 -o "$tmp/long" && "$tmp/long" train --data "$tmp/log.csv" --out "$tmp/long.m" -q
"$tmp/long" score --model "$tmp/long.m" "$tmp/test.csv" >"$tmp/long.out"
same "$tmp/llvm.out" "$tmp/long.out" "a longer max changes no bit"

# cut by the reader, and before it
cut_lists() { awk -F, -v OFS=, 'NR > 1 { for (c = 2; c <= 4; c++) { n = split($c, x, / /); y = ""
	for (i = n > 4 ? n - 3 : 1; i <= n; i++) y = y (y_n++ ? " " : "") x[i]; y_n = 0; if ($c != "") $c = y } } { print }' "$1"; }
cut_lists "$tmp/log.csv" >"$tmp/short.csv"
"$MTLC" build $here/seq.mtl -D longest=4 -o "$tmp/cut"
"$tmp/cut" train --data "$tmp/log.csv" --out "$tmp/cut.m" >"$tmp/said" 2>&1
"$tmp/cut" score --model "$tmp/cut.m" "$tmp/log.csv" >"$tmp/a" 2>/dev/null
"$tmp/cut" train --data "$tmp/short.csv" --out "$tmp/cut2.m" -q
"$tmp/cut" score --model "$tmp/cut2.m" "$tmp/short.csv" >"$tmp/b"
same "$tmp/a" "$tmp/b" "the last four steps stay"
over=$(awk -F, 'NR > 1 && split($2, x, / /) > 4' "$tmp/log.csv" | wc -l)
grep -q " $over lists cut" "$tmp/said"
verdict $? "cut rows are counted once each: $over"

# arrays of JSON
awk -F, 'NR == 1 { split($0, name, ","); next }
	{ printf "{"; for (c = 1; c <= 7; c++) {
		v = $c; if (c >= 2 && c <= 4) { n = split(v, x, / /); v = "["; for (i = 1; i <= n; i++) v = v (i > 1 ? "," : "") "\"" x[i] "\""; v = v "]" }
		else v = "\"" v "\""
		printf "%s\"%s\":%s", (c > 1) ? "," : "", name[c], v } print "}" }' "$tmp/test.csv" >"$tmp/test.jsonl"
"$tmp/llvm" score --model "$tmp/llvm.m" --format csv "$tmp/test.jsonl" >"$tmp/json.out" 2>"$tmp/err"
same "$tmp/llvm.out" "$tmp/json.out" "lists as arrays of JSON"

# bad rows
head='user_id,seen_item,seen_kind,seen_wait,item_id,price,click'
bad() { # CODE ROW
	printf '%s\n%s\n' "$head" "$2" | "$tmp/llvm" score --model "$tmp/llvm.m" >"$tmp/out" 2>&1
	[ $? -eq 4 ] && grep -q "$1" "$tmp/out"
	verdict $? "$1: $2"
}
bad D0118 'u1,1 2 3,a b,1 2 3,5,1,0'
bad D0118 'u1,1 2 3,a b a b,1 2 3,5,1,0'
bad D0118 'u1,1,,1,5,1,0'
bad D0118 'u1,1 2 3 4 5 6 7 8 9 10 11 12 13 14,a b,1 2,5,1,0'
bad D0109 'u1,1 2,a b,1 x,5,1,0'
printf '%s\n%s\n' "$head" 'u1,,,,5,1,0' | "$tmp/llvm" score --model "$tmp/llvm.m" >"$tmp/out" 2>&1
verdict $? "a row without a step"

# a static scorer, and a library: a request and its candidates
"$MTLC" build $here/seq.mtl --model "$tmp/llvm.m" -o "$tmp/scorer" 2>"$tmp/err"
verdict $? "a scorer builds"
"$tmp/scorer" "$tmp/test.csv" >"$tmp/scorer.out"
same "$tmp/llvm.out" "$tmp/scorer.out" "the scorer gives the same bits"
# requests and candidates as two files: each candidate attends to the request's steps
sed 1d "$tmp/test.csv" | cut -d, -f1-4 | awk '!seen[$0]++' | head -7 >"$tmp/r"
sed 1d "$tmp/test.csv" | cut -d, -f5,6 | head -150 >"$tmp/c"
{ echo user_id,seen_item,seen_kind,seen_wait; cat "$tmp/r"; } >"$tmp/r.csv"
{ echo item_id,price; cat "$tmp/c"; } >"$tmp/c.csv"
{ sed -n 1p "$tmp/test.csv"; while IFS= read -r request; do sed "s/^/$request,/; s/\$/,0/" "$tmp/c"; done <"$tmp/r"; } >"$tmp/product.csv"
[ "$(wc -l <"$tmp/product.csv")" -eq 1051 ] && "$tmp/scorer" "$tmp/product.csv" >"$tmp/product.out"
verdict $? "each request with each candidate, row by row"
"$tmp/scorer" --request "$tmp/r.csv" --candidates "$tmp/c.csv" >"$tmp/out"
same "$tmp/product.out" "$tmp/out" "the scorer's --request with sequences: other bits"
"$tmp/llvm" score --model "$tmp/llvm.m" --request "$tmp/r.csv" --candidates "$tmp/c.csv" >"$tmp/out"
same "$tmp/product.out" "$tmp/out" "score --request with sequences: other bits"
"$MTLC" build $here/seq.mtl --model "$tmp/llvm.m" --emit=static,header -o "$tmp/seq" 2>"$tmp/err" &&
	"${CC:-cc}" -O1 -Wall -Wextra -I"$tmp" $here/doors.c "$tmp/seq.a" -lz -lzstd -ljansson -lm -lpthread -o "$tmp/doors" 2>>"$tmp/err"
verdict $? "a library builds"
cat "$tmp/err"
"$tmp/doors" >"$tmp/out" 2>&1
verdict $? "the library: rows, and a request with candidates"
cat "$tmp/out"

# DIN and DUPN on a public log; a second day; rows without a label for one of the tasks
losses() { sed -n 's/.*"kind":"epoch".*"loss":{\([^}]*\)}.*/\1/p' "$1" | head -n "$2" | tail -n 1 | tr ',' '\n' | awk -F: '{ s += $2 } END { print s }'; }
example() { # NAME
	"$MTLC" build --cpu=v3 -D codes=500 "examples/$1/$1.mtl" -o "$tmp/$1" 2>"$tmp/err" &&
		"$MTLC" build --cpu=v3 -D codes=500 --backend=c "examples/$1/$1.mtl" -o "$tmp/$1.c" 2>>"$tmp/err"
	verdict $? "$1: no program: $(tail -1 "$tmp/err")"
	train="train --data $tmp/day1.csv --epochs 2 --batch 256 --shuffle 0 --early-stop none -q"
	# shellcheck disable=SC2086  # options
	{
		"$tmp/$1" $train --log "$tmp/log" --out "$tmp/$1.m" --threads 1 && "$tmp/$1" $train --out "$tmp/$1.m3" --threads 3 && "$tmp/$1.c" $train --out "$tmp/$1.mc"
		verdict $? "$1: training"
	}
	same "$tmp/$1.m" "$tmp/$1.m3" "$1: another model with three threads"
	same "$tmp/$1.m" "$tmp/$1.mc" "$1: another model through C"
	echo "$(losses "$tmp/log" 1) $(losses "$tmp/log" 2)" >"$tmp/fell"
	awk '{ exit !($2 > 0 && $2 < $1) }' "$tmp/fell"
	verdict $? "$1: the losses do not fall: $(cat "$tmp/fell")"
}
if [ -n "${MTL_CSV:-}" ] && [ -z "${MTL_QUICK:-}" ]; then
	sed -n '1,1025p' "$MTL_CSV/kuairand/train.csv" >"$tmp/day1.csv"
	sed -n '1p;1026,1537p' "$MTL_CSV/kuairand/train.csv" >"$tmp/day2.csv"
	example din
	example dupn
	"$tmp/dupn" train --data "$tmp/day2.csv" --init "$tmp/dupn.m" --epochs 1 --batch 256 --early-stop none -q --out "$tmp/dupn.2" 2>"$tmp/err" &&
		"$tmp/dupn" eval --data "$tmp/day2.csv" --model "$tmp/dupn.2" >"$tmp/out"
	verdict $? "dupn: no second day: $(tail -1 "$tmp/err")"
	# A file without the column of `follow` leaves its tower, and what the optimiser knows of it, where they were.
	column=$(sed -n 1p "$tmp/day2.csv" | tr ',' '\n' | grep -n '^follow$' | cut -d: -f1)
	cut -d, --complement -f"$column" "$tmp/day2.csv" >"$tmp/less.csv"
	"${CC:-cc}" -std=gnu11 -O1 -I. -Iruntime tests/run/tensors.c "$MTL_BUILD/libmtlrt.a" -lz -lzstd -ljansson -lpthread -lm -o "$tmp/tensors"
	head -n 257 "$tmp/day1.csv" >"$tmp/first.csv"
	"$tmp/dupn" train --data "$tmp/first.csv" --epochs 1 --batch 256 --shuffle 0 --early-stop none -q --out "$tmp/first" &&
		"$tmp/dupn" train --data "$tmp/first.csv,$tmp/less.csv" --epochs 1 --batch 256 --shuffle 0 --early-stop none -q --out "$tmp/both"
	verdict $? "dupn: logs with different labels"
	for f in first both; do
		"$tmp/tensors" "$tmp/$f" | grep -E '^(optim\.[01]\.)?tower\.to_follow\.' >"$tmp/$f.follow"
		"$tmp/tensors" "$tmp/$f" | grep -E '^(optim\.[01]\.)?tower\.h\.click\.' >"$tmp/$f.click"
	done
	[ -s "$tmp/first.follow" ]
	verdict $? "dupn: there is no tower to_follow"
	same "$tmp/first.follow" "$tmp/both.follow" "dupn: rows without a label of follow change its tower, or its optimiser"
	! cmp -s "$tmp/first.click" "$tmp/both.click"
	verdict $? "dupn: the second file changes nothing at all: the test shows nothing"
elif [ -z "${MTL_CSV:-}" ]; then
	echo "skipped: DIN and DUPN (no data)"
fi

# ---- two tasks over the same steps, whose gradients are brought together ----
awk -F, -v OFS=, 'NR == 1 { print $0, "dear"; next } { print $0, ($6 > 0.5) != (NR % 4 == 0) }' "$tmp/log.csv" >"$tmp/two.csv"
head -301 "$tmp/two.csv" >"$tmp/step.csv"
for balance in fixed pcgrad gradnorm; do
	sed "s/^event click/event click\nevent dear/; s/^loss click.*/&\ntower b = x -> mlp([4]) -> dense(1)\nP(dear) = sigmoid(b)\nloss dear: bce(P(dear))/; s/^train {/train { balance: $balance /" \
		$here/seq.mtl >"$tmp/$balance.mtl"
	"$MTLC" build --cpu=native "$tmp/$balance.mtl" -o "$tmp/$balance" 2>"$tmp/err" &&
		"$tmp/$balance" train --data "$tmp/step.csv" --epochs 1 --batch 300 --shuffle 0 --out "$tmp/x.m" -q --monitor 1 --log "$tmp/$balance.jsonl"
	verdict $? "$balance: builds and trains"
	sed -n 's/.*"norm":{"click":\([^,]*\),"dear":\([^}]*\)},"cosine":\[{"of":\["click","dear"\],"steps":1,"mean":\([^,]*\),.*/\1 \2 \3/p' "$tmp/$balance.jsonl" >"$tmp/$balance.seen"
done
# One loss at a time, or a backward pass for each task: two ways to the same lengths and the same angle.
for balance in pcgrad gradnorm; do
	paste -d' ' "$tmp/fixed.seen" "$tmp/$balance.seen" | awk '{ for (i = 1; i <= 3; i++) { d = $i - $(i + 3); if (!(d < 1e-5 && d > -1e-5)) bad = 1 } exit !(NF == 6 && $1 > 0.01 && !bad) }'
	verdict $? "$balance: norms and cosine of tasks $(cat "$tmp/$balance.seen"), one loss at a time $(cat "$tmp/fixed.seen")"
done
"$MTLC" gradcheck --cpu=native "$tmp/pcgrad.mtl" >"$tmp/out" 2>&1 && "$MTLC" gradcheck --backend=c --cpu=v3 "$tmp/pcgrad.mtl" >"$tmp/out" 2>&1
verdict $? "gradients of two tasks through time: $(tail -3 "$tmp/out")"
for n in 1 3; do "$tmp/pcgrad" train --data "$tmp/two.csv" --threads $n --out "$tmp/pcgrad.$n" -q; done
cmp -s "$tmp/pcgrad.1" "$tmp/pcgrad.3"
verdict $? "pcgrad over steps: three threads give another model"
"$tmp/fixed" train --data "$tmp/two.csv" --out "$tmp/fixed.m" -q && ! cmp -s "$tmp/fixed.m" "$tmp/pcgrad.1"
verdict $? "pcgrad over steps changes nothing"

finish
