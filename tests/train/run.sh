#!/bin/bash
# Training: every example's gradients, losses and determinism, and what the models are supposed to learn.
#
#   tests/train/run.sh            last line: N passed, N failed
#   tests/train/run.sh --bless [NAME...]    record the losses of tests/train/losses anew, those of example NAME too
#
# Two jobs at a time; a job is a function below and writes its verdicts into one file.
. "$(dirname -- "$0")/../lib.sh"
here=$PWD
bless=
[ "${1-}" != --bless ] || { bless=1; shift; }

verdict() { # 0|1 WHAT
	if [ "$1" -eq 0 ]; then echo "pass $2"; else echo "FAIL $2"; fi >>"$tmp/verdicts"
}
# Runs a command quietly; what it says is shown if it fails.
quietly() {
	local said=out.$BASHPID code
	"$@" >"$said" 2>&1 && return
	code=$?
	echo "$*: exit $code" >&2
	tail -5 "$said" >&2
	return $code
}
# The numbers of an epoch's losses, a line for each epoch of a log.
losses() { sed -n 's/.*"kind":"epoch".*"loss":{\([^}]*\)}.*/\1/p' "$1" | sed 's/"[^"]*"://g; s/,/ /g'; }
# Relative distance of two tables of numbers at most BOUND.
near() { # FILE FILE BOUND
	paste -d' ' "$1" "$2" | awk -v bound="$3" '
		{ n = NF / 2; if (n != int(n) || n == 0) bad++
		  for (i = 1; i <= n; i++) { d = $i - $(i + n); m = $i < 0 ? -$i : $i; if (d < 0) d = -d; if (!(d <= bound * m)) bad++ } }
		END { exit !(NR > 0 && !bad) }'
}

"${CC:-cc}" -std=gnu11 -O1 -I. -Iruntime tests/run/tensors.c "$MTL_BUILD/libmtlrt.a" -lz -lzstd -ljansson -lpthread -lm -o "$tmp/tensors" ||
	{ echo "0 passed, 1 failed"; exit 1; }
tensors=$tmp/tensors

# ---- every example: gradients, losses, and the same bits from every road ----

