/* What the files of the checker share: the state of one check, and who does what. */
#ifndef CHECKER_H
#define CHECKER_H
#include "front/check.h"
#include "front/scope.h"
#include "ir/op.h"

/* Where parameters made now get their names: "tower.ctr" + ".0.weight". */
typedef struct {
	Str prefix;
	int n_dense; /* dense layers so far */
	bool expert;
} Naming;

typedef struct {
	Str name;
	const Ast *ast;
	bool prelude;
} Layer;

/* A loss or an output, kept until every head is known. */
typedef struct {
	const Ast *ast;
	const Binding *scope;
} Pending;

/* A layer in the language being unrolled. */
typedef struct Call Call;
struct Call {
	const Layer *layer;
	Span at; /* where the author called it */
	bool returned;
	VEC(const Value *) result;
	Call *outer;
	int depth;
};

typedef struct {
	int group, dim;
	Str set;
	NodeId node;
} Embedded;

typedef struct {
	bool trained; /* by a loss; else served by an output */
	bool masked;  /* the loss counts the rows of the condition only */
	ProbType type;
	bool ranked;   /* the loss looks at the order of rows only */
	bool of_joint; /* as a part of a joint, which has an entry of its own */
	int n_joint;   /* > 0: the full likelihood of these events */
	const int *joint;
	Span at;
} ProbUse;

/* The label of something, and where it is known. */
typedef struct {
	NodeId label, known;
	const Formula *of; /* or NULL: of sample */
	int sample;
} Labelled;

/* A head for a real-valued or multi-class outcome: E(v | c) = EXPR, P(c | e) = softmax(z). */
typedef struct {
	int sample; /* in Spec.sample */
	Str estimate;
	const Formula *given; /* where it holds; F_TRUE: everywhere */
	NodeId node;	      /* value: its estimate [n]; class: the logits [n, k] */
	NodeId log;	      /* value: the logarithm of it where it is proven positive, or 0 */
	NodeId parts;	      /* value = ziln(z): z [n, 3] */
	Str text, name, expression;
	bool trained, served;
	Span span;
} OutcomeHead;

typedef struct {
	Arena *a;
	StrTab *str;
	Diag *d;
	Spec *s;
	Graph *g;
	const Defines *defines;
	bool *defined; /* [defines->n] used */
	const Binding *consts;
	const Binding *scope;
	VEC(Layer) layer;
	VEC(Naming *) naming;
	Naming *into; /* NULL: outside every named value */
	Call *call;
	VEC(Pending) loss, output;
	VEC(const Ast *) event_ast; /* beside s->events->event */
	VEC(OutcomeHead) outcome;
	VEC(Embedded) embedded; /* nodes of whole groups and of single features (group -1 - feature) */
	VEC(bool) feature_used, feature_faulty; /* beside s->feature */
	VEC(const Ast *) feature_ast;		/* beside s->feature */
	VEC(const Ast *) share;			/* beside s->feature: what `share:` names, or NULL */
	bool dim_told;				/* a missing width was told once for all */
	int dim;				/* the default width, 0 until `embed` */
	Span dim_at;
	int steps;	     /* statements executed, loops and layers unrolled */
	int n_scan, in_scan; /* scans so far; the one whose body is being read, or 0 */
	bool heads_broken;   /* a head was refused */
	bool tree_broken;    /* an event has no place in the tree */
	bool in_loss;	     /* inside a loss line: probabilities that become numbers there are trained */
	const Ast *train, *rows;
	Span model_at, stop_at;
	Span prelude_at;	    /* all of it */
	VEC(ProbUse) use;	    /* probabilities that a loss trains or an output serves */
	VEC(Labelled) labelled;	    /* what label(e) gave */
	VEC(const Binding *) named; /* shared, tower, ... of the model itself, for lints */
} Check;

