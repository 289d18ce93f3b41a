# Groups of 1 to 12 rows, now and then rows of none; labels that contradict nothing; every ninth cell of a label is empty.
function u() { s = (s * 1103515245 + 12345) % 2147483648; return s / 2147483648 }
BEGIN {
	s = seed + 1
	print "q,w,z,v,k,click,buy,rel,grade,up"
	for (g = 0; g < groups; g++) {
		m = 1 + int(u() * 12)
		for (i = 0; i < m; i++) {
			c = u() < 0.4; b = c && u() < 0.5
			miss = int(u() * 9)
			printf "%s,%.2f,%.3f,%.3f,%.2f,%s,%s,%s,%s,%s\n", (g % 7 == 6 ? "" : "q" g), 0.5 + int(u() * 4) / 4,
			    8 * u() - 4, 6 * u() - 3, u(), (miss == 0 && !b ? "" : c), (miss == 1 ? "" : b),
			    (miss == 2 ? "" : int(u() * 5) / 2), (miss == 3 ? "" : int(u() * 4)), (miss == 4 ? "" : int(u() * 2))
		}
	}
}
