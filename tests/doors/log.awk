# Rows of ranker.mtl: groups of 1 to 12 rows with one user each, lists of 0 to 9 items (six of `liked` stay), some of them empty.
function u() { s = (s * 1103515245 + 12345) % 2147483648; return s / 2147483648 }
function items(letter, most, of, i, n, c) {
	n = int(most * u()); c = ""
	for (i = 0; i < n; i++) c = c (i ? "|" : "") letter int(of * u())
	return c
}
BEGIN {
	s = seed; print "user_id,liked,item_id,words,price,q,click,buy"
	for (g = 0; g < groups; g++) {
		request = "u" int(300 * u()) "," items("t", 10, 50); n = 1 + int(12 * u())
		for (i = 0; i < n; i++) {
			price = u(); click = (u() < 0.7 - 0.5 * price)
			printf "%s,i%d,%s,%s,q%d,%d,%d\n", request, 120 * u(), items("w", 5, 40), u() < 0.1 ? "" : sprintf("%.3f", price), g, click, click && u() < 0.5
		}
	}
}
