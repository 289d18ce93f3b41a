/*
 * `mtlc lsp`: the language server protocol over stdin and stdout.
 *
 * One message at a time, whole texts (full synchronisation), nothing kept but the open texts.  What is no
 * message is answered with an error or passed over; only the end of the input and `exit` end the server.
 */
#define _GNU_SOURCE
#include "driver/commands.h"
#include "driver/lsp_model.h"
#include "front/fmt.h"
#include "front/parse.h"
#include <ctype.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 64 << 20 }; /* bytes of a message */

/* Error codes of JSON-RPC and of the protocol. */
enum {
	PARSE_ERROR = -32700,
	INVALID_REQUEST = -32600,
	METHOD_NOT_FOUND = -32601,
	INVALID_PARAMS = -32602,
	NOT_INITIALIZED = -32002
};

typedef struct Doc Doc;
struct Doc {
	char *uri, *path;
	Known *now, *good; /* good: the last without an error; the same as now, another, or NULL */
	Doc *next;
};

typedef struct {
	Doc *doc;
	bool begun, ending, ended;
	bool utf8; /* columns count bytes; otherwise UTF-16 units, as the protocol has it unless agreed */
} Server;

/* ---- messages ---- */

/* One line of a header; false: the input has ended. */
static bool header_line(char *line, size_t size)
{
	size_t n = 0;
	int c;
	while ((c = getchar()) != EOF && c != '\n')
		if (n + 1 < size) line[n++] = (char)c;
	if (n && line[n - 1] == '\r') n--;
	line[n] = '\0';
	return c != EOF;
}

/* The next body; NULL at the end of the input.  Headers without a usable length are passed over. */
static char *read_body(size_t *n)
{
	char line[512];
	long long length = -1;
	for (;;) {
		if (!header_line(line, sizeof line)) return NULL;
		if (!strncasecmp(line, "Content-Length:", 15)) {
			char *end;
			length = strtoll(line + 15, &end, 10);
			if (*end || length > LONGEST) length = -1;
		}
		if (*line || length < 0) continue;
		char *body = malloc((size_t)length + 1);
		*n = body ? fread(body, 1, (size_t)length, stdin) : 0;
		if (body && *n == (size_t)length) return body;
		free(body);
		return NULL;
	}
}

static void send(json_t *message)
{
	json_object_set_new(message, "jsonrpc", json_string("2.0"));
	char *text = json_dumps(message, JSON_COMPACT);
	if (text) printf("Content-Length: %zu\r\n\r\n%s", strlen(text), text);
	fflush(stdout);
	free(text);
	json_decref(message);
}

/* result is taken over. */
static void reply(json_t *id, json_t *result)
{
	send(json_pack("{s:O, s:o}", "id", id, "result", result ? result : json_null()));
}

static void refuse(json_t *id, int code, const char *why)
{
	send(json_pack("{s:O, s:{s:i, s:s}}", "id", id ? id : json_null(), "error", "code", code, "message",
		       why));
}

/* ---- places ---- */

/* Bytes of a UTF-8 character by its first one, and the UTF-16 units it takes. */
static size_t bytes_of(unsigned char c) { return c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4; }

static json_t *position(const Server *s, const Known *k, size_t at)
{
	size_t line = 0, from = 0, column = 0;
	for (size_t i = 0; i < at && i < k->n; i++)
		if (k->text[i] == '\n') {
			line++;
			from = i + 1;
		}
	if (s->utf8)
		column = at - from;
	else
		for (size_t i = from; i < at && i < k->n;) {
			size_t b = bytes_of((unsigned char)k->text[i]);
			column += b == 4 ? 2 : 1;
			i += b;
		}
	return json_pack("{s:I, s:I}", "line", (json_int_t)line, "character", (json_int_t)column);
}

