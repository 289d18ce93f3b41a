#!/bin/bash
# Programs that compute in other ways than the usual one: --gemm=blas, --double.  Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
here=$PWD
cd "$tmp" || exit 1

# The numbers of two score files (or of any text with the same number of numbers): how far the farthest are apart.
apart() { # FILE FILE
	paste -d' ' <(grep -oE '[0-9][-+.0-9e]*' "$1") <(grep -oE '[0-9][-+.0-9e]*' "$2") |
		awk 'NF != 2 { print 1e9; exit } { d = $1 - $2; d = d < 0 ? -d : d; if (d > most) most = d } END { print most + 0 }'
}
within() { # FILE FILE BOUND WHAT
	local d
	d=$(apart "$1" "$2")
	awk -v d="$d" -v b="$3" 'BEGIN { exit !(d <= b) }'
	verdict $? "$4: apart by $d, more than $3"
}

esmm=$here/examples/esmm/esmm.mtl mmoe=$here/examples/mmoe/mmoe.mtl
"$MTLC" data gen funnel --rows 4000 --seed 5 -o esmm.csv &&
	awk -v seed=1 -v rows=3000 -v labels=income_50k,never_married -v chain=0 -f "$here/tests/models/log.awk" "$here/examples/features/census.mtl" >mmoe.csv
verdict $? "no logs"

# ---- --gemm=blas: matrix products by OpenBLAS ----

# A score is a sigmoid of a logit: its slope is at most 1/4.  A logit is a chain of three layers of at most 360 products of
# numbers about 1, each within (K + 8) 2^-24 of its absolute sum: 1e-5 is several times what can come of it.
# In a hurry: one model, one backend.
rest() { [ -z "${MTL_QUICK:-}" ] || [ "$*" = esmm ] || [ "$*" = "esmm llvm" ]; }
for name in mmoe esmm; do
	rest $name || continue
	quietly "$MTLC" build "${!name}" --cpu=native -o own && quietly ./own train --data $name.csv --epochs 1 --out own.model -q && quietly ./own score $name.csv --model own.model -o own.scores
	verdict $? "$name: no scores to compare with"
	for backend in c llvm; do
		rest $name $backend || continue
		what="$name, --gemm=blas, $backend"
		quietly "$MTLC" build "${!name}" --gemm=blas --backend=$backend --cpu=native -o blas && quietly ./blas score $name.csv --model own.model -o blas.scores
		verdict $? "$what: no scores"
		within own.scores blas.scores 1e-5 "$what: scores"
		quietly ./blas train --data $name.csv --epochs 1 --out blas.model -q && quietly ./blas score $name.csv --model blas.model -o blas.scores
		verdict $? "$what: does not train"
		# Adam's first steps are a sign: rounding moves a parameter by at most twice the rate, now and then.
		within own.scores blas.scores 2e-3 "$what: scores after training"
		for n in 1 3; do
			[ $backend = llvm ] || break
			quietly ./blas train --data $name.csv --epochs 1 --threads $n --out other.model -q
			same blas.model other.model "$what: another model with $n threads"
			quietly ./blas score $name.csv --threads $n --model blas.model -o other.scores
			same blas.scores other.scores "$what: other scores with $n threads"
		done
		quietly "$MTLC" gradcheck "${!name}" --gemm=blas --backend=$backend --cpu=native
		verdict $? "$what: gradcheck"
		grep -q 'kernels against the interpreter, bits' said
		verdict $((1 - $?)) "$what: gradcheck claims the interpreter's bits"
	done
done
./blas info >said && grep -qx 'gemm: blas' said
verdict $? "info does not say gemm: blas"
./blas info --json | grep -q '"gemm":"blas"'
verdict $? "info --json does not say gemm: blas"
./own info | grep -q gemm
verdict $((1 - $?)) "info of a usual program speaks of gemm"
ldd ./blas | grep -q openblas
verdict $? "OpenBLAS is not linked"
ldd ./own | grep -q openblas
verdict $((1 - $?)) "OpenBLAS is linked into a usual program"
for link in static dynamic; do
	quietly "$MTLC" build "$esmm" --gemm=blas --cpu=native --model blas.model --link=$link -o scorer && quietly ./scorer esmm.csv -o scores
	same blas.scores scores "a $link scorer scores otherwise than its program"
