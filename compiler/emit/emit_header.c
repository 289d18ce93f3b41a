/*
 * A scorer as a library: its C header, and the functions behind it.
 *
 * The header is C99 and C++, and stands for itself: it includes nothing of the runtime.  The types in it are
 * those of runtime/library.h under the model's name, which the functions' file makes sure of when it is
 * compiled.
 */
#include "emit/emit_header.h"
#include <ctype.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { DOOR_ABI = 2 }; /* MTL_DOOR_ABI of runtime/library.h */

const char *const library_functions[] = {"open",  "open_as",	 "close",      "verify",      "work_bytes",
					 "score", "request",	 "candidates", "item_floats", "items",
					 "pick",  "output_name", NULL};

/* Words that C or C++ keeps for itself, beside those the language of models keeps. */
static bool is_reserved(const char *s)
{
	static const char *const word[] = {
	    "alignas",	 "alignof",  "and",	 "asm",	     "auto",	  "bitand",  "bitor",	  "bool",
	    "break",	 "case",     "catch",	 "char",     "class",	  "compl",   "concept",	  "const",
	    "constexpr", "continue", "decltype", "default",  "delete",	  "do",	     "double",	  "else",
	    "enum",	 "explicit", "export",	 "extern",   "false",	  "float",   "for",	  "friend",
	    "goto",	 "if",	     "inline",	 "int",	     "long",	  "mutable", "namespace", "new",
	    "noexcept",	 "not",	     "nullptr",	 "operator", "or",	  "private", "protected", "public",
	    "register",	 "requires", "restrict", "return",   "short",	  "signed",  "sizeof",	  "static",
	    "struct",	 "switch",   "template", "this",     "throw",	  "true",    "try",	  "typedef",
	    "typeid",	 "typename", "typeof",	 "union",    "unsigned",  "using",   "virtual",	  "void",
	    "volatile",	 "wchar_t",  "while",	 "xor",	     "linux",	  "unix",    "main",	  "errno",
	    "stdin",	 "stdout",   "stderr",	 "NULL",     "INT64_MIN", "NAN"};
	for (size_t i = 0; i < sizeof word / sizeof *word; i++)
		if (!strcmp(s, word[i])) return true;
	return false;
}

static Str plain_name(const Spec *s, const char *name)
{
	char *plain = arena_strdup(s->arena, name);
	for (char *c = plain; *c; c++) *c = *c == '.' ? '_' : *c; /* a field of a sequence: seen_item */
	return is_reserved(plain) ? str_printf(s->str, "%s_", plain) : str_intern(s->str, plain);
}

Str library_prefix(const Spec *s) { return plain_name(s, s->name); }

static Str upper(const Spec *s, const char *name)
{
	char *up = arena_strdup(s->arena, name);
	for (char *c = up; *c; c++) *c = (char)toupper((unsigned char)*c);
	return up;
}

/* ---- members ---- */

typedef enum { TEXT, INTEGER, REAL } Type;

static const Feature *root_of(const Spec *s, const Feature *f)
{
	while (f->share >= 0) f = &s->feature.at[f->share];
	return f;
}

static Type type_of(const Spec *s, const Feature *f)
{
	FeatureCode code = root_of(s, f)->code;
	if (f->kind == FEATURE_NUMBER || code == CODE_BUCKET || code == CODE_QUANTILES) return REAL;
	return code == CODE_SIZE ? INTEGER : TEXT;
}

static bool candidate(const Spec *s, const Feature *f) { return s->group.at[f->group].candidate; }

static const char *type_name(const Spec *s, const Feature *f, const char *prefix)
{
	static const char *const single[] = {"text", "", ""}, *const list[] = {"texts", "integers", "reals"};
	static const char *const plain[] = {NULL, "int64_t", "double"};
	Type t = type_of(s, f);
	if (f->kind != FEATURE_BAG && plain[t]) return plain[t];
	return str_printf(s->str, "%s_%s", prefix, f->kind == FEATURE_BAG ? list[t] : single[t]);
}

static Str interface_hash(const EmitModel *m)
{
	const Spec *s = m->spec;
	Text t = {0};
	text_printf(&t, "%s %d\n", library_prefix(s), DOOR_ABI);
	for (int i = 0; i < s->feature.n; i++) {
		const Feature *f = &s->feature.at[i];
		if (!f->cross.n && scoring_reads(s, m->variant[0], i))
			text_printf(&t, "%s %s %d\n", f->name, type_name(s, f, ""), candidate(s, f));
	}
	for (int i = 0; i < s->output.n; i++) text_printf(&t, "%s\n", s->output.at[i].name);
	Str hash = str_printf(s->str, "%016llx", (unsigned long long)XXH3_64bits(t.at, t.n));
	text_free(&t);
	return hash;
}

