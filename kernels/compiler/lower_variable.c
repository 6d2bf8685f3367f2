/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Names: variables and their types, what surrounds a kernel, and whether a variable surely has a value where it is read.
 */
#include "kernels/compiler/lower_private.h"

#include <string.h>

/* --- which names a function owns --- */

static void own(struct lowering *l, struct scope *s, struct name name)
{
	for (uint32_t i = 0; i < s->nnames; i++)
		if (name_equal(s->names[i], name))
			return;
	if ((s->nnames & (s->nnames - 1)) == 0) {
		struct name *more = lower_alloc(l, (2 * s->nnames + 1) * sizeof *more);
		if (s->nnames)
			memcpy(more, s->names, s->nnames * sizeof *more);
		s->names = more;
	}
	s->names[s->nnames++] = name;
}

static void own_target(struct lowering *l, struct scope *s, const struct ast *t)
{
	if (t->kind == AST_NAME)
		own(l, s, t->name);
	for (uint32_t i = 0; (t->kind == AST_TUPLE || t->kind == AST_LIST) && i < t->list.count; i++)
		own_target(l, s, t->list.items[i]);
}

static void own_block(struct lowering *l, struct scope *s, const struct ast_list *body)
{
	for (uint32_t i = 0; i < body->count; i++) {
		const struct ast *n = body->items[i];
		for (uint32_t k = 0; n->kind == AST_ASSIGN && k < n->list.count; k++)
			own_target(l, s, n->list.items[k]);
		if (n->kind == AST_AUGASSIGN || n->kind == AST_ANNASSIGN || n->kind == AST_FOR)
			own_target(l, s, n->a);
		if (n->kind == AST_DEF)
			own(l, s, n->name);
		else {
			own_block(l, s, &n->body);
			own_block(l, s, &n->orelse);
		}
	}
}

struct scope *scope_new(struct lowering *l, struct ast *def, struct scope *parent)
{
	struct scope *s = NEW(l, struct scope);
	s->def = def;
	s->parent = parent;
	s->instance = l->instances++;
	for (uint32_t i = 0; def && i < def->nparams; i++)
		own(l, s, def->params[i].name);
	if (def)
		own_block(l, s, &def->body);
	s->versions = lower_alloc(l, (s->nnames + 1) * sizeof *s->versions);
	return s;
}

static bool owns(const struct scope *s, struct name name, uint32_t *index)
{
	for (uint32_t i = 0; i < s->nnames; i++)
		if (name_equal(s->names[i], name)) {
			*index = i;
			return true;
		}
	return false;
}

/* --- surely assigned --- */

static bool is_assigned(const struct lowering *l, const struct variable *v)
{
	return l->assigned[v->number / 64] >> v->number % 64 & 1;
}

static void mark_assigned(struct lowering *l, const struct variable *v)
{
	l->assigned[v->number / 64] |= (uint64_t)1 << v->number % 64;
}

uint64_t *assigned_copy(struct lowering *l)
{
	uint64_t *copy = lower_alloc(l, sizeof l->assigned);
	memcpy(copy, l->assigned, sizeof l->assigned);
	return copy;
}

void assigned_restore(struct lowering *l, const uint64_t *saved)
{
	memcpy(l->assigned, saved, sizeof l->assigned);
}

void assigned_intersect(struct lowering *l, const uint64_t *other)
{
	for (int i = 0; i < LOWER_ASSIGNED_WORDS; i++)
		l->assigned[i] &= other[i];
}

/* --- variables --- */

static struct variable *variable(struct lowering *l, uint32_t instance, struct name name, uint32_t version)
{
	for (uint32_t i = 0; i < l->nvariables; i++) {
		struct variable *v = l->variables[i];
		if (v->instance == instance && v->version == version && name_equal(v->name, name))
			return v;
	}
	if (l->nvariables == LOWER_MAX_VARIABLES)
		lower_fail(l, (struct place){ 0 }, STATUS_TOO_LARGE, "split it into smaller kernels", "the program has more than %d variables", LOWER_MAX_VARIABLES);
	struct variable *v = NEW(l, struct variable);
	*v = (struct variable){ .instance = instance, .version = version, .name = name, .number = l->nvariables };
	l->variables[l->nvariables++] = v;
	return v;
}

