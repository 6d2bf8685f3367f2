/* SPDX-License-Identifier: BSD-3-Clause
 *
 * call and evaluate: find or compile the program, fetch the arguments, run, write back. The run is on a fiber, so that it can give its lane to
 * others in the middle.
 */
#include "daemon/operations/call.h"
#include "daemon/clock.h"
#include "daemon/daemon.h"
#include "daemon/operations/operations.h"

#include <stdlib.h>
#include <string.h>

/* --- what is asked --- */

/* An expression's output r0 becomes one more argument, and arrays of one shape and order are passed as 1-D if the expression allows it. */
static enum status settle_types(struct call *c, bool pointwise, bool by_place, struct error *e)
{
	struct arguments *a = &c->arguments;
	const struct message *m = &c->request->msg;
	bool fortran;
	if (m->noutputs) {
		if (m->noutputs > 1 || strcmp(m->outputs[0].name, "r0") != 0)
			return error_set(e, STATUS_INVALID, "outputs", NULL, "an expression has one output, r0");
		enum status status = arguments_add_output(a, &m->outputs[0], e);
		if (status)
			return status;
	}
	if (pointwise && arguments_are_alike(a, &fortran) && !(by_place && fortran))
		arguments_flatten(a, fortran);
	return STATUS_OK;
}

static enum status settle_expression(struct call *c, struct error *e)
{
	bool by_place = false, fortran, pointwise = false;
	if (arguments_are_alike(&c->arguments, &fortran))
		pointwise = expression_is_pointwise(c->spec.source.text, c->spec.source.nbytes, &by_place);
	return settle_types(c, pointwise, by_place, e);
}

static void parse(struct call *c, struct params *p, bool with_id)
{
	static const char *const castings[] = { "no", "equiv", "safe", "same_kind", "unsafe", NULL }, *const orders[] = { "C", "F", "A", "K", NULL };
	struct request *r = c->request;
	program_spec_parse(&c->spec, p, r->daemon->registry, with_id, (size_t)r->settings->config.compiler_source_bytes);
	c->order = ORDER_K;
	if (c->spec.source.expression || c->spec.id) {
		c->spec.source.casting = (enum casting)params_word(p, "casting", castings, CASTING_SAFE);
		c->order = (enum call_order)params_word(p, "order", orders, ORDER_K);
	}
	arguments_parse(&c->arguments, &r->msg, p);
}