/* ---- the header ---- */

static const char *const code_word[] = {"a number",
					"any bytes, hashed",
					"a word of the vocabulary",
					"a word of the vocabulary",
					"an integer below the size",
					"a number, cut at edges",
					"a number, cut at edges"};

/* What happens to a value that is missing. */
static const char *when_missing(const Feature *f, Type t)
{
	if (f->seq && !f->pool_max)
		return "as many as the other fields of its sequence; a missing one is a step without it";
	if (f->kind == FEATURE_BAG) return "may be empty";
	if (t != REAL) return "missing has a row of its own";
	return f->missing == MISSING_ERROR ? "must not be missing" : "may be missing";
}

typedef enum { ALL, REQUEST, CANDIDATES } Side;

static void members(Text *o, const EmitModel *m, const char *prefix, Side side)
{
	const Spec *s = m->spec;
	bool any = false;
	text_add(o, "typedef struct {\n");
	for (int i = 0; i < s->feature.n; i++) {
		const Feature *f = &s->feature.at[i];
		bool here = side == ALL || candidate(s, f) == (side == CANDIDATES);
		if (!here || f->cross.n || !scoring_reads(s, m->variant[0], i)) continue;
		any = true;
		text_printf(o, "\t%s%s %s%s; /* ", side == REQUEST ? "" : "const ", type_name(s, f, prefix),
			    side == REQUEST ? "" : "*", plain_name(s, f->name));
		if (f->column != f->name) text_printf(o, "column %s: ", f->column);
		text_printf(o, "%s%s; %s */\n", f->kind == FEATURE_BAG ? "a list of " : "",
			    code_word[root_of(s, f)->code], when_missing(f, type_of(s, f)));
	}
	if (!any) text_add(o, "\tchar none; /* the model reads nothing of this side */\n");
	text_printf(o, "} %s_%s;\n", prefix,
		    side == ALL	      ? "rows"
		    : side == REQUEST ? "request_row"
				      : "candidate_rows");
}

/* The body of the header, with @ for the prefix and $ for the same in capitals. */
static void put(Text *o, const char *p, const char *prefix, const char *big)
{
	for (; *p; p++)
		if (*p == '@' || *p == '$')
			text_add(o, *p == '@' ? prefix : big);
		else
			text_char(o, *p);
}

static const char types[] =
    "\n"
    "/* The status is 0, or the exit code of the command line: 2 misuse, 4 data, 5 model refused, 6 system,\n"
    " * 8 a limit.  The text is one whole line. */\n"
    "typedef struct {\n"
    "\tint status;\n"
    "\tchar code[8], text[1000];\n"
    "} @_error;\n"
    "\n"
    "/* Bytes, not ended by anything; n 0: missing. */\n"
    "typedef struct {\n"
    "\tconst char *p;\n"
    "\tsize_t n;\n"
    "} @_text;\n"
    "#define $_MISSING INT64_MIN /* an integer that is missing; a double: NAN */\n"
    "\n"
    "/* Lists.  Missing items are passed over; weight may be NULL: all 1. */\n"
    "typedef struct {\n"
    "\tconst @_text *item;\n"
    "\tconst float *weight;\n"
    "\tsize_t n;\n"
    "} @_texts;\n"
    "typedef struct {\n"
    "\tconst int64_t *item;\n"
    "\tconst float *weight;\n"
    "\tsize_t n;\n"
    "} @_integers;\n"
    "typedef struct {\n"
    "\tconst double *item;\n"
    "\tconst float *weight;\n"
    "\tsize_t n;\n"
    "} @_reals;\n"
    "\n";