done
"$MTLC" build "$esmm" --gemm=blas --model blas.model --emit=static -o lib.a 2>said
[ $? -eq 2 ] && grep -q 'belong to the program around it' said
verdict $? "a library with --gemm=blas is not refused"
quietly "$MTLC" train "$esmm" --gemm=blas --data esmm.csv --epochs 0 --out x.model -q
verdict $? "mtlc train does not take --gemm=blas"
"$MTLC" build "$esmm" --gemm=blas --cpu=native -o x --dump=loops | grep -q '^ *product dw\[.* += x\['
verdict $? "the loops show no product"

# ---- --double: double precision throughout ----

for name in esmm mmoe; do
	for backend in llvm c; do
		rest $name $backend || continue
		quietly "$MTLC" gradcheck "${!name}" --double --backend=$backend --cpu=native
		verdict $? "$name, --double, $backend: gradcheck"
		# Not within a bound: the kernels have the double interpreter's bits.
		grep -q 'against the interpreter, bits .* checked, 0 wrong, worst 0$' said
		verdict $? "$name, --double, $backend: not the double interpreter's bits"
	done
done
quietly "$MTLC" gradcheck "$esmm" --double --gemm=blas --cpu=native
verdict $? "esmm, --double, --gemm=blas: gradcheck"

# Chains of probabilities against 80-digit arithmetic (golden.py), number by number to 1e-12 of its size, down to 1e-43.
cc="${CC:-cc} -std=gnu11 -O1 -Wall -I$here -I$here/runtime"
$cc -DMTL_DOUBLE "$here/tests/run/tensors.c" "$MTL_BUILD/libmtlrt64.a" -lz -lzstd -ljansson -lpthread -lm -o tensors64
verdict $? "the helper is not built"
cat >and.mtl <<'END'
model and
features g per request { a : real  b : real }
event click
event buy of click
tower y1 = g.a -> dense(1)
tower y2 = g.b -> dense(1)
P(click)       = sigmoid(y1)
P(buy | click) = sigmoid(y2)
loss buy: bce(P(buy))
END
cat >esm2.mtl <<'END'
model esm2
features g per request { a : real  b : real  c : real  d : real }
event click
event act of click
event buy of click
tower y1 = g.a -> dense(1)
tower y2 = g.b -> dense(1)
tower y3 = g.c -> dense(1)
tower y4 = g.d -> dense(1)
P(click)              = sigmoid(y1)
P(act | click)        = sigmoid(y2)
P(buy | act)          = sigmoid(y3)
P(buy | click & !act) = sigmoid(y4)
loss buy: bce(P(buy))
END
for kind in and esm2; do
	quietly "$MTLC" build $kind.mtl --double --cpu=native -o golden && quietly ./golden init --out fresh
	# The towers hand on their input, so that a bias has the gradient of the logit.
	./tensors64 fresh | awk '{ print $1, $1 ~ /weight/ }' >wanted
	quietly ./tensors64 --set fresh model <wanted
	verdict $? "$kind: no program"
	grep "^$kind " "$here/tests/modes/golden.txt" | while IFS='|' read -r logits y loss gradients; do
		# shellcheck disable=SC2086  # a list of words
		set -- $logits
		shift
		[ $kind = and ] && names=a,b || names=a,b,c,d
		{ echo "$names,click,act,buy"; echo "$(echo "$*" | tr ' ' ,),1,,${y// /}"; } >row.csv
		quietly ./golden grad --data row.csv --model model --out grad
		{ ./tensors64 grad loss.buy; ./tensors64 grad grad.tower | grep bias; } | awk '{ print $2 }' >got
		# shellcheck disable=SC2086
		printf '%s\n' $loss $gradients >want
		paste want got | awk -v what="$kind $* -> $y" '
			{ d = $1 - $2; d = d < 0 ? -d : d; size = $1 < 0 ? -$1 : $1; if (NF != 2 || !(d <= 1e-12 * size)) { print what ": " $2 ", not " $1; bad = 1 } }
			END { exit bad || NR < 3 }' || echo "$kind $logits $y" >>golden.bad
		echo "$kind" >>golden.seen
	done
done
[ "$(wc -l <golden.seen)" -eq 36 ] && [ ! -e golden.bad ]
verdict $? "golden vectors: $(cat golden.bad 2>/dev/null)"

