#!/bin/bash
# Programs that compute in other ways than the usual one: --gemm=blas.  Last line: N passed, N failed.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
: "${MTL_BUILD:=$PWD/build}" "${MTLC:=$MTL_BUILD/mtlc}" "${TMPDIR:=/tmp}"
here=$PWD
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
export NO_COLOR=1 XDG_CACHE_HOME=$tmp/cache

passed=0 failed=0
verdict() { # 0|1 WHAT
	if [ "$1" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $2"; fi
}
same() { # FILE FILE WHAT
	cmp -s "$1" "$2"
	verdict $? "$3"
}
quietly() { "$@" >said 2>&1 || { echo "$*: exit $?"; tail -3 said; return 1; }; }
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
for name in esmm mmoe; do
	quietly "$MTLC" build "${!name}" --cpu=native -o own && quietly ./own train --data $name.csv --epochs 1 --out own.model -q && quietly ./own score $name.csv --model own.model -o own.scores
	verdict $? "$name: no scores to compare with"
	for backend in llvm c; do
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
	cp blas.model $name.model
	cp blas.scores $name.scores
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
	quietly "$MTLC" build "$mmoe" --gemm=blas --backend=c --cpu=native --model mmoe.model --link=$link -o scorer && quietly ./scorer mmoe.csv -o scores
	same mmoe.scores scores "a $link scorer scores otherwise than its program"
done
"$MTLC" build "$mmoe" --gemm=blas --model mmoe.model --emit=static -o lib.a 2>said
[ $? -eq 2 ] && grep -q 'belong to the program around it' said
verdict $? "a library with --gemm=blas is not refused"
quietly "$MTLC" train "$esmm" --gemm=blas --data esmm.csv --epochs 0 --out x.model -q
verdict $? "mtlc train does not take --gemm=blas"
"$MTLC" build "$mmoe" --gemm=blas --cpu=native -o x --dump=loops | grep -q '^ *product dw\[.* += x\['
verdict $? "the loops show no product"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