# Ten losses against the record: means over ten epochs of eight batches each.
recorded() { # NAME PROG DATA
	quietly "$2" train --data "$3" --out recorded.model --batch 128 --epochs 10 --shuffle 0 --no-state -q --log log.jsonl || { verdict 1 "$1: training"; return; }
	losses log.jsonl >now
	rm -f recorded.model
	if [ -n "$bless" ]; then awk '{ for (i = 1; i <= NF; i++) printf "%.8g%s", $i, i < NF ? " " : "\n" }' now >"$here/tests/train/losses/$1"; fi
	[ "$(awk 'END { print NR }' now)" -eq 10 ] && near now "$here/tests/train/losses/$1" 1e-5
	verdict $? "$1: the losses are not those recorded (--bless records them anew)"
	awk 'NR == 1 { first = $1 } END { exit !($1 < first) }' now
	verdict $? "$1: nothing is learnt"
}
example() { # NAME
	local name=$1 spec=$here/examples/$1/$1.mtl small=
	# Fewer rows in the tables of the wide ones: saving them is not what is tried here.
	! grep -qE 'kuairand|census' "$spec" || small='-D codes=500'
	# shellcheck disable=SC2086  # an option and its value, or nothing
	quietly "$MTLC" build $small "$spec" -o prog || { verdict 1 "$name: no program"; return; }
	# shellcheck disable=SC2086
	quietly "$MTLC" build $small "$spec" -o "$tmp/again.$name"
	same prog "$tmp/again.$name" "$name: the same text gives other bytes"
	rm -f "$tmp/again.$name"
	case $(sed -n 's,^use "../features/\(.*\).mtl",\1,p' "$spec") in
	funnel) quietly "$MTLC" data gen "$([ "$name" = esm2 ] && echo esm2 || echo funnel)" --rows 1024 --seed 11 -o data.csv ;;
	*) ./prog info --json >info && awk -v rows=1024 -f "$here/tests/train/log.awk" info >data.csv ;;
	esac
	recorded "$name" ./prog data.csv
	# The examples whose data are public, on those.
	case $(sed -n 's,^use "../features/\(.*\).mtl",\1,p' "$spec") in
	census) real=census ;;
	kuairand) real=kuairand ;;
	*) real= ;;
	esac
	if [ -n "$real" ] && [ -n "${MTL_CSV:-}" ]; then
		head -1025 "$MTL_CSV/$real/train.csv" >real.csv
		recorded "$name.$real" ./prog real.csv
	fi

	# Every road to the same bytes: instruction sets that fuse multiply and add, threads, backends.
	local train="train --data data.csv --epochs 2 --batch 200 --shuffle 500 --seed 5 -q"
	# shellcheck disable=SC2086
	quietly ./prog $train --out one --threads 1 || { verdict 1 "$name: training"; return; }
	for n in 2 3; do
		# shellcheck disable=SC2086
		quietly ./prog $train --out other --threads $n
		same one other "$name: another model with $n threads"
	done
	for v in v3 v4; do
		MTL_VARIANT=$v ./prog info >/dev/null 2>&1 || { echo "skipped: $name: this machine has no $v" >>"$tmp/skipped"; continue; }
		# shellcheck disable=SC2086
		MTL_VARIANT=$v quietly ./prog $train --out other
		same one other "$name: another model with MTL_VARIANT=$v"
	done
	# shellcheck disable=SC2086
	quietly "$MTLC" build --backend=c --cpu=native $small "$spec" -o prog.c || { verdict 1 "$name: no program through C"; return; }
	# shellcheck disable=SC2086
	quietly ./prog.c $train --out other
	same one other "$name: another model through C than through LLVM"
	quietly ./prog score data.csv --model one -o scores && quietly ./prog.c score data.csv --model one -o scores.c
	same scores scores.c "$name: other scores through C than through LLVM"
	[ "$(awk 'END { print NR }' scores)" -eq 1025 ] && ! grep -qiE 'nan|inf' scores
	verdict $? "$name: scores"
	rm -f one other

	# The interpreter is slow: the wide ones with narrow tables, and so all of them the second time.
	sed "s,\"\.\./,\"$here/examples/,; s/^embed .*/embed 4/" "$spec" >narrow.mtl
	! grep -q kuairand "$spec" || spec=narrow.mtl
	quietly "$MTLC" gradcheck --cpu=native "$spec"
	verdict $? "$name: gradcheck"
	[ -n "${MTL_QUICK:-}" ] || quietly "$MTLC" gradcheck --backend=c --cpu=v3 --seed 2 narrow.mtl
	verdict $? "$name: gradcheck through C"
}

# ---- -O0 to -O3, and the cut of a batch ----
efforts() {
	local spec=$here/examples/esmm/esmm.mtl
	quietly "$MTLC" data gen funnel --rows 3000 --seed 2 -o data.csv
	for how in "llvm 0" "llvm 1" "llvm 2" "llvm 3" "c 0" "c 3"; do
		quietly "$MTLC" build --cpu=native --backend="${how% *}" -O"${how#* }" "$spec" -o prog && quietly ./prog train --data data.csv -q --out "m.${how/ /}"
		same m.llvm0 "m.${how/ /}" "esmm: another model from ${how% *} at -O${how#* }"
	done
}

# ---- ESMM on the generated funnel: its point, measured ----

