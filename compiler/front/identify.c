/*
 * Identifiability (E5): with H heads and the trained probabilities s(h), the rank of ds/dh at generic points.
 *
 * A direction in which no trained probability changes is one that training cannot decide; the heads in it are
 * named.
 */
#include "front/identify.h"
#include <math.h>
#include <string.h>

enum { POINTS = 3 };
static const double TINY = 1e-9; /* relative to the largest: below it a pivot is rounding */

/* A value and its derivatives. */
typedef struct {
	double v, *d; /* d[n_heads] */
} Dual;

typedef struct {
	const Events *e;
	int heads, rows;
	VEC(Derived) prob; /* the trained probabilities, one row each */
} Model;

static Dual dual_of(const Model *m, const Diagram *d, const double *h)
{
	int n = m->heads;
	Dual *at = arena_new(m->e->arena, Dual, d->node.n);
	for (int i = 0; i < d->node.n; i++) at[i].d = arena_new(m->e->arena, double, n);
	at[1].v = 1;
	for (int i = 2; i < d->node.n; i++) {
		const DiagramNode *x = &d->node.at[i];
		double w = h[x->test];
		const Dual *hi = &at[x->hi], *lo = &at[x->lo];
		at[i].v = w * hi->v + (1 - w) * lo->v;
		for (int k = 0; k < n; k++) at[i].d[k] = w * hi->d[k] + (1 - w) * lo->d[k];
		if (!x->stop) at[i].d[x->test] += hi->v - lo->v;
	}
	return at[d->root];
}

/* Numbers between 0.15 and 0.85: xorshift, the same in every run. */
static double next_number(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return 0.15 + 0.7 * (double)(*state >> 11) / 9007199254740992.0;
}

/* J[row * heads + head]. */
static double *jacobian(const Model *m, const double *h)
{
	int n = m->heads;
	double *j = arena_new(m->e->arena, double, m->prob.n *n + 1);
	for (int r = 0; r < m->prob.n; r++) {
		const Derived *p = &m->prob.at[r];
		double *row = &j[r * n];
		if (p->of) {
			memcpy(row, dual_of(m, p->of, h).d, sizeof *row * (size_t)n);
			continue;
		}
		Dual yes = dual_of(m, p->yes, h), no = dual_of(m, p->no, h);
		double sum = yes.v + no.v;
		for (int k = 0; k < n; k++) row[k] = (yes.d[k] * no.v - no.d[k] * yes.v) / (sum * sum);
	}
	return j;
}

/*
 * The null space by Gauss-Jordan elimination with full pivoting: rank, and N [heads, heads - rank], one
 * direction a column. Rows are scaled to their largest entry first, so that a rare event's row counts like
 * any other.
 */
static int null_space(const Model *m, double *j, double *null)
{
	int rows = m->prob.n, n = m->heads, rank = 0;
	int *column = arena_new(m->e->arena, int, n + 1);
	for (int k = 0; k < n; k++) column[k] = k;
	for (int r = 0; r < rows; r++) {
		double most = 0;
		for (int k = 0; k < n; k++) most = fmax(most, fabs(j[r * n + k]));
		for (int k = 0; k < n && most > 0; k++) j[r * n + k] /= most;
	}
	for (; rank < rows && rank < n; rank++) {
		int pr = rank, pk = rank;
		for (int r = rank; r < rows; r++)
			for (int k = rank; k < n; k++)
				if (fabs(j[r * n + column[k]]) > fabs(j[pr * n + column[pk]])) pr = r, pk = k;
		double pivot = j[pr * n + column[pk]];
		if (fabs(pivot) < TINY) break;
		for (int k = 0; k < n; k++) {
			double t = j[pr * n + k];
			j[pr * n + k] = j[rank * n + k];
			j[rank * n + k] = t / pivot;
		}
		int t = column[pk];
		column[pk] = column[rank];
		column[rank] = t;
		for (int r = 0; r < rows; r++) {
			double f = j[r * n + column[rank]];
			for (int k = 0; k < n && r != rank && f != 0; k++)
				j[r * n + k] -= f * j[rank * n + k];
		}
	}
	/* A free column c moves alone; each pivot makes up for it. */
	int free_columns = n - rank;
	memset(null, 0, sizeof *null * (size_t)(n * n));
	for (int c = 0; c < free_columns; c++) {
		null[column[rank + c] * n + c] = 1;
		for (int r = 0; r < rank; r++) null[column[r] * n + c] = -j[r * n + column[rank + c]];
	}
	return rank;
}

