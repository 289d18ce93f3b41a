#!/bin/sh
# A scorer inside other people's programs: the library's doors give the command line's scores bit by bit, the examples
# in examples/embed work from C, C++ and Python, and what is shipped has the size and the names it should.
# Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
: "${CXX:=c++}"
t=$tmp
here=$PWD

# ---- two trained models, as scorers and as libraries ----
awk -v rows=3000 -f tests/embed/log.awk >"$t/kinds.csv"
quietly "$MTLC" data gen funnel --rows 4000 --seed 3 -o "$t/funnel.csv"
for m in kinds:tests/embed/kinds.mtl:kinds.csv esmm:examples/esmm/esmm.mtl:funnel.csv; do
	name=${m%%:*} text=${m#*:} log=${m##*:}
	text=${text%%:*}
	quietly "$MTLC" build --cpu=native "$text" -o "$t/$name.prog" &&
		quietly "$t/$name.prog" train --data "$t/$log" --out "$t/$name.model" --epochs 1 &&
		"$MTLC" build -v "$text" --model "$t/$name.model" --emit=exe,static,shared,header -o "$t/$name" >"$t/$name.report" 2>&1
	code=$?
	[ $code -eq 0 ] || { cat "$t/$name.report"; }
	verdict $code "$text: no library"
	[ $code -eq 0 ] || finish
done

# ---- what was kept, what dropped ----
for line in "dropped spare training alone reads it" "dropped later training alone reads it" "dropped clk a label" \
	"kept user of the request" "kept shelf of the candidate, a list" \
	"kept tower.t.0.weight 5568 bytes for p, z" "dropped embed.spare.weight 240 bytes no output needs it, only the loss aux" \
	"dropped tower.side.0.bias 4 bytes no output needs it, only the loss aux"; do
	tr -s ' ' <"$t/kinds.report" | grep -qF " $line"
	verdict $? "the report does not say: $line"
done

# ---- the scorer needs no more columns than it says, and its scores are the trainer's ----
cut -d, -f2-14 "$t/kinds.csv" >"$t/served.csv"
quietly "$t/kinds.prog" score "$t/kinds.csv" --model "$t/kinds.model" -o "$t/scores.csv"
verdict $? "the program does not score"
quietly "$t/kinds" "$t/served.csv" -o "$t/scorer.csv" && cmp -s "$t/scores.csv" "$t/scorer.csv"
verdict $? "the scorer's scores are not the program's"
quietly "$t/kinds" info --verify
verdict $? "info --verify refuses a whole scorer"
if [ -z "${MTL_QUICK:-}" ]; then
	"$t/kinds" bench --json --threads 1 >"$t/said" && grep -q '"batch":4096,"us":[0-9.]*,"p99_us":.*"request":\[{"candidates":1,.*"candidates":1000,.*}\]}$' "$t/said"
	verdict $? "bench --json: $(cat "$t/said")"
fi
# One bit of the last weight: noticed by --verify, though scoring does not look.
cp "$t/kinds" "$t/damaged"
at=$(LC_ALL=C grep -abo '{"__metadata__"' "$t/kinds" | head -1 | cut -d: -f1)
bytes=$(od -An -t u8 -j $((at - 8)) -N 8 "$t/kinds" | tr -d ' ')
printf '\1' | dd of="$t/damaged" bs=1 seek=$((at + bytes + 1000)) conv=notrunc 2>/dev/null
"$t/damaged" info --verify >/dev/null 2>"$t/said"
[ $? -eq 5 ] && grep -q F0009 "$t/said"
verdict $? "info --verify accepts damaged weights: $(cat "$t/said")"
printf 'x' | dd of="$t/damaged" bs=1 seek=$((at + 20)) conv=notrunc 2>/dev/null
"$t/damaged" "$t/served.csv" >/dev/null 2>&1
[ $? -eq 5 ]
verdict $? "a damaged header is not noticed"

# zstd in its current format is read; that of 2016, whose decoder a static scorer is without, is no zstd file to it.
if command -v zstd >/dev/null; then
	zstd -q "$t/served.csv" -o "$t/served.csv.zst" && quietly "$t/kinds" "$t/served.csv.zst" -o "$t/zst.csv" && cmp -s "$t/zst.csv" "$t/scores.csv"
	verdict $? "a zstd log"
	# A frame of the old format behind one of the current.
	{ cat "$t/served.csv.zst"; printf '\047\265\057\375\004\000\000\000\000\000\000\000'; } >"$t/old.zst"
	"$t/kinds" "$t/old.zst" -o "$t/zst.csv" >"$t/said" 2>&1
	code=$?
	[ $code -eq 4 ] || [ $code -eq 6 ]
	verdict $? "an old frame: exit $code, $(cat "$t/said")"
fi

# ---- names ----
nm -g --defined-only "$t/kinds.a" | awk 'NF == 3 && $3 !~ /^kinds_/ { print; bad = 1 } END { exit bad }'
verdict $? "the archive has global names beside its own"
nm -D --defined-only "$t/kinds.so" | awk 'NF == 3 && $3 !~ /^kinds_/ { print; bad = 1 } END { exit bad }'
verdict $? "the shared library has global names beside its own"
# Of what the model, its kernels and the runtime bring along nothing is writable; the JSON reader has its hash seed
# and its choice of malloc, both set once and atomically.
nm "$t/kinds.a" | awk '$2 ~ /^[bBCdD]$/ && $3 !~ /^(hashtable_seed|seed_initialized|do_malloc|do_free|mtl_sys|mtl_model|door|members)/ { print $3 }' |
	grep -vE '^(slots|entries|kernel|variants|features|vocab|tables|params|lookups|events|outputs|label|name|command|option|edges|work)' |
	grep . && false
verdict $(($? == 0)) "the archive holds something writable"

# ---- every door ----
quietly $CC -std=gnu99 -O1 -g -Wall -Wextra -Werror -pedantic -I"$t" tests/embed/doors.c "$t/kinds.a" "$t/esmm.a" -lm -pthread -o "$t/doors"
verdict $? "tests/embed/doors.c does not compile"
"$t/doors" "$t/kinds.csv" "$t/scores.csv" "$t/kinds.model" >"$t/out"
line=$(tail -1 "$t/out")
grep -v passed, "$t/out"
p=${line%% passed*} f=${line##*, }
passed=$((passed + ${p:-0}))
case $line in *" passed, "*) failed=$((failed + ${f%% failed})) ;; *) verdict 1 "doors ended with: $line" ;; esac
# The same as one C file each, by both compilers and for each machine; without a warning.
doors_alone() { # CC FLAGS... ; RUN is what runs the program
	for name in kinds esmm; do
		quietly "$@" -std=c11 -O2 -ffp-contract=off -Wall -Wextra -Werror -pedantic -c "$t/one/$name.c" -o "$t/one/$name.o" || return 1
	done
	quietly "$@" -std=gnu99 -O1 -I"$t/one" tests/embed/doors.c "$t/one/kinds.o" "$t/one/esmm.o" -lm -pthread -o "$t/one/doors" &&
		$RUN "$t/one/doors" "$t/kinds.csv" "$t/scores.csv" >"$t/out"
	case $? in 0) ;; *) grep -v passed, "$t/out"; return 1 ;; esac
	tail -1 "$t/out" | grep -q '[1-9][0-9]* passed, 0 failed'
}
mkdir "$t/one"
quietly "$MTLC" build tests/embed/kinds.mtl --model "$t/kinds.model" --emit=c,header -o "$t/one/kinds" &&
	quietly "$MTLC" build examples/esmm/esmm.mtl --model "$t/esmm.model" --emit=c,header -o "$t/one/esmm"
