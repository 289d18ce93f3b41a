#!/bin/sh
# Scorers of reduced precision: tried on a log before they are made, refused where they lose too much or cannot
# be tried; the same scores through every door, whatever the kernels, the emitter and the neighbours of a row.
# Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
cd "$tmp" || exit 1

# Both sides in alternation, so that sums are cut in the middle; odd widths; a list; layers side by side.
cat >m.mtl <<'END'
model m
features user per request { user_id : id(hash: 100)  age : real(missing: 0)  country : id(hash: 50) }
features item per candidate { item_id : id(hash: 100)  tags : ids(hash: 100, pool: mean)  price : real(missing: 0) }
embed 9
event click label clk
event buy of click label pay
shared x = concat(user.user_id, item, user.age, user.country)
tower a = x -> mlp([100, 64], act: relu) -> dense(1)
tower b = x -> mlp([100, 32], act: relu) -> dense(1)
P(click) = sigmoid(a)
P(buy | click) = sigmoid(b)
loss ctr: bce(P(click))
loss ctcvr: bce(P(buy))
output p = P(click), q = P(buy)
END
# Runs of forty candidates a request, then rows of their own.  The labels follow user and item.
awk 'BEGIN {
	srand(5)
	print "user_id,age,country,item_id,tags,price,clk,pay"
	for (r = 0; r < 3000; r++) {
		u = r < 2000 ? int(r / 40) : int(rand() * 300); i = int(rand() * 200); age = (u * 37 % 11) / 5 - 1
		clk = rand() < 0.2 + 0.3 * (age > 0) + 0.1 * (i % 4); pay = clk && rand() < 0.2 + 0.1 * (i % 3)
		tags = i % 3 ? "t" i % 7 "|t" i % 5 : ""
		printf "u%d,%.3f,c%d,i%d,%s,%.3f,%d,%d\n", u, age, u % 20, i, tags, i % 9 / 3, clk, pay
	}
}' >log.csv
# The same rows in another order, none beside one of its request; `undo` puts scores back.
order() { awk -v n="$1" 'BEGIN { for (r = 0; r < n; r++) print r * 1009 % n + 1 }'; }
order 3000 >order
awk 'NR == FNR { at[NR] = $1; n = NR; next } FNR == 1 { print; next } { row[FNR - 1] = $0 } END { for (r = 1; r <= n; r++) print row[at[r]] }' \
	order log.csv >mixed.csv
undo() { awk 'NR == FNR { at[NR] = $1; n = NR; next } FNR == 1 { print; next } { row[at[FNR - 1]] = $0 } END { for (r = 1; r <= n; r++) print row[r] }' order -; }

"$MTLC" train m.mtl --data log.csv --epochs 4 --out model --quiet 2>err || cat err

build() { "$MTLC" build m.mtl --model model "$@" >out 2>err; code=$?; }
refused() { # CODE WORD OPTION...
	wanted=$1 word=$2
	shift 2
	build "$@" -o no
	[ $code -eq "$wanted" ] && grep -q "$word" err && [ ! -e no ]
	verdict $? "build $*: exit $code: $(tail -1 err)"
}
refused 2 'needs --calibrate' --precision=int8
refused 2 'are of a scorer with --precision' --calibrate log.csv
refused 2 'number of at least 0' --precision=int8 --calibrate log.csv --max-auc-loss much
refused 2 'single precision' --precision=bf16 --calibrate log.csv --emit=onnx
refused 2 'own products' --precision=bf16 --calibrate log.csv --gemm=blas
refused 6 'none.csv' --precision=int8 --calibrate none.csv
head -501 log.csv >few.csv
refused 5 'too small a sample' --precision=int8 --calibrate few.csv
awk -F, -v OFS=, 'NR > 1 { $7 = ""; $8 = "" } 1' log.csv >unknown.csv
refused 5 'no head has an AUC' --precision=int8 --calibrate unknown.csv
cut -d, -f1-6 log.csv >unlabelled.csv
refused 4 'D0004' --precision=int8 --calibrate unlabelled.csv
"$MTLC" build m.mtl --precision=int8 --calibrate log.csv -o no >out 2>err
[ $? -eq 2 ] && grep -q 'needs --model' err
verdict $? "--precision without --model"
printf 'model thin\nfeatures u per request { age : real(missing: 0) }\nevent c label clk\nP(c) = sigmoid(u -> dense(1))\nloss l: bce(P(c))\noutput p = P(c)\n' >thin.mtl
"$MTLC" train thin.mtl --data log.csv --epochs 1 --out thin.model --quiet 2>err || cat err
"$MTLC" build thin.mtl --model thin.model --precision=int8 --calibrate log.csv -o no >out 2>err
[ $? -eq 5 ] && grep -q 'no layer' err
verdict $? "a model without a layer that gains: $(tail -1 err)"

