# good follows a - b within a group; the group's own level, which no feature tells, decides how many are good.
function u() { s = (s * 1103515245 + 12345) % 2147483648; return s / 2147483648 }
BEGIN {
	s = seed + 1; print "q,a,b,tags,good"
	for (g = 0; g < groups; g++) {
		level = 8 * u() - 4; m = 2 + int(u() * 9)
		for (i = 0; i < m; i++) { a = u(); b = u(); printf "q%d,%.3f,%.3f,t%d|t%d,%d\n", g, a, b, int(u() * 60), g % 5, (level + 6 * (a - b) + 2 * u() - 1 > 0) }
	}
}