# Of a column over all rows: its mean over that of the truth, and the root of the mean squared error of a single row.
off() {
	awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
		{ p = $col["pcvr"]; true = $col["true_buy_given_click"]; sum += p; truth += true; square += (p - true) ^ 2 }
		END { printf "%.4f %.5f\n", sum / truth, sqrt(square / (NR - 1)) }' "$1"
}
# Beside the conversion model alone: its rows are the clicks, so it knows little of whom few click, and answers with the
# rate of those who do.  Which sample a log is decides a few percent of either: hence several logs.
funnel() { # LOG-SEED TRAINING-SEED...
	local log=$1 name seed
	shift
	for name in esmm cvr_alone; do quietly "$MTLC" build --cpu=native "$here/examples/$name/$name.mtl" -o $name || verdict 1 "$name: no program"; done
	quietly "$MTLC" data gen funnel --rows 480000 --seed "$log" -o log.csv
	head -400001 log.csv >train.csv
	{ head -1 log.csv; tail -80000 log.csv; } >test.csv
	for seed; do
		for name in esmm cvr_alone; do
			quietly ./$name train --data train.csv --seed "$seed" --out model --no-state -q &&
				quietly ./$name score test.csv --model model -o scores --passthrough true_buy_given_click || { verdict 1 "$name, seed $seed: training"; return; }
			off scores >>$name.off
		done
	done
	echo "funnel $log, mean pCVR of all impressions over its truth, and error of a row: esmm $(paste -sd' ' esmm.off), click-only $(paste -sd' ' cvr_alone.off)" >>"$tmp/figures"
	awk -v seeds=$# '{ s += $1 } END { m = s / NR; exit !(NR == seeds && m > 0.95 && m < 1.05) }' esmm.off
	verdict $? "funnel $log: ESMM's mean pCVR of all impressions is not within 5 % of the truth: $(paste -sd' ' esmm.off)"
	awk -v seeds=$# '{ s += $1 } END { exit !(NR == seeds && s / NR > 1.05) }' cvr_alone.off
	verdict $? "funnel $log: no sample-selection bias: $(paste -sd' ' cvr_alone.off)"
	# A single row is nearer to its truth, too.
	paste -d' ' esmm.off cvr_alone.off | awk '!($2 < $4) { bad = 1 } END { exit bad }'
	verdict $? "funnel $log: ESMM's pCVR is no nearer to the truth than that learnt from clicks"
}

# ---- a head that starts far off ----

# CTR .02, CVR .05, two constant features; the CVR head begins at a logit of -18, where a clamp has no gradient left.
stuck_spec() { # LOSS
	cat <<-END
		model stuck
		features context per request { one : real(missing: 0)  two : real(missing: 0) }
		event click
		event buy of click
		layer biased(x, start) {
		  weights w[width(x), 1] = zeros()
		  weights b[1] = constant(start)
		  return matmul(x, w) + b
		}
		tower ctr = raw(context) -> biased(start: 0)
		tower cvr = raw(context) -> biased(start: -18)
		P(click) = sigmoid(ctr)
		P(buy | click) = sigmoid(cvr)
		let p = min(max(sigmoid(ctr) * sigmoid(cvr), 1e-7), 1 - 1e-7)
		loss ctr: bce(P(click))
		loss ctcvr: $1
		output pctr = P(click), pcvr = P(buy | click)
		train { optimizer: adam(lr: 0.02)  batch: 1000  epochs: 300 }
	END
}
stuck() {
	local rates
	awk 'BEGIN { print "one,two,click,buy"; for (i = 0; i < 10000; i++) print "1,0.5," (i % 50 == 7) "," (i % 1000 == 507) }' >data.csv
	stuck_spec 'bce(P(buy))' >logit.mtl
	stuck_spec '0 - label(buy) * log(p) - (1 - label(buy)) * log(1 - p)' >clamp.mtl
	for name in logit clamp; do
		quietly "$MTLC" build --cpu=native $name.mtl -o $name && quietly ./$name train --data data.csv --out model -q &&
			quietly ./$name score data.csv --model model -o $name.scores || { verdict 1 "a stuck head, $name"; return; }
		rates=$(sed -n 2p $name.scores)
		echo "a CVR head from a bias of -18, $name: CTR ${rates%,*}, CVR ${rates#*,}" >>"$tmp/figures"
	done
	sed -n 2p logit.scores | awk -F, '{ exit !($1 > 0.0199 && $1 < 0.0201 && $2 > 0.0495 && $2 < 0.0505) }'
	verdict $? "a CVR head from a bias of -18 does not find the rate"
	# That the test can tell: the same with probabilities clamped does not move.
	sed -n 2p clamp.scores | awk -F, '{ exit !($2 < 1e-6) }'
	verdict $? "the clamped loss is not stuck: the test shows nothing"
}