build -o single || cat err
variants=$(./single info --json | tr '{' '\n' | sed -n 's/.*"name":"\(x86-64-v[34]\)".*/\1/p')
for p in bf16 int8; do
	[ -z "${MTL_QUICK:-}" ] || [ $p = int8 ] || continue
	build --precision=$p --calibrate log.csv --max-auc-loss 0.01 -o $p -v
	verdict $code "$p: exit $code: $(tail -1 err)"
	cp err told
	grep -q "$p against single precision, 3000 rows" err && grep -q 'scores change by' err
	verdict $? "$p: what it costs is printed"
	[ "$(grep -c "^  $p .*tower" err)" -eq 4 ] && [ "$(grep -c '^  single .*tower.*logits' err)" -eq 2 ]
	verdict $? "$p: -v tells the precision of each layer"
	# Nine numbers a row: 18 bytes and 2 of rest; a float, 9 bytes and 3.
	[ $p = bf16 ] && row=20 || row=16
	[ "$(grep -c "^  $p .*embed.* $row bytes a row" err)" -eq 4 ] && grep -q "layers and 4 tables" err &&
		grep -q "kept     embed.user_id.weight .* $((row * 102)) bytes" err && ./$p info | grep -q "embed.tags.weight .*\[102, 9\] $p"
	verdict $? "$p: -v and info tell the precision of each table"
	./$p info --verify >out 2>err
	verdict $? "$p: digests of narrow tables: $(head -1 err)"
	at=$(LC_ALL=C grep -abo '"dtype":"\(BF16\|I8\)"' $p | wc -l)
	[ "$at" -eq 4 ]
	verdict $? "$p: the file holds narrow tables"
	./$p log.csv >$p.scores && ! cmp -s $p.scores <<END
$(./single log.csv)
END
	verdict $? "$p: scores, and other ones than in single precision"
	# The judge rounds the floats of a program, the scorer reads records: the same change of scores.
	./single log.csv | paste -d, - $p.scores | awk -F, 'NR > 1 { d = $1 - $3; if (d < 0) d = -d; if (d > m) m = d } END { printf "%.2g at most\n", m }' >most
	grep "^  p  *scores" told | grep -qF "$(cat most)"
	verdict $? "$p: what was judged is what scores: $(cat most)"
	./$p mixed.csv | undo | cmp -s - $p.scores
	verdict $? "$p: a request's rows one after the other, or far apart"
	./$p log.csv --threads 2 | cmp -s - $p.scores
	verdict $? "$p: two threads"
	head -3 log.csv | ./$p - | cmp -s - <<END
$(head -3 $p.scores)
END
	verdict $? "$p: two rows alone"
	for v in $variants; do
		MTL_VARIANT=$v ./$p log.csv 2>err | cmp -s - $p.scores || grep -q 'lacks instructions' err
		verdict $? "$p: $v has the bits of what was chosen"
	done
	build --precision=$p --calibrate log.csv --max-auc-loss 0.01 --backend=c -o by_c && ./by_c log.csv | cmp -s - $p.scores
	verdict $? "$p: kernels printed as C"
	# The library, as an archive and as one C file: a request and its candidates, and rows whole.
	build --precision=$p --calibrate log.csv --max-auc-loss 0.01 --emit=static,header,c -o lib_$p || cat err
	cat >use.c <<'END'