verdict $? "no C file of a scorer"
RUN=
for compiler in gcc clang; do
	command -v $compiler >/dev/null || continue
	for march in x86-64-v4 x86-64-v3; do
		case $(/lib64/ld-linux-x86-64.so.2 --help 2>/dev/null) in *"$march (supported"*) ;; *) continue ;; esac
		doors_alone $compiler -march=$march
		verdict $? "one C file by $compiler for $march"
	done
done
if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null; then
	RUN=qemu-aarch64
	doors_alone aarch64-linux-gnu-gcc -static
	verdict $? "one C file for aarch64, under emulation"
fi
# Names, and what is refused: products and sums that contract, another file's weights.
nm -g --defined-only "$t/one/kinds.o" | awk 'NF == 3 && $3 !~ /^kinds_/ { print; bad = 1 } END { exit bad }'
verdict $? "one C file has global names beside its own"
quietly $CC -O2 -march=native -ffp-contract=fast -I"$t/one" -c "$t/one/esmm.c" -o "$t/one/fast.o" &&
	quietly $CC -I"$t/one" examples/embed/score.c "$t/one/fast.o" -lm -o "$t/one/fast" && "$t/one/fast" >"$t/said" 2>&1
[ $? -ne 0 ] && grep -q ffp-contract "$t/said"
verdict $? "contraction is not noticed: $(cat "$t/said")"
# Every kernel variant with fused multiply-add gives the same bits.
for v in v3 v4; do
	quietly env MTL_VARIANT=$v "$t/kinds" "$t/served.csv" -o "$t/$v.csv" || continue # not on this machine
	cmp -s "$t/$v.csv" "$t/scores.csv"
	verdict $? "kernels of $v give other scores"
