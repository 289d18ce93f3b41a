#!/bin/sh
# The excerpts of docs/ir.md against what the compiler prints for the document's model.
#
#   tests/docs/dumps.sh            compares; last line: N passed, N failed
#   tests/docs/dumps.sh --bless    rewrites them, for review
#
# An excerpt is a fenced block headed "dump WHAT: FROM .. TO": of the output WHAT (a stage of --dump, check for
# `check -v`, c for --emit=c), from the first line that matches FROM to the next that matches TO.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
: "${MTL_BUILD:=$PWD/build}" "${MTLC:=$MTL_BUILD/mtlc}"
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

awk '/^```mtl$/ { inside = 1; next } /^```/ { if (inside) exit } inside' docs/ir.md >"$tmp/esmm.mtl"
for what in $(sed -n 's/^```dump \([a-z:]*\): .*/\1/p' docs/ir.md | sort -u); do
	case $what in
	check) "$MTLC" check -v "$tmp/esmm.mtl" ;;
	c) "$MTLC" build --cpu=v3 --emit=c "$tmp/esmm.mtl" -o - ;;
	*) "$MTLC" build --cpu=v3 --dump="$what" "$tmp/esmm.mtl" -o - ;;
	esac >"$tmp/$what.txt" 2>"$tmp/err" || { cat "$tmp/err"; echo "0 passed, 1 failed"; exit 1; }
done

# Writes the document anew; lines wider than a page are cut there.
awk -v dir="$tmp" '
	/^```dump / {
		print
		head = $0
		what = $2
		sub(/:$/, "", what)
		from = to = $0
		sub(/^```dump [a-z:]*: /, "", from)
		sub(/ \.\. .*/, "", from)
		sub(/.* \.\. /, "", to)
		path = dir "/" what ".txt"
		state = 0
		n = 0
		while ((getline line <path) > 0) {
			if (!state && line ~ from) state = 1
			else if (state == 1 && line ~ to) state = 2
			else if (state != 1) continue
			if (state == 2 && line == "") break
			gsub(/\t/, "    ", line)
			print (length(line) > 126 ? substr(line, 1, 123) "..." : line)
			n++
			if (state == 2) break
		}
		close(path)
		if (!n) print "(nothing matches)"
		skip = 1
		next
	}
	skip && /^```$/ { skip = 0 }
	!skip' docs/ir.md >"$tmp/ir.md" || { echo "0 passed, 1 failed"; exit 1; }

if [ "${1-}" = --bless ]; then
	cmp -s "$tmp/ir.md" docs/ir.md || cat "$tmp/ir.md" >docs/ir.md
	exit
fi
n=$(grep -c '^```dump ' docs/ir.md)
bad=$(grep -c '^(nothing matches)' "$tmp/ir.md")
if ! diff -u docs/ir.md "$tmp/ir.md"; then
	echo "docs/ir.md is out of date: tests/docs/dumps.sh --bless"
	[ "$bad" -gt 0 ] || bad=1
fi
echo "$((n - bad)) passed, $bad failed"
[ "$bad" -eq 0 ]
