#!/bin/sh
# Real-valued and multi-class outcomes from rows to numbers: every loss and metric of a model whose heads are features,
# against the same numbers computed from the rows by expected.awk; bad cells; early stop.  Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
here=tests/outcomes

# "heads.watch.rmse 6.82": a line for each number of a flat JSON object of objects
numbers() {
	sed 's/"rows":[0-9]*,"heads"/"heads"/; s/[{}]/\n&\n/g; s/,/\n/g' | awk -F: '
		$0 == "{" { path[++depth] = key; next }
		$0 == "}" { depth--; next }
		NF { gsub(/"/, "", $1); key = $1
		     if ($2 != "") { p = ""; for (i = 2; i <= depth; i++) p = p path[i] "."; print p key, $2 } }'
}
# near WANT GOT: names of the first that the second lacks or has otherwise
near() {
	awk 'NR == FNR { got[$1] = $2; next }
	     { n++; d = got[$1] - $2; m = $2 < 0 ? -$2 : $2
	       if (!($1 in got) || (d < 0 ? -d : d) > 3e-6 * m) { print $1 " is " got[$1] ", not " $2; bad = 1 } }
	     END { exit bad || n < 15 }' "$2" "$1"
}

awk -f $here/expected.awk $here/rows.csv >"$tmp/want"
for backend in llvm c; do
	p=$tmp/values.$backend
	"$MTLC" build --backend=$backend $here/values.mtl -o "$p" && "$p" train --data $here/rows.csv --out "$tmp/m" -q
	verdict $? "$backend: builds and trains"
	"$p" eval --model "$tmp/m" --data $here/rows.csv --json | numbers >"$tmp/got"
	near "$tmp/want" "$tmp/got"
	verdict $? "$backend: losses and metrics are those of the rows"
	[ $backend = llvm ] || cmp -s "$tmp/got" "$tmp/got.llvm"
	verdict $? "both backends measure the same bits"
	mv "$tmp/got" "$tmp/got.llvm"
	"$MTLC" gradcheck --backend=$backend $here/values.mtl >"$tmp/out" 2>&1
	verdict $? "$backend: gradients"
done
p=$tmp/values.llvm

# the first row: s(.5) e^.5, softplus(.5)^.5, s(1) e^(.2 + d^2 / 2), e / (e + e^.2 + e^.3)
"$p" score --model "$tmp/m" <$here/rows.csv | awk '
	NR == 2 { split($0, x, /[,\t]/); s = log(1 + exp(.3)); e = exp(1)
		  want[1] = exp(.5) / (1 + exp(-.5)); want[2] = sqrt(log(1 + exp(.5)))
		  want[3] = exp(.2 + s * s / 2) / (1 + exp(-1)); want[4] = e / (e + exp(.2) + exp(.3))
		  for (i = 1; i <= 4; i++) { d = x[i] / want[i] - 1; if (d > 1e-6 || d < -1e-6) { print i, x[i], want[i]; exit 1 } n++ } }
	END { exit n != 4 }'
verdict $? "means and classes in outputs"

# refused CODE ROW: a row of that kind is refused, and the code says why
refused() {
	{ head -1 $here/rows.csv; echo "$2"; } >"$tmp/bad.csv"
	"$p" eval --model "$tmp/m" --data "$tmp/bad.csv" >"$tmp/out" 2>&1
	[ $? -eq 4 ] && grep -q "$1" "$tmp/out"
	verdict $? "'$2' is refused with $1"
}
refused D0116 0.5,1,0.2,0.3,1,1,1,-3,cart
refused D0107 0.5,1,0.2,0.3,1,1,1,long,cart
refused D0115 0.5,1,0.2,0.3,1,1,1,3,crat

stop() { # METRIC CODE WORDS
	"$p" train --data $here/rows.csv --valid $here/rows.csv --early-stop "$1" --epochs 3 --out "$tmp/s" >"$tmp/out" 2>&1
	[ $? -eq "$2" ] && grep -qF "$3" "$tmp/out"
	verdict $? "early stop by $1: '$3' is not said"
}
stop watch.rmse:1 0 "not better"
stop act.accuracy:1 0 "not better"
stop act=cart.auc:1 0 "not better"
stop watch.auc:1 2 "watch is a value, and has no auc"

finish