static struct variable *current(struct lowering *l, const struct scope *s, uint32_t index)
{
	return variable(l, s->instance, s->names[index], s->versions[index]);
}

/* Gives the variable its place in the IR of this pass. */
static void bind(struct lowering *l, struct scope *s, struct variable *v)
{
	if (v->pass == l->pass)
		return;
	v->pass = l->pass;
	v->assignments = 0;
	v->constant = NULL;
	v->id = v->flag = IR_NONE;
	if (v->known)
		return;
	if (v->is_array) {
		bool guess = v->dtype == DTYPE_NONE && l->pass == 1;
		l->guessed |= guess;
		l->changed |= guess;
		v->id = new_slot(l, guess ? DTYPE_I64 : v->dtype == DTYPE_NONE ? DTYPE_F64 : v->dtype, v->rank, v->multi ? 0 : fresh_id(l), 0);
		l->f->arrays[v->id].name = (struct name_text){ v->name.text, v->name.nbytes };
		l->f->arrays[v->id].contiguous = v->contiguous;
		l->f->arrays[v->id].is_list = v->is_list;
	} else {
		v->id = ir_new_local(l->f, v->dtype, v->name.text, v->name.nbytes);
	}
	if (!v->needs_flag)
		return;
	v->flag = ir_new_local(l->f, DTYPE_BOOL, "", 0);
	struct ir_block *block = l->block;
	l->block = s->home;
	emit_set(l, v->flag, ir_const_int(l->f, DTYPE_BOOL, 0));
	struct ir_stmt *set = s->home->items[--s->home->count];
	ir_insert(l->f, s->home, 0, set);
	l->block = block;
}

static void assigned_now(struct lowering *l, struct variable *v)
{
	mark_assigned(l, v);
	if (v->flag != IR_NONE && v->needs_flag)
		emit_set(l, v->flag, ir_const_int(l->f, DTYPE_BOOL, 1));
}

static bool same_shape_of_type(const struct variable *v, const struct value *value)
{
	if (v->known || !value_is_number(value))
		return false;
	return v->is_array ? value->kind == VALUE_ARRAY && v->rank == value->rank : value->kind == VALUE_SCALAR;
}

/* The variable that an assignment of `value` goes to: at the outermost level of a function a name may begin again with another type. */
static struct variable *assignee(struct lowering *l, struct place at, struct scope *s, uint32_t index, const struct value *value)
{
	struct variable *v = current(l, s, index);
	enum dtype dtype = value->kind == VALUE_ARRAY ? l->f->arrays[value->slot].dtype : value->type.dtype;
	bool again = v->pass == l->pass && v->assignments > 0;
	if (again && s->depth == 0 && (!same_shape_of_type(v, value) || v->dtype != dtype || v->is_list)) {
		s->versions[index]++;
		v = current(l, s, index);
	}
	/* What an earlier pass believed of an array may have been wrong: a list gets its dtype when something is appended. */
	bool stale = v->typed && v->pass != l->pass && !v->is_list &&
		     (v->known == value_is_number(value) || v->is_array != (value->kind == VALUE_ARRAY) || (v->is_array && (v->dtype != dtype || v->rank != value->rank)));
	l->changed |= stale;
	if (!v->typed || stale) {
		v->typed = true;
		v->known = !value_is_number(value);
		v->is_array = value->kind == VALUE_ARRAY;
		v->contiguous = v->is_array && l->f->arrays[value->slot].contiguous;
		v->dtype = dtype;
		v->rank = value->rank;
		v->place = at;
	}
	/* So may be what came of a guess in the first pass; types only widen from the pass after the last of these on. */
	bool first = v->pass != l->pass || v->assignments == 0;
	if (l->guessed && l->pass > 1 && l->pass <= LOWER_RETYPED_PASSES && first && same_shape_of_type(v, value) && !v->is_array && v->dtype != dtype) {
		v->dtype = dtype;
		l->changed = true;
	}
	if (v->known ? value_is_number(value) : !same_shape_of_type(v, value))
		INVALID(l, at, "use another name", "'%.*s' was %s (line %u) and cannot become %s here", (int)v->name.nbytes, v->name.text,
			v->known ? "something else" : v->is_array ? "another kind of array" : "a number", v->place.line + l->source->first_line - 1,
			value_describe(l, value));
	return v;
}

