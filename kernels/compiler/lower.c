/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One compilation: passes until the types of all variables have settled, then the parameters and results of the IR function.
 */
#include "kernels/compiler/lower_private.h"

#include <string.h>

struct request {
	const struct argument *args;
	uint32_t nargs;
	struct name kernel;              /* kernels */
	const struct name *names;        /* expressions */
	bool out;
	enum casting casting;
	enum result_form form;
};

static void add_slot(struct lowering *l, struct ir_slot *slots, uint32_t *n, const struct value *v)
{
	(void)l;
	slots[(*n)++] = (struct ir_slot){ .is_array = v->kind == VALUE_ARRAY, .id = v->kind == VALUE_ARRAY ? v->slot : v->expr->local };
}

/* Arguments of one class share the id of the class; others have their own. */
static uint32_t class_id(const struct request *q, uint32_t k, bool shape)
{
	uint32_t class = shape ? q->args[k].shape_class : q->args[k].alias_class;
	return class ? class : 1000 + k;
}

static void make_arguments(struct lowering *l, const struct request *q)
{
	struct ir_function *f = l->f;
	l->arguments = lower_alloc(l, (q->nargs + 1) * sizeof *l->arguments);
	f->params = lower_alloc(l, (q->nargs + 1) * sizeof *f->params);
	l->next_id = 1000 + q->nargs;
	for (uint32_t k = 0; k < q->nargs; k++) {
		const struct argument *a = &q->args[k];
		if (a->rank) {
			uint32_t slot = new_slot(l, a->dtype, a->rank, class_id(q, k, false), class_id(q, k, true));
			f->arrays[slot].contiguous = a->contiguous;
			f->arrays[slot].read_only = a->read_only;
			l->arguments[k] = value_array(l, slot);
		} else {
			uint32_t local = ir_new_local(f, a->dtype == DTYPE_F16 ? DTYPE_F32 : a->dtype, "", 0);
			l->arguments[k] = value_scalar(l, ir_local(f, local), a->weak);
		}
		add_slot(l, f->params, &f->nparams, l->arguments[k]);
	}
}

static void make_results(struct lowering *l, struct value **items, uint32_t n)
{
	l->f->results = lower_alloc(l, (n + 1) * sizeof *l->f->results);
	for (uint32_t k = 0; k < n; k++) {
		if (items[k]->kind == VALUE_SCALAR && items[k]->expr->kind != IR_LOCAL)
			items[k] = value_scalar(l, stable(l, items[k]->expr), false);
		if (items[k]->kind == VALUE_SCALAR && items[k]->expr->kind == IR_CONST) {
			uint32_t local = ir_new_local(l->f, items[k]->type.dtype, "", 0);
			emit_set(l, local, items[k]->expr);
			items[k] = value_scalar(l, ir_local(l->f, local), false);
		}
		add_slot(l, l->f->results, &l->f->nresults, items[k]);
	}
}

static struct ast *find_kernel(struct lowering *l, struct name name)
{
	const struct ast_list *body = &l->module->body;
	for (uint32_t i = 0; i < body->count; i++)
		if (body->items[i]->kind == AST_DEF && (name_equal(body->items[i]->name, name) || !name.nbytes))
			return body->items[i];
	lower_fail(l, (struct place){ 1, 1 }, STATUS_NOT_FOUND, "name one of the functions of the source", "there is no function '%.*s' in the source",
		   (int)(name.nbytes > 60 ? 60 : name.nbytes), name.text);
}

static void pass_kernel(struct lowering *l, struct request *q, uint32_t nextra)
{
	struct ast *def = find_kernel(l, q->kernel);
	uint32_t given = q->nargs - nextra;
	if (given > def->nparams)
		INVALID(l, def->place, NULL, "%.*s() takes %u arguments, but %u are given", (int)def->name.nbytes, def->name.text, def->nparams, given);
	l->f->name = (struct name_text){ def->name.text, def->name.nbytes };
	struct scope *s = scope_new(l, def, NULL);
	s->top = true;
	s->home = l->block;
	l->scope = s;
	for (uint32_t k = 0; k < def->nparams; k++) {
		struct value *v = k < given ? l->arguments[k] : NULL;
		if (!v && !def->params[k].value)
			INVALID(l, def->params[k].place, NULL, "%.*s() needs an argument '%.*s'", (int)def->name.nbytes, def->name.text,
				(int)def->params[k].name.nbytes, def->params[k].name.text);
		variable_assign(l, def->params[k].place, def->params[k].name, v ? v : lower_expr(l, def->params[k].value));
	}
	struct value *result = lower_inlined(l, def->place, s);
	q->form = result->kind == VALUE_NONE ? RESULT_NONE : result->kind == VALUE_TUPLE ? RESULT_TUPLE : RESULT_ONE;
	if (q->form != RESULT_NONE)
		make_results(l, q->form == RESULT_TUPLE ? result->items : &result, q->form == RESULT_TUPLE ? result->nitems : 1);
}

