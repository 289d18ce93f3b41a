#!/bin/sh
# Losses within groups, from rows to numbers: every loss of a model whose scores are features, against the same numbers
# computed pair by pair by expected.awk; gradients; the same training from CSV, JSONL, packs, on any number of threads and
# after an interrupt; what is told of groups that are cut or stand apart.  Last line: N passed, N failed.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
: "${MTL_BUILD:=$PWD/build}" "${MTLC:=$MTL_BUILD/mtlc}"
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
XDG_CACHE_HOME=$tmp/cache
NO_COLOR=1
export XDG_CACHE_HOME NO_COLOR
here=tests/groups

passed=0 failed=0
verdict() { # 0|1 WHAT
	if [ "$1" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $2"; fi
}
# near WANT GOT: names of the first that the second lacks or has otherwise
near() {
	awk 'NR == FNR { got[$1] = $2; next }
	     { n++; d = got[$1] - $2; m = $2 < 0 ? -$2 : $2
	       if (!($1 in got) || (d < 0 ? -d : d) > 1e-6 * m) { print $1 " is " got[$1] ", not " $2; bad = 1 } }
	     END { exit bad || n != 11 }' "$2" "$1"
}

# ---- values ----
awk -v seed=3 -v groups=400 -f $here/log.awk >"$tmp/rows.csv"
awk -f $here/expected.awk "$tmp/rows.csv" >"$tmp/want"
for backend in llvm c; do
	p=$tmp/values.$backend
	"$MTLC" build --backend=$backend $here/values.mtl -o "$p" && "$p" train --data "$tmp/rows.csv" --out "$tmp/m" -q
	verdict $? "$backend: builds and trains"
	"$p" eval --model "$tmp/m" --data "$tmp/rows.csv" --json | sed 's/.*"loss":{//; s/}.*//; s/[",]/ /g; s/ : */ /g' |
		tr -s ' :' '\n\n' | sed '/^$/d' | paste -d ' ' - - >"$tmp/got"
	near "$tmp/want" "$tmp/got"
	verdict $? "$backend: losses are those of the rows"
	"$p" eval --model "$tmp/m" --data "$tmp/rows.csv" | awk '/^ *value / { at = NF; ok = $NF == "ndcg"; next } at && $1 == "rel" { exit !(ok && NF == at && $NF > 0 && $NF <= 1) }'
	verdict $? "$backend: the table has the NDCG of a value"
	[ $backend = llvm ] || cmp -s "$tmp/got" "$tmp/got.llvm"
	verdict $? "both backends measure the same bits"
	cp "$tmp/got" "$tmp/got.llvm"
	for f in values rank; do
		"$MTLC" gradcheck --backend=$backend $here/$f.mtl >"$tmp/out" 2>&1
		verdict $? "$backend: gradients of $f"
	done
done

# ---- together with what brings tasks together, and in double precision ----
for balance in fixed uncertainty dwa gradnorm pcgrad mgda 'pareto(click: 0.1)' nash 'cagrad(c: 0.4)'; do
	sed "s/^train {/& balance: $balance /" tests/doors/ranker.mtl >"$tmp/balanced.mtl"
	"$MTLC" gradcheck --cpu=native "$tmp/balanced.mtl" >"$tmp/out" 2>&1
	verdict $? "gradients, balance: $balance: $(tail -1 "$tmp/out")"
done
awk -v seed=5 -v groups=250 -f tests/doors/log.awk >"$tmp/doors.csv"
for balance in gradnorm pcgrad; do
	for wide in "" --double; do
		what="balance: $balance $wide"
		sed "s/^train {/& balance: $balance /" tests/doors/ranker.mtl >"$tmp/balanced.mtl"
		"$MTLC" gradcheck --cpu=native --double "$tmp/balanced.mtl" >"$tmp/out" 2>&1
		verdict $? "$what: gradients"
		# shellcheck disable=SC2086  # no option, or one
		"$MTLC" build --cpu=native $wide "$tmp/balanced.mtl" -o "$tmp/balanced" 2>"$tmp/out"
		for threads in 1 3; do "$tmp/balanced" train --data "$tmp/doors.csv" --threads $threads --out "$tmp/balanced.$threads" -q; done
		[ -s "$tmp/balanced.1" ] && cmp -s "$tmp/balanced.1" "$tmp/balanced.3"
		verdict $? "$what: another model on three threads"
	done
done

# ---- training: it learns the order within groups, which a loss over all rows hardly sees ----
p=$tmp/rank
"$MTLC" build $here/rank.mtl -o "$p"
awk -v seed=1 -v groups=600 -f $here/rank.awk >"$tmp/log.csv"
awk -v seed=2 -v groups=200 -f $here/rank.awk >"$tmp/valid.csv"
"$p" train --data "$tmp/log.csv" --out "$tmp/one" --threads 1 -q
"$p" eval --model "$tmp/one" --data "$tmp/valid.csv" --json | awk '{ sub(/.*"gauc":/, ""); exit !($0 + 0 > 0.93) }'
verdict $? "the order within groups is learnt" # that of a - b itself has a GAUC of 0.95

for threads in 2 5; do
	"$p" train --data "$tmp/log.csv" --out "$tmp/many" --threads $threads -q && cmp -s "$tmp/one" "$tmp/many"
	verdict $? "$threads threads give the same bits"
done
awk -F, 'NR == 1 { next } { split($4, t, "|"); printf "{\"q\":\"%s\",\"a\":%s,\"b\":%s,\"tags\":[\"%s\",\"%s\"],\"good\":%s}\n", $1, $2, $3, t[1], t[2], $5 }' \
	"$tmp/log.csv" >"$tmp/log.jsonl"
"$p" train --data "$tmp/log.jsonl" --out "$tmp/many" -q && cmp -s "$tmp/one" "$tmp/many"
verdict $? "JSONL gives the same bits"
mkdir "$tmp/packs"
for time in first again; do
	"$p" train --data "$tmp/log.csv" --cache "$tmp/packs" --out "$tmp/many" -q && cmp -s "$tmp/one" "$tmp/many"
	verdict $? "a pack gives the same bits ($time)"
done
"$MTLC" build --backend=c $here/rank.mtl -o "$p.c" && "$p.c" train --data "$tmp/log.csv" --out "$tmp/many" -q &&
	cmp -s "$tmp/one" "$tmp/many"
verdict $? "both backends train to the same bits"
"$p" train --data "$tmp/log.csv" --epochs 1 --out "$tmp/part" -q &&
	"$p" train --data "$tmp/log.csv" --resume "$tmp/part" --out "$tmp/part" -q && cmp -s "$tmp/one" "$tmp/part"
verdict $? "a resumed run is the one that was never stopped"

# ---- what is told ----
{ head -1 "$tmp/log.csv"; tail -n +2 "$tmp/log.csv" | awk '{ print NR % 2 "," $0 }' | sort -s -t, -k1,1 | cut -d, -f2-; } >"$tmp/torn.csv"
"$p" train --data "$tmp/torn.csv" --out "$tmp/m" >"$tmp/out" 2>&1
grep -q 'groups come again after other rows.*sort the log by "q"' "$tmp/out"
verdict $? "groups that stand apart are told"
"$p" train --data "$tmp/log.csv" --batch 5 --out "$tmp/m" >"$tmp/out" 2>&1
grep -q 'groups are longer than a batch of 5 rows and are cut' "$tmp/out"
verdict $? "groups that are cut are told"
"$p" train --data "$tmp/log.csv" --out "$tmp/m" >"$tmp/out" 2>&1
! grep -q 'groups' "$tmp/out"
verdict $? "nothing is told of a log in order"
awk -F, 'NR == 1 { print; next } { print $1 NR "," $2 "," $3 "," $4 "," $5 }' "$tmp/log.csv" >"$tmp/alone.csv"
"$p" train --data "$tmp/alone.csv" --out "$tmp/m" >"$tmp/out" 2>&1
[ $? -eq 4 ] && grep -q 'no row has a label that a loss could learn from' "$tmp/out"
verdict $? "a log without a pair teaches nothing, and that is an error"
sed 's/^q,/query,/' "$tmp/log.csv" >"$tmp/other.csv"
"$p" train --data "$tmp/other.csv" --out "$tmp/m" >"$tmp/out" 2>&1
[ $? -eq 4 ] && grep -q '"q"' "$tmp/out"
verdict $? "a log without the column of groups is refused"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
