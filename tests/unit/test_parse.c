/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The front end of the kernel compiler: texts against their trees, printed as (kind parts...), and errors with their places.
 */
#include "kernels/compiler/ast.h"
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *op_text(enum ast_op op)
{
	static const char *const texts[] = {
		[AST_ADD] = "+", [AST_SUB] = "-", [AST_MUL] = "*", [AST_DIV] = "/", [AST_FLOORDIV] = "//", [AST_MOD] = "%", [AST_POW] = "**",
		[AST_MATMUL] = "@", [AST_SHL] = "<<", [AST_SHR] = ">>", [AST_BITAND] = "&", [AST_BITOR] = "|", [AST_BITXOR] = "^",
		[AST_LT] = "<", [AST_LE] = "<=", [AST_GT] = ">", [AST_GE] = ">=", [AST_EQ] = "==", [AST_NE] = "!=",
		[AST_NEG] = "neg", [AST_POS] = "pos", [AST_INVERT] = "~", [AST_NOT] = "not", [AST_AND] = "and", [AST_OR] = "or",
	};
	return texts[op];
}

static void print(FILE *out, const struct ast *n);

static void print_list(FILE *out, const char *head, const struct ast_list *list)
{
	fprintf(out, "(%s", head);
	for (uint32_t i = 0; i < list->count; i++) {
		fputc(' ', out);
		print(out, list->items[i]);
	}
	fputc(')', out);
}

/* (head part part...); a NULL part is printed as - */
static void print_parts(FILE *out, const char *head, const struct ast *a, const struct ast *b, const struct ast *c, int nparts)
{
	const struct ast *parts[] = { a, b, c };
	fprintf(out, "(%s", head);
	for (int i = 0; i < nparts; i++) {
		fputc(' ', out);
		print(out, parts[i]);
	}
	fputc(')', out);
}

static void print_compare(FILE *out, const struct ast *n)
{
	fputs("(compare", out);
	for (uint32_t i = 0; i < n->list.count; i++) {
		if (i)
			fprintf(out, " %s", op_text(n->ops[i - 1]));
		fputc(' ', out);
		print(out, n->list.items[i]);
	}
	fputc(')', out);
}

static void print_call(FILE *out, const struct ast *n)
{
	fputs("(call ", out);
	print(out, n->a);
	for (uint32_t i = 0; i < n->list.count; i++) {
		fputc(' ', out);
		print(out, n->list.items[i]);
	}
	for (uint32_t i = 0; i < n->nkeywords; i++) {
		fprintf(out, " %.*s=", (int)n->keywords[i].name.nbytes, n->keywords[i].name.text);
		print(out, n->keywords[i].value);
	}
	fputc(')', out);
}

static void print_def(FILE *out, const struct ast *n)
{
	fprintf(out, "(def %.*s (", (int)n->name.nbytes, n->name.text);
	for (uint32_t i = 0; i < n->nparams; i++) {
		const struct ast_param *param = &n->params[i];
		fprintf(out, "%s%.*s", i ? " " : "", (int)param->name.nbytes, param->name.text);
		if (param->annotation) {
			fputc(':', out);
			print(out, param->annotation);
		}
		if (param->value) {
			fputc('=', out);
			print(out, param->value);
		}
	}
	fputs(") ", out);
	print_list(out, "do", &n->body);
	fputc(')', out);
}

static void print_string(FILE *out, struct name s)
{
	fputc('"', out);
	for (size_t i = 0; i < s.nbytes; i++) {
		unsigned char c = (unsigned char)s.text[i];
		fprintf(out, c < ' ' || c >= 0x7f || c == '"' || c == '\\' ? "\\x%02x" : "%c", c);
	}
	fputc('"', out);
}

/* (if test (do ...) (else ...)) and the loops */
static void print_block(FILE *out, const struct ast *n)
{
	fputs(n->kind == AST_FOR ? "(for " : n->kind == AST_IF ? "(if " : "(while ", out);
	print(out, n->kind == AST_FOR ? n->a : n->test);
	if (n->kind == AST_FOR) {
		fputc(' ', out);
		print(out, n->b);
	}
	fputc(' ', out);
	print_list(out, "do", &n->body);
	if (n->orelse.count) {
		fputc(' ', out);
		print_list(out, "else", &n->orelse);
	}
	fputc(')', out);
}