static enum step begin(struct request *r, bool with_id)
{
	struct params p;
	struct call *c = calloc(1, sizeof *c);
	r->state = c;
	if (!c)
		return request_fail(r, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	c->request = c->ticket.request = r;
	for (size_t i = 0; i < r->msg.narrays; i++)
		r->writes_memory |= r->msg.arrays[i].via == VIA_MEMORY;
	params_init(&p, request_params(r), "", &r->error);
	parse(c, &p, with_id);
	if (!with_id && !c->spec.source.expression)
		params_fail(&p, "expression", NULL, "is missing");
	if (params_end(&p))
		return STEP_DONE;
	if (c->spec.id)
		return programs_ask_id(r->daemon->programs, c->spec.id, &c->ticket, &r->error);
	bool expression = c->spec.source.expression;
	if (expression && settle_expression(c, &r->error) != STATUS_OK)
		return STEP_DONE;
	if (program_spec_arguments(&c->spec, c->arguments.types, c->arguments.n, expression && r->msg.noutputs, &r->error) != STATUS_OK)
		return STEP_DONE;
	return programs_ask(r->daemon->programs, &c->spec.source, &c->ticket, &r->error);
}

enum step call_begin(struct request *r)
{
	return begin(r, true);
}

enum step evaluate_begin(struct request *r)
{
	return begin(r, false);
}

/* --- the way --- */

static enum status check_fit(struct call *c, struct error *e)
{
	const struct compiled *program = c->ticket.compiled;
	enum status status = STATUS_OK;
	if (program->expression)
		status = settle_types(c, program->pointwise, program->by_place, e);
	if (status)
		return status;
	if (c->arguments.output != program->out)
		return error_set(e, STATUS_INVALID, "outputs", "compile it for this use", "the program was compiled %s an output r0",
				 program->out ? "with" : "without");
	return arguments_fit(&c->arguments, program->args, program->nargs + program->nextra, program->program->writes, e);
}

static enum status get_program(struct call *c, struct error *e)
{
	struct request *r = c->request;
	enum status status = programs_compile(r->daemon->programs, &c->ticket, &c->spec.source, e);
	if (!status && c->spec.id)
		status = check_fit(c, e);
	if (!status)
		status = arguments_place(&c->arguments, r, c->ticket.compiled->program->uses, c->ticket.compiled->pointwise, &c->transfer, e);
	c->phase = c->transfer.n ? CALL_FETCH : CALL_RUN;
	return status;
}

static enum status move_arrays(struct call *c, bool write, const struct executor *ex, struct error *e)
{
	struct request *r = c->request;
	uint64_t start = clock_ns();
	bool finished;
	enum status status = transfer_step(&c->transfer, write, r, ex, &finished, e);
	r->read_ns += clock_ns() - start;
	if (finished)
		c->phase = write ? CALL_RESULTS : CALL_RUN;
	return status;
}

static void run_kernel(void *arg)
{
	struct call *c = arg;
	c->failed = program_run(c->ticket.compiled->program, &c->context, c->arrays, c->scalars);
}

/* On the fiber, called by the kernel. */
static int pause_kernel(struct kernel_call *kernel)
{
	struct call *c = kernel->user;
	if (!request_cancelled(c->request))
		fiber_pause(c->fiber);
	return request_cancelled(c->request);
}

/* On any thread: a chunk's part of an array that stayed in the client's memory. */
static int move_part(struct kernel_call *kernel, const struct kernel_remote *remote, bool store, size_t offset, void *local, size_t nbytes)
{
	struct call *c = kernel->user;
	struct request *r = c->request;
	uint64_t address = c->arguments.remote_address[remote - c->arguments.remotes] + offset;
	struct error e = { 0 };
	enum status status = store ? client_memory_write(r->peer, address, local, nbytes, &r->cancel_flag, &e)
				   : client_memory_read(r->peer, address, local, nbytes, &r->cancel_flag, &e);
	if (status && !atomic_exchange(&c->move_failed, true))
		c->move_error = e;
	return status != STATUS_OK;
}

static enum status begin_run(struct call *c, struct error *e)
{
	struct request *r = c->request;
	const struct ir_function *f = c->ticket.compiled->program->function;
	c->arrays = calloc(f->nparams + f->nresults + 1, sizeof *c->arrays);
	c->scalars = calloc(f->nparams + f->nresults + 1, sizeof *c->scalars);
	c->fiber = fiber_new(run_kernel, c);
	if (!c->arrays || !c->scalars || !c->fiber)
		return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory for a call");
	for (uint32_t k = 0; k < f->nparams; k++)
		*(f->params[k].is_array ? &c->narrays : &c->nscalars) += 1;
	arguments_bind(&c->arguments, c->arrays, c->scalars);
	c->kernel = (struct kernel_call){ .attention = &r->attention, .cancelled = &r->cancel_flag, .pause = pause_kernel, .user = c,
					  .remotes = c->arguments.remotes, .nremotes = c->arguments.nremotes, .move = move_part,
					  .memory_limit = (size_t)r->settings->config.compiler_call_bytes - c->arguments.copied };
	kernel_context_init(&c->context, &c->kernel);
	c->begun = true;
	return STATUS_OK;
}

static void after_run(struct call *c)
{
	fiber_free(c->fiber);
	c->fiber = NULL;
	c->transfer = (struct transfer){ .n = 0 };
	arguments_written(&c->arguments, c->ticket.compiled->program->writes, &c->transfer);
	c->phase = c->transfer.n ? CALL_BACK : CALL_RESULTS;
}

static enum status run(struct call *c, const struct executor *ex, struct error *e)
{
	struct request *r = c->request;
	enum status status = c->begun ? STATUS_OK : begin_run(c, e);
	if (status)
		return status;
	c->kernel.executor = ex;
	atomic_store(&r->attention, false);
	if (request_cancelled(r))
		atomic_store(&r->attention, true);
	if (fiber_resume(c->fiber))
		after_run(c);
	return STATUS_OK;
}

static enum status finish(struct call *c, struct error *e)
{
	if (c->failed && atomic_load(&c->move_failed)) {
		*e = c->move_error;
		return e->status;
	}
	if (c->failed)
		return program_failure(c->ticket.compiled->program, &c->kernel.failure, e);
	if (atomic_load(&c->kernel.divided_by_zero))
		request_warn(c->request, "an integer was divided by zero: the result there is 0");
	return call_results(c);
}

/* Each phase goes on into the next, so that a small call is one step. */
enum step call_step(struct request *r, const struct executor *ex)
{
	struct call *c = r->state;
	enum status status = STATUS_OK;
	if (c->phase == CALL_PROGRAM)
		status = get_program(c, &r->error);
	if (c->phase == CALL_FETCH && !status)
		status = move_arrays(c, false, ex, &r->error);
	if (c->phase == CALL_RUN && !status && !request_cancelled(r))
		status = run(c, ex, &r->error);
	if (c->phase == CALL_BACK && !status && !request_cancelled(r))
		status = move_arrays(c, true, ex, &r->error);
	if (c->phase == CALL_RESULTS && !status) {
		status = finish(c, &r->error);
		return STEP_DONE;
	}
	return status ? STEP_DONE : STEP_COMPUTE;
}

void call_end(struct request *r)
{
	struct call *c = r->state;
	atomic_store(&r->cancel_flag, true); /* a kernel that stands in the middle returns when it goes on */
	c->kernel.executor = &executor_serial;
	while (c->fiber && c->begun && !fiber_resume(c->fiber))
		;
	fiber_free(c->fiber);
	if (c->begun)
		kernel_context_free(&c->context);
	if (!r->error.status)
		program_spec_register(&c->spec, r->daemon->registry);
	programs_release(r->daemon->programs, &c->ticket);
	program_spec_fini(&c->spec);
	arguments_free(&c->arguments);
	free(c->arrays);
	free(c->scalars);
	free(c);
}
