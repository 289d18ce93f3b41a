#!/bin/sh
# Models of the gallery: each is accepted, has right gradients and learns; and what its paper promises is so.
# Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
here=tests/models

holds() { # WHAT AWK-CONDITION [FILE]
	awk "BEGIN { ok = 0 } $2 END { exit !ok }" "${3:-/dev/null}"
	verdict $? "$1"
}
build() { # FILE PROGRAM [OPTION...]
	file=$1 prog=$2
	shift 2
	"$MTLC" build --cpu=native "$@" "$file" -o "$prog" >"$tmp/out" 2>&1 || { cat "$tmp/out"; return 1; }
}
rows() { # OUT ROWS LABELS FILE... (chain from the environment)
	out=$1 count=$2 labels=$3
	shift 3
	awk -v seed=1 -v rows="$count" -v labels="$labels" -v chain="${chain:-0}" -f $here/log.awk "$@" >"$out"
}
cc=${CC:-cc}
"$cc" -I. -Iruntime $here/magnitudes.c "$MTL_BUILD/libmtlrt.a" -lpthread -ljansson -lz -lzstd -lm -o "$tmp/magnitudes" || exit 1
gradients() { # MODEL-FILE LOG OUT
	build "$1" "$tmp/g" && "$tmp/g" init --seed 1 --out "$tmp/g.model" >/dev/null 2>&1 &&
		"$tmp/g" grad --data "$2" --model "$tmp/g.model" --out "$tmp/g.grad" >/dev/null 2>&1 && "$tmp/magnitudes" "$tmp/g.grad" >"$3"
	verdict $? "$1: no gradients"
}

# ---- every example of the gallery ----
"$MTLC" data gen funnel --rows 6000 --seed 1 -o "$tmp/funnel.csv"
awk -v seed=1 -f examples/youtube/positions.awk "$tmp/funnel.csv" >"$tmp/positions.csv"
rows "$tmp/census.csv" 3000 income_50k,never_married examples/features/census.mtl
rows "$tmp/kuairand.csv" 3000 click,follow examples/features/kuairand.mtl
total() { # LOSSES-OF-EVAL
	awk '/^loss / { sum += $3 } END { print sum }' "$1"
}
example() { # NAME LOG [OPTION...]
	name=$1 log=$2
	shift 2
	what="examples/$name $*"
	if [ -z "${MTL_QUICK:-}" ]; then
		"$MTLC" gradcheck --cpu=v3 "$@" "examples/$name/$name.mtl" >"$tmp/out" 2>&1
		code=$?
		[ $code -eq 0 ] || grep -E 'WRONG|checked|error' "$tmp/out"
		verdict $code "$what: gradients"
	fi
	build "examples/$name/$name.mtl" "$tmp/p" "$@"
	code=$?
	verdict $code "$what: is refused"
	[ $code -eq 0 ] || return
	"$tmp/p" train -q --epochs 3 --batch 128 --early-stop none --data "$log" --out "$tmp/1.model" >"$tmp/out" 2>&1 || cat "$tmp/out"
	"$tmp/p" eval --data "$log" --model "$tmp/1.model" >"$tmp/after" 2>&1
	"$tmp/p" train -q --epochs 1 --lr 1e-20 --early-stop none --data "$log" --out "$tmp/0.model" >"$tmp/out" 2>&1
	"$tmp/p" eval --data "$log" --model "$tmp/0.model" >"$tmp/before" 2>&1
	before=$(total "$tmp/before") after=$(total "$tmp/after")
	awk -v a="${before:-0}" -v b="${after:-1}" 'BEGIN { exit !(a > 0 && b < 0.97 * a) }'
	verdict $? "$what: a short training leads from a loss of $before to $after"
	lines=$(wc -l <"examples/$name/$name.mtl")
	verdict $((lines >= 40)) "$what: $lines lines"
}
example escm2 "$tmp/funnel.csv" -D robust=1
example youtube "$tmp/positions.csv"
example ple "$tmp/census.csv"
if [ -z "${MTL_QUICK:-}" ]; then
	for name in aitm dbmtl escm2 dcn meituan; do example $name "$tmp/funnel.csv"; done
	for name in cross_stitch stem snr dselect batch_norm; do example $name "$tmp/census.csv"; done
	example ple "$tmp/census.csv" -D levels=1
	example meitu "$tmp/kuairand.csv"
