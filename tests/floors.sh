#!/bin/sh
# The floors of the house: reads every #include line against the table below (docs/architecture.md draws it).
#
#   tests/floors.sh [TREE]     fails with the guilty lines
#   tests/floors.sh --self     breaks each rule once and sees it noticed; last line: N passed, N failed
set -eu
here=$(cd -- "$(dirname -- "$0")/.." && pwd)

check() (
	cd "$1"
	# The existing files first (F), then the include lines (I): an include is resolved as the compiler does it.
	{
		find compiler runtime grammar -type f | sed 's/^/F /'
		find compiler runtime grammar -type f \( -name '*.[chly]' -o -name '*.def' \) -exec grep -nE '^[ 	]*#[ 	]*include' {} + | sed 's/^/I /'
	} | awk '
	BEGIN {
		# Who may include whom; a room may always include itself.
		may["base"] = ""
		may["ir"] = "base abi.def"
		may["grammar"] = "base ir/ast.h generated"
		may["front"] = "base ir grammar generated"
		may["ops"] = "base ir"
		may["pass"] = "base ir"
		may["emit"] = "base ir abi.def generated"
		may["driver"] = "base ir front ops pass emit runtime abi.def generated"
		may["runtime"] = "abi.def"
	}
	function room(path,  p) {
		split(path, p, "/")
		return p[1] == "compiler" ? p[2] : p[1]
	}
	function resolve(from, name,  dir, t) {
		dir = from
		sub(/[^\/]*$/, "", dir)
		if ((dir name) in file) return dir name
		# in the order of CMakeLists.txt
		if (from !~ /^runtime\// && ("compiler/" name) in file) return "compiler/" name
		if (from !~ /^runtime\// && ("grammar/" name) in file) return "grammar/" name
		if (("runtime/" name) in file) return "runtime/" name
		if (name in file) return name
		if (name ~ /^(parser|lexer|[a-z_0-9]*_text)\.h$/) return "generated/" name
		return ""
	}
	function guilty(why) { print where ": " why ": " text; bad++ }
	# Depth first over quoted includes; a file met again on its own path closes a circle.
	function walk(f,  i, n, to) {
		state[f] = 1
		n = split(edges[f], to, " ")
		for (i = 1; i <= n; i++) {
			if (state[to[i]] == 1) { print f ": closes a circle of includes: " to[i]; bad++ }
			else if (!(to[i] in state)) walk(to[i])
		}
		state[f] = 2
	}
	/^F / { file[substr($0, 3)]; next }
	{
		line = substr($0, 3)
		match(line, /:[0-9]+:/)
		from = substr(line, 1, RSTART - 1)
		where = substr(line, 1, RSTART + RLENGTH - 2)
		text = substr(line, RSTART + RLENGTH)
		if (text ~ /</) {
			if (text ~ /<llvm/ && from !~ /^compiler\/emit\/emit_llvm/) guilty("only emit_llvm knows LLVM")
			if (text ~ /<cblas/ && from !~ /^runtime\//) guilty("only the runtime knows BLAS")
			next
		}
		if (text !~ /"/) next
		split(text, quoted, "\"")
		to = resolve(from, quoted[2])
		if (to == "") { guilty("no such file"); next }
		edges[from] = edges[from] " " to
		a = room(from)
		b = room(to)
		if (a == b) next
		if (!(a in may)) { guilty("a room the table does not know"); next }
		ok = 0
		n = split(may[a], m, " ")
		for (i = 1; i <= n; i++)
			if (m[i] == b || (m[i] == "abi.def" && to == "runtime/abi.def") || "compiler/" m[i] == to) ok = 1
		if (!ok) guilty(a "/ may not include " b "/")
	}
	END {
		for (f in edges) if (!(f in state)) walk(f)
		exit bad > 0
	}'
)

passed=0
failed=0
verdict() { # NAME 0|1
	if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "floors: $1" >&2; fi
}

# A tiny house, one line of it wrong; `want` is what the answer has to hold.
breaks() { # FILE LINE WANT
	rm -rf "${tmp:?}"/*
	for room in base ir front ops pass emit driver; do
		mkdir -p "$tmp/compiler/$room"
		echo '#include "base/base.h"' >"$tmp/compiler/$room/$room.c"
		: >"$tmp/compiler/$room/$room.h"
	done
	mkdir -p "$tmp/runtime" "$tmp/grammar"
	: >"$tmp/runtime/run.h"
	: >"$tmp/runtime/abi.def"
	: >"$tmp/grammar/syntax.h"
	: >"$tmp/compiler/ir/ast.h"
	printf '#include "ir/ir.h"\n#include "runtime/abi.def"\n' >>"$tmp/compiler/emit/emit.c"
	printf '#include "front/front.h"\n#include "runtime/run.h"\n' >>"$tmp/compiler/driver/driver.c"
	printf '#include "syntax.h"\n#include "parser.h"\n' >>"$tmp/compiler/front/front.c"
	if ! check "$tmp" >"$tmp/out"; then verdict "refuses a house in order: $(cat "$tmp/out")" 1; return; fi
	echo "$2" >>"$tmp/$1"
	if ! check "$tmp" >"$tmp/out" && grep -qF -- "$3" "$tmp/out"; then verdict "$1 $2" 0; else verdict "not noticed in $1: $2" 1; fi
}

if [ "${1-}" = --self ]; then
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	breaks compiler/base/base.c '#include "ir/ir.h"' 'compiler/base/base.c:2: base/ may not include ir/'
	breaks compiler/ir/ir.c '#include "pass/pass.h"' 'ir/ may not include pass/'
	breaks compiler/ir/ir.c '#include "runtime/run.h"' 'ir/ may not include runtime/'
	breaks compiler/front/front.c '#include "ops/ops.h"' 'front/ may not include ops/'
	breaks compiler/ops/ops.c '#include "pass/pass.h"' 'ops/ may not include pass/'
	breaks compiler/pass/pass.c '#  include "emit/emit.h"' 'pass/ may not include emit/'
	breaks compiler/emit/emit.c '#include "run.h"' 'emit/ may not include runtime/'
	breaks compiler/pass/pass.c '#include "driver/driver.h"' 'pass/ may not include driver/'
	breaks grammar/syntax.h '#include "ir/ir.h"' 'grammar/ may not include ir/'
	breaks runtime/run.h '#include "compiler/base/base.h"' 'runtime/ may not include base/'
	breaks runtime/run.h '#include "base/base.h"' 'no such file'
	breaks compiler/pass/pass.c '#include <llvm-c/Core.h>' 'only emit_llvm knows LLVM'
	breaks compiler/ir/ir.h '#include "ir/ir.h"' 'closes a circle'
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
else
	check "${1-$here}"
fi