/* (= (to target...) value) */
static void print_assign(FILE *out, const struct ast *n)
{
	fputs("(= ", out);
	print_list(out, "to", &n->list);
	fputc(' ', out);
	print(out, n->a);
	fputc(')', out);
}

static void print_augmented(FILE *out, const struct ast *n)
{
	char head[8];
	snprintf(head, sizeof head, "%s=", op_text(n->op));
	print_parts(out, head, n->a, n->b, NULL, 2);
}

static void print(FILE *out, const struct ast *n)
{
	if (!n) {
		fputc('-', out);
		return;
	}
	switch (n->kind) {
	case AST_NAME: fprintf(out, "%.*s", (int)n->name.nbytes, n->name.text); break;
	case AST_INT: n->too_large ? fputs("huge", out) : fprintf(out, "%" PRIu64, n->integer); break;
	case AST_FLOAT: fprintf(out, "f%.17g", n->real); break;
	case AST_IMAG: fprintf(out, "j%.17g", n->real); break;
	case AST_BOOL: fputs(n->integer ? "True" : "False", out); break;
	case AST_NONE: fputs("None", out); break;
	case AST_STRING: print_string(out, n->name); break;
	case AST_UNARY: print_parts(out, op_text(n->op), n->a, NULL, NULL, 1); break;
	case AST_BINARY: print_parts(out, op_text(n->op), n->a, n->b, NULL, 2); break;
	case AST_COMPARE: print_compare(out, n); break;
	case AST_BOOLOP: print_list(out, op_text(n->op), &n->list); break;
	case AST_IFEXP: print_parts(out, "ifexp", n->test, n->a, n->b, 3); break;
	case AST_CALL: print_call(out, n); break;
	case AST_ATTRIBUTE:
		print(out, n->a);
		fprintf(out, ".%.*s", (int)n->name.nbytes, n->name.text);
		break;
	case AST_SUBSCRIPT: print_parts(out, "at", n->a, n->b, NULL, 2); break;
	case AST_SLICE: print_parts(out, "slice", n->a, n->b, n->c, 3); break;
	case AST_ELLIPSIS: fputs("...", out); break;
	case AST_TUPLE: print_list(out, "tuple", &n->list); break;
	case AST_LIST: print_list(out, "list", &n->list); break;
	case AST_EXPR: print_parts(out, "expr", n->a, NULL, NULL, 1); break;
	case AST_ASSIGN: print_assign(out, n); break;
	case AST_AUGASSIGN: print_augmented(out, n); break;
	case AST_ANNASSIGN: print_parts(out, "ann", n->a, n->b, n->c, 3); break;
	case AST_IF: case AST_FOR: case AST_WHILE: print_block(out, n); break;
	case AST_BREAK: fputs("break", out); break;
	case AST_CONTINUE: fputs("continue", out); break;
	case AST_PASS: fputs("pass", out); break;
	case AST_RETURN: print_parts(out, "return", n->a, NULL, NULL, 1); break;
	case AST_ASSERT: print_parts(out, "assert", n->test, n->a, NULL, 2); break;
	case AST_DEF: print_def(out, n); break;
	}
}

/* The tree, or "error STATUS: message | hint". The text is parsed from a block that ends where it ends. Freed by the caller. */
static char *parsed(const char *text, size_t nbytes, bool expression, const struct parse_limits *limits)
{
	struct arena arena;
	struct module m;
	struct error e = { 0 };
	char *result = NULL, *exact = malloc(nbytes ? nbytes : 1);
	size_t n;
	FILE *out = open_memstream(&result, &n);
	memcpy(exact, text, nbytes);
	struct source_text s = { .text = exact, .nbytes = nbytes, .kernel = expression ? NULL : "k", .first_line = 1 };
	arena_init(&arena, 256 << 20);
	enum status status = expression ? parse_expression(&arena, &s, limits, &m, &e) : parse_kernel(&arena, &s, limits, &m, &e);
	if (status)
		fprintf(out, "error %s: %s | %s", status_name(status), e.message, e.hint);
	else if (expression)
		print(out, m.expression);
	else
		for (uint32_t i = 0; i < m.body.count; i++) {
			fputs(i ? " " : "", out);
			print(out, m.body.items[i]);
		}
	fclose(out);
	arena_free(&arena);
	free(exact);
	return result;
}