done

# ---- requests and candidates on the command line ----
# Every request with every candidate: as two files, as a log request by request (whose runs are found), and candidate by
# candidate (no two rows in a row are of one request).  12 requests, 300 candidates.
cut -d, -f1-7 "$t/served.csv" | awk '!seen[$0]++' | head -13 >"$t/r.csv"
cut -d, -f8-13 "$t/served.csv" | sed -n '1p;101,400p' >"$t/c.csv"
product() { # by request: 0|1
	awk -v by="$1" 'NR == FNR { r[FNR] = $0; n = FNR; next } { c[FNR] = $0; m = FNR }
		END { print r[1] "," c[1]
			if (by) for (i = 2; i <= n; i++) for (k = 2; k <= m; k++) print r[i] "," c[k]
			else for (k = 2; k <= m; k++) for (i = 2; i <= n; i++) print r[i] "," c[k] }' "$t/r.csv" "$t/c.csv"
}
product 1 >"$t/by_request.csv"
product 0 >"$t/by_candidate.csv"
for v in v2 v3 v4; do
	quietly env MTL_VARIANT=$v "$t/kinds" --threads 1 "$t/by_candidate.csv" -o "$t/whole.csv" || continue # not on this machine
	awk 'NR == 1 { print; next } { s[(NR - 2) % 12, int((NR - 2) / 12)] = $0 }
		END { for (i = 0; i < 12; i++) for (k = 0; k < 300; k++) print s[i, k] }' "$t/whole.csv" >"$t/want.csv"
	for threads in 1 2; do
		quietly env MTL_VARIANT=$v "$t/kinds" --threads $threads "$t/by_request.csv" -o "$t/runs.csv" && cmp -s "$t/runs.csv" "$t/want.csv"
		verdict $? "$v, $threads threads: rows of one request score otherwise than apart"
		quietly env MTL_VARIANT=$v "$t/kinds" --threads $threads --request "$t/r.csv" --candidates "$t/c.csv" -o "$t/pairs.csv" &&
			cmp -s "$t/pairs.csv" "$t/want.csv"
		verdict $? "$v, $threads threads: --request and --candidates score otherwise than a log"
	done
