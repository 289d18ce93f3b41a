#!/bin/sh
# One model through every door: losses within groups, lists of which the largest is taken.  Command line (CSV, JSONL, a
# request and its candidates), generated scorer, library in C, one C file, server: the same bits everywhere; ONNX within 1e-5
# is the business of tests/onnx.  Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
here=tests/doors

awk -v seed=1 -v groups=300 -f $here/log.awk >"$tmp/log.csv"
awk -v seed=2 -v groups=200 -f $here/log.awk >"$tmp/test.csv"
quietly "$MTLC" build --cpu=native $here/ranker.mtl -o "$tmp/prog" && quietly "$tmp/prog" train --data "$tmp/log.csv" --out "$tmp/model" &&
	quietly "$tmp/prog" score --model "$tmp/model" "$tmp/test.csv" -o "$tmp/want.csv" &&
	quietly "$MTLC" build --cpu=native $here/ranker.mtl --model "$tmp/model" -o "$tmp/scorer"
code=$?
verdict $code "no program, or no scorer"
[ $code -eq 0 ] || finish
[ "$(sed 1d "$tmp/want.csv" | sort -u | wc -l)" -gt 1000 ]
verdict $? "rows hardly differ: the tests show nothing"

# ---- command line and generated scorer ----
cut -d, -f1-5 "$tmp/test.csv" >"$tmp/served.csv" # neither labels nor groups
awk -F, 'function list(c, n, x, i, t) { n = split(c, x, "|"); t = ""; for (i = 1; i <= n; i++) t = t (i > 1 ? "," : "") "\"" x[i] "\""; return "[" t "]" }
	NR > 1 { printf "{\"user_id\":\"%s\",\"liked\":%s,\"item_id\":\"%s\",\"words\":%s,\"price\":%s}\n", $1, list($2), $3, list($4), $5 == "" ? "null" : $5 }' \
	"$tmp/test.csv" >"$tmp/served.jsonl"
for log in served.csv served.jsonl; do
	for threads in 1 3; do
		quietly "$tmp/prog" score --model "$tmp/model" --threads $threads --format csv "$tmp/$log" -o "$tmp/got.csv"
		same "$tmp/want.csv" "$tmp/got.csv" "score, $log, $threads threads: other bits"
		quietly "$tmp/scorer" --threads $threads --format csv "$tmp/$log" -o "$tmp/got.csv"
		same "$tmp/want.csv" "$tmp/got.csv" "the scorer, $log, $threads threads: other bits"
	done
done
quietly "$MTLC" build --cpu=native --backend=c $here/ranker.mtl --model "$tmp/model" -o "$tmp/by_c" && quietly "$tmp/by_c" "$tmp/served.csv" -o "$tmp/got.csv"
same "$tmp/want.csv" "$tmp/got.csv" "the scorer by way of C: other bits"

# ---- requests and candidates as two files: each request with each candidate ----
cut -d, -f1-2 "$tmp/served.csv" | awk '!seen[$0]++' | head -9 >"$tmp/r.csv"
cut -d, -f3-5 "$tmp/served.csv" | sed -n '1p;101,260p' >"$tmp/c.csv"
awk 'NR == FNR { r[FNR] = $0; n = FNR; next } { c[FNR] = $0; m = FNR }
	END { print r[1] "," c[1]; for (k = 2; k <= m; k++) for (i = 2; i <= n; i++) print r[i] "," c[k] }' "$tmp/r.csv" "$tmp/c.csv" >"$tmp/product.csv"
quietly "$tmp/scorer" "$tmp/product.csv" -o "$tmp/whole.csv"
awk 'NR == 1 { print; next } { s[(NR - 2) % 8, int((NR - 2) / 8)] = $0 }
	END { for (i = 0; i < 8; i++) for (k = 0; k < 160; k++) print s[i, k] }' "$tmp/whole.csv" >"$tmp/pairs.want"
quietly "$tmp/scorer" --request "$tmp/r.csv" --candidates "$tmp/c.csv" -o "$tmp/got.csv"
same "$tmp/pairs.want" "$tmp/got.csv" "the scorer's --request: other bits"
quietly "$tmp/prog" score --model "$tmp/model" --request "$tmp/r.csv" --candidates "$tmp/c.csv" -o "$tmp/got.csv"
same "$tmp/pairs.want" "$tmp/got.csv" "score --request: other bits"

# ---- library: an archive, and one C file ----
quietly "$MTLC" build $here/ranker.mtl --model "$tmp/model" --emit=static,header -o "$tmp/ranker" &&
	quietly "$CC" -std=gnu99 -O1 -Wall -Wextra -I"$tmp" $here/doors.c "$tmp/ranker.a" -lm -pthread -o "$tmp/doors"
verdict $? "no library"
"$tmp/doors" "$tmp/test.csv" "$tmp/want.csv" >"$tmp/said" 2>&1
verdict $? "the library: $(cat "$tmp/said")"
mkdir "$tmp/one"
quietly "$MTLC" build $here/ranker.mtl --model "$tmp/model" --emit=c,header -o "$tmp/one/ranker" &&
	quietly "$CC" -std=c11 -O2 -march=native -ffp-contract=off -Wall -Wextra -Werror -c "$tmp/one/ranker.c" -o "$tmp/one/ranker.o" &&
	quietly "$CC" -std=gnu99 -O1 -I"$tmp/one" $here/doors.c "$tmp/one/ranker.o" -lm -pthread -o "$tmp/one/doors"
verdict $? "no C file"
"$tmp/one/doors" "$tmp/test.csv" "$tmp/want.csv" >"$tmp/said" 2>&1
verdict $? "one C file: $(cat "$tmp/said")"

# ---- server ----
if command -v python3 >/dev/null; then
	quietly "$MTLC" build --cpu=native $here/ranker.mtl --model "$tmp/model" --serve -o "$tmp/server" &&
		quietly "$tmp/server" --format jsonl "$tmp/served.csv" -o "$tmp/want.jsonl"
	verdict $? "no server"
	python3 $here/client.py "$tmp/server" "$tmp/test.csv" >"$tmp/got.jsonl" 2>"$tmp/said"
	same "$tmp/want.jsonl" "$tmp/got.jsonl" "served: other scores; $(tail -1 "$tmp/said")"
else
	echo "skipped: python3 is missing"
fi
finish