# What float costs: nearly nothing.  One epoch from the same weights on the same rows.
"$MTLC" data gen funnel --rows 20000 --seed 11 -o many.csv
quietly "$MTLC" build "$esmm" --cpu=native -o own && quietly ./own init --seed 3 --out start && quietly "$MTLC" build "$esmm" --double --cpu=native -o wide
verdict $? "esmm: no programs in both precisions"
quietly ./own train --data many.csv --epochs 1 --init start --out own.model -q
./wide train --data many.csv --epochs 1 --init start --out wide.model >said 2>&1
verdict $? "esmm, --double: does not train"
grep -q 'the weights of --init were converted' said
verdict $? "--init from single precision is not said"
quietly ./own eval --data many.csv --model own.model --json && mv said own.metrics && quietly ./wide eval --data many.csv --model wide.model --json && mv said wide.metrics
verdict $? "esmm: no metrics in both precisions"
within own.metrics wide.metrics 1e-4 "metrics in single and double precision"
cmp -s own.metrics wide.metrics
verdict $((1 - $?)) "double precision has single precision's metrics to the last digit"
quietly ./wide score many.csv --model wide.model -o wide.scores && quietly ./own score many.csv --model own.model -o own.scores
within own.scores wide.scores 1e-4 "scores in single and double precision"
# 53 bits are 15 to 17 digits; a float printed would end after 9.
[ "$(awk -F, 'NR > 1 && length($1) >= 17' wide.scores | wc -l)" -gt 15000 ]
verdict $? "scores have not the digits of double precision"
# Backends, variants with fused multiply-add and threads agree to the bit, as in single precision.
for how in --backend=c --cpu=v3; do
	quietly "$MTLC" build "$esmm" --double --cpu=native $how -o other
	./other info >/dev/null 2>&1 || { echo "skipped: this machine has no ${how#*=}"; continue; }
	quietly ./other train --data many.csv --epochs 1 --init start --threads 2 --out other.model -q
	same wide.model other.model "--double: another model, $how, 2 threads"
	quietly ./other score many.csv --model wide.model --threads 3 -o other.scores
	same wide.scores other.scores "--double: other scores, $how, 3 threads"
done
# (Without the schedule, which depends on the number of epochs.)
sed "s/ schedule: linear//; s|\.\./features|$here/examples/features|" "$esmm" >flat.mtl
quietly "$MTLC" build flat.mtl --double --cpu=native -o flat && quietly ./flat train --data esmm.csv --epochs 1 --out first -q && quietly ./flat train --data esmm.csv --epochs 2 --resume first --out resumed -q && quietly ./flat train --data esmm.csv --epochs 2 --out whole -q
same whole resumed "--double: a resumed run is another"
grep -q '"dtype":"F64"' <(head -c 4000 wide.model)
verdict $? "the model file of a --double program is not F64"
refused() { # WHAT TEXT COMMAND...
	local what=$1 text=$2
	shift 2
	"$@" >said 2>&1
	[ $? -eq 5 ] && grep -q "$text" said
	verdict $? "$what: $(head -c 200 said)"
}
refused "--double: a single precision --model is taken" 'only F64 is read' ./wide eval --data many.csv --model own.model
refused "a double precision --model is taken" 'only F32 is read' ./own eval --data many.csv --model wide.model
{ head -c -9 wide.model; printf '\x01'; tail -c 8 wide.model; } >damaged
refused "--double: a damaged file is taken" 'F0009' ./wide eval --data many.csv --model damaged
./wide info | grep -qx 'precision: double' && ./wide info --json | grep -q '"precision":"double"'
verdict $? "info does not say precision: double"
./own info --json | grep -q '"precision":"single"'
verdict $? "info of a usual program does not say precision: single"
quietly ./wide gradcheck --data esmm.csv --model wide.model
verdict $? "esmm, --double: the program's own gradcheck"
"$MTLC" build "$esmm" --double --model wide.model -o scorer 2>said
[ $? -eq 2 ] && grep -q 'not for scorers' said
verdict $? "a scorer with --double is not refused"
quietly "$MTLC" train "$esmm" --double --data esmm.csv --epochs 0 --out x.model -q && head -c 4000 x.model | grep -q F64
verdict $? "mtlc train does not take --double"

finish
