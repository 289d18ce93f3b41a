#!/bin/bash
# Balancing in whole programs: gradients of tasks, threads, interruptions, and what the methods promise there.
#
#   tests/balance/run.sh          last line: N passed, N failed
. "$(dirname -- "$0")/../lib.sh"
here=$PWD

# Each task's gradient against differences of its own loss, bits of both backends: examples whose tasks share in many ways.
cd "$tmp" || exit 1
for name in ple stem; do
	sed "s,\"\.\./,\"$here/examples/,; s/^train {/train { balance: mgda /; s/^embed .*/embed 4/" "$here/examples/$name/$name.mtl" >"$name.mtl"
	grep -q 'balance: mgda' "$name.mtl" && quietly "$MTLC" gradcheck --cpu=native -v "$name.mtl" && grep -q ' of .* ok$' said
	verdict $? "$name: gradients of tasks"
done
quietly "$MTLC" gradcheck --cpu=native --backend=c ple.mtl
verdict $? "ple: gradients of tasks through C"

quietly "$MTLC" data gen funnel --rows 2000 --seed 3 -o log.csv || exit 1
model() { # NAME TRAIN
	cat >"$1.mtl" <<-END
	model m
	features user per request { user_id : id(hash: 300) }
	features item per candidate { item_id : id(hash: 200) }
	embed 5
	event click label clk
	event buy of click label pay
	shared x = concat(user, item) -> dense(7, act: relu)
	tower a = x -> dense(1)
	tower b = x -> dense(1)
	P(click) = sigmoid(a)
	P(buy | click) = sigmoid(b)
	loss click: bce(P(click))
	loss buy: bce(P(buy)) weight 0.7
	train { $2  batch: 250  epochs: 4 }
	END
	quietly "$MTLC" build --cpu=native "$1.mtl" -o "$1"
}
while read -r name rule; do
	model "$name" "balance: $rule  optimizer: adam(lr: 0.01)" || { verdict 1 "$name: no program"; continue; }
	quietly "./$name" train --data log.csv --out whole --threads 1 -q --log "$name.jsonl"
	verdict $? "$name: training"
	cp whole "$name.whole"
	quietly "./$name" train --data log.csv --out other --threads 3 -q
	same whole other "$name: another model with 3 threads"
	quietly "./$name" train --data log.csv --epochs 3 --out part -q
	quietly "./$name" train --data log.csv --resume part --out part -q
	same whole part "$name: resumed, not as if never stopped"
	awk -F'"loss":{"click":' '/"kind":"epoch"/ { split($2, v, ","); if (!n++) first = v[1]; last = v[1] } END { exit !(n == 4 && last < first) }' "$name.jsonl"
	verdict $? "$name: nothing is learnt"
done <<'END'
fixed fixed
uncertainty uncertainty
dwa dwa(temperature: 1)
gradnorm gradnorm(alpha: 0.5, lr: 0.1)
pcgrad pcgrad
mgda mgda
pareto pareto(click: 0.2, buy: 0.1)
cagrad cagrad(c: 0.5)
nash nash
END
# Every method is another model: none of them is silently `fixed`.
[ "$(cksum ./*.whole | awk '{ print $1 }' | sort -u | wc -l)" -eq 9 ]
verdict $? "methods that leave the same model: $(cksum ./*.whole | sort)"

# An interrupted epoch: dwa knows the losses of its first half.
head -1001 log.csv >half.csv
head -1 log.csv >first.csv
for i in $(seq 40); do tail -n +2 log.csv; done >>first.csv
quietly ./dwa train --data first.csv --epochs 4 --out whole -q
./dwa train --data first.csv --epochs 4 --out stopped -q 2>err &
sleep 0.06
kill -INT $! 2>/dev/null
wait $!
[ -e stopped ] || quietly ./dwa train --data first.csv --epochs 1 --out stopped -q
quietly ./dwa train --data first.csv --epochs 4 --resume stopped --out stopped -q
same whole stopped "dwa: interrupted and resumed, not as if never stopped"

# What was remembered by one method is no use to another.
for pair in "gradnorm dwa" "fixed uncertainty" "uncertainty fixed"; do
	quietly "./${pair% *}" train --data log.csv --epochs 1 --out part -q
	"./${pair#* }" train --data log.csv --resume part --out other -q 2>err
	[ $? -eq 5 ] && grep -q F0215 err
	verdict $? "$pair: $(cat err)"
done

# Shares of the log: of pareto not below the least, and the sum is 1.
awk -F'"share":' '/"kind":"epoch"/ { gsub(/[{}]/, "", $2); split($2, v, /[:,]/); n++; if (v[2] < 0.2 - 1e-9 || v[4] < 0.1 - 1e-9 || v[2] + v[4] > 1 + 1e-9 || v[2] + v[4] < 1 - 1e-9) bad = 1 }
	END { exit !(n == 4 && !bad) }' pareto.jsonl
verdict $? "pareto: shares $(grep -o '"share":{[^}]*}' pareto.jsonl | tr '\n' ' ')"
# ---- --monitor ----