/* Byte of a position; beyond a line's end is its end, beyond the text is its end. */
static bool offset(const Server *s, const Known *k, const json_t *p, size_t *at)
{
	const json_t *l = json_object_get(p, "line"), *c = json_object_get(p, "character");
	if (!json_is_integer(l) || !json_is_integer(c)) return false;
	json_int_t line = json_integer_value(l), column = json_integer_value(c);
	size_t i = 0;
	for (; line > 0 && i < k->n; i++) line -= k->text[i] == '\n';
	if (line > 0) i = k->n;
	while (column > 0 && i < k->n && k->text[i] != '\n') {
		size_t b = s->utf8 ? 1 : bytes_of((unsigned char)k->text[i]);
		column -= b == 4 ? 2 : 1;
		i += b;
	}
	*at = i < k->n ? i : k->n;
	return true;
}

static json_t *range(const Server *s, const Known *k, size_t lo, size_t hi)
{
	return json_pack("{s:o, s:o}", "start", position(s, k, lo), "end", position(s, k, hi));
}

/* ---- texts ---- */

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10 : -1;
}

/* The path of a file: URI; anything else as it stands. */
static char *path_of(const char *uri)
{
	char *out = malloc(strlen(uri) + 1), *to = out;
	if (!out) return NULL;
	if (!strncmp(uri, "file://", 7)) uri += 7 + strcspn(uri + 7, "/");
	while (*uri) {
		if (*uri == '%' && hex(uri[1]) >= 0 && hex(uri[2]) >= 0) {
			*to++ = (char)(hex(uri[1]) * 16 + hex(uri[2]));
			uri += 3;
		} else {
			*to++ = *uri++;
		}
	}
	*to = '\0';
	return out;
}

static char *uri_of(const char *path)
{
	Text t = {0};
	char *real = realpath(path, NULL);
	text_add(&t, "file://");
	for (const char *s = real ? real : path; *s; s++)
		if (isalnum((unsigned char)*s) || strchr("/-._~", *s))
			text_char(&t, *s);
		else
			text_printf(&t, "%%%02X", (unsigned char)*s);
	free(real);
	return t.at;
}

static Doc **find_doc(Server *s, const char *uri)
{
	Doc **d = &s->doc;
	while (*d && strcmp((*d)->uri, uri)) d = &(*d)->next;
	return d;
}

static Doc *doc_of(Server *s, const json_t *params)
{
	const char *uri = json_string_value(json_object_get(json_object_get(params, "textDocument"), "uri"));
	return uri ? *find_doc(s, uri) : NULL;
}

static void drop_doc(Doc **at)
{
	Doc *d = *at;
	if (!d) return;
	*at = d->next;
	if (d->good != d->now) known_free(d->good);
	known_free(d->now);
	free(d->uri);
	free(d->path);
	free(d);
}

static json_t *severity(const char *word) { return json_integer(!strcmp(word, "error") ? 1 : 2); }

static size_t line_start(const Known *k, json_int_t line)
{
	size_t i = 0;
	for (; line > 1 && i < k->n; i++) line -= k->text[i] == '\n';
	return i;
}

/* Line and column (bytes, from 1) of a message to a position. */
static size_t message_offset(const Known *k, const json_t *m, const char *line, const char *column)
{
	size_t at = line_start(k, json_integer_value(json_object_get(m, line)));
	json_int_t c = json_integer_value(json_object_get(m, column));
	return at + (size_t)(c > 0 ? c - 1 : 0);
}

static json_t *message_position(const Server *s, const Known *k, const json_t *m, const char *line,
				const char *column)
{
	return position(s, k, message_offset(k, m, line, column));
}

static json_t *message_range(const Server *s, const Known *k, const json_t *m)
{
	return json_pack("{s:o, s:o}", "start", message_position(s, k, m, "line", "column"), "end",
			 message_position(s, k, m, "end_line", "end_column"));
}

static const char *file_of(const json_t *m)
{
	const char *f = json_string_value(json_object_get(m, "file"));
	return f ? f : "";
}

/* A message of the compiler as a diagnostic; what is wrong elsewhere or nowhere is told at the text's start.
 */
