#!/bin/sh
# What the documents say is so: models in them compile, links and files they name exist, options they use are real,
# and the quickstart arrives.  Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"

documents=$(ls README.md docs/*.md examples/*/README.md)

# ---- every model in a document is accepted: a fenced block of mtl that says `model` ----
mkdir "$tmp/models"
# shellcheck disable=SC2086  # a list of words, here and below
awk -v dir="$tmp/models" '
	FNR == 1 { inside = 0 }
	/^```/ { inside = $0 == "```mtl"; if (inside) { n++; path = sprintf("%s/%03d.mtl", dir, n); print FILENAME ":" FNR >(path ".from") } next }
	inside { print >path }' $documents
found=0
for m in "$tmp"/models/*.mtl; do
	grep -q '^model ' "$m" || continue
	found=$((found + 1))
	"$MTLC" check "$m" >"$tmp/out" 2>&1
	code=$?
	[ $code -eq 0 ] || cat "$tmp/out"
	verdict $((code != 0)) "$(cat "$m.from"): the model is refused"
done
verdict $((found == 0)) "no model was found in the documents"

# ---- the excerpts of compiler output in docs/ir.md ----
tests/docs/dumps.sh >"$tmp/out" 2>&1 || cat "$tmp/out"
passed=$((passed + $(sed -n '$s/ passed.*//p' "$tmp/out")))
failed=$((failed + $(sed -n '$s/.*passed, \(.*\) failed/\1/p' "$tmp/out")))

# ---- the op reference ----
tests/docs/ops.sh >"$tmp/out" 2>&1
code=$?
[ $code -eq 0 ] || head -30 "$tmp/out"
verdict $((code != 0)) "docs/ops.md is not what the table of ops says"

# ---- every link leads somewhere ----
for d in $documents; do
	# not what only looks like one in code: P[direct](buy)
	for to in $(sed '/^```/,/^```/d; s/`[^`]*`//g' "$d" | grep -oE '\]\([^)#: ]+[)#]' | sed 's/^..//; s/.$//'); do
		[ -e "$(dirname "$d")/$to" ]
		verdict $? "$d: the link to $to leads nowhere"
	done
done

# ---- every file the page about the house names is there ----
for f in $(grep -oE '`[a-z_]+/[a-z_/.]+\.(c|h|y|l|def|mtl|sh|md|txt)`' docs/architecture.md docs/contributing.md docs/ir.md -h | tr -d '`' | sort -u); do
	[ -e "$f" ] || [ -e "compiler/$f" ]
	verdict $? "no such file: $f"
done

# ---- every option is one that some program has ----
for c in check build "data gen" "data check" "data stats" bench gradcheck fmt explain new pages graph compare train report lsp tune; do
	# shellcheck disable=SC2086
	"$MTLC" $c --help
done >"$tmp/help" 2>&1
"$MTLC" build --cpu=native examples/cvr/cvr.mtl -o "$tmp/prog" &&
	"$tmp/prog" init --seed 1 --out "$tmp/model" &&
	"$MTLC" build --cpu=native examples/cvr/cvr.mtl --model "$tmp/model" -o "$tmp/scorer"
verdict $? "examples/cvr: no program or no scorer"
for c in train eval score grad init import info bench; do "$tmp/prog" $c --help; done >>"$tmp/help" 2>&1
for c in info bench serve; do "$tmp/scorer" $c --help; done >>"$tmp/help" 2>&1
"$tmp/scorer" --help >>"$tmp/help" 2>&1
# Options of the project's own scripts and of cmake.
printf '%s\n' --unix-socket --quick --bless --build --install --prefix --help --version >>"$tmp/help"
# shellcheck disable=SC2086
for o in $(grep -ohE -e '(^|[ `(])--[a-z][a-z-]+' $documents | grep -oE -e '--[a-z-]+' | sort -u); do
	grep -qE -e "(^|[^a-z-])$o([^a-z-]|\$)" "$tmp/help"
	verdict $? "no program has the option $o: $(grep -lF -e "$o" $documents | head -1)"
done

# ---- the gallery: every example with its page, its picture and its lines ----
docs/gallery.sh "$tmp/gallery" >"$tmp/out" 2>&1
code=$?
[ $code -eq 0 ] || tail -5 "$tmp/out"
verdict $((code != 0)) "the gallery cannot be made"
for f in examples/*/*.mtl; do
	name=$(basename "$f" .mtl)
	[ "$f" = "examples/$name/$name.mtl" ] || continue
	grep -q "^model $name\$" "$tmp/gallery/gallery.md" && grep -qF "![$name]($name.svg)" "$tmp/gallery/gallery.md" && grep -q '<svg' "$tmp/gallery/$name.svg"
	verdict $? "$name: no picture or no lines in the gallery"
	grep -qF "examples/$name/README.md" docs/models.md
	verdict $? "$name: docs/models.md does not name it"
done

# ---- the quickstart, on a short log ----
if [ -z "${MTL_QUICK:-}" ]; then
	ROWS=20000 examples/quickstart.sh "$tmp/quickstart" >"$tmp/out" 2>&1
	code=$?
	[ $code -eq 0 ] || tail -20 "$tmp/out"
	verdict $((code != 0)) "the quickstart fails"
	[ "$(awk 'END { print NR }' "$tmp/quickstart/scores.csv")" -eq 2001 ]
	verdict $? "the quickstart's scores: not a line for each row of its test log"
	# 2,000 rows and a short training: near enough to tell a number from nonsense.
	awk '/^all impressions/ { truth = $4; esmm = $5; found = 1 } END { exit !(found && truth > 0.02 && esmm > 0.3 * truth && esmm < 3 * truth) }' "$tmp/out"
	verdict $? "the quickstart's last table: $(grep '^all impressions' "$tmp/out")"
fi

finish