done
[ "$(sort -u "$t/want.csv" | wc -l)" -gt 1000 ]
verdict $? "the scores of requests and candidates hardly differ"
quietly "$t/kinds.prog" score --model "$t/kinds.model" --request "$t/r.csv" --candidates "$t/c.csv" -o "$t/prog.csv" && cmp -s "$t/prog.csv" "$t/want.csv"
verdict $? "the program's score --request"
# A bad request has empty scores for each candidate, a bad candidate for each request; columns of the candidates are repeated.
awk 'NR == 3 { sub(/,[^,]*,[^,]*,[^,]*$/, ",x,5,") } { print }' "$t/r.csv" >"$t/bad_r.csv"
"$t/kinds" --request "$t/bad_r.csv" --candidates "$t/c.csv" >/dev/null 2>"$t/said"
[ $? -eq 4 ] && grep -q 'bad_r.csv:3:' "$t/said"
verdict $? "a bad request is not named: $(cat "$t/said")"
quietly "$t/kinds" --request "$t/bad_r.csv" --candidates "$t/c.csv" --on-bad-row null --passthrough item -o "$t/null.csv"
[ "$(grep -c ',,$' "$t/null.csv")" -eq 300 ] && [ "$(wc -l <"$t/null.csv")" -eq 3601 ] &&
	[ "$(sed -n 2,301p "$t/null.csv" | cut -d, -f1)" = "$(sed 1d "$t/c.csv" | cut -d, -f1)" ]
verdict $? "bad requests and columns passed through"
for wrong in "--request $t/r.csv" "--candidates $t/c.csv" "--request $t/r.csv --candidates $t/c.csv $t/served.csv"; do
	# shellcheck disable=SC2086  # words
	"$t/kinds" $wrong >/dev/null 2>"$t/said"
	[ $? -eq 2 ] && grep -q -- --candidates "$t/said"
	verdict $? "accepted: $wrong"
done

# What share is the request's: 54 of 109 columns of two layers of 200, of 2 (109 * 200 + 200 * 80 + 80) in all.
"$MTLC" check -v examples/esmm/esmm.mtl | grep -q '75760 multiply-adds per row, 29 % of them once per request'
verdict $? "check -v does not tell the request's share"
"$MTLC" check -v examples/esmm/esmm.mtl | grep -q 'an item is 55 floats'
verdict $? "check -v does not say what an item is"
"$MTLC" check -v examples/din/din.mtl | grep -q 'no items: '
verdict $? "check -v does not say that there are no items"

# ---- the examples ----
printf '%s\n' user_id,gender,age,item_id,category,tags,price u42,F,34,i17,c3,'t1|t2|t3',19.9 u42,F,34,i4711,c3,t2,250 \
	u42,F,34,i99999999,,, >"$t/three.csv"
