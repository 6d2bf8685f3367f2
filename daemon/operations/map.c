/* SPDX-License-Identifier: BSD-3-Clause
 *
 * map: a kernel on every channel of a recording (or array), on the samples themselves, inside the daemon. The kernel's first argument is the channel's
 * trace; a0, a1, ... follow it and are the same for all channels.
 *
 * Channels are gathered in groups that fit limits.work_bytes, each group by one pass over the frames, then run apart on the lane's threads.
 */
#include "daemon/arguments.h"
#include "daemon/daemon.h"
#include "daemon/feed.h"
#include "daemon/fit_job.h"
#include "daemon/operations/map_results.h"
#include "daemon/operations/operations.h"
#include "daemon/preprocess.h"
#include "daemon/programs.h"
#include "daemon/source.h"
#include "daemon/strided.h"

#include <stdlib.h>
#include <string.h>

enum { MAP_READ_BYTES = 16 << 20 };

struct map {
	struct request *request;
	struct source source;
	struct pipeline_spec spec;
	bool scaled, through_pipeline;
	enum dtype dtype;                /* of the traces the kernel gets */
	struct program_spec program;
	struct ticket ticket;
	struct array *given;             /* the request's arrays, without those of the source */
	struct arguments arguments;      /* behind the trace */
	struct argument types[ARGUMENTS_MAX + 1];
	struct transfer transfer;

	enum { MAP_PROGRAM, MAP_OPEN, MAP_FIT, MAP_START, MAP_FETCH, MAP_GATHER, MAP_RUN } phase;
	struct fit_job *fit;
	struct feed *feed;
	size_t first, count, group;      /* channels of the present group; of a full one */
	int64_t at;                      /* frames of the group gathered so far */
	bool sought;
	uint8_t *traces;                 /* [group][nframes] */
	uint8_t *block;                  /* frames as they are stored */
	size_t block_frames;
	size_t done;                     /* channels of the group that were run */
	bool divided_by_zero;
	struct map_results results;
};

/* --- what is asked --- */

static void parse_types(struct map *m, struct params *p)
{
	const char *dtype = params_text(p, "dtype");
	m->dtype = m->through_pipeline ? DTYPE_F32 : dtype ? dtype_from_name(dtype) : m->source.array ? m->source.array->dtype : DTYPE_NONE;
	if (m->dtype < 0 || m->dtype > DTYPE_C128)
		params_fail(p, "dtype", "the dtype that `open` reported", "must be the recording's dtype");
	m->types[0] = (struct argument){ .dtype = m->dtype < 0 ? DTYPE_F32 : m->dtype, .rank = 1, .contiguous = true, .read_only = true };
	for (size_t k = 0; k < m->arguments.n && k < ARGUMENTS_MAX; k++) {
		m->types[k + 1] = m->arguments.types[k];
		m->types[k + 1].read_only = true;   /* all channels get the same */
		m->types[k + 1].shape_class = m->types[k + 1].alias_class = 0;
	}
}