static json_t *diagnostic(const Server *s, const Doc *d, const json_t *m)
{
	bool own = !strcmp(file_of(m), d->path), nowhere = !*file_of(m);
	Text text = {0};
	if (!own && !nowhere)
		text_printf(&text, "%s:%lld: ", file_of(m), json_integer_value(json_object_get(m, "line")));
	text_add(&text, json_string_value(json_object_get(m, "message")));
	json_t *more = json_array(), *x;
	size_t i;
	json_array_foreach(json_object_get(m, "help"), i, x)
	    text_printf(&text, "\nhelp: %s", json_string_value(x));
	json_array_foreach(json_object_get(m, "notes"), i, x)
	{
		const char *note = json_string_value(json_object_get(x, "message"));
		if (!strcmp(file_of(x), d->path))
			json_array_append_new(more, json_pack("{s:{s:s, s:o}, s:s}", "location", "uri",
							      d->uri, "range", message_range(s, d->now, x),
							      "message", note));
		else
			text_printf(&text, "\nnote: %s", note);
	}
	json_t *out = json_pack("{s:o, s:o, s:O, s:s, s:s, s:o}", "range",
				own ? message_range(s, d->now, m) : range(s, d->now, 0, 0), "severity",
				severity(json_string_value(json_object_get(m, "severity"))), "code",
				json_object_get(m, "code"), "source", "mtlc", "message", text.at,
				"relatedInformation", more);
	text_free(&text);
	return out;
}

/* Of a file for others to use only the form can be judged (M00..): what it names may stand in them. */
static bool concerns(const Doc *d, const json_t *m)
{
	const char *code = json_string_value(json_object_get(m, "code"));
	bool model = false;
	for (int i = 0; d->now->c.ast && i < d->now->c.ast->list.n; i++)
		model |= d->now->c.ast->list.at[i]->kind == AST_MODEL;
	return model || (code && !strncmp(code, "M00", 3));
}

static void publish(const Server *s, const Doc *d)
{
	json_t *list = json_array();
	if (d->now) {
		Text t = {0};
		diag_print_json(d->now->c.diag, &t);
		json_t *all = json_loads(t.at ? t.at : "[]", 0, NULL), *m;
		text_free(&t);
		size_t i;
		json_array_foreach(all, i, m) if (concerns(d, m))
		    json_array_append_new(list, diagnostic(s, d, m));
		json_decref(all);
	}
	send(json_pack("{s:s, s:{s:s, s:o}}", "method", "textDocument/publishDiagnostics", "params", "uri",
		       d->uri, "diagnostics", list));
}

static void new_text(const Server *s, Doc *d, const char *text, size_t n)
{
	Known *k = known_new(d->path, text, n);
	if (!k) return;
	if (d->now != d->good) known_free(d->now);
	d->now = k;
	if (k->good) {
		known_free(d->good);
		d->good = k;
	}
	publish(s, d);
}

static void did_open(Server *s, const json_t *params)
{
	const json_t *t = json_object_get(params, "textDocument"), *text = json_object_get(t, "text");
	const char *uri = json_string_value(json_object_get(t, "uri"));
	if (!uri || !json_is_string(text)) return;
	drop_doc(find_doc(s, uri));
	Doc *d = calloc(1, sizeof *d);
	if (!d) return;
	d->uri = strdup(uri);
	d->path = path_of(uri);
	d->next = s->doc;
	s->doc = d;
	new_text(s, d, json_string_value(text), json_string_length(text));
}

static void did_change(Server *s, const json_t *params)
{
	Doc *d = doc_of(s, params);
	const json_t *change = json_object_get(params, "contentChanges"),
		     *text = json_object_get(json_array_get(change, json_array_size(change) - 1), "text");
	if (d && json_is_string(text)) new_text(s, d, json_string_value(text), json_string_length(text));
}

static void did_close(Server *s, const json_t *params)
{
	const char *uri = json_string_value(json_object_get(json_object_get(params, "textDocument"), "uri"));
	Doc **at = uri ? find_doc(s, uri) : NULL;
	if (!at || !*at) return;
	known_free((*at)->good != (*at)->now ? (*at)->good : NULL);
	known_free((*at)->now);
	(*at)->now = (*at)->good = NULL;
	publish(s, *at); /* an editor forgets what is wrong with what is closed */
	drop_doc(at);
}