# The command line prints the shortest text of a float, the examples nine digits: one float if they lie within half a unit
# of its last place.
"$t/esmm" "$t/three.csv" >"$t/three.scores"
like_cli() { # OUTPUT
	awk -F'[, ]' 'function half(x, e) { while (x * 2 ^ -e >= 2) e++; while (x * 2 ^ -e < 1) e--; return 2 ^ (e - 24) * 1.01 }
		function far(x, y) { return x - y > half(y) || y - x > half(y) }
		NR == FNR { if (FNR > 1) { c[FNR - 1] = $1; b[FNR - 1] = $3 } next }
		{ n++; if (far($3, c[n]) || far($5, b[n])) bad = 1 }
		END { exit bad || n != 3 }' "$t/three.scores" "$1"
}
cp examples/embed/* "$t/"
(
	cd "$t" && quietly $CC -std=c99 -Wall -Wextra -Werror -pedantic -I. score.c esmm.a -lm -o score_c && ./score_c >c.out
) && like_cli "$t/c.out"
verdict $? "examples/embed/score.c: $(cat "$t/c.out")"
(
	cd "$t" && quietly $CXX -std=c++17 -Wall -Wextra -Werror -pedantic -I. score.cpp esmm.a -lm -o score_cpp && ./score_cpp >cpp.out
) && cmp -s "$t/c.out" "$t/cpp.out"
verdict $? "examples/embed/score.cpp: $(cat "$t/cpp.out")"
"$t/score_cpp" "$t/esmm.model" >"$t/file.out" 2>&1
cmp -s "$t/c.out" "$t/file.out"
verdict $? "examples/embed/score.cpp with a model file: $(cat "$t/file.out")"
"$t/score_cpp" "$t/kinds.model" >"$t/file.out" 2>&1
[ $? -eq 1 ] && grep -q F0205 "$t/file.out"
verdict $? "another model's file is not refused: $(cat "$t/file.out")"
if python3 -c 'import ctypes' 2>/dev/null; then
	python3 examples/embed/score.py "$t/esmm.so" >"$t/py.out" 2>&1
	cmp -s "$t/c.out" "$t/py.out"
	verdict $? "examples/embed/score.py: $(cat "$t/py.out")"
else
	echo "skipped: python3 is missing"
fi

# ---- the programs in the documents, from their model ----
block() { # LANGUAGE N: the N-th block of it
	awk -v fence="\140\140\140$1" -v n="$2" '/^```/ { inside = $0 == fence; i += inside; next } inside && i == n' docs/library.md
}
block mtl 1 >"$t/news_doc.mtl"
quietly "$MTLC" build --cpu=native "$t/news_doc.mtl" -o "$t/news.prog" && quietly "$t/news.prog" init --seed 1 --out "$t/news.model" &&
	quietly "$MTLC" build "$t/news_doc.mtl" --model "$t/news.model" --emit=exe,static,header -o "$t/news" &&
	printf 'user_id,age,item_id,tags\nu42,34,i1,new|red\nu42,34,i2,\n' >"$t/news1.csv" &&
	printf 'user_id,age,item_id,tags\nu42,34,i3,\nu42,34,i1,\n' >"$t/news2.csv"
verdict $? "docs/library.md: its library does not come about"
for n in 1 2; do
	block c $n >"$t/news_doc.c"
	quietly $CC -Wall -Wextra -Werror -I"$t" "$t/news_doc.c" "$t/news.a" -lm -o "$t/news_doc$n"
	verdict $? "docs/library.md: its program $n does not come about"
	[ "$("$t/news_doc$n")" = "$("$t/news" "$t/news$n.csv" | awk 'NR > 1 { printf "%s%.6g", s, $1; s = " " } END { if (NR != 3) print "?" }')" ]
	verdict $? "docs/library.md: its program $n scores otherwise than the command line: $("$t/news_doc$n")"
done

# ---- by pkg-config and CMake, from where they were moved to ----
mkdir -p "$t/moved" && cp "$t"/esmm.* "$t/esmm-config.cmake" "$t/moved/"
if command -v pkg-config >/dev/null; then
	# shellcheck disable=SC2046  # words
	quietly $CC -std=c99 examples/embed/score.c $(PKG_CONFIG_PATH=$t/moved pkg-config --cflags --libs esmm) -o "$t/pc" &&
		"$t/pc" >"$t/pc.out" && cmp -s "$t/c.out" "$t/pc.out"
	verdict $? "pkg-config"
fi
if command -v cmake >/dev/null && [ -z "${MTL_QUICK:-}" ]; then
	quietly cmake -S examples/embed -B "$t/cm" -DCMAKE_PREFIX_PATH="$t/moved" && quietly cmake --build "$t/cm" &&
		"$t/cm/score" >"$t/cm.out" && cmp -s "$t/c.out" "$t/cm.out" && "$t/cm/score_cpp" | cmp -s - "$t/c.out"
	verdict $? "find_package(esmm)"
fi

# ---- sizes, weights aside ----
weights=$(wc -c <"$t/esmm.model")
states=$(tr -s ' ' <"$t/esmm.report" | sed -n 's/.*dropped optim\.\* \([0-9]*\) bytes.*/\1/p')
weights=$((weights - states))
quietly "$MTLC" build examples/esmm/esmm.mtl --model "$t/esmm.model" --link=dynamic -o "$t/dynamic"
verdict $? "--link=dynamic"
"$t/dynamic" "$t/three.csv" | cmp -s - "$t/three.scores"
verdict $? "the dynamic scorer's scores"
static=$(($(wc -c <"$t/esmm") - weights)) dynamic=$(($(wc -c <"$t/dynamic") - weights)) shared=$(($(wc -c <"$t/esmm.so") - weights))
echo "bytes beside the weights: scorer $static, linked dynamically $dynamic, shared library $shared"
[ "$static" -le 1200000 ]
verdict $? "the static scorer has $static bytes beside its weights"
[ "$dynamic" -le 250000 ] && [ "$shared" -le 250000 ]
verdict $? "linked dynamically: $dynamic and $shared bytes beside the weights"