# ---- a batch without a row for a head ----
masked() {
	quietly "$MTLC" build --cpu=native "$here/examples/cvr/cvr.mtl" -o prog
	quietly "$MTLC" data gen funnel --rows 4000 --seed 4 -o log.csv
	head -513 log.csv >first.csv
	{ cat first.csv; awk -F, 'NR > 513 && $8 == 0' log.csv | head -512; } >both.csv
	quietly ./prog train --data first.csv --epochs 1 --batch 512 --out first -q && quietly ./prog train --data both.csv --epochs 1 --batch 512 --out both -q
	for f in first both; do
		"$tensors" $f | grep -E '^(optim\.[01]\.)?tower\.cvr\.' >$f.cvr
		"$tensors" $f | grep -E '^(optim\.[01]\.)?tower\.ctr\.' >$f.ctr
	done
	[ -s first.cvr ] && cmp -s first.cvr both.cvr
	verdict $? "a batch without clicks changes the head of clicks, or its optimiser"
	! cmp -s first.ctr both.ctr
	verdict $? "the second batch changes nothing at all: the test shows nothing"
	awk -F, 'NR == 1 || $8 == 0' log.csv >none.csv
	quietly ./prog grad --data none.csv --model first --out grad
	"$tensors" grad >grads
	awk '/^grad\.tower\.cvr\.|^loss\.cvr/ { n++; if ($2 != 0) bad = 1 } END { exit !(n > 1000 && !bad) }' grads
	verdict $? "gradients of a head without rows are not 0"
	awk '/^grad\.tower\.ctr\./ && $2 != 0 { n++ } END { exit !(n > 1000) }' grads
	verdict $? "no gradients at all: the test shows nothing"
}

# ---- stopping and going on, starting from yesterday ----
resumed() {
	quietly "$MTLC" build --cpu=native "$here/examples/esmm/esmm.mtl" -o prog
	quietly "$MTLC" data gen funnel --rows 80000 --seed 6 -o log.csv
	head -60001 log.csv >data.csv
	{ head -1 log.csv; tail -20000 log.csv; } >valid.csv
	local train="train --data data.csv --shuffle 7000 -q"
	# shellcheck disable=SC2086
	{
		quietly ./prog $train --epochs 4 --out whole
		# The rate falls over the whole run, 4 times 59 batches, and not over each part.
		quietly ./prog $train --epochs 1 --steps 236 --out part
		quietly ./prog $train --epochs 3 --steps 236 --resume part --out part
		quietly ./prog $train --epochs 4 --resume part --out part
		same whole part "resumed at the end of an epoch: not as if never stopped"
		./prog $train --epochs 4 --out broken &
		sleep 0.35
		kill -INT $! && wait $!
		verdict $(($? != 130)) "an interrupt does not end with 130"
		quietly ./prog $train --epochs 4 --resume broken --out broken
		same whole broken "resumed in the middle of an epoch: not as if never stopped"
	}
	# Other weights to start from: without a step they come out as they went in.
	quietly ./prog train --data data.csv --init whole --epochs 0 --no-state --out warm -q
	"$tensors" whole | grep -v '^optim' >a
	"$tensors" warm >b
	same a b "--init without a step changes the weights"
	quietly ./prog train --data data.csv --init whole --epochs 1 --out warm -q --log warm.jsonl
	quietly ./prog train --data data.csv --epochs 1 --out cold -q --log cold.jsonl
	paste -d' ' <(losses warm.jsonl) <(losses cold.jsonl) | awk '{ exit !($1 < $3 && $2 < $4) }'
	verdict $? "a warm start is no better than a cold one"
	# The best epoch is the one kept, and it is what a run of that length gives.
	quietly ./prog train --data data.csv --valid valid.csv --epochs 6 --lr 0.01 --early-stop buy.logloss:2 --no-state --out best -q --log stop.jsonl
	awk -F'"kind":"epoch",' 'NF > 1 { n++; if ($2 ~ /"best":true/) best = n } END { print best, n }' stop.jsonl >best.epoch
	read -r best ran <best.epoch
	[ "$best" -lt "$ran" ] && quietly ./prog train --data data.csv --epochs "$best" --steps 354 --lr 0.01 --no-state --out short -q
	same best short "early stop keeps something else than epoch $best of $ran"
}

