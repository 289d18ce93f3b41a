#!/bin/sh
# A scorer that serves: its scores are the command line's, it survives its clients, it changes models without mixing them.
# Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
t=$tmp

if ! command -v python3 >/dev/null || ! command -v curl >/dev/null; then
	echo "skipped: python3 or curl is missing"
	verdict 0
	finish
fi

# ---- one structure, two models, and a scorer of each; a model of another structure ----
awk -v rows=2000 -f tests/embed/log.awk >"$t/kinds.csv"
quietly "$MTLC" build --cpu=native tests/embed/kinds.mtl -o "$t/prog" &&
	quietly "$t/prog" train --data "$t/kinds.csv" --out "$t/one.model" --epochs 1 &&
	quietly "$t/prog" train --data "$t/kinds.csv" --out "$t/two.model" --epochs 1 --seed 5 &&
	quietly "$MTLC" build --cpu=native tests/embed/kinds.mtl --model "$t/one.model" --serve -o "$t/server" &&
	quietly "$MTLC" build --cpu=native tests/embed/kinds.mtl --model "$t/one.model" --link dynamic --serve -o "$t/dynamic" &&
	quietly "$MTLC" build --cpu=native tests/embed/kinds.mtl --model "$t/one.model" -o "$t/plain" &&
	awk 'BEGIN {
		print "clk,what,when,item"
		for (r = 0; r < 300; r++) {
			a = b = ""
			for (i = 0; i < r % 7; i++) { a = a (i ? "|" : "") (i == 2 ? "" : "i" (r + 5 * i) % 31 (r % 5 ? "" : ":2")); b = b (i ? "|" : "") (r % 3 ? i + r % 4 : "") }
			print (r % 5 == 0) "," a "," b ",i" r % 37
		}
	}' >"$t/steps.csv" &&
	quietly "$MTLC" build --cpu=native tests/serve/steps.mtl -o "$t/steps.prog" &&
	quietly "$t/steps.prog" init --seed 3 --out "$t/steps.model" &&
	quietly "$MTLC" build --cpu=native tests/serve/steps.mtl --model "$t/steps.model" --serve -o "$t/steps" &&
	quietly "$MTLC" data gen funnel --rows 500 --seed 3 -o "$t/funnel.csv" &&
	quietly "$MTLC" build --cpu=native examples/esmm/esmm.mtl -o "$t/esmm" &&
	quietly "$t/esmm" train --data "$t/funnel.csv" --out "$t/foreign.model" --epochs 1
code=$?
verdict $code "no server"
[ $code -eq 0 ] || finish

# ---- what is linked ----
file=$(ldd "$t/server" 2>&1)
case $file in *"not a dynamic"*) true ;; *) false ;; esac
verdict $? "the server is not static: $file"
ldd "$t/dynamic" | grep -q microhttpd
verdict $? "--link dynamic is without the system's libmicrohttpd"
! grep -q MHD_ "$t/plain"
verdict $? "a scorer without --serve has a server in it"
"$t/plain" serve >/dev/null 2>"$t/said"
[ $? -eq 2 ] && grep -q -e --serve "$t/said"
verdict $? "serve of a scorer that cannot: $(cat "$t/said")"
"$MTLC" build tests/embed/kinds.mtl --serve -o "$t/no" 2>"$t/said"
[ $? -eq 2 ] && grep -q -e --model "$t/said"
verdict $? "--serve without --model: $(cat "$t/said")"
for where in 0.0.0.0:0 10.0.0.1:80 localhost example.org:80 '[::]:0' unix: 127.0.0.1:99999 127.0.0.1:; do
	"$t/server" serve --listen "$where" >/dev/null 2>"$t/said"
	[ $? -eq 2 ]
	verdict $? "--listen $where: $(cat "$t/said")"
done
for limit in --max-rows=0 --max-depth=9999 --deadline=0; do
	"$t/server" serve $limit >/dev/null 2>"$t/said"
	[ $? -eq 2 ]
	verdict $? "$limit: $(cat "$t/said")"
done
"$t/server" serve --listen 127.0.0.1:0 --model "$t/foreign.model" >/dev/null 2>"$t/said"
[ $? -eq 5 ] && grep -q F0205 "$t/said"
verdict $? "a foreign model is served: $(cat "$t/said")"

# ---- everything else is said over sockets ----
if python3 tests/serve/client.py "$t" >"$t/client.out" 2>&1; then code=0; else code=1; fi
grep -v '^passed' "$t/client.out"
passed=$((passed + $(grep -c '^passed' "$t/client.out")))
failed=$((failed + $(grep -c '^failed' "$t/client.out")))
grep -q '^done$' "$t/client.out"
verdict $? "the client died"
[ $code -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
finish
