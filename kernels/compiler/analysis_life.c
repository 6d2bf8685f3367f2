/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Memory that dies with an iteration: if every slot that a loop binds is bound again before it is read in the next iteration, and is not read
 * after the loop, nothing allocated in an iteration can be reached at its end. (A list from outside that grows inside is read by the append.)
 */
#include "kernels/compiler/analysis_private.h"

static bool allocates(const struct analyser *an, const struct node *loop)
{
	for (uint32_t i = loop->id + 1; i < loop->end; i++)
		if (an->nodes[i].s->kind == IR_ALLOC || an->nodes[i].s->kind == IR_LIST_NEW)
			return true;
	return false;
}

static bool has_loop(const struct analyser *an, const struct node *loop)
{
	for (uint32_t i = loop->id + 1; i < loop->end; i++)
		if (is_loop(an->nodes[i].s))
			return true;
	return false;
}

static bool releases(struct analyser *an, struct node *loop)
{
	if (!allocates(an, loop))
		return false;
	bool *exposed = take(an, an->nvariables + 1), *always = take(an, an->nvariables + 1);
	find_exposed(an, loop, exposed, always);
	for (variable v = an->nlocals; v < an->nvariables; v++)
		if (writes_in(an, loop, v) && (exposed[v] || live_after(an, loop, v)))
			return false;
	return true;
}

void mark_lifetimes(struct analyser *an)
{
	for (uint32_t i = 0; i < an->nnodes; i++) {
		struct node *n = &an->nodes[i];
		if (!is_loop(n->s))
			continue;
		n->s->loop->light = !has_loop(an, n);
		n->s->loop->releases = releases(an, n);
	}
}
