/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Nonlinear energy: psi[n] = x[n]^2 - x[n-1] x[n+1], each product rounded to f32, and if asked smoothed: multiplied by a Hamming window whose
 * sum is 1 and added up around each frame. The first and last frame of the segment count as their own neighbours outside; psi is 0 outside.
 */
#include "kernels/fir.h"
#include "kernels/stage.h"

#include <math.h>
#include <string.h>

enum { MAX_WINDOW = 1025 };

struct table {
	size_t half;     /* frames of the window on each side; 0: not smoothed */
	_Alignas(64) float taps[]; /* [2 * half + 1][LANES] */
};

static enum stage_form form(const struct stage_spec *s)
{
	(void)s;
	return FORM_BLOCK;
}

/* A window of an odd number of frames. */
static size_t half_window(const struct stage_spec *s, double fs_hz)
{
	size_t frames = stage_margin(rint(s->window_ms * fs_hz / 1000));
	return frames < MAX_WINDOW ? frames / 2 : MAX_WINDOW;
}

static size_t margin(const struct stage_spec *s, double fs_hz)
{
	return half_window(s, fs_hz) + 1;
}

static enum status plan(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	size_t half = half_window(s, spec->fs_hz), ntaps = 2 * half + 1;
	if (!(s->window_ms >= 0))
		return stage_wrong_value(e, i, "window_ms", "0 for none", "not 0 or more", s->window_ms);
	if (half == MAX_WINDOW)
		return stage_wrong_value(e, i, "window_ms", "use a shorter window", "more than 1024 frames", s->window_ms);
	enum status status = stage_table(p, i, 1, sizeof(struct table) + ntaps * LANES * sizeof(float), e);
	if (status)
		return status;
	struct table *t = p->table;
	double sum = 0;
	t->half = half;
	for (size_t k = 0; k < ntaps; k++)
		sum += 0.54 - 0.46 * cos(2 * M_PI * (double)k / (double)(ntaps - 1));
	for (size_t k = 0; k < ntaps && half; k++)
		for (size_t lane = 0; lane < LANES; lane++)
			t->taps[k * LANES + lane] = (float)((0.54 - 0.46 * cos(2 * M_PI * (double)k / (double)(ntaps - 1))) / sum);
	p->scratch_bytes = (grid + 2 * half) * LANES * sizeof(float);
	return STATUS_OK;
}

/* psi of frames [start, start + n) of what is read. */
static void energy(const float *x, size_t nread, size_t start, size_t n, float *y)
{
	for (size_t t = start; t < start + n; t++, y += LANES) {
		const float *here = x + t * LANES, *before = t > 0 ? here - LANES : here, *behind = t + 1 < nread ? here + LANES : here;
		for (size_t lane = 0; lane < LANES; lane++)
			y[lane] = here[lane] * here[lane] - before[lane] * behind[lane];
	}
}

static void tile(const struct plan_stage *p, const struct stage_block *b, size_t i, void *scratch, float *y)
{
	const struct table *t = p->table;
	const float *x = b->x + i * b->tile_stride;
	float *psi = scratch;
	if (!t->half) {
		energy(x, b->nread, b->skip, b->nwanted, y);
		return;
	}
	size_t end = b->skip + b->nwanted + t->half;
	size_t gap = b->skip < t->half ? t->half - b->skip : 0, rest = end > b->nread ? end - b->nread : 0;
	size_t start = b->skip + gap - t->half, n = b->nwanted + 2 * t->half - gap - rest;
	memset(psi, 0, gap * LANES * sizeof *psi);
	energy(x, b->nread, start, n, psi + gap * LANES);
	memset(psi + (gap + n) * LANES, 0, rest * LANES * sizeof *psi);
	fir_tile(t->taps, 2 * t->half + 1, psi, y, b->nwanted);
}

const struct stage_type stage_neo = { .name = "neo", .form = form, .margin = margin, .plan = plan, .tile = tile };