# ---- logs larger than memory ----
# Eight times the rows take no more memory, neither to train nor to score; eval keeps its scores, to sort them.
streamed() {
	quietly "${CC:-cc}" -O1 "$here/tests/train/peak.c" -o peak || { verdict 1 "peak.c is not built"; return; }
	quietly "$MTLC" build --cpu=native "$here/examples/esmm/esmm.mtl" -o prog
	quietly "$MTLC" data gen funnel --rows 400000 --seed 8 -o long.csv
	head -50001 long.csv >short.csv
	for f in short long; do
		./peak ./prog train --data $f.csv --epochs 1 --steps 400 --shuffle 10000 --threads 2 --out model -q >$f.train 2>>"$tmp/noise"
		./peak ./prog score $f.csv --model model --threads 2 -o scores >$f.score 2>>"$tmp/noise"
	done
	for what in train score; do
		echo "$what, KiB of memory at most, of 50,000 and 400,000 rows: $(cat short.$what) $(cat long.$what)" >>"$tmp/figures"
		awk 'NR == 1 { a = $1 } NR == 2 { b = $1 } END { exit !(a > 1000 && b < a + 4096) }' short.$what long.$what
		verdict $? "$what: memory grows with the log: $(cat short.$what) KiB, then $(cat long.$what)"
	done
	[ "$(wc -c <long.csv)" -gt $((16 << 20)) ]
	verdict $? "the long log is too short to tell"
}

# ---- ESM2 ----
esm2() {
	local spec=$here/examples/esm2/esm2.mtl
	"$MTLC" check "$spec" 2>&1 | grep -q 'M0502.*y3 and y4'
	verdict $? "esm2: no warning names y3 and y4"
	sed 's/^loss ctcvr:/loss way: bce(P(buy \& act))\n&/' "$spec" | sed "s,\"\.\./,\"$here/examples/," >more.mtl
	"$MTLC" check more.mtl >more.said 2>&1 && ! grep -q M0502 more.said
	verdict $? "esm2 with a loss on P(buy & act): still warned of"
	quietly "$MTLC" build --cpu=native "$spec" -o prog
	quietly "$MTLC" data gen esm2 --rows 150000 --seed 3 -o log.csv
	head -120001 log.csv >train.csv
	{ head -1 log.csv; tail -30000 log.csv; } >test.csv
	quietly ./prog train --data train.csv --epochs 0 --out fresh -q && quietly ./prog train --data train.csv --out model -q || { verdict 1 "esm2: training"; return; }
	for m in fresh model; do ./prog eval --data test.csv --model $m >$m.eval; done
	# Untrained heads know nothing; trained ones rank what happens.
	paste -d' ' <(awk '$1 == "click" || $1 == "act" || $1 == "buy" { print $1, $3 }' fresh.eval) <(awk '$1 == "click" || $1 == "act" || $1 == "buy" { print $3 }' model.eval) >auc
	echo "esm2, AUC before and after: $(tr '\n' ';' <auc)" >>"$tmp/figures"
	awk '{ n++; if (!($3 > 0.62 && $3 > $2 + 0.05)) bad = 1 } END { exit !(n == 3 && !bad) }' auc
	verdict $? "esm2 learns to rank: $(tr '\n' ';' <auc)"
}

# Models with recorded losses; the gallery's others are tried in tests/models.
examples() { for d in tests/train/losses/*; do case $d in *.*) ;; *) basename "$d" ;; esac; done; }

# ---- all of it, two at a time ----
job() { # FUNCTION ARGUMENT...
	while [ "$(jobs -pr | wc -l)" -ge 2 ]; do wait -n; done
	(
		mkdir -p "$tmp/$1.${2-}" && cd "$tmp/$1.${2-}" && "$@"
		rm -rf "$tmp/$1.${2-}"
	) &
}
if [ -n "$bless" ]; then
	for e in $( (examples; printf "%s\n" "$@") | sort -u); do job example "$e"; done
elif [ -n "${MTL_QUICK:-}" ]; then
	job example esmm
	job masked
	job stuck
else
	[ -n "${MTL_CSV:-}" ] || echo "skipped: losses on public data (no data)"
	for e in zhihu $(examples | grep -v zhihu); do job example "$e"; done
	job funnel 7 1 2 3
	for log in 1 2 3; do job funnel $log 1; done
	for t in efforts stuck masked resumed streamed esm2; do job $t; done
fi
wait
sort -u "$tmp/skipped" 2>/dev/null
cat "$tmp/figures" 2>/dev/null
grep ^FAIL "$tmp/verdicts" | sed 's/^FAIL/failed:/'
failed=$(grep -c ^FAIL "$tmp/verdicts")
echo "$(grep -c ^pass "$tmp/verdicts") passed, $failed failed"
[ "$failed" -eq 0 ]
