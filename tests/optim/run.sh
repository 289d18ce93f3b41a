#!/bin/bash
# Optimisers, schedules and clipping in whole programs: what a run leaves does not depend on threads or on interruptions.
#
#   tests/optim/run.sh            last line: N passed, N failed
. "$(dirname -- "$0")/../lib.sh"
# The rates of a log's epochs.
rates() { sed -n 's/.*"kind":"epoch".*"lr":\([^,}]*\).*/\1/p' "$1" | tr '\n' ' '; }

cd "$tmp" || exit 1
quietly "$MTLC" data gen funnel --rows 2000 --seed 3 -o log.csv || exit 1
head -1001 log.csv >half.csv

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
	loss buy: bce(P(buy))
	train { $2  batch: 250  epochs: 4 }
	END
	quietly "$MTLC" build --cpu=native "$1.mtl" -o "$1"
}

while read -r name train; do
	model "$name" "$train" || { verdict 1 "$name: no program"; continue; }
	quietly "./$name" train --data log.csv --out whole --threads 1 -q --log "$name.jsonl"
	verdict $? "$name: training"
	quietly "./$name" train --data log.csv --out other --threads 3 -q
	same whole other "$name: another model with 3 threads"
	# A run that stops after two of four epochs is asked for its schedule's steps, as it would not know them.
	steps=
	case $train in *cosine\(warmup* | *linear\(warmup*) steps="--steps 32" ;; esac
	# shellcheck disable=SC2086  # an option and its value, or nothing
	quietly "./$name" train --data log.csv --epochs 2 --out part -q $steps
	quietly "./$name" train --data log.csv --resume part --out part -q
	same whole part "$name: resumed, not as if never stopped"
	# The first loss is that of fresh parameters; the last one is better.
	awk -F'"click":' '/"kind":"epoch"/ { split($2, v, ","); if (!n++) first = v[1]; last = v[1] } END { exit !(n == 4 && last < first) }' "$name.jsonl"
	verdict $? "$name: nothing is learnt"
done <<'END'
momentum optimizer: momentum(lr: 0.05)
nesterov optimizer: nesterov(lr: 0.05)  clip: 0.2
adamw optimizer: adamw(lr: 0.01)  schedule: cosine(warmup: 8)  tables: row_adagrad(lr: 0.05, l2: 1e-4)
ftrl optimizer: ftrl(lr: 0.1)  tables: ftrl(lr: 0.1, l1: 0.0001)  schedule: linear(warmup: 2)
stairs optimizer: adagrad(lr: 0.05, l1: 1e-5)  schedule: step(every: 8, by: 0.5)
END

# 2000 rows are 8 batches: the rate of each epoch's last step.
[ "$(rates stairs.jsonl)" = "0.05 0.025 0.0125 0.00625 " ]
verdict $? "stairs: rates $(rates stairs.jsonl)"
# 0.01 (1 + cos(pi x)) / 2 at t = 16, 24, 32 of 32 with a warm-up of 8: x = 7/24, 15/24, 23/24
near() { # LOG RATES
	rates "$1" | awk -v want="$2" '{ n = split(want, w, " ")
		for (i = 1; i <= n; i++) { d = $i - w[i]; if (!(d <= 1e-9 * w[i] && -d <= 1e-9 * w[i])) exit 1 } exit NF != n }'
}
near adamw.jsonl "0.01 0.008043807145043604 0.0030865828381745515 4.277569313094809e-05"
verdict $? "adamw: rates $(rates adamw.jsonl)"
quietly ./adamw train --data log.csv --out x --steps 16 --lr 0.02 -q --log lr.jsonl
# The last of 16 steps has x = 7/8; those that follow have the floor.
near lr.jsonl "0.02 0.0007612046748871326 0 0"
verdict $? "--steps and --lr: rates $(rates lr.jsonl)"

# A run whose end cannot be seen asks for it; with --steps, or a schedule that needs none, stdin will do.
./adamw train --data - --epochs 1 --out x -q <half.csv 2>err
[ $? -eq 2 ] && grep -q 'D0009.*--steps' err
verdict $? "a cosine over stdin: $(cat err)"
quietly ./adamw train --data - --epochs 1 --steps 4 --out x -q <half.csv
verdict $? "a cosine over stdin with --steps"
quietly ./stairs train --data - --epochs 1 --out x -q <half.csv
verdict $? "stairs over stdin"
./stairs train --data log.csv --steps 4 --out x -q 2>err
[ $? -eq 2 ] && grep -q 'linear or cosine' err
verdict $? "--steps without a use: $(cat err)"

# One step of sgd moves everything, tables included, by the rate times the clipped norm; a wide limit changes nothing.
"${CC:-cc}" -std=gnu11 -O1 -I"$OLDPWD" -I"$OLDPWD/runtime" "$OLDPWD/tests/run/tensors.c" "$MTL_BUILD/libmtlrt.a" -lz -lzstd -ljansson -lpthread -lm -o tensors || exit 1
head -251 log.csv >step.csv
moved() { # NAME: the distance from fresh parameters after a step
	quietly "./$1" init --data step.csv --out fresh && quietly "./$1" train --data step.csv --epochs 1 --out after -q --no-state
	./tensors fresh >fresh.txt
	./tensors after >after.txt
	paste fresh.txt after.txt | awk '{ d = $4 - $2; sum += d * d } END { printf "%.6g\n", sqrt(sum) }'
}
model free 'optimizer: sgd(lr: 0.5)'
model tight 'optimizer: sgd(lr: 0.5)  clip: 0.01'
model wide 'optimizer: sgd(lr: 0.5)  clip: 100'
free=$(moved free) tight=$(moved tight) wide=$(moved wide)
awk -v f="$free" -v t="$tight" -v w="$wide" 'BEGIN { exit !(f > 0.01 && f == w && t / 0.005 - 1 < 1e-4 && t / 0.005 - 1 > -1e-4) }'
verdict $? "clip: steps of length $free, $tight, $wide"

# Rows that no batch touched are as they were: neither l2 nor decay moves them.
model lazy 'optimizer: adamw(lr: 0.01, decay: 0.5)  tables: sgd(lr: 0.5, l2: 0.5, l1: 0.01)'
quietly ./lazy init --data half.csv --out fresh && head -2 half.csv >one.csv && quietly ./lazy train --data one.csv --epochs 3 --out moved -q --no-state
for t in user_id item_id; do
	for f in fresh moved; do ./tensors "$f" "embed.$t.weight" >"$f.txt" 2>/dev/null; done
	moved=$(paste fresh.txt moved.txt | awk 'NF == 4 && $2 != $4' | wc -l)
	[ "$moved" -eq 5 ]
	verdict $? "$t: one row of five numbers is touched, $moved numbers moved"
done

finish