static void widen_scalar(struct lowering *l, struct place at, struct variable *v, const struct value *value)
{
	struct type t = type_promote((struct type){ v->dtype, false }, (struct type){ value->type.dtype, false });
	bool mixed = dtype_is_integer(v->dtype) && dtype_is_integer(value->type.dtype) && t.dtype == DTYPE_F64;
	if (mixed && !value->type.weak)
		INVALID(l, at, "convert one of them: np.int64(...) or np.uint64(...)", "'%.*s' would be int64 and uint64", (int)v->name.nbytes, v->name.text);
	if (mixed)
		t.dtype = DTYPE_U64;
	if (t.dtype == v->dtype)
		return;
	v->dtype = t.dtype;
	l->changed = true;
}

static void assign_scalar(struct lowering *l, struct place at, struct scope *s, struct variable *v, struct value *value)
{
	widen_scalar(l, at, v, value);
	bind(l, s, v);
	enum dtype dtype = l->f->locals[v->id].dtype;
	bool narrower = type_promote((struct type){ dtype, false }, (struct type){ value->type.dtype, false }).dtype != dtype;
	/* Narrower only in a pass that will be done again. */
	emit_set(l, v->id, narrower ? ir_const_int(l->f, dtype, 0) : cast_scalar(l, at, value, dtype, false));
}

static void assign_array(struct lowering *l, struct place at, struct scope *s, struct variable *v, struct value *value)
{
	struct ir_array *from = &l->f->arrays[value->slot];
	if (from->dtype != v->dtype)
		INVALID(l, at, "use another name, or .astype(...)", "'%.*s' was a %s array (line %u) and cannot become a %s array here", (int)v->name.nbytes,
			v->name.text, dtype_numpy_name(v->dtype), v->place.line + l->source->first_line - 1, dtype_numpy_name(from->dtype));
	if (v->contiguous && !from->contiguous) {
		v->contiguous = false;
		l->changed |= v->pass == l->pass;
	}
	if (v->pass == l->pass && v->assignments > 0 && !v->multi)
		v->multi = l->changed = true;
	bool result = v->name.text[v->name.nbytes - 1] == '.';
	if (from->is_list && !result)
		UNSUPPORTED(l, at, "make an array of it: np.array(name)", "a list cannot get a second name");
	/* Memory that was just made, or a parameter that keeps its name, needs no second view. */
	if (v->pass != l->pass && !v->multi && !v->needs_flag && from->name.nbytes == 0) {
		v->pass = l->pass;
		v->assignments = 0;
		v->id = value->slot;
		v->flag = IR_NONE;
		from->name = (struct name_text){ v->name.text, v->name.nbytes };
		return;
	}
	bind(l, s, v);
	if (!v->multi) {
		l->f->arrays[v->id].root = l->f->arrays[value->slot].root;
		l->facts[v->id].shape_id = l->facts[value->slot].shape_id;
	}
	struct ir_stmt *view = emit_view(l, v->id, value->slot);
	for (unsigned d = 0; d < v->rank; d++) {
		view->shape[d] = lower_need(l, ir_shape(l->f, value->slot, d));
		view->from_axis[d] = (int)d;
	}
}

static void assign_in(struct lowering *l, struct place at, struct scope *s, uint32_t index, struct value *value)
{
	value = materialise(l, at, value);
	if (value->kind == VALUE_NONE)
		INVALID(l, at, NULL, "'%.*s' would have no value: the function returns nothing", (int)s->names[index].nbytes, s->names[index].text);
	struct variable *v = assignee(l, at, s, index, value);
	if (v->known) {
		if (v->pass == l->pass && v->assignments > 0)
			UNSUPPORTED(l, at, "use another name", "'%.*s' can be assigned only once, because it is %s", (int)v->name.nbytes, v->name.text,
				    value_describe(l, value));
		bind(l, s, v);
		v->constant = settle(l, value);
	} else if (v->is_array) {
		assign_array(l, at, s, v, value);
	} else {
		assign_scalar(l, at, s, v, value);
	}
	v->assignments++;
	assigned_now(l, v);
}