/* At the best of a few points: chance can only lower a rank. */
static int generic_rank(const Model *m, double *null)
{
	int n = m->heads, best = -1;
	uint64_t state = 88172645463325252u;
	double *h = arena_new(m->e->arena, double, n + 1), *at = arena_new(m->e->arena, double, n *n + 1);
	for (int p = 0; p < POINTS; p++) {
		for (int k = 0; k < n; k++) h[k] = next_number(&state);
		int rank = null_space(m, jacobian(m, h), at);
		if (rank <= best) continue;
		best = rank;
		memcpy(null, at, sizeof *null * (size_t)(n * n));
	}
	return best;
}

static void add_row(Model *m, Derived d)
{
	if (d.ok) vec_push(m->e->arena, &m->prob, d);
}

static bool about(const Formula *f, int n, const int *event)
{
	if (!f || f->kind == F_TRUE) return true;
	if (f->kind != F_EVENT) return about(f->a, n, event) && about(f->b, n, event);
	for (int i = 0; i < n; i++)
		if (event[i] == f->event) return true;
	return false;
}

enum { ENUMERATED = 5 }; /* events: up to 32 cells */

/*
 * The full likelihood fixes every probability about its events.  Of many events the cells are too many to be
 * rows; the heads that speak of no others, and each event given its parent, say the same.
 */
static void add_joint(Model *m, int n, const int *event)
{
	const Events *e = m->e;
	if (n <= ENUMERATED) {
		const Formula *const *cell;
		int cells = joint_cells(e, n, event, &cell);
		for (int k = 0; k < cells; k++) add_row(m, derive(e, NULL, cell[k], formula_true()));
		return;
	}
	for (int i = 0; i < e->head.n; i++) {
		const Head *h = &e->head.at[i];
		if (!h->estimate && about(h->of, n, event) && about(h->given, n, event))
			add_row(m, derive(e, NULL, h->of, h->given));
	}
	for (int i = 0; i < n; i++) {
		int parent = e->event.at[event[i]].parent;
		const Formula *given = parent < 0 ? formula_true() : formula_event(e, parent, (Span){0});
		add_row(m, derive(e, NULL, formula_event(e, event[i], (Span){0}), given));
	}
}

static Model model_of(const Events *e, int n, const Trained *t)
{
	Model m = {.e = e, .heads = e->head.n};
	for (int i = 0; i < n; i++) {
		if (t[i].n_joint)
			add_joint(&m, t[i].n_joint, t[i].joint);
		else
			add_row(&m, t[i].prob);
	}
	return m;
}

static bool in_null(const Model *m, const double *null, int rank, int head)
{
	for (int c = 0; c < m->heads - rank; c++)
		if (fabs(null[head * m->heads + c]) > 1e-7) return true;
	return false;
}

int identify_rank(const Events *e, int n_trained, const Trained *t, bool *loose)
{
	Model m = model_of(e, n_trained, t);
	double *null = arena_new(e->arena, double, m.heads *m.heads + 1);
	int rank = generic_rank(&m, null);
	for (int i = 0; loose && i < m.heads; i++) loose[i] = in_null(&m, null, rank, i);
	return rank;
}

/* ---- what to say ---- */

static bool reached(const Model *m, int head)
{
	for (int r = 0; r < m->prob.n; r++) {
		const Derived *p = &m->prob.at[r];
		const Diagram *part[] = {p->of, p->yes, p->no};
		for (int k = 0; k < 3; k++)
			for (int i = 2; part[k] && i < part[k]->node.n; i++)
				if (part[k]->node.at[i].test == head && !part[k]->node.at[i].stop)
					return true;
	}
	return false;
}

static bool below(const Diagram *d, int at, const int *group, int mark)
{
	if (at < 2) return false;
	const DiagramNode *n = &d->node.at[at];
	return group[n->test] == mark || below(d, n->hi, group, mark) || below(d, n->lo, group, mark);
}

/* What joins the heads of a group: "mixture" where they stand in two branches of one choice, else "product".
 */
static const char *joined_by(const Model *m, const int *group, int mark)
{
	bool product = false;
	for (int r = 0; r < m->prob.n; r++) {
		const Derived *p = &m->prob.at[r];
		const Diagram *part[] = {p->of, p->yes, p->no};
		for (int k = 0; k < 3; k++)
			for (int i = 2; part[k] && i < part[k]->node.n; i++) {
				const DiagramNode *n = &part[k]->node.at[i];
				bool hi = below(part[k], n->hi, group, mark),
				     lo = below(part[k], n->lo, group, mark);
				if (hi && lo) return "mixture";
				product |= group[n->test] == mark && (hi || lo);
			}
	}
	return product ? "product" : "combination";
}

