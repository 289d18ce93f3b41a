#!/bin/sh
# The commands around a model: explain, new, and what else mtlc does besides compiling.  Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"

# says WHAT CODE COMMAND...: the exit code; stdout and stderr are in out and err
says() {
	what=$1 want=$2
	shift 2
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	got=$?
	[ $got -eq "$want" ] || cat "$tmp/err"
	verdict $((got != want)) "$what: exit $got, not $want"
}
has() { # FILE TEXT
	grep -qF -e "$2" "$tmp/$1"
	verdict $? "$what: '$2' is not in its $1"
}
lacks() {
	! grep -qF -e "$2" "$tmp/$1"
	verdict $? "$what: '$2' is in its $1"
}
# What several parts train: a small model of two logs.
"$MTLC" data gen funnel --rows 3000 -o "$tmp/funnel.csv" 2>/dev/null
"$MTLC" data gen funnel --rows 2000 --seed 2 -o "$tmp/valid.csv" 2>/dev/null
cat >"$tmp/two.mtl" <<X
model two
use "$PWD/examples/features/funnel.mtl"
const width = 8
event click label clk
shared x = concat(user, item)
tower h = x -> dense(width) -> dense(1)
P(click) = sigmoid(h)
loss click: bce(P(click))
X
for part in tests/tools/*.inc; do
	# shellcheck source=/dev/null
	. "$part"
done

finish