struct example {
	const char *text, *tree;
};

static void check_tree(const char *text, size_t nbytes, bool expression, const char *want)
{
	char *got = parsed(text, nbytes, expression, &parse_limits_default);
	if (strcmp(got, want) != 0)
		printf("\n%s\n\twant %s\n\tgot  %s\n", text, want, got);
	CU_ASSERT_STRING_EQUAL(got, want);
	free(got);
}

static void check_trees(const struct example *examples, size_t n, bool expression)
{
	for (size_t i = 0; i < n; i++)
		check_tree(examples[i].text, strlen(examples[i].text), expression, examples[i].tree);
}

static void literals(void)
{
	static const struct example examples[] = {
		{ "0x1F_f", "511" }, { "0b1_01", "5" }, { "0o17", "15" }, { "1_000", "1000" }, { "0_0", "0" },
		{ "18446744073709551615", "18446744073709551615" }, { "18446744073709551616", "huge" }, { "0xfffffffffffffffff", "huge" },
		{ "1.", "f1" }, { ".5", "f0.5" }, { "01.5", "f1.5" }, { "1_0.5e-1", "f1.05" }, { "1e400", "finf" },
		{ "5e-324", "f4.9406564584124654e-324" },
		{ "0.1", "f0.10000000000000001" }, { "09j", "j9" }, { "1.5e3J", "j1500" }, { "True", "True" }, { "False", "False" },
		{ "None", "None" },
		{ "'a\\x41\\n\\q\\101\\\n.'", "\"aA\\x0a\\x5cqA.\"" }, { "r'\\d'", "\"\\x5cd\"" }, { "Rb'\\d'", "\"\\x5cd\"" },
		{ "b'\\xff'", "\"\\xff\"" },
		{ "'\\u03c0\\U0001F600'", "\"\\xcf\\x80\\xf0\\x9f\\x98\\x80\"" }, { "\"\"\"a\n'\"b\"\"\"", "\"a\\x0a'\\x22b\"" },
		{ "'' \"b\" 'c'", "\"bc\"" },
		{ "\xce\xbb" "2", "\xce\xbb" "2" }, { "or_", "or_" },
	};
	check_trees(examples, COUNT(examples), true);
}

static void expressions(void)
{
	static const struct example examples[] = {
		{ "a > 1 & b < 2", "(compare a > (& 1 b) < 2)" }, { "a - b - c", "(- (- a b) c)" }, { "a ** b ** c", "(** a (** b c))" },
		{ "-a ** -b", "(neg (** a (neg b)))" }, { "a | b ^ c & d << e + f * g", "(| a (^ b (& c (<< d (+ e (* f g))))))" },
		{ "a * b + c @ d >> e", "(>> (+ (* a b) (@ c d)) e)" }, { "a // b % ~c", "(% (// a b) (~ c))" }, { "- + ~a", "(neg (pos (~ a)))" },
		{ "not not a == b", "(not (not (compare a == b)))" }, { "a or b and not c or d", "(or a (and b (not c)) d)" },
		{ "(a and b) and c", "(and (and a b) c)" }, { "a < b <= c != d", "(compare a < b <= c != d)" },
		{ "(a < b) < c", "(compare (compare a < b) < c)" },
		{ "a if b else c if d else e", "(ifexp b a (ifexp d c e))" }, { "((a))", "a" }, { "()", "(tuple)" }, { "(a,)", "(tuple a)" },
		{ "(a, b)", "(tuple a b)" }, { "[]", "(list)" }, { "[a, (b,), ]", "(list a (tuple b))" },
		{ "f(a, *\n b)", "error UNSUPPORTED: expression: line 1, column 6: unpacking with '*' is not part of the language\n    f(a, *\n"
		  "         ^ | write the arguments or elements one by one" },
		{ "np.sum(x, axis=-1,)(y)", "(call (call np.sum x axis=(neg 1)) y)" }, { "a.b[i].c", "(at a.b i).c" }, { "a[1:2, ::3, ..., :]",
		  "(at a (tuple (slice 1 2 -) (slice - - 3) ... (slice - - -)))" }, { "a[b,]", "(at a (tuple b))" }, { "a[1:][:b:c]",
		  "(at (at a (slice 1 - -)) (slice - b c))" }, { "a[(1, 2)]", "(at a (tuple 1 2))" },
		{ "\n\n  a +\\\n b # why\n\n", "(+ a b)" }, { "(a\n  # why\n  + b\n)", "(+ a b)" }, { "\ta\r\n", "a" },
		{ "a or\"x\"", "(or a \"x\")" },
	};
	check_trees(examples, COUNT(examples), true);
}