fi

# Those that are trained elsewhere, or on public data alone: their gradients, narrow.
if [ -z "${MTL_QUICK:-}" ]; then
	for name in watch_time din dupn; do
		sed "s,\"\.\./,\"$PWD/examples/,; s/^embed .*/embed 4/; s/128/8/g" "examples/$name/$name.mtl" >"$tmp/$name.mtl"
		"$MTLC" gradcheck --cpu=native -D codes=200 "$tmp/$name.mtl" >"$tmp/out" 2>&1
		code=$?
		[ $code -eq 0 ] || grep -E 'WRONG|checked|error' "$tmp/out"
		verdict $code "examples/$name: gradients"
	done
fi
# Variants of layers that no example uses.
variant() { # EXAMPLE LAYER-AS-IN-IT OTHER [OPTION...]
	name=$1 as=$2 other=$3
	shift 3
	sed "s,\"\.\./,\"$PWD/examples/,; s/^embed .*/embed 4/; s/$as/$other/" "examples/$name/$name.mtl" >"$tmp/variant.mtl"
	grep -qF -e "$other" "$tmp/variant.mtl" && "$MTLC" gradcheck --cpu=v3 "$@" "$tmp/variant.mtl" >"$tmp/out" 2>&1
	verdict $? "$name with $other: gradients: $(tail -1 "$tmp/out")"
}
if [ -z "${MTL_QUICK:-}" ]; then
	variant snr ', 16)' ', 16, average: 1)' -D codes=200
	variant dcn 'cross_net_low(32' 'cross_net_mix(3'