/* ---- requests ---- */

static json_t *initialize(Server *s, const json_t *params)
{
	const json_t *known =
			 json_object_get(json_object_get(json_object_get(params, "capabilities"), "general"),
					 "positionEncodings"),
		     *x;
	size_t i;
	json_array_foreach(known, i, x) if (json_is_string(x) && !strcmp(json_string_value(x), "utf-8"))
	    s->utf8 = true;
	s->begun = true;
	return json_pack("{s:{s:s, s:{s:b, s:i}, s:b, s:b, s:b, s:b, s:{s:[s]}, s:{s:[s,s]}}, s:{s:s, s:s}}",
			 "capabilities", "positionEncoding", s->utf8 ? "utf-8" : "utf-16", "textDocumentSync",
			 "openClose", 1, "change", 1, "hoverProvider", 1, "definitionProvider", 1,
			 "documentFormattingProvider", 1, "documentSymbolProvider", 1, "codeActionProvider",
			 "codeActionKinds", "quickfix", "completionProvider", "triggerCharacters", "(", "|",
			 "serverInfo", "name", "mtlc", "version", mtlc_version);
}

static json_t *hover(const Server *s, const Doc *d, size_t at)
{
	Text t = {0};
	size_t lo = at, hi = at;
	lsp_hover(d->now, d->good, at, &t);
	lsp_word(d->now->text, d->now->n, at, &lo, &hi);
	json_t *out = t.n ? json_pack("{s:{s:s, s:s}, s:o}", "contents", "kind", "markdown", "value", t.at,
				      "range", range(s, d->now, lo, hi))
			  : NULL;
	text_free(&t);
	return out;
}

static json_t *definition(const Server *s, const Doc *d, size_t at)
{
	Span span;
	if (!lsp_definition(d->now, at, &span)) return NULL;
	const Sources *sources = &d->now->c.sources;
	const Source *file = source_place(sources, span.lo).file;
	if (!file) return NULL;
	if (file == &sources->file.at[0])
		return json_pack("{s:s, s:o}", "uri", d->uri, "range",
				 range(s, d->now, span.lo - file->base, span.hi - file->base));
	/* In a file of `use`: its text as it was read. */
	Known other = {.text = (char *)(uintptr_t)file->text, .n = file->len};
	char *uri = uri_of(file->path);
	json_t *out = json_pack("{s:s, s:o}", "uri", uri, "range",
				range(s, &other, span.lo - file->base, span.hi - file->base));
	free(uri);
	return out;
}

/* CompletionItemKind and SymbolKind of the protocol. */
static const int completion_kind[] = {[LSP_VALUE] = 6,	[LSP_FEATURE] = 5, [LSP_GROUP] = 9, [LSP_EVENT] = 23,
				      [LSP_CONST] = 21, [LSP_LAYER] = 3,   [LSP_OP] = 3,    [LSP_WORD] = 14};
static const int symbol_kind[] = {[LSP_VALUE] = 13, [LSP_FEATURE] = 8, [LSP_GROUP] = 3, [LSP_EVENT] = 24,
				  [LSP_CONST] = 14, [LSP_LAYER] = 12,  [LSP_OP] = 12,	[LSP_WORD] = 14};

static void add_item(void *self, const char *name, LspKind kind, const char *detail)
{
	json_t *all = self; /* by name: the first of two stays */
	if (json_object_get(all, name)) return;
	json_t *item = json_pack("{s:s, s:i}", "label", name, "kind", completion_kind[kind]);
	if (detail) json_object_set_new(item, "detail", json_string(detail));
	json_object_set_new(all, name, item);
}

static json_t *completion(const Doc *d)
{
	json_t *all = json_object(), *list = json_array(), *item;
	const char *name;
	lsp_complete(d->now, d->good, add_item, all);
	json_object_foreach(all, name, item) json_array_append(list, item);
	json_decref(all);
	return list;
}

typedef struct {
	const Server *s;
	const Known *k;
	json_t *list;
} Symbols;

