/*
 * The stages of a graph: how many meetings lie behind each value, and what crosses them.
 *
 * Needs   a graph whose scans' bodies stand together (walk_order).
 * Leaves  it as it is.
 */
#include "pass/stage.h"
#include "base/diag.h"
#include "ir/op.h"

bool stage_is_sum(OpCode op) { return op == OP_DENSE_DW || op == OP_SUM_ROWS || op == OP_PAIR_SUM_DR; }

static Phase phase_of(const Node *n, const Phase *phase)
{
	if (stage_is_sum(n->op)) return PHASE_SUM;
	if (n->op == OP_INV || n->shape.rows || n->op == OP_BLOCK_SUM) return PHASE_ROW;
	Phase p = PHASE_PRE;
	for (int i = 0; i < n->n_in; i++) {
		Phase in = n->in[i] ? phase[n->in[i]] : PHASE_PRE;
		in = in == PHASE_SUM ? PHASE_POST : in;
		p = in > p ? in : p;
	}
	return p;
}

/* A loss is divided by what it counts, once all of it is counted. */
static int inv_stage(const Stages *s, const Graph *g, int loss)
{
	for (int r = 0; r < g->root.n; r++) {
		int stage = s->stage[g->root.at[r].node];
		if (g->root.at[r].kind == ROOT_COUNT && g->root.at[r].index == loss)
			return stage ? stage + 1 : 0;
	}
	return 0;
}

static int stage_of(const Stages *s, const Graph *g, NodeId id)
{
	const Node *n = &g->node.at[id];
	bool with_rows = s->phase[id] == PHASE_ROW || s->phase[id] == PHASE_SUM;
	int most = s->stage[id];
	if (n->op == OP_INV) most = inv_stage(s, g, n->attr.i);
	for (int i = 0; i < n->n_in; i++) {
		NodeId in = n->in[i];
		if (!in) continue;
		int least = s->stage[in] + (with_rows && s->phase[in] >= PHASE_SUM) + op_table[n->op]->meets;
		most = least > most ? least : most;
	}
	return most;
}

/* The nodes of a body are computed together: in the latest of their stages. */
static bool join_bodies(Stages *s, const Graph *g, const int *walk)
{
	bool news = false;
	for (NodeId first = 1, end; first < g->node.n; first = end) {
		int most = 0;
		for (end = first; end < g->node.n && walk[end] == walk[first]; end++)
			most = s->stage[end] > most ? s->stage[end] : most;
		for (NodeId id = first; walk[first] && id < end; id++) {
			news |= s->stage[id] != most;
			s->stage[id] = most;
		}
	}
	return news;
}

static void count_meetings(Stages *s, const Graph *g, const int *walk)
{
	do {
		for (NodeId id = 1; id < g->node.n; id++) {
			s->stage[id] = stage_of(s, g, id);
			if (s->stage[id] > g->node.n)
				bug("%s: the steps of a scan wait for all rows",
				    op_table[g->node.at[id].op]->word);
		}
	} while (join_bodies(s, g, walk));
	s->n = 1;
	for (NodeId id = 1; id < g->node.n; id++)
		if (s->phase[id] == PHASE_ROW && s->stage[id] >= s->n) s->n = s->stage[id] + 1;
}

/* Labels, masks and the like: elementwise from inputs alone; and other views of what is there. */
static void find_again(Stages *s, const Graph *g, const int *walk)
{
	bool *light = arena_new(g->arena, bool, g->node.n);
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		const Op *op = op_table[n->op];
		bool view = n->op == OP_RESHAPE || n->op == OP_SLICE;
		if (s->phase[id] != PHASE_ROW || walk[id]) continue;
		light[id] = op->group == GROUP_INPUT || op->each || n->op == OP_SPREAD || view;
		for (int i = 0; i < n->n_in; i++)
			light[id] &= s->phase[n->in[i]] != PHASE_ROW || light[n->in[i]];
		s->again[id] = light[id] || view;
	}
}