static void statements(void)
{
	static const struct example examples[] = {
		{ "", "" }, { "import numpy as np\nfrom math import (sin,\n cos)\nN = 3; M: int = 4\n'''doc'''\npass", "(= (to N) 3) (= (to M) 4)" },
		{ "@njit(parallel=True,\n  cache=1)\n@other\ndef f(): pass", "(def f () (do pass))" },
		{ "def f(a, b: x[:] = 1, c='s',) -> int: return a, b", "(def f (a b:(at x (slice - - -))=1 c=\"s\") (do (return (tuple a b))))" },
		{ "def f(x):\n \"doc\"\n a, b = b, a\n a = b = 0\n x[i], y = 1, 2\n x[0] **= 2; y //= 3\n z: int\n (p, q) = [r, s] = f()\n return",
		  "(def f (x) (do (expr \"doc\") (= (to (tuple a b)) (tuple b a)) (= (to a b) 0) (= (to (tuple (at x i) y)) (tuple 1 2))"
		  " (**= (at x 0) 2) (//= y 3) (ann z int -) (= (to (tuple p q) (list r s)) (call f)) (return -)))" },
		{ "def f(x):\n  if a: b = 1; c = 2\n  elif d:\n    e\n  elif g: pass\n  else:\n    h\n  i",
		  "(def f (x) (do (if a (do (= (to b) 1) (= (to c) 2)) (else (if d (do (expr e)) (else (if g (do pass) (else (expr h)))))))"
		  " (expr i)))" },
		{ "def f(x):\n  for a, b in zip(x, y):\n    if a: break\n    continue\n  for x[0] in 1, 2: pass\n"
		  "  while True:\n    assert a, 'no'\n    assert b",
		  "(def f (x) (do (for (tuple a b) (call zip x y) (do (if a (do break)) continue)) (for (at x 0) (tuple 1 2) (do pass))"
		  " (while True (do (assert a \"no\") (assert b -)))))" },
		{ "def f(x):\n  def g(y):\n    return y\n\n# out\n  return g(x)\ndef h(): pass",
		  "(def f (x) (do (def g (y) (do (return y))) (return (call g x)))) (def h () (do pass))" },
		{ "    @jit\n    def f(x):\n        if x:\n            y\n  # odd\n        z\n    def g(): pass",
		  "(def f (x) (do (if x (do (expr y))) (expr z))) (def g () (do pass))" },
		{ "\tdef f(x):\n\t\treturn x", "(def f (x) (do (return x)))" },
		{ "def f(x):\n        if x:\n\t  y\n        z", "error INVALID: k: line 3, column 4: tabs and"
		  " spaces are mixed in the indentation\n    y\n    ^ | indent with spaces only" },
		{ "def f(x):\r\n  if x:\r\n    y\r\n  z\r\n", "(def f (x) (do (if x (do (expr y))) (expr z)))" },
	};
	check_trees(examples, COUNT(examples), false);
}

/* The first line of the error starts with the place and holds the words. */
static void check_error(const char *text, size_t nbytes, bool expression, const char *place, const char *words)
{
	char start[64], *got = parsed(text, nbytes, expression, &parse_limits_default);
	snprintf(start, sizeof start, "%s: ", place);
	bool good = strncmp(got, "error ", 6) == 0 && strstr(got, start) && strstr(got, words);
	if (!good)
		printf("\n%s\n\twant %s ... %s\n\tgot  %s\n", text, start, words, got);
	CU_ASSERT(good);
	free(got);
}