static void add_symbol(void *self, const char *name, LspKind kind, Span all, Span name_at)
{
	Symbols *y = self;
	uint32_t base = y->k->c.sources.file.at[0].base;
	json_array_append_new(
	    y->list, json_pack("{s:s, s:i, s:o, s:o}", "name", name, "kind", symbol_kind[kind], "range",
			       range(y->s, y->k, all.lo - base, all.hi - base), "selectionRange",
			       range(y->s, y->k, name_at.lo - base, name_at.hi - base)));
}

static json_t *document_symbols(const Server *s, const Doc *d)
{
	Symbols y = {s, d->now, json_array()};
	lsp_symbols(d->now, add_symbol, &y);
	return y.list;
}

/* The whole text in the standard layout; no edit where it has errors or is so already. */
static json_t *formatting(const Server *s, const Doc *d)
{
	const Known *k = d->now;
	json_t *edits = json_array();
	Compilation c;
	compilation_init(&c);
	Comments comments = {0};
	Text out = {0};
	const Ast *file = parse_file(c.arena, c.str, &c.sources, c.diag, d->path, k->text, &comments);
	if (file && !diag_errors(c.diag)) fmt_file(file, &c.sources, &comments, &out);
	if (out.n && (out.n != k->n || memcmp(out.at, k->text, k->n)))
		json_array_append_new(edits, json_pack("{s:o, s:s#}", "range", range(s, k, 0, k->n),
						       "newText", out.at, (int)out.n));
	text_free(&out);
	compilation_free(&c);
	return edits;
}

/* The word of "did you mean 'x'?" or "did you mean `x`?"; false: another help. */
static bool suggested(const char *help, char word[100])
{
	return sscanf(help, "did you mean '%99[^']'", word) == 1 ||
	       sscanf(help, "did you mean `%99[^`]`", word) == 1;
}

/* The word within a message's place that is nearest to what is suggested: *lo to *hi. */
static bool nearest_word(const Known *k, const json_t *m, const char *word, size_t *lo, size_t *hi)
{
	size_t from = message_offset(k, m, "line", "column"),
	       end = message_offset(k, m, "end_line", "end_column");
	int least = INT_MAX;
	for (size_t i = from; i < end && i < k->n;) {
		size_t n = 0;
		while (i + n < k->n && (isalnum((unsigned char)k->text[i + n]) || k->text[i + n] == '_')) n++;
		char got[100];
		snprintf(got, sizeof got, "%.*s", (int)n, k->text + i);
		int d = n && n < sizeof got ? str_distance(got, word) : INT_MAX;
		if (d < least) {
			least = d;
			*lo = i;
			*hi = i + n;
		}
		i += n ? n : 1;
	}
	return least < INT_MAX;
}

/* Does the message begin before the range asked about ends, and end after it begins? */
static bool touches(const json_t *a, const json_t *b)
{
	const char *const of[] = {"line", "character"};
	const json_t *from[] = {json_object_get(a, "start"), json_object_get(b, "start")},
		     *to[] = {json_object_get(b, "end"), json_object_get(a, "end")};
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < 2; i++) {
			json_int_t x = json_integer_value(json_object_get(from[k], of[i])),
				   y = json_integer_value(json_object_get(to[k], of[i]));
			if (x > y) return false;
			if (x < y) break;
		}
	return true;
}

/* What messages suggest, as edits: the word they are about becomes the word they name. */
static json_t *code_actions(const Server *s, const Doc *d, const json_t *wanted)
{
	json_t *actions = json_array(), *m, *help;
	Text t = {0};
	diag_print_json(d->now->c.diag, &t);
	json_t *all = json_loads(t.at ? t.at : "[]", 0, NULL);
	text_free(&t);
	size_t i, j;
	json_array_foreach(all, i, m) json_array_foreach(json_object_get(m, "help"), j, help)
	{
		char word[100], title[120];
		if (strcmp(file_of(m), d->path) || !suggested(json_string_value(help), word)) continue;
		size_t lo = 0, hi = 0;
		if (!nearest_word(d->now, m, word, &lo, &hi)) continue;
		json_t *at = range(s, d->now, lo, hi), *edits = json_object();
		if (wanted && !touches(at, wanted)) {
			json_decref(at);
			json_decref(edits);
			continue;
		}
		snprintf(title, sizeof title, "Write %s", word);
		json_object_set_new(edits, d->uri, json_pack("[{s:o, s:s}]", "range", at, "newText", word));
		json_array_append_new(actions,
				      json_pack("{s:s, s:s, s:b, s:[o], s:{s:o}}", "title", title, "kind",
						"quickfix", "isPreferred", true, "diagnostics",
						diagnostic(s, d, m), "edit", "changes", edits));
	}
	json_decref(all);
	return actions;
}