/* Marks what a node that is computed in stage `now` needs; true: something new. */
static bool want(Stages *s, const Graph *g, bool *need, NodeId id, int now)
{
	const Node *n = &g->node.at[id];
	bool news = false;
	if (n->op == OP_STATE) {
		NodeId scan = graph_scan(g, id);
		news = !need[scan];
		need[scan] = true;
	}
	for (int i = 0; i < n->n_in; i++) {
		NodeId in = n->in[i];
		if (!in) continue;
		if (s->phase[in] >= PHASE_SUM)
			s->met[in] = true;
		else if (s->phase[in] == PHASE_ROW && op_table[n->op]->meets)
			s->kept[in] |= op_table[g->node.at[in].op]->group != GROUP_INPUT;
		else if (s->phase[in] == PHASE_ROW && !s->again[in] && s->stage[in] < now)
			s->kept[in] = true;
		else if (s->phase[in] == PHASE_ROW && !need[in])
			need[in] = news = true;
	}
	return news;
}

/* From the last stage back, so that what a stage has to keep is known when its turn comes. */
static void find_kept(Stages *s, const Graph *g)
{
	for (int now = s->n; now-- > 0;) {
		bool *need = arena_new(g->arena, bool, g->node.n), news = true;
		for (int r = 0; r < g->root.n; r++) {
			NodeId id = g->root.at[r].node;
			need[id] |= s->phase[id] == PHASE_ROW && s->stage[id] == now;
		}
		for (NodeId id = 1; id < g->node.n; id++)
			need[id] |= s->stage[id] == now && (s->phase[id] == PHASE_SUM || s->kept[id]);
		while (news) {
			news = false;
			for (NodeId id = g->node.n; id-- > 1;)
				if (need[id]) news |= want(s, g, need, id, now);
		}
	}
}

/* One step of arithmetic away from values that cross anyway: made again, which takes less time than to fetch
 * it. True: some are. */
static bool spare(Stages *s, const Graph *g, const int *walk)
{
	bool any = false;
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		const Op *op = op_table[n->op];
		bool simple = s->kept[id] && op->group == GROUP_BINARY && !op->scratch && !walk[id];
		for (int i = 0; i < n->n_in; i++)
			simple &= s->phase[n->in[i]] != PHASE_ROW || s->kept[n->in[i]] || s->again[n->in[i]];
		s->again[id] |= simple;
		any |= simple;
	}
	for (NodeId id = 1; any && id < g->node.n; id++) {
		s->kept[id] = op_table[g->node.at[id].op]->meets;
		s->met[id] = false;
	}
	return any;
}

static void find_early(Stages *s, const Graph *g)
{
	bool *of = arena_new(g->arena, bool, g->node.n);
	for (NodeId id = g->node.n; id-- > 1;) {
		const Node *n = &g->node.at[id];
		of[id] |= s->met[id];
		s->early[id] = of[id] && s->phase[id] == PHASE_SUM;
		for (int i = 0; of[id] && s->phase[id] == PHASE_POST && i < n->n_in; i++) of[n->in[i]] = true;
	}
}

Stages stages_of(Arena *a, const Graph *g, const int *walk)
{
	int n = g->node.n;
	Stages s = {.phase = arena_new(a, Phase, n),
		    .stage = arena_new(a, int, n),
		    .again = arena_new(a, bool, n),
		    .kept = arena_new(a, bool, n),
		    .met = arena_new(a, bool, n),
		    .early = arena_new(a, bool, n)};
	for (NodeId id = 1; id < n; id++) {
		s.phase[id] = phase_of(&g->node.at[id], s.phase);
		s.kept[id] = op_table[g->node.at[id].op]->meets;
	}
	count_meetings(&s, g, walk);
	find_again(&s, g, walk);
	if (s.n > 1) {
		find_kept(&s, g);
		if (spare(&s, g, walk)) find_kept(&s, g);
		find_early(&s, g);
	}
	return s;
}