static const char *prob_words(const Events *e, Str estimate, const Formula *of, const Formula *given)
{
	Text t = {0};
	prob_text(e, estimate, of, given, &t);
	const char *s = arena_strdup(e->arena, t.at);
	text_free(&t);
	return s;
}

static const char *head_words(const Events *e, int head)
{
	const Head *h = &e->head.at[head];
	const char *p = prob_words(e, h->estimate, h->of, h->given);
	return h->name ? h->name : p;
}

/*
 * A marginal whose loss would separate the group: the event that one of its heads is about, on all rows.
 * Where none can be derived, the head itself on the rows of its condition.  NULL: none helps alone.
 */
static const char *separator(const Events *e, int n, const Trained *t, const int *group, int mark, int rank)
{
	Trained *more = arena_new(e->arena, Trained, n + 1);
	memcpy(more, t, sizeof *t * (size_t)n);
	bool *loose = arena_new(e->arena, bool, e->head.n + 1);
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < e->head.n; i++) {
			if (group[i] != mark) continue;
			const Head *h = &e->head.at[i];
			const Formula *of = h->of, *given = h->given;
			if (pass == 0) {
				const Formula *both = formula_and(e, of, given, (Span){0});
				Cells *c = cells_new(e, 1, &both);
				if (!c) continue;
				of = cells_formula(c, cells_of(c, both), cells_all(c));
				given = formula_true();
			}
			more[n] = (Trained){.prob = derive(e, h->estimate, of, given)};
			if (!more[n].prob.ok || identify_rank(e, n + 1, more, loose) == rank) continue;
			bool all = true;
			for (int k = 0; k < e->head.n; k++) all &= group[k] != mark || !loose[k];
			if (all) return prob_words(e, h->estimate, of, given);
		}
	return NULL;
}

static const char *listed(const Events *e, const int *group, int mark)
{
	Text t = {0};
	int n = 0, total = 0;
	for (int i = 0; i < e->head.n; i++) total += group[i] == mark;
	for (int i = 0; i < e->head.n; i++) {
		if (group[i] != mark) continue;
		if (n++) text_add(&t, n == total ? " and " : ", ");
		text_add(&t, head_words(e, i));
	}
	const char *s = arena_strdup(e->arena, t.at);
	text_free(&t);
	return s;
}

void identify_check(const Events *e, int n_trained, const Trained *t, Diag *d)
{
	if (n_trained == 0 || e->head.n == 0) return;
	Model m = model_of(e, n_trained, t);
	int n = m.heads;
	double *null = arena_new(e->arena, double, n *n + 1);
	int rank = generic_rank(&m, null);

	/* Groups: heads that share a direction.  0: decided; -1: no loss reaches it. */
	int *group = arena_new(e->arena, int, n);
	for (int i = 0; i < n; i++) {
		const Head *h = &e->head.at[i];
		if (!reached(&m, i)) {
			group[i] = -1;
			diag_warn(d, h->span, "M0501",
				  "no loss reaches %s (%s): it stays as it was initialised",
				  prob_words(e, h->estimate, h->of, h->given), head_words(e, i));
			diag_help(d, "train it, bce(%s), or leave the head out",
				  prob_words(e, h->estimate, h->of, h->given));
		} else if (in_null(&m, null, rank, i)) {
			group[i] = i + 1;
		}
	}
	for (int c = 0; c < n - rank; c++) {
		int first = 0;
		for (int i = 0; i < n; i++) {
			if (group[i] <= 0 || fabs(null[i * n + c]) <= 1e-7) continue;
			if (!first) first = group[i];
			int other = group[i];
			for (int k = 0; k < n; k++)
				if (group[k] == other) group[k] = first;
		}
	}
	for (int i = 0; i < n; i++) {
		bool leads = group[i] > 0;
		for (int k = 0; k < i; k++) leads &= group[k] != group[i];
		if (!leads) continue;
		int mark = group[i];
		diag_warn(d, e->head.at[i].span, "M0502", "%s are learnt only through their %s",
			  listed(e, group, mark), joined_by(&m, group, mark));
		for (int k = i + 1; k < n; k++)
			if (group[k] == mark)
				diag_note(d, e->head.at[k].span, "%s is here", head_words(e, k));
		const char *by = separator(e, n_trained, t, group, mark, rank);
		if (by) diag_help(d, "a loss on %s would separate them", by);
	}
}