typedef enum { HOVER, DEFINITION, COMPLETION, SYMBOLS, FORMATTING, ACTIONS, N_ASKED } Asked;
static const char *const asked[N_ASKED] = {"textDocument/hover",      "textDocument/definition",
					   "textDocument/completion", "textDocument/documentSymbol",
					   "textDocument/formatting", "textDocument/codeAction"};

static void answer(Server *s, json_t *id, Asked what, const json_t *params)
{
	const Doc *d = doc_of(s, params);
	size_t at = 0;
	bool placed = what == HOVER || what == DEFINITION || what == COMPLETION;
	if (!d || !d->now || (placed && !offset(s, d->now, json_object_get(params, "position"), &at))) {
		refuse(id, INVALID_PARAMS, d ? "no position in the text" : "this text is not open");
		return;
	}
	switch (what) {
	case HOVER: reply(id, hover(s, d, at)); break;
	case DEFINITION: reply(id, definition(s, d, at)); break;
	case COMPLETION: reply(id, completion(d)); break;
	case SYMBOLS: reply(id, document_symbols(s, d)); break;
	case FORMATTING: reply(id, formatting(s, d)); break;
	case ACTIONS: reply(id, code_actions(s, d, json_object_get(params, "range"))); break;
	case N_ASKED: break;
	}
}

static void request(Server *s, const char *method, json_t *id, const json_t *params)
{
	if (!strcmp(method, "initialize")) {
		reply(id, initialize(s, params));
	} else if (!s->begun) {
		refuse(id, NOT_INITIALIZED, "the first request is initialize");
	} else if (!strcmp(method, "shutdown")) {
		s->ending = true;
		reply(id, NULL);
	} else if (s->ending) {
		refuse(id, INVALID_REQUEST, "after shutdown comes exit");
	} else {
		for (int i = 0; i < N_ASKED; i++)
			if (!strcmp(method, asked[i])) {
				answer(s, id, (Asked)i, params);
				return;
			}
		refuse(id, METHOD_NOT_FOUND, method);
	}
}

static void notification(Server *s, const char *method, const json_t *params)
{
	if (!strcmp(method, "exit")) s->ended = true;
	if (!s->begun || s->ending) return;
	if (!strcmp(method, "textDocument/didOpen")) did_open(s, params);
	if (!strcmp(method, "textDocument/didChange")) did_change(s, params);
	if (!strcmp(method, "textDocument/didClose")) did_close(s, params);
}

static void message(Server *s, const char *body, size_t n)
{
	json_t *m = json_loadb(body, n, 0, NULL);
	const char *method = json_string_value(json_object_get(m, "method"));
	json_t *id = json_object_get(m, "id"), *params = json_object_get(m, "params");
	if (!m)
		refuse(NULL, PARSE_ERROR, "this is no JSON");
	else if (method && id)
		request(s, method, id, params);
	else if (method)
		notification(s, method, params);
	else if (!json_object_get(m, "result") &&
		 !json_object_get(m, "error")) /* answers are to nobody's question */
		refuse(id, INVALID_REQUEST, "a message has a method");
	json_decref(m);
}

int command_lsp(const Request *call)
{
	Server s = {0};
	(void)call;
	size_t n;
	for (char *body; !s.ended && (body = read_body(&n)); free(body)) message(&s, body, n);
	while (s.doc) drop_doc(&s.doc);
	return s.ending ? 0 : 1;
}