"${CC:-cc}" -std=gnu11 -O1 -I"$here" -I"$here/runtime" "$here/tests/run/tensors.c" "$MTL_BUILD/libmtlrt.a" -lz -lzstd -ljansson -lpthread -lm -o tensors || exit 1
head -251 log.csv >step.csv
# What was seen in a single step: norms of click and buy, and their cosine.
seen() { # NAME
	quietly "./$1" train --data step.csv --epochs 1 --out x -q --monitor 1 --log seen.jsonl
	sed -n 's/.*"monitor":{"steps":1,"norm":{"click":\([^,]*\),"buy":\([^}]*\)},"cosine":\[{"of":\["click","buy"\],"steps":1,"mean":\([^,]*\),.*/\1 \2 \3/p' seen.jsonl
}
# The same from the gradients of a model with that loss alone.
alone() { # LOSS
	grep -v "^loss $([ "$1" = click ] && echo buy || echo click)" fixed.mtl >alone.mtl
	quietly "$MTLC" build --cpu=native alone.mtl -o alone && quietly ./alone init --data step.csv --out fresh && quietly ./alone grad --data step.csv --model fresh --out g
	./tensors g grad.shared >"$1.g"
	./tensors g grad.embed >>"$1.g"
	./tensors g grad.tower.a >>"$1.g" # P(buy) is a product: click's tower is shared
}
alone click
alone buy
want=$(paste click.g buy.g | awk '{ if ($1 != $3) bad = 1; a += $2 * $2; b += $4 * $4; ab += $2 * $4 } END { if (!bad && NR > 100) print sqrt(a), sqrt(b), ab / sqrt(a * b) }')
for name in fixed pcgrad gradnorm; do
	got=$(seen $name)
	echo "$want $got" | awk '{ for (i = 1; i <= 3; i++) { d = $i - $(i + 3); if (!(d < 1e-5 && d > -1e-5)) bad = 1 } exit !(NF == 6 && !bad) }'
	verdict $? "$name: norms and cosine $got, by gradients of single losses $want"
	quietly "./$name" train --data log.csv --out other -q --monitor 3
	same "$name.whole" other "$name: looking at it changes the model"
done

# Gates: what experts get adds up to 1, entropy is between 0 and that of equal shares.
quietly "$MTLC" build --cpu=native -D codes=500 "$here/examples/mmoe/mmoe.mtl" -o mmoe && ./mmoe info --json >info &&
	awk -v rows=1024 -f "$here/tests/train/log.awk" info >gates.csv && quietly ./mmoe train --data gates.csv --epochs 2 --batch 128 --out x -q --monitor 2 --log gates.jsonl
awk '/"kind":"epoch"/ { n++; if (!match($0, /"gates":[{].*/)) bad = 1; t = substr($0, RSTART)
	while (match(t, /"rows":[0-9]+,"weight":\[[^]]*\],"entropy":[0-9.e-]+,"single":[0-9.e-]+/)) { g++; u = substr(t, RSTART, RLENGTH); t = substr(t, RSTART + RLENGTH)
		k = split(u, v, /[][,:]/); sum = 0; for (i = 4; i <= k; i++) if (v[i] ~ /entropy/) { e = v[i + 1]; break } else sum += v[i]
		if (v[2] != 512 || sum < 0.9999 || sum > 1.0001 || e <= 0 || e > log(8) + 1e-6) bad = 1 } }
	END { exit !(n == 2 && g == 4 && !bad) }' gates.jsonl
verdict $? "gates: $(grep -o '"gates":.*' gates.jsonl | head -1)"

# What a step computes: one forward pass; backwards through the shared part, two layers here, once for each of three tasks,
# and through a task's own layer once.
cat >passes.mtl <<'EOF'
model passes
features user per request { user_id : id(hash: 1000) }
embed 8
event a
event b
event c
shared x = user -> mlp([16, 16])
tower ta = x -> dense(1)
tower tb = x -> dense(1)
tower tc = x -> dense(1)
P(a) = sigmoid(ta)
P(b) = sigmoid(tb)
P(c) = sigmoid(tc)
loss a: bce(P(a))
loss b: bce(P(b))
loss c: bce(P(c))
train { balance: fixed }
EOF
passes() { # BALANCE "FORWARD DX DW": of layers
	sed "s/balance: fixed/balance: $1/" passes.mtl >passes.$1.mtl
	got=$("$MTLC" check --dump=grad passes.$1.mtl 2>said | awk '$3 == "dense" { f++ } $3 == "dense_dx" { x++ } $3 == "dense_dw" { w++ } END { print f, x, w }')
	[ "$got" = "$2" ]
	verdict $? "passes of $1: $got, not $2"
}
passes fixed "5 5 5"
passes pcgrad "5 9 9" # 3 + 2 x 3
passes uncertainty "5 5 5"

# A scorer knows nothing of balancing.
quietly "$MTLC" build --cpu=native cagrad.mtl --model cagrad.whole -o scorer && quietly ./scorer half.csv -o scores && [ "$(awk 'END { print NR }' scores)" -eq 1001 ]
verdict $? "a scorer of a balanced model"

finish
