/* `check -v`: inputs, shapes, parameters, multiply-adds, and the derived table of events. */
#include "driver/report.h"
#include "ir/op.h"
#include <string.h>

static int widest(int w, const char *s)
{
	int n = (int)strlen(s);
	return n > w ? n : w;
}

static void derived(const Spec *s, FILE *to)
{
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
		const char *use = v->trained && v->served ? "trained, served" : v->trained ? "trained" : v->served ? "served, not trained" : "neither trained nor served";
		fprintf(to, "  %-*s = %-*s  label %-*s  rows %-*s  (%s)\n", w[0], v->text, w[1], v->expression, w[2], v->label_text, w[3], v->rows_text, use);
	}
}

static void network(const Spec *s, FILE *to)
{
	int64_t madds = 0;
	fprintf(to, "\nvalues\n");
	for (NodeId id = 1; id < s->g->node.n; id++) {
		const Node *n = &s->g->node.at[id];
		if (n->op == OP_DENSE)
			madds += shape_size(s->g->node.at[n->in[1]].shape);
		if (n->op == OP_MIX)
			madds += shape_size(s->g->node.at[n->in[1]].shape);
		if (n->name && n->shape.rows)
			fprintf(to, "  %-24s %s\n", n->name, shape_text(s->arena, n->shape));
	}
	fprintf(to, "\nparameters\n");
	int64_t dense = 0, rows = 0;
	for (int i = 0; i < s->param.n; i++) {
		dense += shape_size(s->param.at[i].shape);
		fprintf(to, "  %-32s %s\n", s->param.at[i].name, shape_text(s->arena, s->param.at[i].shape));
	}
	for (int i = 0; i < s->table.n; i++) {
		const Table *t = &s->table.at[i];
		rows += t->rows * t->dim;
		if (t->rows)
			fprintf(to, "  %-32s [%lld, %d]\n", t->name, (long long)t->rows, t->dim);
		else
			fprintf(to, "  %-32s [from the data, %d]\n", t->name, t->dim);
	}
	fprintf(to, "\n%lld dense parameters, %lld in tables, %lld multiply-adds per row\n", (long long)dense, (long long)rows, (long long)madds);
}

void report_model(const Compilation *c, FILE *to)
{
	const Spec *s = c->spec;
	fprintf(to, "model %s\n\nfeatures\n", s->name);
	for (int i = 0; i < s->feature.n; i++) {
		const Feature *f = &s->feature.at[i];
		static const char *const kind[] = {"id", "ids", "real"};
		const Group *g = &s->group.at[f->group];
		fprintf(to, "  %-24s %-5s %s, per %s%s%s\n", f->name, kind[f->kind], g->name, g->candidate ? "candidate" : "request", f->column != f->name ? ", column " : "",
		        f->column != f->name ? f->column : "");
	}
	network(s, to);
	derived(s, to);
}