static const char functions[] =
    "\n"
    "/* A model: its weights, and the kernels chosen for this machine.  It does not change; threads share "
    "it. */\n"
    "typedef struct @ @;\n"
    "\n"
    "/* All functions that can fail return 0 or the status; err may be NULL.  Nothing is printed, nothing "
    "exits. */\n"
    "\n"
    "/* path NULL: the weights inside the library; else a model file of this structure, which is read and "
    "checked\n"
    " * whole.  *out is NULL on failure. */\n"
    "int @_open(const char *path, @ **out, @_error *err);\n"
    "/* The same, told what the caller was compiled with: the macro below makes it of every @_open. */\n"
    "int @_open_as(int abi, const char *interface_hash, const char *path, @ **out, @_error *err);\n"
    "#define @_open(path, out, err) @_open_as($_ABI, $_INTERFACE, path, out, err)\n"
    "void @_close(@ *m);\n"
    "/* Looks at every number of the weights inside (opening them looks at the header only). */\n"
    "int @_verify(const @ *m, @_error *err);\n"
    "\n"
    "/* Bytes of a workspace for calls of n rows.  It is the caller's memory, of any content; one for each "
    "thread. */\n"
    "size_t @_work_bytes(const @ *m, size_t n);\n"
    "/* out: [n, $_OUTPUTS].  A row's scores depend on that row alone.  Nothing is allocated. */\n"
    "int @_score(const @ *m, void *work, const @_rows *rows, size_t n, float *out, @_error *err);\n"
    "\n"
    "/* The same scores in two steps: what is known of the request once, then its candidates, in as many "
    "calls as\n"
    " * one likes.  The request stays in the workspace until the next request or score; what it points to "
    "need\n"
    " * not. */\n"
    "int @_request(const @ *m, void *work, const @_request_row *r, @_error *err);\n"
    "int @_candidates(const @ *m, void *work, const @_candidate_rows *c, size_t n, float *out, @_error "
    "*err);\n"
    "\n"
    "/* What depends on the candidate alone, computed once for many requests: item_floats numbers for each "
    "of "
    "n\n"
    " * candidates (0: the model has nothing to keep, and the two others refuse).  items: the caller's, "
    "[n, item_floats],\n"
    " * room: the floats it has.  It is of this model's weights, and does not change: threads share it.  The "
    "workspace\n"
    " * forgets its request. */\n"
    "size_t @_item_floats(const @ *m);\n"
    "int @_items(const @ *m, void *work, const @_candidate_rows *c, size_t n, float *items, size_t room, "
    "@_error\n"
    "\t*err);\n"
    "/* After a request: the scores of items index[0 .. n), each below n_items, as @_candidates would "
    "give. */\n"
    "int @_pick(const @ *m, void *work, const float *items, size_t n_items, const size_t *index, size_t n, "
    "float *out,\n"
    "\t@_error *err);\n"
    "\n"
    "/* 0 <= i < $_OUTPUTS, else NULL. */\n"
    "const char *@_output_name(int i);\n"
    "\n"
    "static inline @_text @_string(const char *s)\n"
    "{\n"
    "\t@_text t;\n"
    "\tt.p = s;\n"
    "\tt.n = s ? strlen(s) : 0;\n"
    "\treturn t;\n"
    "}\n"
    "\n"
    "#ifdef __cplusplus\n"
    "}\n"
    "#endif\n"
    "#endif\n";

void emit_header(Text *o, const EmitModel *m)
{
	const Spec *s = m->spec;
	const char *prefix = library_prefix(s), *big = upper(s, prefix);
	text_printf(o, "/* Scores of the model %s.  Made by %s. */\n", s->name, m->compiler);
	put(o,
	    "#ifndef $_H\n#define $_H\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n"
	    "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n",
	    prefix, big);
	text_printf(o,
		    "#define %s_ABI %d\n#define %s_INTERFACE \"%s\" /* of the members and outputs below */\n",
		    big, DOOR_ABI, big, interface_hash(m));
	text_printf(o,
		    "#define %s_DIGEST \"%s\" /* of the model's structure: mtlc.digest of its files */\n\n",
		    big, m->digest);
	text_add(o, "/* The outputs of a row, in order. */\nenum {");
	for (int i = 0; i < s->output.n; i++)
		text_printf(o, " %s_OUT_%s,", big, upper(s, s->output.at[i].name));
	text_printf(o, " %s_OUTPUTS };\n#define %s_OUTPUT_NAMES {", big, big);
	for (int i = 0; i < s->output.n; i++) text_printf(o, "%s\"%s\"", i ? ", " : "", s->output.at[i].name);
	text_add(o, "}\n");
	put(o, types, prefix, big);
	text_add(o, "/* A column for each input, each an array of n values. */\n");
	members(o, m, prefix, ALL);
	text_add(o,
		 "\n/* The columns of the request's side, one value each, and of the candidates' side. */\n");
	members(o, m, prefix, REQUEST);
	members(o, m, prefix, CANDIDATES);
	put(o, functions, prefix, big);
}

/* ---- the functions ---- */

