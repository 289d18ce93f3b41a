#!/bin/sh
# What the compiler makes of small models, stage by stage: one idea a file, its question first, its answer last.
#
#   tests/golden/run.sh [FILE...]            compares; last line: N passed, N failed
#   tests/golden/run.sh --bless [FILE...]    writes the answers anew, for review
#
# A file STAGE/NAME.mtl is a model.  Its second line says what is printed:
#
#   # dump: STAGE [LINES]                    ast, graph, grad, serve, after:PASS, or its first lines
#   # dump: loops CPU FUNCTION[/LINES] ...   these functions (or value functions) of the loop form, or their first lines
#
# The answer is the comment `#| ...` at the end.
. "$(dirname -- "$0")/../lib.sh"
bless=""
[ "${1-}" != --bless ] || { bless=1; shift; }
[ $# -gt 0 ] || set -- tests/golden/*/*.mtl

# Prints the functions named, each with a blank line after it.
functions() { # NAME[/LINES]...
	for name in "$@"; do
		awk -v name="${name%/*}" -v lines="${name#*/}" '
			BEGIN { if (lines == name || lines + 0 == 0) lines = 1e9 }
			/^(entry fn|fn|value) / {
				on = 0
				split($0, word, /[ (]/)
				if (word[word[1] == "entry" ? 3 : 2] == name) on = lines
			}
			/^$/ { on = 0 }
			on > 0 { print; on--; found = 1; if (!on) print "  ..." }
			END { if (!found) print "(no function " name ")" }' "$tmp/all"
	done
}

bad() { # FILE WHY
	failed=$((failed + 1))
	echo "failed: $1: $2"
}
for f in "$@"; do
	[ -f "$f" ] || { bad "$f" "no such file"; continue; }
	case $(sed -n 1p "$f") in
	'# '*'?') ;;
	*) bad "$f" "its first line is not a question"; continue ;;
	esac
	# shellcheck disable=SC2046  # a list of words
	set -- $(sed -n '2s/^# dump: //p' "$f")
	stage=${1-} cpu=v3
	[ "$stage" != loops ] || { cpu=$2; shift; }
	if ! "$MTLC" build --cpu="$cpu" --dump="$stage" "$f" -o - >"$tmp/all" 2>"$tmp/err"; then
		sed -n 1,10p "$tmp/err"
		bad "$f" "it does not compile"
		continue
	fi
	shift
	if [ "$stage" = loops ]; then functions "$@"; else head -n "${1-10000}" "$tmp/all"; fi >"$tmp/got"
	if [ -n "$bless" ]; then
		{ sed '/^#|/d' "$f"; sed 's/^/#| /; s/ *$//' "$tmp/got"; } >"$tmp/new"
		cmp -s "$tmp/new" "$f" || { cat "$tmp/new" >"$f"; echo "blessed: $f"; }
		continue
	fi
	sed -n 's/^#| \{0,1\}//p' "$f" >"$tmp/want"
	if grep -q '^(no function' "$tmp/got"; then
		cat "$tmp/got"
		bad "$f" "a function it asks for is not there"
	elif [ -s "$tmp/want" ] && sed 's/ *$//' "$tmp/got" | diff -u --label expected --label printed "$tmp/want" - ; then
		passed=$((passed + 1))
	else
		bad "$f" "the answer is another (tests/golden/run.sh --bless $f)"
	fi
done
[ -z "$bless" ] || exit 0
finish
