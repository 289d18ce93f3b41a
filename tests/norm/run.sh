#!/bin/bash
# Batch normalisation in whole programs: what is remembered, by hand; the same bits for any threads and after an interruption;
# scoring folded into dense layers.  Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
. tests/norm/tensor.sh
here=$PWD/tests/norm
cd "$tmp" || exit 1
awk -v rows=1501 -v seed=3 -f "$here/log.awk" >log.csv

# ---- running statistics, by hand ----

# 21 rows in batches of 4: the last has one row, which tells no variance and changes nothing.  1500 rows in batches of 700,
# whose slices are added up.
numbers() { # ROWS
	awk -v n="$1" 'BEGIN { srand(5); print "x,clk"; for (i = 0; i < n; i++) printf "%.4f,%d\n", 100 + 3 * rand(), rand() < 0.5 }'
}
quietly "$MTLC" build --cpu=native "$here/stats.mtl" -o stats
while read -r rows batch; do
	numbers "$rows" >x.csv
	quietly ./stats train --data x.csv --batch "$batch" --out stats.m -q
	verdict $? "no training on $rows rows in batches of $batch"
	awk -F, -v batch="$batch" 'NR > 1 { x[n++] = $1 } END {
		m = 0; v = 1
		for (epoch = 0; epoch < 2; epoch++)
			for (at = 0; at + 1 < n; at += batch) {
				k = at + batch < n ? batch : n - at; s = 0; q = 0
				for (i = at; i < at + k; i++) s += x[i] / k
				for (i = at; i < at + k; i++) q += (x[i] - s) ^ 2 / (k - 1)
				m += 0.25 * (s - m); v += 0.25 * (q - v)
			}
		printf "%.9g %.9g\n", m, v }' x.csv >want
	paste -d' ' <(tensor stats.m tower.z.mean) <(tensor stats.m tower.z.variance) >got
	paste -d' ' want got | awk '{ d = (1 - $1 / $3) ^ 2 + (1 - $2 / $4) ^ 2; exit !(d < 1e-10 && $1 > 80 && $2 < 1.2) }'
	verdict $? "$rows rows: running mean and variance are not those of the batches: $(cat want got)"
done <<-END
	1500 700
	21 4
END

# What is scored is x by the running statistics; the layer before the head has no dense layer to go into.
{ tensor stats.m tower.z.mean; tensor stats.m tower.z.variance; tensor stats.m tower.z.gain; tensor stats.m tower.z.shift
  tensor stats.m tower.z.0.weight; tensor stats.m tower.z.0.bias; } | tr '\n' ' ' >numbers
./stats score --model stats.m x.csv | paste -d, x.csv - | awk -F, -v t="$(cat numbers)" 'BEGIN { split(t, k, " ") }
	NR > 1 { z = ((($1 - k[1]) / sqrt(k[2] + 0.01)) * k[3] + k[4]) * k[5] + k[6]; d = z - $3; bad += d * d > 1e-10; n++ }
	END { exit !(n == 21 && !bad) }'
verdict $? "a score is not that of the running statistics"

# ---- one row alone: normalised to 0, so that only the shift is left, and nothing is remembered ----
head -2 x.csv >one.csv
quietly ./stats train --data one.csv --out one.m -q
verdict $? "no training on one row"
[ "$(tensor one.m tower.z.mean | tr -d ' ')" = 0 ] && [ "$(tensor one.m tower.z.variance | tr -d ' ')" = 1 ]
verdict $? "one row changes what is remembered"

# ---- bits: emitters, threads, interruption ----
quietly "$MTLC" gradcheck "$here/deep.mtl"
verdict $? "gradients through the statistics, and the kernels' bits"
sed 's/^train {/train { balance: mgda /' "$here/deep.mtl" >mgda.mtl
quietly "$MTLC" gradcheck --cpu=native mgda.mtl
verdict $? "gradients of tasks through the statistics"
for backend in llvm c; do
	quietly "$MTLC" build --backend=$backend "$here/deep.mtl" -o $backend &&
		quietly ./$backend train --data log.csv --out $backend.m --threads 1 -q
	verdict $? "$backend: no training"