static const char doors[] =
    "\n"
    "#define DOOR(type) __attribute__((visibility(\"default\"))) type\n"
    "DOOR(int) @_open_as(int abi, const char *hash, const char *path, @ **out, @_error *e)\n"
    "{\n"
    "\treturn mtl_library_open(&door, abi, hash, path, (MtlLibrary **)(void *)out, (MtlDoorError *)(void "
    "*)e);\n"
    "}\n"
    "DOOR(int) (@_open)(const char *path, @ **out, @_error *e)\n"
    "{\n"
    "\treturn @_open_as($_ABI, $_INTERFACE, path, out, e);\n"
    "}\n"
    "DOOR(void) @_close(@ *m) { mtl_library_close((MtlLibrary *)(void *)m); }\n"
    "DOOR(int) @_verify(const @ *m, @_error *e)\n"
    "{\n"
    "\treturn mtl_library_verify((const MtlLibrary *)(const void *)m, (MtlDoorError *)(void *)e);\n"
    "}\n"
    "DOOR(size_t) @_work_bytes(const @ *m, size_t n)\n"
    "{\n"
    "\t(void)n;\n"
    "\treturn mtl_library_work_bytes((const MtlLibrary *)(const void *)m);\n"
    "}\n"
    "DOOR(int) @_score(const @ *m, void *work, const @_rows *rows, size_t n, float *out, @_error *e)\n"
    "{\n"
    "\treturn mtl_library_score((const MtlLibrary *)(const void *)m, work, rows, n, out, (MtlDoorError "
    "*)(void *)e);\n"
    "}\n"
    "DOOR(int) @_request(const @ *m, void *work, const @_request_row *r, @_error *e)\n"
    "{\n"
    "\treturn mtl_library_request((const MtlLibrary *)(const void *)m, work, r, (MtlDoorError *)(void *)e);\n"
    "}\n"
    "DOOR(int) @_candidates(const @ *m, void *work, const @_candidate_rows *c, size_t n, float *out, @_error "
    "*e)\n"
    "{\n"
    "\treturn mtl_library_candidates((const MtlLibrary *)(const void *)m, work, c, n, out,\n"
    "\t\t(MtlDoorError *)(void *)e);\n"
    "}\n"
    "DOOR(size_t) @_item_floats(const @ *m)\n"
    "{\n"
    "\treturn mtl_library_item_floats((const MtlLibrary *)(const void *)m);\n"
    "}\n"
    "DOOR(int) @_items(const @ *m, void *work, const @_candidate_rows *c, size_t n, float *items, size_t "
    "room, "
    "@_error *e)\n"
    "{\n"
    "\treturn mtl_library_items((const MtlLibrary *)(const void *)m, work, c, n, items, room,\n"
    "\t\t(MtlDoorError *)(void *)e);\n"
    "}\n"
    "DOOR(int) @_pick(const @ *m, void *work, const float *items, size_t n_items, const size_t *index, "
    "size_t "
    "n, float *out,\n"
    "\t@_error *e)\n"
    "{\n"
    "\treturn mtl_library_pick((const MtlLibrary *)(const void *)m, work, items, n_items, index, n, out,\n"
    "\t\t(MtlDoorError *)(void *)e);\n"
    "}\n"
    "DOOR(const char *) @_output_name(int i)\n"
    "{\n"
    "\tstatic const char *const name[] = $_OUTPUT_NAMES;\n"
    "\treturn i >= 0 && i < $_OUTPUTS ? name[i] : NULL;\n"
    "}\n";

void emit_doors(Text *o, const EmitModel *m)
{
	static const char *const type[] = {"MTL_DOOR_TEXT", "MTL_DOOR_INTEGER", "MTL_DOOR_REAL"};
	const Spec *s = m->spec;
	const char *prefix = library_prefix(s), *big = upper(s, prefix);
	int n = 0;
	if (!m->alone)
		text_add(o, "\n#include \"library.h\"\n#include \"doors.h\"\n"
			    "/* The JSON reader's function that takes a FILE, which nobody calls here, asks "
			    "whether it is "
			    "stdin.  Under\n"
			    " * the linker's --wrap=stdin it asks this instead, and a shared library can be "
			    "made of it. */\n"
			    "extern const void *const __wrap_stdin;\n"
			    "const void *const __wrap_stdin = NULL;\n");
	put(o,
	    "_Static_assert($_ABI == MTL_DOOR_ABI && sizeof(@_error) == sizeof(MtlDoorError) &&\n"
	    "\tsizeof(@_text) == sizeof(MtlDoorText) && sizeof(@_texts) == sizeof(MtlDoorList), \"one "
	    "interface\");\n"
	    "static const MtlMember members[] = {\n",
	    prefix, big);
	for (int i = 0; i < s->feature.n; i++) {
		const Feature *f = &s->feature.at[i];
		if (f->cross.n || !scoring_reads(s, m->variant[0], i)) continue;
		n++;
		Str name = plain_name(s, f->name);
		text_printf(o, "\t{%d, %s, offsetof(%s_rows, %s), offsetof(%s_%s, %s)},\n", i,
			    type[type_of(s, f)], prefix, name, prefix,
			    candidate(s, f) ? "candidate_rows" : "request_row", name);
	}
	if (!n) text_add(o, "\t{0}\n");
	text_printf(o, "};\nstatic const MtlDoor door = {&mtl_model, %s_INTERFACE, members, %d};\n", big, n);
	put(o, doors, prefix, big);
}