# ---- what no program that is handed on should be without ----
hard() { # FILE WORD...: lines of readelf and the dynamic symbols
	readelf -hldW --dyn-syms "$1" >"$t/elf" 2>/dev/null
	shift
	for word; do grep -q "$word" "$t/elf" || { echo "no $word"; return 1; }; done
	grep GNU_STACK "$t/elf" | grep -q 'RW ' && ! grep -q TEXTREL "$t/elf"
}
hard "$t/dynamic" 'DYN (' 'PIE' GNU_RELRO BIND_NOW __stack_chk_fail _chk@
verdict $? "the dynamic scorer is not hardened"
hard "$t/kinds.prog" 'DYN (' 'PIE' GNU_RELRO BIND_NOW __stack_chk_fail _chk@
verdict $? "the program is not hardened"
hard "$t/kinds.so" GNU_RELRO BIND_NOW __stack_chk_fail _chk@
verdict $? "the shared library is not hardened"
hard "$t/kinds" GNU_RELRO
verdict $? "the static scorer is not hardened"

# ---- what is refused ----
"$MTLC" build examples/esmm/esmm.mtl --emit=static -o "$t/none.a" >"$t/said" 2>&1
[ $? -eq 2 ] && grep -q -- --model "$t/said" && [ ! -e "$t/none.a" ]
verdict $? "a library without weights: $(cat "$t/said")"
# The same model gives the same bytes.
mkdir "$t/again" && quietly "$MTLC" build tests/embed/kinds.mtl --model "$t/kinds.model" --emit=static,shared,header -o "$t/again/kinds" &&
	cmp "$t/kinds.a" "$t/again/kinds.a" && cmp "$t/kinds.so" "$t/again/kinds.so" && cmp "$t/kinds.h" "$t/again/kinds.h"
verdict $? "the same model gives other bytes"

# ---- start-up: 100 MB of embeddings, the first score ----
if [ -z "${MTL_QUICK:-}" ]; then
	sed 's/hash: 20_000/hash: 700_000/' examples/features/funnel.mtl >"$t/wide_funnel.mtl"
	sed 's|../features/funnel.mtl|wide_funnel.mtl|' examples/esmm/esmm.mtl >"$t/wide.mtl"
	quietly "$MTLC" build --cpu=native "$t/wide.mtl" -o "$t/wide.prog" && quietly "$t/wide.prog" init --seed 1 --out "$t/wide.model" &&
		quietly "$MTLC" build "$t/wide.mtl" --model "$t/wide.model" -o "$t/wide" && quietly "$t/wide" "$t/three.csv"
	verdict $? "a scorer with 100 MB of embeddings"
	rm -f "$t/wide.model" "$t/wide.prog"
	quietly $CC -O1 tests/embed/latency.c -o "$t/latency" && best=$("$t/latency" "$t/wide" "$t/three.csv" -o /dev/null)
	echo "start to exit with $(($(wc -c <"$t/wide") / 1000000)) MB: ${best:-?} us"
	[ -n "${best:-}" ]
	verdict $? "the time to the first score cannot be taken"
fi

cd "$here" || exit 1
finish