static void wrong_expressions(void)
{
	static const struct {
		const char *text, *place, *words;
	} examples[] = {
		{ "", "line 1, column 1", "expected an expression, found the end of the text" },
		{ "a +", "line 1, column 4", "expected an expression" },
		{ "a = b", "INVALID: expression: line 1, column 3", "use == to compare" }, { "a;b", "line 1, column 2", "one expression at a time" },
		{ "a, b", "line 1, column 2", "one expression at a time" }, { "a b", "line 1, column 3", "found 'b'" },
		{ "a\nb", "line 2, column 1", "a second line" },
		{ "(a", "line 1, column 1", "'(' is never closed" }, { "a)", "line 1, column 2", "')' closes nothing" },
		{ "(a\n]", "line 2, column 1", "']' does not close '(' of line 1, column 1" }, { "f(a=1, b)", "line 1, column 8", "without a name" },
		{ "f(a=1, a=2)", "line 1, column 8", "given twice" }, { "012", "line 1, column 1", "starts with 0" },
		{ "1_", "line 1, column 2", "underscore" },
		{ "1__0", "line 1, column 2", "underscore" }, { "0x", "line 1, column 1", "without digits" },
		{ "0b2", "line 1, column 1", "without digits" },
		{ "3x", "line 1, column 2", "follow the digits" }, { "10L", "line 1, column 3", "no suffix" },
		{ "'abc", "line 1, column 1", "never closed" },
		{ "'a\nb'", "line 1, column 1", "never closed" }, { "'''a\n", "line 1, column 1", "never closed" },
		{ "'\\xg0'", "line 1, column 1", "escape" },
		{ "'\\ud800'", "line 1, column 1", "escape" }, { "b'\xc3\xa9'", "line 1, column 1", "outside ASCII" },
		{ "a ! b", "line 1, column 3", "write not" },
		{ "a $ b", "line 1, column 3", "'$' has no meaning" }, { "\xce\xbb \xe2\x88\x92 b", "line 1, column 3", "U+2212" },
		{ "a\xc2\xa0+ b", "line 1, column 2", "U+00A0" },
		{ "a \x01", "line 1, column 3", "control character (0x01)" }, { "a \\ b", "line 1, column 3", "backslash" },
		{ "a\n\xff", "line 2, column 1", "not UTF-8" },
		{ "'\xc0\x80'", "line 1, column 2", "not UTF-8" }, { "a && b", "line 1, column 4", "write and" },
		{ "a <> b", "line 1, column 4", "!=" },
		{ "a + not b", "line 1, column 5", "parentheses" }, { "a if b", "line 1, column 7", "'else'" },
		{ "a[]", "line 1, column 3", "expected an expression" },
		{ "lambda x: x", "UNSUPPORTED: expression: line 1, column 1", "write a nested def" },
		{ "[f(i) for i in x]", "line 1, column 7", "fill it in a for loop" },
		{ "sum(i for i in x)", "line 1, column 7", "comprehensions" }, { "{1: 2}", "line 1, column 1", "dicts and sets" },
		{ "a is None", "line 1, column 3", "==" },
		{ "a in b", "line 1, column 3", "'in' as an operator" }, { "a not in b", "line 1, column 7", "'in' as an operator" },
		{ "(a := 1)", "line 1, column 4", "':='" },
		{ "f(**a)", "line 1, column 3", "unpacking with '**'" }, { "[*a]", "line 1, column 2", "unpacking" },
		{ "f'{a}'", "line 1, column 1", "f-strings" },
		{ "...", "line 1, column 1", "only in an index" }, { "print(a)", "line 1, column 1", "print" },
		{ "await a", "line 1, column 1", "await" },
		{ "yield", "line 1, column 1", "generators" },
	};
	for (size_t i = 0; i < COUNT(examples); i++)
		check_error(examples[i].text, strlen(examples[i].text), true, examples[i].place, examples[i].words);
	check_error("a + \0b", 6, true, "line 1, column 5", "zero byte");
}