/* An array that belongs to the source or to preprocessing, and is no argument of the kernel? */
static bool of_source(const char *name)
{
	static const char *const names[] = { "traces", "channel_locations", "inter_sample_shift", "whiten_matrix" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void parse_arguments(struct map *m, struct params *p)
{
	const struct message *all = &m->request->msg;
	struct message rest = *all;
	m->given = rest.arrays = calloc(all->narrays + 1, sizeof *rest.arrays);
	rest.narrays = 0;
	for (size_t i = 0; rest.arrays && i < all->narrays; i++)
		if (!of_source(all->arrays[i].name))
			rest.arrays[rest.narrays++] = all->arrays[i];
	arguments_parse(&m->arguments, &rest, p);
	if (!rest.arrays && !p->status)
		p->status = error_set(p->error, STATUS_NO_MEMORY, NULL, NULL, "no memory");
}

/* `file` is the recording's; a source that is sent has kernel_file. */
static void parse_program(struct map *m, struct params *p)
{
	const char *file = params_text(p, "kernel_file");
	program_spec_parse(&m->program, p, m->request->daemon->registry, false, (size_t)m->request->settings->config.compiler_source_bytes);
	if (!m->program.kept)
		m->program.source.file = file;
}

enum step map_begin(struct request *r)
{
	struct params p;
	struct map *m = calloc(1, sizeof *m);
	r->state = m;
	if (!m)
		return request_fail(r, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	m->request = m->ticket.request = r;
	params_init(&p, request_params(r), "", &r->error);
	source_parse(&m->source, r, &p);
	m->scaled = params_bool(&p, "scaled", false);
	preprocess_parse(&p, &m->spec);
	m->through_pipeline = m->spec.nstages > 0 || m->scaled;
	parse_program(m, &p);
	parse_arguments(m, &p);
	parse_types(m, &p);
	if (m->program.source.expression)
		params_fail(&p, "expression", "write a kernel: def f(x): ...", "map takes a kernel");
	if (m->scaled && m->source.array)
		params_fail(&p, "scaled", NULL, "an array has no scale; multiply it yourself");
	if (params_end(&p))
		return STEP_DONE;
	if (program_spec_arguments(&m->program, m->types, m->arguments.n + 1, false, &r->error) != STATUS_OK)
		return STEP_DONE;
	return programs_ask(r->daemon->programs, &m->program.source, &m->ticket, &r->error);
}

/* --- gathering --- */

static enum status no_memory(struct error *e)
{
	return error_set(e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
}

static size_t nframes(const struct map *m)
{
	return (size_t)source_total(&m->source);
}

static enum status start(struct map *m, struct error *e)
{
	const struct source *s = &m->source;
	size_t budget = (size_t)m->request->settings->config.limits_work_bytes, one = nframes(m) * dtype_size(m->dtype);
	if (s->nparts != 1)
		return error_set(e, STATUS_INVALID, "segment", "name one segment", "the recording has %zu segments", s->nparts);
	if (!m->through_pipeline && s->dtype != m->dtype)
		return error_set(e, STATUS_INVALID, "dtype", NULL, "the recording holds %s, not %s", dtype_name(s->dtype), dtype_name(m->dtype));
	if (one + MAP_READ_BYTES > budget)
		return error_set(e, STATUS_TOO_LARGE, NULL, "raise limits.work_bytes, or give start and stop", "one channel has %zu bytes", one);
	m->group = one ? (budget - MAP_READ_BYTES) / one : s->nchannels;
	m->group = m->group < s->nchannels ? m->group : s->nchannels;
	m->block_frames = MAP_READ_BYTES / source_frame_bytes(s);
	m->block_frames = m->block_frames ? m->block_frames : 1;
	m->traces = malloc(m->group * one + 64);
	m->block = m->through_pipeline ? NULL : malloc(m->block_frames * source_frame_bytes(s) + 64);
	if (!m->traces || (!m->through_pipeline && !m->block))
		return no_memory(e);
	enum status status = m->through_pipeline ? feed_new(&m->feed, &m->source, &m->spec, e) : STATUS_OK;
	if (!status)
		status = map_results_init(&m->results, m->ticket.compiled->program->function, s->nchannels, e);
	if (!status)
		status = arguments_place(&m->arguments, m->request, NULL, false, &m->transfer, e);
	m->phase = m->transfer.n ? MAP_FETCH : MAP_GATHER;
	m->count = m->group;
	return status;
}

struct gather {
	struct map *m;
	const uint8_t *rows;
	const struct slab *slab;
	size_t n;
};

static void gather_channel(void *arg, size_t k)
{
	const struct gather *g = arg;
	struct map *m = g->m;
	size_t size = dtype_size(m->dtype), channel = m->first + k;
	uint8_t *to = m->traces + (k * nframes(m) + (size_t)m->at) * size;
	if (g->slab)
		copy_items(to, (const uint8_t *)(slab_at(g->slab, channel / LANES, 0) + channel % LANES), (int64_t)g->n, LANES * sizeof(float), size);
	else
		copy_items(to, g->rows + channel * size, (int64_t)g->n, (int64_t)source_frame_bytes(&m->source), size);
}

static enum status gather_stored(struct map *m, const struct executor *ex, struct gather *g, struct error *e)
{
	const struct source_part *part = &m->source.parts[0];
	int64_t from = part->start + m->at, left = part->stop - from;
	g->n = left < (int64_t)m->block_frames ? (size_t)left : m->block_frames;
	g->rows = source_view(&m->source, part->segment, from);
	if (g->rows)
		return STATUS_OK;
	g->rows = m->block;
	return source_read(&m->source, part->segment, from, g->n, ex, m->block, e);
}

static enum status gather_preprocessed(struct map *m, const struct executor *ex, struct gather *g, struct slab *slab, struct error *e)
{
	const struct source_part *part = &m->source.parts[0];
	bool end;
	if (!m->sought)
		feed_seek(m->feed, part->segment, part->start, part->stop, false);
	m->sought = true;
	g->slab = slab;
	enum status status = feed_step(m->feed, ex, slab, &end, e);
	g->n = slab->nframes;
	return status;
}

static enum status gather_step(struct map *m, const struct executor *ex, struct error *e)
{
	struct gather g = { .m = m };
	struct slab slab;
	enum status status = m->through_pipeline ? gather_preprocessed(m, ex, &g, &slab, e) : gather_stored(m, ex, &g, e);
	if (status)
		return status;
	ex->run(ex->ctx, m->count, gather_channel, &g);
	m->at += (int64_t)g.n;
	if ((size_t)m->at == nframes(m))
		m->phase = MAP_RUN;
	return STATUS_OK;
}

/* --- running --- */

struct run {
	struct map *m;
	struct kernel_failure failures[64];
	bool failed[64], divided_by_zero[64];
};

static void run_channel(void *arg, size_t k)
{
	struct run *run = arg;
	struct map *m = run->m;
	const struct ir_function *f = m->ticket.compiled->program->function;
	struct kernel_call call = { .executor = &executor_serial, .cancelled = &m->request->cancel_flag,
				    .memory_limit = (size_t)m->request->settings->config.compiler_call_bytes / m->request->daemon->threads };
	struct kernel_context ctx = { 0 };
	struct kernel_array *arrays = calloc(f->nparams + f->nresults + 1, sizeof *arrays);
	union kernel_scalar *scalars = calloc(f->nparams + f->nresults + 1, sizeof *scalars);
	size_t channel = m->done + k, size = dtype_size(m->dtype);
	run->failed[k] = true;
	run->failures[k] = (struct kernel_failure){ .code = KERNEL_MEMORY, .array = UINT32_MAX };
	if (arrays && scalars) {
		arrays[0] = (struct kernel_array){ .data = m->traces + channel * nframes(m) * size, .shape = { (int64_t)nframes(m) }, .stride = { (int64_t)size } };
		arguments_bind(&m->arguments, arrays + 1, scalars);
		kernel_context_init(&ctx, &call);
		run->failed[k] = program_run(m->ticket.compiled->program, &ctx, arrays, scalars) != 0 ||
				 map_results_take(&m->results, m->first + channel, arrays, scalars) != STATUS_OK;
		if (call.failure.code)
			run->failures[k] = call.failure;
		run->divided_by_zero[k] = atomic_load(&call.divided_by_zero);
		kernel_context_free(&ctx);
	}
	free(arrays);
	free(scalars);
}

static enum status run_failure(struct map *m, const struct run *run, size_t k, struct error *e)
{
	struct error inner = { 0 };
	enum status status = program_failure(m->ticket.compiled->program, &run->failures[k], &inner);
	return error_set(e, status, "channel", inner.hint, "channel %zu: %s", m->first + m->done + k, inner.message);
}

static enum status run_step(struct map *m, const struct executor *ex, struct error *e)
{
	struct run run = { .m = m };
	size_t left = m->count - m->done, n = left < ex->nthreads ? left : ex->nthreads;
	n = n < 64 ? n : 64;
	ex->run(ex->ctx, n, run_channel, &run);
	for (size_t k = 0; k < n; k++) {
		if (run.failed[k])
			return run_failure(m, &run, k, e);
		m->divided_by_zero |= run.divided_by_zero[k];
	}
	m->done += n;
	if (m->done < m->count)
		return STATUS_OK;
	m->first += m->count;
	m->done = 0;
	m->at = 0;
	m->sought = false;
	size_t rest = m->source.nchannels - m->first;
	m->count = rest < m->group ? rest : m->group;
	m->phase = MAP_GATHER;
	return STATUS_OK;
}

/* --- the way --- */

enum step map_step(struct request *r, const struct executor *ex)
{
	struct map *m = r->state;
	enum status status = STATUS_OK;
	enum step step;
	bool finished;
	if (m->phase == MAP_FIT && fit_job_waits(m->fit, ex, &step, &r->error))
		return step;
	if (m->phase == MAP_GATHER && m->sought && feed_waits(m->feed, ex, &step, &r->error))
		return step;
	switch (m->phase) {
	case MAP_PROGRAM:
		status = programs_compile(r->daemon->programs, &m->ticket, &m->program.source, &r->error);
		m->phase = MAP_OPEN;
		return status ? STEP_DONE : STEP_IO;
	case MAP_OPEN:
		status = source_open(&m->source, &r->error);
		if (!status && m->scaled)
			source_scale(&m->source, &m->spec);
		m->phase = MAP_FIT;
		break;
	case MAP_FIT:
		status = fit_job_step(&m->fit, &m->source, &m->spec, ex, &finished, &r->error);
		if (finished)
			m->phase = MAP_START;
		break;
	case MAP_START: status = start(m, &r->error); break;
	case MAP_FETCH:
		status = transfer_step(&m->transfer, false, r, ex, &finished, &r->error);
		m->phase = finished ? MAP_GATHER : MAP_FETCH;
		break;
	case MAP_GATHER:
		if (m->first == m->source.nchannels) {
			if (m->divided_by_zero)
				request_warn(r, "an integer was divided by zero: the result there is 0");
			map_results_reply(&m->results, r, m->ticket.compiled);
			return STEP_DONE;
		}
		if (!nframes(m))
			m->phase = MAP_RUN;
		else
			status = gather_step(m, ex, &r->error);
		break;
	case MAP_RUN: status = run_step(m, ex, &r->error); break;
	}
	if (!status && m->phase == MAP_GATHER && !m->through_pipeline && source_waits(&m->source))
		return STEP_IO;
	return status ? STEP_DONE : STEP_COMPUTE;
}

void map_end(struct request *r)
{
	struct map *m = r->state;
	source_close(&m->source);
	feed_free(m->feed);
	fit_job_free(m->fit);
	programs_release(r->daemon->programs, &m->ticket);
	program_spec_fini(&m->program);
	arguments_free(&m->arguments);
	free(m->given);
	map_results_free(&m->results);
	free(m->traces);
	free(m->block);
	preprocess_fini(&m->spec);
	free(m);
}