static void pass_expression(struct lowering *l, struct request *q)
{
	struct scope *s = scope_new(l, NULL, NULL);
	struct ast *n = l->module->expression;
	s->home = l->block;
	l->scope = s;
	l->f->name = (struct name_text){ "expression", 10 };
	struct value *v = lower_value(l, n);
	q->form = RESULT_ONE;
	if (v->kind == VALUE_LAZY && !q->out)
		v = materialise(l, n->place, v);
	if (!q->out) {
		/* A result must not be an argument itself: NumExpr's answers are always new. */
		for (uint32_t k = 0; v->kind == VALUE_ARRAY && k < q->nargs; k++)
			if (q->args[k].rank && l->arguments[k]->slot == v->slot)
				v = copy_array(l, n->place, v);
		make_results(l, &v, 1);
		return;
	}
	struct value *out = l->arguments[q->nargs - 1];
	q->form = RESULT_NONE;
	enum dtype to = l->f->arrays[out->slot].dtype;
	if (!dtype_can_cast(v->type.dtype, to, q->casting))
		INVALID(l, n->place, "casting='unsafe' allows it", "cannot cast the result from %s to the out array's %s under this casting rule",
			dtype_numpy_name(v->type.dtype), dtype_numpy_name(to));
	store_array(l, n->place, out->slot, v);
}

static void begin_pass(struct lowering *l, const struct request *q)
{
	struct ir_function *f = l->f = NEW(l, struct ir_function);
	f->arena = l->arena;
	f->source = l->source;
	f->fastmath = l->options->fastmath;
	f->accurate = l->options->accurate;
	f->body = l->block = lower_need(l, ir_block_new(f));
	l->facts = NULL;
	l->nfacts = l->instances = l->line = 0;
	l->dead = l->changed = false;
	l->reductions = NULL;
	l->nreductions = 0;
	memset(l->assigned, 0, sizeof l->assigned);
	make_arguments(l, q);
}

/* An array that is changed in place where nothing has made it: an earlier pass took it for a number. */
static void check_assigned(struct lowering *l)
{
	for (uint32_t i = 0; i < l->nvariables; i++) {
		const struct variable *v = l->variables[i];
		if (v->pass == l->pass && v->is_array && !v->assignments && v->flag != IR_NONE)
			INVALID(l, v->place, NULL, "'%.*s' is used before it has a value", (int)v->name.nbytes, v->name.text);
	}
}

static enum status run(struct lowering *l, struct request *q, uint32_t nextra, struct lowered *out)
{
	l->variables = arena_alloc(l->arena, LOWER_MAX_VARIABLES * sizeof *l->variables);
	if (!l->variables)
		return error_set(l->error, STATUS_TOO_LARGE, "source", NULL, "the budget of compiler memory is too small");
	if (setjmp(l->leave))
		return l->status;
	do {
		l->pass++;
		begin_pass(l, q);
		if (l->expression)
			pass_expression(l, q);
		else
			pass_kernel(l, q, nextra);
		if (l->pass > LOWER_MAX_PASSES)
			lower_fail(l, (struct place){ 1, 1 }, STATUS_UNSUPPORTED, "give variables one type each", "the types of the variables do not settle");
	} while (l->changed);
	check_assigned(l);
	*out = (struct lowered){ l->f, q->form };
	return STATUS_OK;
}

enum status lower_kernel(struct arena *arena, const struct module *m, struct name name, const struct argument *args, uint32_t nargs,
			 uint32_t nextra, const struct global *globals, uint32_t nglobals, const struct lower_options *o, struct lowered *out,
			 struct error *e)
{
	struct lowering l = { .arena = arena, .module = m, .source = m->source, .options = o, .globals = globals, .nglobals = nglobals, .error = e };
	struct request q = { .args = args, .nargs = nargs + nextra, .kernel = name };
	return run(&l, &q, nextra, out);
}

enum status lower_expression(struct arena *arena, const struct module *m, const struct name *names, const struct argument *args, uint32_t nargs,
			     bool out, enum casting casting, const struct lower_options *o, struct lowered *lowered, struct error *e)
{
	struct global *globals = arena_alloc(arena, (nargs + 1) * sizeof *globals);
	if (!globals)
		return error_set(e, STATUS_TOO_LARGE, "expression", NULL, "the budget of compiler memory is too small");
	for (uint32_t k = 0; k < nargs - out; k++)
		globals[k] = (struct global){ .name = names[k], .kind = GLOBAL_ARGUMENT, .argument = k };
	struct lowering l = { .arena = arena, .module = m, .source = m->source, .options = o, .globals = globals, .nglobals = nargs - out, .expression = true, .error = e };
	struct request q = { .args = args, .nargs = nargs, .names = names, .out = out, .casting = casting };
	return run(&l, &q, 0, lowered);
}