fi
# Every example is held to differences, here or in tests/train.
unseen=
for folder in examples/*/; do
	name=$(basename "$folder")
	[ ! -e "$folder$name.mtl" ] || [ -e "tests/train/losses/$name" ] || grep -qE "(example|for name in).* $name[ ;]" "$0" || unseen="$unseen $name"
done
[ -z "$unseen" ]
verdict $? "examples whose gradients nobody looks at:$unseen"

# ---- PLE: through the common path a task's loss reaches the other task's experts below, and not those beside ----
rows "$tmp/ab.csv" 400 a,b $here/ple.mtl
gradients $here/ple.mtl "$tmp/ab.csv" "$tmp/ple"
holds "PLE: no gradient of a reaches b's experts in level 0" '/^grad.*level\.0\.o\.b\.[01]\.0\.weight/ { n++; ok = ok + ($2 > 1e-6) } END { ok = ok == 2 }' "$tmp/ple"
holds "PLE: a gradient of a reaches b's experts in the last level" '/^grad.*level\.1\.o\.b\./ { if ($2 == 0) n++ } END { ok = n == 4 }' "$tmp/ple"
holds "PLE: no gradient reaches the common gate" '/^grad.*level\.0\.g\.weight/ { ok = $2 > 1e-6 }' "$tmp/ple"

# ---- STEM: all forward, one's own backward; the gate learns of what it must not change ----
gradients $here/stem.mtl "$tmp/ab.csv" "$tmp/stem"
holds "STEM: a gradient of a reaches b's tables" '/^grad\.embed\.b\./ { n += $2 == 0 } END { ok = n == 2 }' "$tmp/stem"
holds "STEM: a gradient of a reaches b's experts" '/^grad\.experts\.eb\./ { n += $2 == 0; m++ } END { ok = n == 4 && m == 4 }' "$tmp/stem"
holds "STEM: no gradient reaches the common tables" '/^grad\.embed\.common\./ { n += $2 > 1e-6 } END { ok = n == 2 }' "$tmp/stem"
"$MTLC" check --dump=grad $here/stem.mtl | grep -q 'mix_dg'
verdict $? "STEM: the gate's gradient is not taken from all experts"

# ---- train_only: the scorer reads no position, and its scores do not depend on one ----
rows "$tmp/pos.csv" 400 a $here/position.mtl
build $here/position.mtl "$tmp/p" && "$tmp/p" train -q --epochs 2 --data "$tmp/pos.csv" --out "$tmp/p.model" >/dev/null &&
	"$MTLC" build --cpu=native $here/position.mtl --model "$tmp/p.model" -o "$tmp/scorer"
verdict $? "train_only: no scorer"
awk -F, 'BEGIN { OFS = "," } NR > 1 { $3 = "x" NR; $4 = "" } 1' "$tmp/pos.csv" >"$tmp/other.csv"
cut -d, -f1,2 "$tmp/pos.csv" >"$tmp/none.csv"
for f in pos other none; do "$tmp/scorer" "$tmp/$f.csv" >"$tmp/$f.scores" 2>"$tmp/out" || cat "$tmp/out"; done
cmp -s "$tmp/pos.scores" "$tmp/other.scores" && [ "$(wc -l <"$tmp/pos.scores")" -eq 401 ]
verdict $? "train_only: another position, another score"
cmp -s "$tmp/pos.scores" "$tmp/none.scores"
verdict $? "train_only: the scorer needs the column"
"$tmp/p" score "$tmp/none.csv" --model "$tmp/p.model" 2>&1 | cmp -s - "$tmp/pos.scores"
verdict $? "train_only: the trainer's own score needs the column"
holds "train_only: the score is not the served logit's" 'BEGIN { FS = ","; ok = 1 } NR > 1 { d = $1 - 1 / (1 + exp(-$2)); ok = ok && d < 1e-6 && d > -1e-6 }' "$tmp/pos.scores"
"$tmp/scorer" info 2>&1 | grep -q 'embed.position'
verdict $(($? == 0)) "train_only: the position's table is in the scorer"
"$tmp/p" grad --data "$tmp/pos.csv" --model "$tmp/p.model" --out "$tmp/p.grad" >/dev/null 2>&1 && "$tmp/magnitudes" "$tmp/p.grad" >"$tmp/pos.grad"
holds "train_only: the position is not trained" '/^grad\.embed\.position/ { ok = $2 > 1e-6 }' "$tmp/pos.grad"

# ---- FwFM with weights of 1 is FM ----
rows "$tmp/fm.csv" 300 a $here/fwfm.mtl
for k in 0 1; do
	build $here/fwfm.mtl "$tmp/p" -D trick=$k && "$tmp/p" init --seed 3 --out "$tmp/p.model" >/dev/null &&
		"$tmp/p" score "$tmp/fm.csv" --model "$tmp/p.model" >"$tmp/fm.$k"
done
paste -d, "$tmp/fm.0" "$tmp/fm.1" >"$tmp/fm"
holds "FwFM: weights of 1 are not the square trick" 'BEGIN { FS = ","; ok = 1 } NR > 1 { n++; d = $1 - $3; size += $1 > 0 ? $1 : -$1; ok = ok && d < 1e-6 && d > -1e-6 } END { ok = ok && n == 300 && size / n > 1e-3 }' "$tmp/fm"

# ---- layers held to their definitions, row by row ----
rows "$tmp/parts.csv" 200 a,level $here/parts.mtl
build $here/parts.mtl "$tmp/p" && "$tmp/p" init --seed 1 --out "$tmp/p.model" >/dev/null &&
	"$tmp/p" score "$tmp/parts.csv" --model "$tmp/p.model" >"$tmp/parts"
near='function near(a, b, most) { d = a - b; return d < most && d > -most } BEGIN { FS = ","; ok = 1 } NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } { n++ }'
holds "topk: of three shares one is 0, and the others sum to 1" "$near"' { zero = ($1 == 0) + ($2 == 0) + ($3 == 0); ok = ok && zero == 1 && near($1 + $2 + $3, 1, 1e-6) } END { ok = ok && n == 200 }' "$tmp/parts"
holds "dselect: at most two of four experts, and their shares sum to 1" "$near"' { some = sum = 0; for (k = 0; k < 4; k++) { x = $at["d" k]; some += x != 0; sum += x; used[k] += x != 0 }
	ok = ok && some >= 1 && some <= 2 && near(sum, 1, 1e-6) && $at["entropy"] == 0; two += some == 2 } END { for (k in used) kinds += used[k] > 0; ok = ok && n == 200 && two > 20 && kinds > 2 }' "$tmp/parts"
holds "dselect: of three experts at most two, or their shares do not sum to 1" "$near"' { some = sum = 0; for (k = 0; k < 3; k++) { x = $at["o" k]; some += x != 0; sum += x; used[k] += x != 0 }
	ok = ok && some >= 1 && some <= 2 && near(sum, 1, 1e-6) } END { ok = ok && n == 200 && used[0] > 10 && used[1] > 10 && used[2] > 10 }' "$tmp/parts"
# One selector's shares are products of its digits', whose entropies add up to theirs.
holds "dselect: the entropy is not that of the shares" "$near"' { H = 0; for (k = 0; k < 4; k++) { x = $at["soft" k]; if (x > 0) H -= x * log(x) }
	ok = ok && near(H, $at["some_entropy"], 1e-5); edge += H == 0; between += H > 0.1 } END { ok = ok && n == 200 && edge > 0 && between > 0 }' "$tmp/parts"
holds "layer_norm: mean 0, mean square 1" "$near"' { ok = ok && near($at["mean"], 0, 1e-6) && near($at["square"], 1, 1e-3) } END { ok = ok && n == 200 }' "$tmp/parts"
holds "hard_concrete: gates of logits -5, 5 and 2 are 0, 1 and between" "$near"' { ok = ok && $at["closed"] == 0 && $at["opened"] == 1 && near($at["middle"], 1.2 / (1 + exp(-2)) - 0.1, 0.01) } END { ok = ok && n == 200 }' "$tmp/parts"
holds "noise: a scorer hears it" "$near"' { ok = ok && $at["still"] == 0 } END { ok = ok && n == 200 && "still" in at }' "$tmp/parts"
holds "ordinal: not the differences of sigmoids at -1.5, -.5, .5, 1.5" "$near"' function s(z) { return 1 / (1 + exp(-z)) } { z = $at["s"]
	for (k = 0; k < 5; k++) { hi = k == 4 ? 1 : s(k - 1.5 - z); lo = k == 0 ? 0 : s(k - 2.5 - z); ok = ok && near($at["p" k], hi - lo, 2e-5) } } END { ok = ok && n == 200 }' "$tmp/parts"

holds "bucket: not how many tenths of 1 a probability reaches, or an order with a second one inside" "$near"' { t = int($at["pa"] * 10); seen[t]++; ok = ok && t == $at["tenth"] && near($at["rank"], t + $at["p0"], 1e-5) } END { for (t in seen) kinds++; ok = ok && n == 200 && kinds > 5 }' "$tmp/parts"

# ---- a missing number: what is learnt for it is taught by the rows that lack it, and by no other ----
awk 'BEGIN { print "f,x,a"; for (i = 0; i < 200; i++) print i % 20 "," (i % 4 ? (i * 7) % 11 / 10 : "") "," i % 3 % 2 }' >"$tmp/lack.csv"
awk -F, 'BEGIN { OFS = "," } NR > 1 && $2 == "" { $2 = 0 } 1' "$tmp/lack.csv" >"$tmp/full.csv"
gradients $here/learned.mtl "$tmp/lack.csv" "$tmp/lack"
gradients $here/learned.mtl "$tmp/full.csv" "$tmp/full"
holds "missing: a row that has the number teaches what stands for a missing one" '/^grad\.embed\.x\.missing/ { ok = $2 == 0 }' "$tmp/full"
holds "missing: a row that lacks the number teaches nothing" '/^grad\.embed\.x\.missing/ { ok = $2 > 1e-4 }' "$tmp/lack"
# At first what stands for it is 0: the very same numbers come out, so no NaN was on the way.
awk 'NR == FNR { if ($1 !~ /missing/) want[$1] = $2; next } $1 in want { n++; ok += $2 == want[$1] && $2 == $2 + 0 } END { exit !(n > 5 && ok == n) }' "$tmp/full" "$tmp/lack"
verdict $? "missing: an empty cell computes otherwise than the 0 that stands for it"
"$tmp/g" train -q --data "$tmp/lack.csv" --out "$tmp/g.model" >/dev/null
for f in lack full; do "$tmp/g" score "$tmp/$f.csv" --model "$tmp/g.model" >"$tmp/$f.scores"; done
paste -d, "$tmp/lack.csv" "$tmp/lack.scores" "$tmp/full.scores" | sed 1d >"$tmp/both"
holds "missing: nothing was learnt for an empty cell, or it changes other rows" 'BEGIN { FS = "," } { n++; ok += ($4 == $5) == ($2 != "") } END { ok = ok == 200 && n == 200 }' "$tmp/both"

# ---- crosses: every door encodes them alike, and they learn what their parts cannot ----
rows "$tmp/cross.csv" 300 a $here/cross.mtl
build $here/cross.mtl "$tmp/p" && "$tmp/p" train -q --data "$tmp/cross.csv" --out "$tmp/p.model" >/dev/null &&
	"$MTLC" build --cpu=native $here/cross.mtl --model "$tmp/p.model" -o "$tmp/scorer" &&
	"$MTLC" build --cpu=native $here/cross.mtl --model "$tmp/p.model" --emit=static,header -o "$tmp/cross"
verdict $? "cross: no scorer"
"$tmp/p" score "$tmp/cross.csv" --model "$tmp/p.model" >"$tmp/cross.1"
awk -F, 'NR > 1 { printf "{\"g\":%s,\"f\":%s,\"age\":%s}\n", $3, $1, $2 }' "$tmp/cross.csv" | "$tmp/scorer" --input-format jsonl >"$tmp/cross.2"
[ "$(wc -l <"$tmp/cross.1")" -eq 301 ] && cmp -s "$tmp/cross.1" "$tmp/cross.2"
verdict $? "cross: the scorer reads JSON otherwise than the trainer reads CSV"
cut -d, -f1,2 "$tmp/cross.csv" | head -41 >"$tmp/requests"
cut -d, -f3 "$tmp/cross.csv" | head -31 >"$tmp/candidates"
awk -F, 'NR == FNR { if (FNR > 1) k[++n] = $1; next } FNR == 1 { print "f,age,g"; next } { for (i = 1; i <= n; i++) print $1 "," $2 "," k[i] }' "$tmp/candidates" "$tmp/requests" >"$tmp/joined"
"$tmp/scorer" "$tmp/joined" >"$tmp/cross.3"
"$tmp/scorer" --request "$tmp/requests" --candidates "$tmp/candidates" >"$tmp/cross.4"
[ "$(wc -l <"$tmp/cross.3")" -eq 1201 ] && cmp -s "$tmp/cross.3" "$tmp/cross.4"
verdict $? "cross: requests with candidates score otherwise than their rows joined"
"$cc" -std=c99 -I"$tmp" $here/cross.c "$tmp/cross.a" -lm -o "$tmp/door" && paste -d, "$tmp/cross.csv" "$tmp/cross.1" | sed 1d | cut -d, -f1-3,5 | "$tmp/door" >"$tmp/cross.5"
verdict $(($(cat "$tmp/cross.5") != 300)) "cross: of 300 rows the library scores $(cat "$tmp/cross.5") alike"
# An exclusive or of two columns: nothing that adds up its columns can tell.
awk 'BEGIN { print "f,g,a"; for (i = 0; i < 800; i++) { f = i % 2; g = int(i / 2) % 2; print f "," g "," (f != g) } }' >"$tmp/xor.csv"
for with in 0 1; do
	build $here/xor.mtl "$tmp/p" -D with=$with && "$tmp/p" train -q --data "$tmp/xor.csv" --out "$tmp/p.model" >/dev/null &&
		"$tmp/p" eval --data "$tmp/xor.csv" --model "$tmp/p.model" | awk '$1 == "a" { print $3 }' >"$tmp/xor.$with"
done
holds "cross: an exclusive or is not learnt" '{ ok = $1 == 1 }' "$tmp/xor.1"
holds "cross: an exclusive or is learnt without" '{ ok = $1 < 0.7 }' "$tmp/xor.0"

# ---- SNR: the noise of its gates is a matter of the seed alone; a dear gate closes ----
build examples/snr/snr.mtl "$tmp/p" -D l0=3 -D lr=0.02
for k in 1 2; do "$tmp/p" train -q --epochs 10 --batch 64 --threads $k --data "$tmp/census.csv" --out "$tmp/snr.$k" --no-state >"$tmp/out" 2>&1; done
cmp -s "$tmp/snr.1" "$tmp/snr.2"
verdict $? "SNR: another number of threads, another model"
"$tmp/p" init --seed 1 --out "$tmp/snr.0" >/dev/null
for k in 0 1; do "$tmp/p" eval --data "$tmp/census.csv" --model "$tmp/snr.$k" | awk '/^loss open/ { print $3 / 3 }' >"$tmp/open.$k"; done
awk -v a="$(cat "$tmp/open.0")" -v b="$(cat "$tmp/open.1")" 'BEGIN { exit !(a > 23 && a < 24 && b < 2) }'
verdict $? "SNR: $(cat "$tmp/open.0") gates of 24 are open at first, and $(cat "$tmp/open.1") after a training in which each costs much"

# ---- gate dropout: shares sum to 1, a seed gives the same bits, scoring knows nothing of it ----
build $here/gate.mtl "$tmp/p" && build $here/gate.mtl "$tmp/plain" -D drop=0
for k in 1 2; do "$tmp/p" train --epochs 2 --threads $k --data "$tmp/ab.csv" --out "$tmp/gate.$k" --no-state >"$tmp/out" 2>&1; done
cmp -s "$tmp/gate.1" "$tmp/gate.2"
verdict $? "gate dropout: the same seed gives another model"
holds "gate dropout: the shares do not sum to 1" '/^epoch 2/ { for (i = 1; i < NF; i++) if ($i == "sum") ok = $(i + 1) + 0 < 1e-10 }' "$tmp/out"
"$tmp/plain" train -q --epochs 2 --data "$tmp/ab.csv" --out "$tmp/gate.0" --no-state >"$tmp/out" 2>&1 && ! cmp -s "$tmp/gate.0" "$tmp/gate.1"
verdict $? "gate dropout: it changes nothing in training"
"$tmp/p" score "$tmp/ab.csv" --model "$tmp/gate.1" >"$tmp/gate.a" && "$tmp/plain" score "$tmp/ab.csv" --model "$tmp/gate.1" >"$tmp/gate.b" && cmp -s "$tmp/gate.a" "$tmp/gate.b"
verdict $? "gate dropout: a scorer knows of it"

# ---- ipw and dr by hand, from the scores ----
chain=1 rows "$tmp/causal.csv" 300 a,b $here/causal.mtl
gradients $here/causal.mtl "$tmp/causal.csv" "$tmp/causal"
"$tmp/g" score "$tmp/causal.csv" --model "$tmp/g.model" --passthrough a,b >"$tmp/causal.scores"
awk -F, 'NR > 1 {
	w = 1 / ($3 > 0.5 ? $3 : 0.5)
	d = $2 ? -log($4) : -log(1 - $4)
	g = log(1 + exp($5))
	ipw += $1 * w * d
	dr += g + $1 * w * (d - g) + $1 * w * (d - g) ^ 2
	n++
} END { print "ipw", ipw / n; print "dr", dr / n }' "$tmp/causal.scores" >"$tmp/by_hand"
for l in ipw dr; do
	awk -v l=$l 'NR == FNR { if ($1 == l) want = $2; next } $1 == "loss." l { d = $2 - want; ok = want > 0.1 && d < 1e-5 && d > -1e-5 } END { exit !ok }' "$tmp/by_hand" "$tmp/causal"
	verdict $? "$l: $(grep "loss.$l " "$tmp/causal"), by hand $(grep "^$l " "$tmp/by_hand")"
done
# The weights are constants: neither loss moves the tower of P(a).
holds "ipw, dr: a gradient reaches the propensity" '/^grad\.tower\.za\./ { n += $2 == 0 } END { ok = n == 2 }' "$tmp/causal"
holds "dr: no gradient reaches the imputation" '/^grad\.tower\.guess\.0\.weight/ { ok = $2 > 1e-6 }' "$tmp/causal"

# ---- dropout of a feature trains the row of empty cells ----
awk 'BEGIN { print "f,a"; for (i = 0; i < 640; i++) print i % 50 ",1" }' >"$tmp/ones.csv"
printf 'f\n\n""\n' >"$tmp/empty.csv"
for d in 0 0.3; do
	build $here/missing.mtl "$tmp/p" -D drop=$d && "$tmp/p" train -q --data "$tmp/ones.csv" --out "$tmp/p.model" >/dev/null &&
		"$tmp/p" score "$tmp/empty.csv" --model "$tmp/p.model" | tail -1 >"$tmp/empty.$d"
done
holds "feature dropout: it teaches an empty cell nothing" '{ ok = $1 > 0.7 }' "$tmp/empty.0.3"
holds "feature dropout: an empty cell is taught without it" '{ ok = $1 > 0.48 && $1 < 0.52 }' "$tmp/empty.0"

finish
