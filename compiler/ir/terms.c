/* Stretches of terms as text, and back. */
#include "ir/terms.h"
#include "base/text.h"
#include <stdlib.h>

enum { NARROW = 48 /* from here on, idle lanes of the last vector are less than a sixth of all */ };

int terms_in_chains(int outputs)
{
	int last = outputs % TERMS_LANES;
	if (outputs < TERMS_HEAD) return outputs;
	return outputs > NARROW || last > TERMS_LANES / 2 ? 0 : last;
}

bool terms_add(Terms *t, int k, int n, bool join)
{
	Stretch *last = t->n ? &t->at[t->n - 1] : NULL;
	if (join && last && last->k + last->n == k) {
		last->n += n;
		return true;
	}
	if (t->n == TERMS_MAX) return false;
	t->at[t->n++] = (Stretch){k, n};
	return true;
}

Str terms_text(StrTab *str, const Terms *t)
{
	Text o = {0};
	for (int i = 0; i < t->n; i++) text_printf(&o, "%s%d+%d", i ? " " : "", t->at[i].k, t->at[i].n);
	Str s = str_intern(str, o.at);
	text_free(&o);
	return s;
}

Terms terms_read(Str text)
{
	Terms t = {0};
	for (const char *p = text; *p;) {
		char *end;
		int k = (int)strtol(p, &end, 10), n = (int)strtol(end + 1, &end, 10);
		terms_add(&t, k, n, false);
		p = end + (*end == ' ');
	}
	return t;
}