/* ---- check.c: messages ---- */
/* Inside a layer of the prelude the message goes to the call, with a note where it happened. */
void told(Check *c, Span at, const char *code, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void told_warn(Check *c, Span at, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void help_near(Check *c, const Near *n, const char *wanted); /* "did you mean 'x'?" if there is a near one */
const Value *poison(Check *c);
const Value *new_value(Check *c, Value v);
const Value *number_value(Check *c, double k, Span at);
const Value *tensor_value(Check *c, NodeId n, Span at);
const char *describe(Check *c, const Value *v); /* "tower 'ctr'", or "this" */

/* ---- eval_const.c: what is known before any data ---- */
void collect_const(Check *c, const Ast *item);
void check_defines(Check *c);
bool want_number(Check *c, const Value *v, Span at, const char *what, double *out);
bool want_whole(Check *c, const Value *v, Span at, const char *what, double lo, double hi, int64_t *out);
bool truth(Check *c, const Value *v, Span at, bool *out);
Str key_of(Check *c, const Value *v); /* what a value is called as an index: "click", "3"; NULL */
const Value *fold_numbers(Check *c, AstKind op, double a, double b, Span at);

/* ---- check_features.c ---- */
void collect_features(Check *c, const Ast *item);
void finish_features(Check *c);
int find_group(const Check *c, Str name);
int find_feature(const Check *c, Str name);
/* Features of a group embedded and joined [n, d]; set NULL: the main tables; dim 0: the declared widths. */
NodeId group_node(Check *c, int group, Str set, int dim, Span at);
NodeId feature_node(Check *c, int feature, Str set, int dim, Span at);
NodeId seq_node(Check *c, int seq, Str set, int dim, Span at); /* the fields of every step joined [n, T, d] */
int find_seq(const Check *c, Str name);
int find_field(Check *c, int seq, Str name);			     /* the feature, or -1 */
NodeId group_fields(Check *c, int group, Str set, int dim, Span at); /* [n, F, k] */
NodeId group_raw(Check *c, int group, Span at);

/* ---- check_events.c ---- */
void collect_event(Check *c, const Ast *item);
void finish_events(Check *c);
const Formula *formula_of(Check *c, const Ast *e); /* NULL: told */
bool prob_parts(Check *c, const Ast *p, const Formula **of, const Formula **given);
const Value *prob_value(Check *c, const Ast *e);
/* Proves a probability expression; false: told. */
bool prob_proven(Check *c, const Value *v, ProbType *out);
NodeId prob_logit(Check *c, const Value *v, Span at); /* 0: told */
void exec_head(Check *c, const Ast *h);

/* ---- check_net.c: statements, layers ---- */
void exec(Check *c, const Ast *stmt);
void exec_block(Check *c, const Ast *block);
Str param_unique(Check *c, const char *name);
NodeId new_param(Check *c, const char *name, Shape shape, Init init, Span at);
Naming *naming_of(Check *c, Str prefix, bool expert);
const char *prefix_now(const Check *c);

/* ---- check_expr.c: expressions ---- */
const Value *eval(Check *c, const Ast *e);
NodeId as_tensor(Check *c, const Value *v, Span at); /* 0: told, or poison */
NodeId as_matrix(Check *c, const Value *v, Span at); /* [n, d]; [n] becomes [n, 1] */
NodeId as_column(Check *c, NodeId n);		     /* [n, 1] becomes [n] */
NodeId push_op(Check *c, OpCode op, int n, const NodeId *in, Attr attr, Span at); /* 0: told */
/* The operand of every step: a value of the row at each. */
NodeId at_each_step(Check *c, NodeId n, int seq, Span at);
Shape shape_of(const Check *c, NodeId n);

/* ---- check_calls.c: built-in functions ---- */
typedef struct {
	const Ast *call; /* the place, and the arguments */
	Str name;
	const Value *piped; /* the first argument of x -> f(...), or NULL */
	Span piped_at;	    /* where that stands */
} CallSite;
/* Arguments in the order of `param`; a leading '?' marks an optional one. -1 and a message when they do not
 * fit. */
bool bind_args(Check *c, const CallSite *site, int n, const char *const *param, const Ast **ast,
	       const Value **value);
int builtin_find(Check *c, Str name); /* -1 */
const Value *builtin_call(Check *c, int builtin, const CallSite *site);
void near_callables(Check *c, Near *n);
const Value *call_value(Check *c, const Value *f, const CallSite *site);
const Value *call_layer(Check *c, int layer, const CallSite *site); /* check_net.c */

/* ---- check_outcome.c: values and classes ---- */
void add_sample(Check *c, const Ast *item);
void size_samples(Check *c);		   /* once constants are known */
int sample_find(const Check *c, Str name); /* -1 */
int sample_named(Check *c, const Ast *e);  /* what a name, also a loop's variable, stands for; -1 */
void exec_outcome_head(Check *c, const Ast *h, int sample);
const Value *outcome_value(Check *c,
			   const Ast *e); /* E(v | c), P(class), P(class == name); NULL: an event's */
const Value *loss_value(Check *c, const CallSite *site); /* mse, huber, poisson, wlogistic, tweedie, ziln */
const Value *loss_ce(Check *c, const CallSite *site);
const Value *loss_focal(Check *c, const CallSite *site);
NodeId outcome_counts(Check *c, const OutcomeHead *h, Span at); /* 1 in the rows that a loss on it counts */
void outcome_outputs(Check *c);					/* of a model that names none */
void outcome_watches(Check *c);
Str outcome_metric(Check *c, const Ast *e); /* what E(v | c) or P(class) is called in reports; NULL: told */

/* ---- check_loss.c, check_train.c, lint.c ---- */
bool want_part(Check *c, const Ast *e, const char *what, double *out); /* in [0, 1); false: told */
const Value *row_loss(Check *c, NodeId row, NodeId count, Str rows, Span at);
bool over_all(Check *c, const Ast *e, bool *all); /* `over: all`; false: told */
/* The probability that a loss is about; false: told. */
bool loss_prob(Check *c, const CallSite *site, const Ast *ast, const Value *v, ProbType *t, Span *at);
void output_value(Check *c, Str name, const Value *v, Str text, Span at); /* text: as written */
void use_prob(Check *c, bool trained, const ProbType *t, bool masked, Span at);
void check_losses(Check *c);
void check_outputs(Check *c);
void check_watches(Check *c);
const Value *loss_bce(Check *c, const CallSite *site);
const Value *loss_joint(Check *c, const CallSite *site);
const Value *loss_symkl(Check *c, const CallSite *site);
const Value *loss_ipw(Check *c, const CallSite *site); /* ipw and dr */
const Value *loss_label(Check *c, const CallSite *site);
const Value *loss_pairwise(Check *c, const CallSite *site); /* check_rank.c */
const Value *loss_listwise(Check *c, const CallSite *site);
const Value *loss_arith(Check *c, AstKind op, const Value *a, const Value *b, Span at);
void check_train(Check *c);
void check_balance(Check *c, const Ast *e);
void check_rows(Check *c);
void lint(Check *c);
void lint_losses(Check *c, const bool *trained); /* lint_loss.c */
void lint_late(Check *c);			 /* lint_late.c */
void lint_ranked(Check *c);			 /* lint_rank.c */
#endif