void variable_assign(struct lowering *l, struct place at, struct name name, struct value *value)
{
	uint32_t index;
	if (!owns(l->scope, name, &index))
		INVALID(l, at, NULL, "'%.*s' cannot be assigned here", (int)name.nbytes, name.text);
	assign_in(l, at, l->scope, index, value);
}

uint32_t variable_counter(struct lowering *l, struct place at, struct name name)
{
	uint32_t index;
	struct value *value = value_int(l, 0);
	if (!owns(l->scope, name, &index))
		INVALID(l, at, NULL, "'%.*s' cannot be assigned here", (int)name.nbytes, name.text);
	struct variable *v = assignee(l, at, l->scope, index, value);
	if (v->known || v->is_array || v->dtype != DTYPE_I64 || v->needs_flag)
		return IR_NONE;
	bind(l, l->scope, v);
	v->assignments++;
	mark_assigned(l, v);
	return v->id;
}

/* --- lists --- */

void variable_new_list(struct lowering *l, struct place at, struct name name)
{
	uint32_t index;
	if (!owns(l->scope, name, &index))
		INVALID(l, at, NULL, "'%.*s' cannot be assigned here", (int)name.nbytes, name.text);
	struct variable *v = current(l, l->scope, index);
	if (!v->typed)
		*v = (struct variable){ .instance = v->instance, .version = v->version, .number = v->number, .name = v->name, .typed = true, .is_array = true,
					.is_list = true, .contiguous = true, .multi = true, .dtype = DTYPE_NONE, .rank = 1, .place = at };
	if (!v->is_list)
		INVALID(l, at, "use another name", "'%.*s' was something else (line %u) and cannot become a list here", (int)name.nbytes, name.text,
			v->place.line + l->source->first_line - 1);
	bind(l, l->scope, v);
	emit(l, IR_LIST_NEW)->array = v->id;
	v->assignments++;
	assigned_now(l, v);
}

void variable_append(struct lowering *l, struct place at, struct name name, struct value *value)
{
	uint32_t index;
	struct variable *v = owns(l->scope, name, &index) ? current(l, l->scope, index) : NULL;
	if (!v || !v->is_list || v->pass != l->pass)
		INVALID(l, at, "begin with `name = []` in the same function", "'%.*s' is not a list of this function", (int)name.nbytes, name.text);
	if (value->kind != VALUE_SCALAR)
		UNSUPPORTED(l, at, "keep one list for each number", "only numbers can be appended to a list, not %s", value_describe(l, value));
	struct type t = v->dtype == DTYPE_NONE ? (struct type){ value->type.dtype, false }
					       : type_promote((struct type){ v->dtype, false }, (struct type){ value->type.dtype, false });
	if (v->dtype == DTYPE_NONE)
		l->f->arrays[v->id].dtype = t.dtype;
	if (t.dtype != v->dtype) {
		v->dtype = t.dtype;
		l->changed = true;
	}
	name_read(l, at, name);
	struct ir_stmt *s = emit(l, IR_LIST_APPEND);
	s->array = v->id;
	s->a = l->changed ? lower_need(l, ir_const_int(l->f, l->f->arrays[v->id].dtype, 0)) : cast_scalar(l, at, value, v->dtype, false);
}

/* --- reading --- */

static struct value *variable_read(struct lowering *l, struct place at, struct scope *s, uint32_t index)
{
	struct variable *v = current(l, s, index);
	if (!v->typed) {
		if (l->pass > 2)
			INVALID(l, at, NULL, "'%.*s' is used before it has a value", (int)v->name.nbytes, v->name.text);
		l->changed = l->guessed = true;
		return value_int(l, 0);
	}
	if (v->known) {
		if (v->pass != l->pass || !v->constant)
			INVALID(l, at, NULL, "'%.*s' is used before it has a value", (int)v->name.nbytes, v->name.text);
		return v->constant;
	}
	if (!is_assigned(l, v) && !v->needs_flag) {
		v->needs_flag = v->multi = true;
		l->changed = true;
	}
	bind(l, s, v);
	if (!is_assigned(l, v) && v->flag != IR_NONE) {
		emit_check(l, lower_need(l, ir_local(l->f, v->flag)), KERNEL_UNBOUND, NULL, NULL);
		mark_assigned(l, v);
	}
	return v->is_array ? value_array(l, v->id) : value_scalar(l, ir_local(l->f, v->id), false);
}

