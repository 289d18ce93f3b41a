# A shop's logs with known truth, one after the other in one file: each row has the labels of its own log, the others empty.
#   awk -v seed=1 -v requests=20000 -v from=0 -f shop.awk > log.csv
# Taste t of a user and vectors q of items, icons and shops are normal in three dimensions, a[u] is what the user pays.
#   search  4 to 10 items for a query        P(clk) = s(m - 1.5), P(pay | clk) = s(m - 2.5),   m = 1.2 t q + [same category] - 0.6 |p - a - o|
#   price   which of 7 levels is bought in a category:   round(a + o + 0.7 e)
#   icon, shop   P = s(t q - 1)
# o is the category's own level, p the item's. Steps are the best of four items by m, bought if m is high. worth = clk + 3 pay.
# Wichmann and Hill: three small generators, exact in awk's numbers.
function start(k) { s1 = 1 + k % 30000; s2 = 1 + (7 * k + 11) % 30000; s3 = 1 + (13 * k + 5) % 30000 }
function u(  x) {
	s1 = 171 * s1 % 30269; s2 = 172 * s2 % 30307; s3 = 170 * s3 % 30323
	x = s1 / 30269 + s2 / 30307 + s3 / 30323
	return x - int(x)
}
function n(  i, x) { x = -6; for (i = 0; i < 12; i++) x += u(); return x }
function sg(x) { return 1 / (1 + exp(-x)) }
function near(who, what) { return t[who, 0] * q[what, 0] + t[who, 1] * q[what, 1] + t[who, 2] * q[what, 2] }
function match_of(who, i, c,    d) {
	d = p[i] - a[who] - o[i % C]; if (d < 0) d = -d
	return 1.2 * near(who, i) + (i % C == c) - 0.6 * d
}
function steps(who,    k, j, i, best, m, top, len) {
	si = sc = sk = ""; len = int(u() * 16)
	for (k = 0; k < len; k++) {
		top = -99
		for (j = 0; j < 4; j++) { i = int(u() * I); m = match_of(who, i, -1) + 0.5 * n(); if (m > top) { top = m; best = i } }
		si = si (k ? " " : "") best; sc = sc (k ? " " : "") best % C; sk = sk (k ? " " : "") (top > 1.5 ? "b" : top > 0 ? "c" : "s")
	}
}
BEGIN {
	C = 10; I = 100; U = 4000; start(7)
	for (k = 0; k < C; k++) o[k] = int(u() * 3) - 1
	for (i = 0; i < I + 40; i++) { for (k = 0; k < 3; k++) q[i, k] = n(); p[i] = int(u() * 7) }
	for (w = 0; w < U; w++) { for (k = 0; k < 3; k++) t[w, k] = n(); a[w] = 3 + 1.2 * n() }
	start(1000 + seed)
	print "query_id,user_id,category,step_item,step_category,step_kind,item_id,item_category,item_level,icon_id,shop_id,clk,pay,worth,level,icon,shop,truth"
	for (r = 0; r < requests; r++) {
		# the crowd moves on: later requests come from other users, one in three from one of the first thousand
		w = u() < 0.33 ? int(u() * 1000) : int(((from + r) / 40 + u() * 500)) % U
		steps(w); c = int(u() * C); g = from + r ",u" w "," c "," si "," sc "," sk
		log_of = u()
		if (log_of < 0.5) {
			m = 4 + int(u() * 7)
			for (k = 0; k < m; k++) {
				i = int(u() * I); z = match_of(w, i, c); x = u() < sg(z - 1.5); y = u() < sg(z - 2.5) && x
				printf "%s,%d,%d,%d,,,%d,%d,%d,,,,%.6f\n", g, i, i % C, p[i], x, y, x + 3 * y, sg(z - 1.5)
			}
		} else if (log_of < 0.7) {
			l = int(a[w] + o[c] + 0.7 * n() + 0.5); l = l < 0 ? 0 : l > 6 ? 6 : l
			printf "%s,,,,,,,,,%d,,,\n", g, l
		} else if (log_of < 0.85) {
			i = I + int(u() * 20); x = u() < sg(near(w, i) - 1); printf "%s,,,,%d,,,,,,%d,,%.6f\n", g, i - I, x, sg(near(w, i) - 1)
		} else {
			i = I + 20 + int(u() * 20); x = u() < sg(near(w, i) - 1); printf "%s,,,,,%d,,,,,,%d,%.6f\n", g, i - I - 20, x, sg(near(w, i) - 1)
		}
	}
}
