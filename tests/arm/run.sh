#!/bin/sh
# Kernels for aarch64, by both emitters, under user-mode emulation: the bits of x86-64-v3.
# Needs Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user; without them it says "skipped".
# Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
for tool in aarch64-linux-gnu-gcc qemu-aarch64 llvm-config-19; do
	command -v $tool >/dev/null || { echo "skipped: there is no $tool"; echo "0 passed, 0 failed"; exit 0; }
done
say() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $2"; fi; }

# shellcheck disable=SC2046
"${CC:-cc}" -std=gnu11 -O1 -Icompiler -I. tests/arm/bits.c "$MTL_BUILD/libmtlcore.a" "$MTL_BUILD/libmtlrt.a" \
	$(llvm-config-19 --ldflags --libs) -ljansson -lzstd -lz -lpthread -lm -o "$tmp/bits" ||
	{ echo "0 passed, 1 failed"; exit 1; }
for model in tests/arm/wide.mtl examples/esmm/esmm.mtl examples/omoe/omoe.mtl examples/esmm/esmm.mtl=bf16 examples/esmm/esmm.mtl=int8; do
	dir=$tmp/$(basename "$model" .mtl)
	mkdir "$dir"
	precision=${model#*.mtl}
	"$tmp/bits" "${model%=*}" "$dir" ${precision#=} || { say 1 "$model: not compiled"; continue; }
	[ -z "$precision" ] || grep -q "k_dense_.*_${precision#=}" "$dir/kernels.c"
	say $? "$model: its layers are narrow"
	aarch64-linux-gnu-gcc -O2 -ffp-contract=off -Wall -Wno-unused-function -c "$dir/kernels.c" -o "$dir/c.o"
	say $? "$model: gcc compiles the C"
	for by in llvm c; do
		aarch64-linux-gnu-gcc -O1 -static -I"$dir" tests/arm/run.c "$dir/$by.o" -lm -o "$dir/run_$by" &&
			qemu-aarch64 "$dir/run_$by" "$dir/in.bin" "$dir/out.bin" >"$dir/said" 2>&1
		say $? "$model by $by: $(cat "$dir/said" 2>/dev/null)"
	done
	echo "$model: $(cat "$dir/said")"
done
finish
