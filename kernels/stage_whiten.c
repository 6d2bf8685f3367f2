/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Each frame times a matrix: y = (x - mean) @ W. The matrix comes with the request, or it was measured.
 */
#include "kernels/matrix.h"
#include "kernels/values.h"

#include <string.h>

/* Behind it, in one piece: the weights of all tiles, then their rows. */
struct table {
	size_t ntiles;
	const struct matrix_tile *tiles;
	const float *mean;              /* [lanes], or NULL */
};

static enum stage_form form(const struct stage_spec *s)
{
	(void)s;
	return FORM_FRAMES;
}

static bool in_tile(const double *matrix, size_t n, size_t tile, size_t row)
{
	for (size_t c = tile * LANES; c < n && c < (tile + 1) * LANES; c++)
		if (matrix[row * n + c] != 0)
			return true;
	return false;
}

static size_t count_rows(const double *matrix, size_t n, size_t ntiles)
{
	size_t nrows = 0;
	for (size_t tile = 0; tile < ntiles; tile++)
		for (size_t row = 0; row < n; row++)
			nrows += in_tile(matrix, n, tile, row);
	return nrows;
}

static void fill_tile(struct matrix_tile *m, const double *matrix, size_t n, size_t tile, float *weights, uint32_t *rows)
{
	*m = (struct matrix_tile){ 0, rows, weights };
	for (size_t row = 0; row < n; row++) {
		if (!in_tile(matrix, n, tile, row))
			continue;
		for (size_t c = tile * LANES; c < n && c < (tile + 1) * LANES; c++)
			weights[m->nrows * LANES + c % LANES] = (float)matrix[row * n + c];
		rows[m->nrows++] = (uint32_t)row;
	}
}

static enum status plan(struct plan_stage *p, const struct pipeline_spec *spec, size_t i, size_t grid, struct error *e)
{
	const struct stage_spec *s = &spec->stages[i];
	const double *matrix = s->fit.wanted ? s->matrix : spec->whiten_matrix;
	size_t n = p->nchannels, ntiles = (n + LANES - 1) / LANES, lanes = s->value.n ? ntiles * LANES : 0;
	(void)grid;
	if (!matrix)
		return error_set(e, STATUS_INVALID, "whiten_matrix", "give the array whiten_matrix (channels, channels)",
				 "preprocess[%zu]: this stage needs a matrix", i);
	if (n > 65536)
		return stage_wrong(e, i, "stage", "use fewer channels", "a matrix of %zu channels", n);
	size_t nrows = count_rows(matrix, n, ntiles), tiles_bytes = (sizeof(struct table) + ntiles * sizeof(struct matrix_tile) + 63) / 64 * 64;
	enum status status = stage_table(p, i, 1, tiles_bytes + lanes * sizeof(float) + nrows * (LANES * sizeof(float) + sizeof(uint32_t)), e);
	if (status)
		return status;
	struct table *t = p->table;
	struct matrix_tile *tiles = (struct matrix_tile *)(t + 1);
	float *mean = (float *)((char *)p->table + tiles_bytes), *weights = mean + lanes;
	uint32_t *rows = (uint32_t *)(weights + nrows * LANES);
	*t = (struct table){ ntiles, tiles, lanes ? mean : NULL };
	for (size_t tile = 0; tile < ntiles; tile++) {
		fill_tile(&tiles[tile], matrix, n, tile, weights, rows);
		weights += tiles[tile].nrows * LANES;
		rows += tiles[tile].nrows;
	}
	p->scratch_bytes = ntiles * STAGE_PIECE * LANES * sizeof(float);
	return lanes ? values_spread(p, &s->value, 0, i, "apply_mean", mean, e) : STATUS_OK;
}

static void frames(const struct plan_stage *p, float *x, size_t tile_stride, size_t nframes, void *scratch)
{
	const struct table *t = p->table;
	float *y = scratch;
	for (size_t tile = 0; t->mean && tile < t->ntiles; tile++)
		for (size_t k = 0; k < nframes * LANES; k++)
			x[tile * tile_stride + k] -= t->mean[tile * LANES + k % LANES];
	for (size_t tile = 0; tile < t->ntiles; tile++)
		matrix_columns(&t->tiles[tile], x, tile_stride, nframes, y + tile * STAGE_PIECE * LANES);
	for (size_t tile = 0; tile < t->ntiles; tile++)
		memcpy(x + tile * tile_stride, y + tile * STAGE_PIECE * LANES, nframes * LANES * sizeof *x);
}

const struct stage_type stage_whiten = { .name = "whiten", .form = form, .plan = plan, .frames = frames };
