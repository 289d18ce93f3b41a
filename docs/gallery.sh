#!/bin/sh
# The gallery with everything in one place: for each example its page, its picture and its lines.
#
#   docs/gallery.sh FOLDER     writes FOLDER/gallery.md and a picture beside it for every model; MTLC: the compiler
set -eu
root=$(cd "$(dirname -- "$0")/.." && pwd)
out=${1:?a folder to write to}
: "${MTLC:=$root/build/mtlc}"
mkdir -p "$out"
# In the order of docs/models.md; what it does not name comes last.
named=$(sed -n 's,^| \[.*,&,p' "$root/docs/models.md" | grep -o 'examples/[a-z0-9_]*/README' | cut -d/ -f2)
others=$(for f in "$root"/examples/*/; do basename "$f"; done | sort)
seen=" "
{
	echo "# The gallery"
	for name in $named $others; do
		file=$root/examples/$name/$name.mtl
		case $seen in *" $name "*) continue ;; esac
		[ -e "$file" ] || continue
		seen="$seen$name "
		"$MTLC" graph "$file" -o "$out/$name.svg" 2>/dev/null
		# The page, its headings one level down; then the picture and the lines.
		printf '\n'
		sed 's/^#/##/' "$root/examples/$name/README.md"
		printf '\n![%s](%s.svg)\n\n```mtl\n' "$name" "$name"
		cat "$file"
		printf '```\n'
	done
} >"$out/gallery.md"