static void wrong_kernels(void)
{
	static const struct {
		const char *text, *place, *words;
	} examples[] = {
		{ "def f(x):\nreturn x", "k: line 2, column 1", "indented block is missing" },
		{ "def f(x):", "line 1, column 10", "indented block is missing" },
		{ "def f(x):\n  a\n    b", "line 3, column 5", "deeper" }, { "def f(x):\n    a\n  b", "line 3, column 3", "matches no line" },
		{ "  def f(x):\n    a\nb = 1", "line 3, column 1", "matches no line" }, { "def f(x)\n  a", "line 1, column 9", "expected ':'" },
		{ "def f(x):\n  if x = 1: pass", "line 2, column 8", "use ==" },
		{ "def f(x):\n  f(x) = 1", "line 2, column 3", "cannot be assigned" },
		{ "def f(x):\n  x.y = 1", "line 2, column 3", "attributes" }, { "def f(x):\n  a, (b, c) = x", "line 2, column 6", "two steps" },
		{ "def f(x):\n  () = x", "line 2, column 3", "no names" }, { "def f(x):\n  a, b += x", "line 2, column 3", "unpacking" },
		{ "def f(x):\n  for i in x: pass\n  else: pass", "line 3, column 3", "set a flag" },
		{ "def f(x):\n  while x: pass\n  else: pass", "line 3, column 3", "set a flag" },
		{ "def f(x):\n  if x: pass\n  else if y: pass", "line 3, column 8", "elif" },
		{ "def f(x):\n  if x: for i in x: pass", "line 2, column 9", "block of its own" },
		{ "def f(x):\n  break", "line 2, column 3", "outside a loop" },
		{ "def f(x):\n  for i in x:\n    def g(): continue", "line 3, column 14", "outside a loop" },
		{ "return 1", "line 1, column 1", "outside a function" }, { "if a: pass", "line 1, column 1", "put it into a function" },
		{ "f(x)", "line 1, column 1", "put it into a function" },
		{ "def f(*a): pass", "line 1, column 7", "'*' parameters" }, { "def f(a, *, b): pass", "line 1, column 10", "keyword-only" },
		{ "def f(a, /): pass", "line 1, column 10", "positional-only" }, { "def f(**k): pass", "line 1, column 7", "'**' parameters" },
		{ "def f(a, a): pass", "line 1, column 10", "this name" }, { "def f(a=1, b): pass", "line 1, column 12", "without a default" },
		{ "@(f)\ndef g(): pass", "line 1, column 2", "decorator" }, { "@f\nx = 1", "line 2, column 1", "def behind a decorator" },
		{ "@f\nclass A: pass", "line 2, column 1", "classes" }, { "class A: pass", "UNSUPPORTED: k: line 1, column 1", "classes" },
		{ "def f(x):\n  import y", "line 2, column 3", "above the function" },
		{ "def f(x):\n  from y import z", "line 2, column 3", "above the function" },
		{ "def f(x):\n  try: pass", "line 2, column 3", "exceptions" }, { "def f(x):\n  raise x", "line 2, column 3", "assert" },
		{ "def f(x):\n  with x: pass", "line 2, column 3", "with" }, { "def f(x):\n  global y", "line 2, column 3", "global" },
		{ "def f(x):\n  nonlocal y", "line 2, column 3", "nonlocal" }, { "def f(x):\n  del x", "line 2, column 3", "del" },
		{ "async def f(x): pass", "line 1, column 1", "async" }, { "def f(x):\n  yield x", "line 2, column 3", "generators" },
		{ "def f(x):\n  a, *b = x", "line 2, column 6", "unpacking" },
		{ "def f(x):\n  y = x @@ 2", "line 2, column 10", "expected an expression" },
	};
	for (size_t i = 0; i < COUNT(examples); i++)
		check_error(examples[i].text, strlen(examples[i].text), false, examples[i].place, examples[i].words);
}

/* `before`, n times `text`, `after`. Freed by the caller. */
static char *repeated(const char *before, const char *text, size_t n, const char *after)
{
	char *all = NULL;
	size_t nall;
	FILE *out = open_memstream(&all, &nall);
	fputs(before, out);
	while (n--)
		fputs(text, out);
	fputs(after, out);
	fclose(out);
	return all;
}