static struct value *global_read(struct lowering *l, const struct global *g)
{
	if (g->kind == GLOBAL_ARGUMENT)
		return l->arguments[g->argument];
	if (g->kind == GLOBAL_CONSTANT) {
		struct ir_expr *e = lower_need(l, ir_expr_new(l->f, IR_CONST, g->type.dtype, 0));
		e->constant = g->value;
		return value_scalar(l, e, g->type.weak);
	}
	struct value *v = value_new(l, VALUE_LIBRARY);
	v->name = g->target;
	return v;
}

static struct value *function_value(struct lowering *l, struct ast *def)
{
	struct value *v = value_new(l, VALUE_FUNCTION);
	v->def = def;
	return v;
}

struct value *name_read(struct lowering *l, struct place at, struct name name)
{
	uint32_t index;
	for (struct scope *s = l->scope; s; s = s->parent)
		if (owns(s, name, &index))
			return variable_read(l, at, s, index);
	for (uint32_t i = 0; i < l->module->body.count; i++) {
		struct ast *n = l->module->body.items[i];
		if (n->kind == AST_DEF && name_equal(n->name, name))
			return function_value(l, n);
		for (uint32_t k = 0; n->kind == AST_ASSIGN && k < n->list.count; k++)
			if (n->list.items[k]->kind == AST_NAME && name_equal(n->list.items[k]->name, name))
				return lower_expr(l, n->a);
	}
	for (uint32_t i = 0; i < l->nglobals; i++)
		if (name_equal(l->globals[i].name, name))
			return global_read(l, &l->globals[i]);
	if (name_is(name, "np") || name_is(name, "numpy") || name_is(name, "math") || library_has(name)) {
		struct value *v = value_new(l, VALUE_LIBRARY);
		v->name = name_is(name, "np") ? (struct name){ "numpy", 5 } : name;
		return v;
	}
	INVALID(l, at, NULL, "there is no name '%.*s'", (int)(name.nbytes > 60 ? 60 : name.nbytes), name.text);
}

struct ast *find_def(struct lowering *l, struct name name, struct scope **around)
{
	uint32_t index;
	*around = NULL;
	for (struct scope *s = l->scope; s; s = s->parent)
		if (owns(s, name, &index)) {
			struct variable *v = current(l, s, index);
			return v->known && v->pass == l->pass && v->constant && v->constant->kind == VALUE_FUNCTION ? v->constant->def : NULL;
		}
	for (uint32_t i = 0; i < l->module->body.count; i++)
		if (l->module->body.items[i]->kind == AST_DEF && name_equal(l->module->body.items[i]->name, name))
			return l->module->body.items[i];
	return NULL;
}

/* --- results of functions: variables without a name in the source --- */

static void result_scope(struct lowering *l, struct scope *s, uint32_t k, struct scope *results)
{
	char *text = lower_alloc(l, 16);
	text[0] = 'r';
	text[1] = (char)('0' + k / 10);
	text[2] = (char)('0' + k % 10);
	text[3] = '.';                 /* no name of the language looks like this */
	*results = (struct scope){ .instance = s->instance, .names = lower_alloc(l, sizeof(struct name)), .versions = lower_alloc(l, sizeof(uint32_t)), .nnames = 1,
				   .depth = 1, .home = s->home };
	results->names[0] = (struct name){ text, 4 };
}

void result_assign(struct lowering *l, struct place at, uint32_t k, struct value *v)
{
	struct scope results;
	result_scope(l, l->scope, k, &results);
	assign_in(l, at, &results, 0, v);
}

struct value *result_read(struct lowering *l, struct scope *s, uint32_t k)
{
	struct scope results;
	result_scope(l, s, k, &results);
	struct variable *v = current(l, &results, 0);
	mark_assigned(l, v);
	return variable_read(l, (struct place){ 0 }, &results, 0);
}