#include "LIB.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void)
{
	m *h;
	m_error e;
	if (m_open(NULL, &h, &e)) return puts(e.text), 1;
	void *work = malloc(m_work_bytes(h, 3));
	m_request_row r = {m_string("u3"), -0.4, m_string("c3")};
	m_text user[3] = {m_string("u3"), m_string("u3"), m_string("u3")}, country[3] = {m_string("c3"), m_string("c3"), m_string("c3")};
	double age[3] = {-0.4, -0.4, -0.4}, price[3] = {0, 1, 2.5};
	m_text item[3] = {m_string("i1"), m_string("i2"), m_string("i7")}, tag[2] = {m_string("t1"), m_string("t4")};
	m_texts tags[3] = {{tag, NULL, 2}, {tag, NULL, 1}, {NULL, NULL, 0}};
	m_candidate_rows c = {item, tags, price};
	m_rows rows = {user, age, country, item, tags, price};
	float a[3][M_OUTPUTS], b[3][M_OUTPUTS];
	if (m_request(h, work, &r, &e) || m_candidates(h, work, &c, 3, a[0], &e) || m_score(h, work, &rows, 3, b[0], &e))
		return puts(e.text), 1;
	if (memcmp(a, b, sizeof a)) return puts("cut, the sums are others"), 1;
	for (int i = 0; i < 3; i++) printf("%.9g %.9g\n", (double)a[i][0], (double)a[i][1]);
	m_close(h);
	free(work);
	return 0;
}
END
	sed "s/LIB/lib_$p/" use.c >use_$p.c
	printf 'user_id,age,country,item_id,tags,price\nu3,-0.4,c3,i1,t1|t4,0\nu3,-0.4,c3,i2,t1,1\nu3,-0.4,c3,i7,,2.5\n' >three.csv
	./$p three.csv | awk -F, 'NR > 1 { printf "%.7g %.7g\n", $1, $2 }' >want
	"${CC:-cc}" -I. use_$p.c lib_$p.a -lm -o use 2>err && ./use | awk '{ printf "%.7g %.7g\n", $1, $2 }' | cmp -s - want
	verdict $? "$p: the archive, cut and whole: $(head -1 err)"
	sed 's/m_open(NULL/m_open("model"/' use_$p.c >use_file.c
	"${CC:-cc}" -I. use_file.c lib_$p.a -lm -o use 2>err && ./use | awk '{ printf "%.7g %.7g\n", $1, $2 }' | cmp -s - want
	verdict $? "$p: tables made narrow when a model file is opened: $(head -1 err)"
	for march in x86-64-v4 "x86-64-v4 -mavx512vnni" x86-64-v3; do
		# shellcheck disable=SC2086
		"${CC:-cc}" -O2 -std=c99 -Wall -Wextra -ffp-contract=off -march=$march -I. use_$p.c lib_$p.c -lm -o use 2>err || { grep -q "unrecognized" err && continue; }
		grep -q avx512vnni /proc/cpuinfo || [ "$march" = x86-64-v3 ] || continue
		[ ! -s err ] && ./use | awk '{ printf "%.7g %.7g\n", $1, $2 }' | cmp -s - want
		verdict $? "$p: one C file, -march=$march: $(head -1 err)"
	done
done

# Steps of a sequence, long rows, rows that are too short.
cat >steps.mtl <<'END'
model steps
features u per request { id : id(hash: 50)  seen : seq(max: 4) { what : id(hash: 60, embed: 37) } }
features i per candidate { item : id(hash: 60, embed: 150)  kind : id(hash: 9, embed: 2)  both : cross(id, item, hash: 99, embed: 5) }
embed 8
event click label clk
P(click) = sigmoid(concat(u.id, u.seen -> mean, i) -> mlp([32], act: relu) -> dense(1))
loss l: bce(P(click))
output p = P(click)
END
for p in bf16 int8; do
	"$MTLC" gradcheck steps.mtl --precision=$p >out 2>err
	verdict $? "steps, $p: $(grep -v ' 0 wrong' out err | head -1)"
	grep -q 'scorer: kernels against the interpreter' out
	verdict $? "steps, $p: kernels of narrow tables are among those checked"
done

# Every number of the kernels against the interpreter, all variants of this machine, both emitters.
for p in bf16 int8; do
	[ -z "${MTL_QUICK:-}" ] || [ $p = int8 ] || continue
	for b in llvm c; do
		"$MTLC" gradcheck m.mtl --precision=$p --backend=$b >out 2>err
		verdict $? "gradcheck --precision=$p --backend=$b: $(grep -v ' 0 wrong' out | head -1)"
	done
done
finish