done
same llvm.m c.m "both emitters train the same bits"
for threads in 2 3 5; do
	quietly ./llvm train --data log.csv --out t.m --threads $threads -q
	same llvm.m t.m "$threads threads train the same bits"
done
for v in v2 v3 v4; do
	MTL_VARIANT=x86-64-$v ./llvm train --data log.csv --out v.m -q 2>said || { grep -q "$v" said && continue; }
	./llvm score --model v.m log.csv >v.out
	[ "$(wc -l <v.out)" -eq 1502 ]
	verdict $? "$v trains and scores"
done
quietly ./llvm train --data log.csv --out half.m --epochs 1 -q && quietly ./llvm train --data log.csv --resume half.m --out whole.m --epochs 2 -q
verdict $? "no training in two parts"
same llvm.m whole.m "an epoch, and another after it, are two epochs"
quietly ./llvm train --data log.csv --init llvm.m --out warm.m --epochs 1 -q
[ "$(tensor warm.m tower.a.mean | head -1)" != "$(tensor half.m tower.a.mean | head -1)" ]
verdict $? "a warm start begins with what was remembered"

# ---- scoring: folded, and the same in trainer, evaluation, scorer and halves of a request ----
./llvm score --model llvm.m log.csv >scores
"$MTLC" build -v --model llvm.m "$here/deep.mtl" -o scorer >report 2>&1 && ./scorer <log.csv >alone
same scores alone "a scorer has the trainer's scores"
grep -q '^  folded  *experts.e.2.mean  .* into experts.e.2.0.weight$' report
verdict $? "the report does not say what was folded"

{ echo a,b,c,clk; awk 'BEGIN { srand(8); for (i = 0; i < 500; i++) printf "%.3f,%.3f,%.3f,%d\n", 9 * rand(), rand(), 2 * rand() - 1, rand() < 0.4 }'; } >abc.csv
quietly "$MTLC" build --cpu=native "$here/fold.mtl" -o fold && quietly ./fold train --data abc.csv --out fold.m -q
verdict $? "no training of fold.mtl"
"$MTLC" check --dump=serve "$here/fold.mtl" >serve
! grep -q '= \(sub\|mul\|add\|div\) .*\[n' serve && [ "$(grep -c '= dense ' serve)" -eq 2 ]
verdict $? "something of the normalisation is left for the rows"
for t in 0.weight 0.bias gain shift mean variance 1.weight 1.bias; do tensor fold.m tower.z.$t; done | tr '\n' ' ' >numbers
./fold score --model fold.m abc.csv | paste -d, abc.csv - | awk -F, -v t="$(cat numbers)" 'BEGIN { split(t, k, " ") }
	NR > 1 {
		z = k[1 + 27 + 5 * 9 + 9]; size = 1
		for (j = 1; j <= 9; j++) {
			h = k[27 + j] + $1 * k[j] + $2 * k[9 + j] + $3 * k[18 + j]
			s = k[36 + j] / sqrt(k[63 + j] + 1e-5)
			h = (h - k[54 + j]) * s + k[45 + j]
			size += ($1 * k[j] > 0 ? $1 * k[j] : -$1 * k[j]) * s * (k[72 + j] > 0 ? k[72 + j] : -k[72 + j])
			if (h > 0) z += h * k[72 + j]
		}
		# Eight roundings of 2^-24 at most, of terms that add up to about `size`.
		d = z - $5; if (d < 0) d = -d; if (d > worst) worst = d; bad += d > 8 * 6e-8 * size; n++ }
	END { printf "%d rows, folded and not differ by %.2g at most\n", n, worst; exit !(n == 500 && !bad) }'
verdict $? "folded weights give other scores than the layers by hand"

quietly ./fold eval --model fold.m --data abc.csv
verdict $? "no evaluation"
finish