static bool fits(const char *before, const char *text, size_t n, const char *after, const struct parse_limits *limits)
{
	char *all = repeated(before, text, n, after), *got = parsed(all, strlen(all), strncmp(before, "def", 3) != 0, limits);
	bool refused = strncmp(got, "error TOO_LARGE", 15) == 0;
	CU_ASSERT(refused || strncmp(got, "error", 5) != 0);
	free(got);
	free(all);
	return !refused;
}

static void limits(void)
{
	static const struct {
		const char *before, *text, *after;
		size_t most;     /* times `text` may stand there */
	} examples[] = {
		{ "a", " + a", "", 4999 }, { "a", " < a", "", 4999 }, { "a", " and a", "", 4999 }, { "a", ".b", "", 4999 }, { "a", "[1]", "", 4999 },
		{ "", "(", "", 0 }, { "", "-", "a", 100 }, { "", "not ", "a", 100 }, { "a", " ** a", "", 100 }, { "", "a if b else ", "c", 100 },
		{ "def f():\n if a: pass\n", " elif b: pass\n", "", 98 },
	};
	const struct parse_limits *most = &parse_limits_default;
	for (size_t i = 0; i < COUNT(examples); i++) {
		CU_ASSERT(!examples[i].most || fits(examples[i].before, examples[i].text, examples[i].most, examples[i].after, most));
		CU_ASSERT(!examples[i].most || !fits(examples[i].before, examples[i].text, examples[i].most + 1, examples[i].after, most));
	}
	struct parse_limits small = { .bytes = 50, .tokens = 20, .nodes = 10, .depth = 3, .chain = 4 };
	CU_ASSERT(fits("", "((a))", 1, "", &small));
	CU_ASSERT(!fits("", "((((a))))", 1, "", &small));
	CU_ASSERT(fits("f(", "a,", 7, ")", &small));
	CU_ASSERT(!fits("f(", "a,", 8, ")", &small));
	CU_ASSERT(!fits("", " ", 51, "a", &small));
	CU_ASSERT(!fits("f(", "a", 1, ",) == (1, ) == (2,) == (3,)", &small));
	CU_ASSERT(!fits("def f():\n if a:\n  if a:\n", "   if a:\n", 1, "    b", &small));
}

static void budgets(void)
{
	struct parse_limits small = parse_limits_default;
	small.chain = 2;
	char *got = parsed("a+b+c", 5, true, &small);
	CU_ASSERT_STRING_EQUAL(got, "error TOO_LARGE: expression: line 1, column 4: more than 2 terms in one chain of operators\n"
				    "    a+b+c\n       ^ | "
				    "give parts of it names of their own");
	free(got);
	/* Every budget of memory ends in a tree or in a clean refusal. */
	const char *text = "def f(x, y=1):\n for i in range(3): x[i, 1:2] += g(i, k='a\\n' 'b') < 1.5 < y or not x\n";
	struct source_text s = { .text = text, .nbytes = strlen(text), .first_line = 1, .kernel = "f" };
	bool fitted = false;
	for (size_t budget = 0; budget < 16384; budget += 16) {
		struct arena a;
		struct module m;
		struct error e = { 0 };
		arena_init(&a, budget);
		enum status status = parse_kernel(&a, &s, &parse_limits_default, &m, &e);
		CU_ASSERT(status == STATUS_OK || (!fitted && status == STATUS_TOO_LARGE && e.limit == (long long)budget && a.failed));
		CU_ASSERT(a.used <= budget);
		fitted |= status == STATUS_OK;
		arena_free(&a);
	}
	CU_ASSERT(fitted);
}

static void arenas(void)
{
	struct arena a;
	arena_init(&a, 100000);
	CU_ASSERT_PTR_NULL(arena_alloc(&a, SIZE_MAX));
	arena_free(&a);
	char *first = arena_alloc(&a, 1), *large = arena_alloc(&a, 60000), *copy = arena_copy(&a, "abc", 4);
	CU_ASSERT(first && large && copy && strcmp(copy, "abc") == 0);
	CU_ASSERT((uintptr_t)first % 16 == 0 && (uintptr_t)large % 16 == 0 && (uintptr_t)copy % 16 == 0);
	CU_ASSERT(*first == 0 && large[0] == 0 && large[59999] == 0);
	CU_ASSERT_EQUAL(a.used, 16 + 60000 + 16);
	CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 100000 - 60032));
	CU_ASSERT(!a.failed && a.used == a.budget);
	CU_ASSERT_PTR_NULL(arena_alloc(&a, 1));
	CU_ASSERT(a.failed);
	arena_free(&a);
	CU_ASSERT(!a.used && !a.failed && a.budget == 100000);
}

