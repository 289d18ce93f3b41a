# The numbers of eval, from the rows alone and by other formulas than the kernels': p itself, no logits.
function sp(x) { return x > 30 ? x : log(1 + exp(x)) }
function sg(x) { return 1 / (1 + exp(-x)) }
function add(name, row) { sum[name] += w * row; den[name] += w }
BEGIN { FS = "," }
NR == 1 { next }
{
	z = $1; w = $6; p = sg(z); total += w
	v = $8; yes = ($7 == 1)
	if ($7 != "") {
		y = $7 * 0.9 + 0.05
		add("smooth", -y * log(p) - (1 - y) * (z < -30 ? -exp(z) : log(1 - p)))
		add("focal", yes ? (1 - p) ^ 1.5 * -log(p) : p ^ 1.5 * -log(1 - p))
	}
	if (yes && v != "") {
		d = z - v; if (d < 0) d = -d
		add("mse", d * d)
		all += w * d * d
		add("huber", d < 2 ? d * d / 2 : 2 * (d - 1))
		add("poisson", exp(z) - v * z)
		s = z < -30 ? exp(z) : sp(z)
		add("soft", s - v * log(s))
		add("wlogistic", (1 + v) * log(1 + exp(z)) - v * z)
		add("tweedie", v * exp(z) ^ -0.4 / 0.4 + exp(z) ^ 0.6 / 0.6)
		sd = sp($4); pi = atan2(0, -1)
		add("ziln", v > 0 ? -log(sg($2)) + log(v * sd * sqrt(2 * pi)) + ((log(v) - $3) / sd) ^ 2 / 2 : -log(1 - sg($2)))
		sq += w * (exp(z) - v) ^ 2; ab += w * (exp(z) > v ? exp(z) - v : v - exp(z)); nw += w; n++
	}
	if (yes && $9 != "") {
		e = exp($2) + exp($3) + exp($4)
		at = $9 == "cart" ? $2 : $9 == "wish" ? $3 : $4
		ce = -log(exp(at) / e)
		even = -(log(exp($2) / e) + log(exp($3) / e) + log(exp($4) / e)) / 3
		add("ce", ce)
		add("even", 0.7 * ce + 0.3 * even)
		best = $2; if ($3 > best) best = $3; if ($4 > best) best = $4
		right += w * (at == best); m++
	}
}
END {
	for (k in sum) printf "loss.%s %.9g\n", k, sum[k] / den[k]
	printf "loss.all %.9g\n", all / total
	printf "heads.watch.rmse %.9g\nheads.watch.mae %.9g\nheads.watch.rows %d\n", sqrt(sq / nw), ab / nw, n
	printf "heads.act.accuracy %.9g\nheads.act.cross_entropy %.9g\nheads.act.rows %d\n", right / den["ce"], sum["ce"] / den["ce"], m
}
