/* `check -v`: inputs, shapes, parameters, multiply-adds, the derived table of events, losses, outputs. */
#include "driver/report.h"
#include "ir/op.h"
#include "pass/pass.h"
#include <string.h>

static int widest(int w, const char *s)
{
	int n = (int)strlen(s);
	return n > w ? n : w;
}

/* Nodes that some loss depends on. */
static bool *trained(const Spec *s)
{
	bool *by = arena_new(s->arena, bool, s->g->node.n);
	for (int l = 0; l < s->loss.n; l++) by[s->loss.at[l].row] = true;
	for (NodeId id = s->g->node.n; id-- > 1;)
		for (int i = 0; by[id] && op_table[s->g->node.at[id].op]->grad && i < s->g->node.at[id].n_in;
		     i++)
			by[s->g->node.at[id].in[i]] = true;
	return by;
}

static const char *use_of(const Watch *v, const bool *by)
{
	bool within = !v->trained && v->head && by[v->logit];
	if (v->served)
		return v->trained ? "trained, served"
		       : within	  ? "trained within others, served"
				  : "served, not trained";
	return v->trained ? "trained" : within ? "trained within others" : "neither trained nor served";
}

static void derived(const Spec *s, FILE *to)
{
	const bool *by = trained(s);
	int w[4] = {0};
	for (int i = 0; i < s->watch.n; i++) {
		const Watch *v = &s->watch.at[i];
		w[0] = widest(w[0], v->text);
		w[1] = widest(w[1], v->expression);
		w[2] = widest(w[2], v->label_text);
		w[3] = widest(w[3], v->rows_text);
	}
	fprintf(to, "\nprobabilities\n");
	for (int i = 0; i < s->watch.n; i++) {
		const Watch *v = &s->watch.at[i];
		fprintf(to, "  %-*s = %-*s  label %-*s  rows %-*s  (%s)\n", w[0], v->text, w[1],
			v->expression, w[2], v->label_text, w[3], v->rows_text, use_of(v, by));
	}
}

static void losses(const Spec *s, FILE *to)
{
	int w[2] = {0};
	for (int i = 0; i < s->loss.n; i++)
		w[0] = widest(w[0], s->loss.at[i].name), w[1] = widest(w[1], s->loss.at[i].text);
	fprintf(to, "\nlosses\n");
	for (int i = 0; i < s->loss.n; i++) {
		const Loss *l = &s->loss.at[i];
		fprintf(to, "  %-*s  %-*s  weight %-4g rows %s\n", w[0], l->name, w[1], l->text, l->weight,
			l->rows);
	}
	for (int i = w[0] = 0; i < s->output.n; i++) w[0] = widest(w[0], s->output.at[i].name);
	fprintf(to, "\noutputs\n");
	for (int i = 0; i < s->output.n; i++)
		fprintf(to, "  %-*s  %s\n", w[0], s->output.at[i].name, s->output.at[i].text);
}

void report_sizes(const Spec *s, int64_t sizes[3])
{
	sizes[0] = sizes[1] = sizes[2] = 0;
	for (int i = 0; i < s->param.n; i++) sizes[0] += shape_size(s->param.at[i].shape);
	for (int i = 0; i < s->table.n; i++) sizes[1] += s->table.at[i].rows * s->table.at[i].dim;
	for (NodeId id = 1; id < s->g->node.n; id++) {
		const Node *n = &s->g->node.at[id];
		if (n->op == OP_DENSE || n->op == OP_MIX)
			sizes[2] += shape_size(s->g->node.at[n->in[1]].shape);
	}
}

static void network(const Spec *s, FILE *to)
{
	int64_t sizes[3];
	report_sizes(s, sizes);
	fprintf(to, "\nvalues\n");
	for (NodeId id = 1; id < s->g->node.n; id++) {
		const Node *n = &s->g->node.at[id];
		if (n->name && n->shape.rows)
			fprintf(to, "  %-24s %s\n", n->name, shape_text(s->arena, n->shape));
	}
	fprintf(to, "\nparameters\n");
	for (int i = 0; i < s->param.n; i++)
		fprintf(to, "  %-32s %s%s\n", s->param.at[i].name, shape_text(s->arena, s->param.at[i].shape),
			s->param.at[i].frozen ? "  running" : "");
	for (int i = 0; i < s->table.n; i++) {
		const Table *t = &s->table.at[i];
		if (t->rows)
			fprintf(to, "  %-32s [%lld, %d]\n", t->name, (long long)t->rows, t->dim);
		else
			fprintf(to, "  %-32s [from the data, %d]\n", t->name, t->dim);
	}
	fprintf(to, "\n%lld dense parameters, %lld in tables, %lld multiply-adds per row\n",
		(long long)sizes[0], (long long)sizes[1], (long long)sizes[2]);
}

void report_model(const Compilation *c, FILE *to)
{
	const Spec *s = c->spec;
	fprintf(to, "model %s\n\nfeatures\n", s->name);
	for (int i = 0; i < s->feature.n; i++) {
		const Feature *f = &s->feature.at[i];
		static const char *const kind[] = {"id", "ids", "real"};
		const Group *g = &s->group.at[f->group];
		fprintf(to, "  %-24s %-5s %s, per %s%s%s\n", f->name, f->cross.n ? "cross" : kind[f->kind],
			g->name, g->candidate ? "candidate" : "request",
			f->column != f->name ? ", column " : "", f->column != f->name ? f->column : "");
	}
	network(s, to);
	derived(s, to);
	losses(s, to);
}

void report_sides(const Compilation *c, FILE *to)
{
	int64_t work[3];
	if (!c->split) {
		fprintf(to, "\nscoring\n  nothing depends on the request alone\n");
		return;
	}
	split_work(c->spec, c->split, work);
	double all = (double)(work[0] + work[1] + work[2]), share = all > 0 ? 100 / all : 0;
	fprintf(to,
		"\nscoring\n  %.0f multiply-adds per row, %.0f %% of them once per request, %.0f %% of the "
		"candidate "
		"alone, %.0f %% of both\n",
		all, share * (double)work[0], share * (double)work[1], share * (double)work[2]);
	if (c->item)
		fprintf(
		    to,
		    "  an item is %lld floats: what depends on the candidate alone, once for many requests, "
		    "spares encoding, lookups and %.0f %% of the multiply-adds\n",
		    (long long)c->item, share * (double)work[1]);
	else
		fprintf(to, "  no items: of the candidate alone nothing can be kept for other requests\n");
}
