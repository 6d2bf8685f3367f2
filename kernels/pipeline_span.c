/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a request must read so that the frames it wants come out right.
 */
#include "kernels/plan.h"

void pipeline_span(const struct pipeline_spec *spec, int64_t start, int64_t stop, int64_t segment_frames, bool settled, int64_t *from, int64_t *to)
{
	int64_t grid = (int64_t)plan_grid(spec);
	size_t nstages = spec->nstages < PIPELINE_MAX_STAGES ? spec->nstages : PIPELINE_MAX_STAGES;

	for (size_t i = nstages; i-- > 0 && start < stop;) {
		enum stage_form form = plan_form(&spec->stages[i]);
		int64_t margin = (int64_t)plan_margin(&spec->stages[i], spec->fs_hz);
		if (form == FORM_CAUSAL)
			start = settled ? start - margin : 0;
		if (form == FORM_BLOCK && !spec->piece_frames) {
			start = start / grid * grid;
			stop = (stop + grid - 1) / grid * grid;
		}
		if (form == FORM_BLOCK) {
			start -= margin;
			stop += margin;
		}
		start = start > 0 ? start : 0;
		stop = stop < segment_frames ? stop : segment_frames;
	}
	*from = start;
	*to = stop;
}

size_t pipeline_piece(const struct pipeline_spec *spec, size_t nframes)
{
	const int64_t far = (int64_t)1 << 61;
	struct pipeline_spec piece = *spec;
	int64_t from, to;
	piece.piece_frames = 1;
	pipeline_span(&piece, far, far + (int64_t)nframes, INT64_MAX, true, &from, &to);
	return (size_t)(to - from);
}