static const char *shown(const struct source_text *s, struct place at, struct error *e)
{
	CU_ASSERT_EQUAL(source_error(s, at, STATUS_INVALID, e, "hint", "there is no name '%s'", "y"), STATUS_INVALID);
	CU_ASSERT(memchr(e->message, 0, sizeof e->message) != NULL);
	return e->message;
}

static void messages(void)
{
	struct error e;
	const char *text = "def count(x):\n    \xce\xbb\t=\x01 y";
	struct source_text s = { .text = text, .nbytes = strlen(text), .kernel = "count", .first_line = 1 };
	struct place at = { 2, 10 };
	CU_ASSERT_STRING_EQUAL(shown(&s, at, &e), "count: line 2, column 10: there is no name 'y'\n    \xce\xbb =? y\n         ^");
	CU_ASSERT(strcmp(e.field, "source") == 0 && strcmp(e.hint, "hint") == 0);
	s.file = "file.py";
	s.first_line = 11;
	CU_ASSERT_STRING_EQUAL(shown(&s, at, &e), "count (file.py:12, column 10): there is no name 'y'\n    \xce\xbb =? y\n         ^");
	CU_ASSERT_STRING_EQUAL(shown(&s, (struct place){ 0, 0 }, &e), "count (file.py): there is no name 'y'");
	/* A long line is cut around the column, and never inside a character. */
	char *line = repeated("", "\xe2\x82\xac", 500, "");
	struct source_text wide = { .text = line, .nbytes = strlen(line), .first_line = 1 };
	for (uint32_t column = 1; column <= 501; column++) {
		const char *message = shown(&wide, (struct place){ 1, column }, &e), *second = strchr(message, '\n');
		const char *third = second ? strchr(second + 1, '\n') : NULL;
		CU_ASSERT(second && third && strchr(third, '^'));
		CU_ASSERT(second && third && (third - second - 5) % 3 == 0);
	}
	free(line);
}

static const struct ast *tree(struct arena *a, const struct source_text *s)
{
	struct module m;
	struct error e;
	CU_ASSERT_EQUAL_FATAL(parse_expression(a, s, &parse_limits_default, &m, &e), STATUS_OK);
	return m.expression;
}

static bool stands(const struct ast *n, uint32_t line, uint32_t column)
{
	return n->place.line == line && n->place.column == column;
}

static void places(void)
{
	struct arena a;
	const char *text = " \xce\xbb + f(x,\n  k=[1], y=z[2]) < 3";
	struct source_text s = { .text = text, .nbytes = strlen(text), .first_line = 7 };
	arena_init(&a, 1 << 20);
	const struct ast *compare = tree(&a, &s), *sum = compare->list.items[0], *call = sum->b;
	CU_ASSERT(stands(compare, 1, 2) && stands(sum, 1, 4) && stands(sum->a, 1, 2) && stands(call, 1, 6));
	CU_ASSERT(stands(call->keywords[0].value, 2, 5) && call->keywords[0].place.column == 3 && stands(call->keywords[1].value, 2, 12));
	CU_ASSERT(stands(compare->list.items[1], 2, 20));
	arena_free(&a);
}

CU_ErrorCode test_parse_register(void)
{
	CU_pSuite s = CU_add_suite("parse", NULL, NULL);
	if (!s || !CU_add_test(s, "literals", literals) || !CU_add_test(s, "expressions", expressions) || !CU_add_test(s, "statements", statements) ||
	    !CU_add_test(s, "wrong expressions", wrong_expressions) || !CU_add_test(s, "wrong kernels", wrong_kernels) ||
	    !CU_add_test(s, "limits", limits) || !CU_add_test(s, "budgets", budgets) || !CU_add_test(s, "arenas", arenas) ||
	    !CU_add_test(s, "messages", messages) || !CU_add_test(s, "places", places))
		return CU_get_error();
	return CUE_SUCCESS;
}
