/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The rules over again, channel by channel with all peaks at hand, and in portions of any size.
 */
#include "kernels/select.h"
#include "tests/check/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 5, MOST = 4000 };

static size_t random_peaks(struct peak *p)
{
	size_t n = check_below(MOST);
	int64_t at = 0;
	for (size_t i = 0; i < n; i++) {
		at += (int64_t)check_below(12);
		p[i] = (struct peak){ .sample_index = at, .channel_index = (int64_t)check_below(CHANNELS), .amplitude = 100 * check_f32() };
	}
	return n;
}

/* Is peak i kept? */
static void plain(const struct select_spec *spec, const struct peak *p, size_t n, bool *kept, struct select_counts *counts)
{
	memset(counts, 0, CHANNELS * sizeof *counts);
	for (size_t i = 0; i < n; i++) {
		const size_t c = (size_t)p[i].channel_index;
		int64_t in_window = 0;
		bool dead = false;
		for (size_t j = 0; j < i; j++) {
			if (!kept[j] || p[j].channel_index != p[i].channel_index)
				continue;
			dead |= p[i].sample_index - p[j].sample_index < spec->dead;
			in_window += spec->window && p[j].sample_index / spec->window == p[i].sample_index / spec->window;
		}
		const bool large = spec->most && fabs(p[i].amplitude) > spec->most[c], rate = spec->limit && in_window >= spec->limit;
		kept[i] = !large && !dead && !rate;
		counts[c].large += large;
		counts[c].dead += !large && dead;
		counts[c].rate += !large && !dead && rate;
	}
}

CHECK_TEST(select_rules)
{
	struct peak *p = malloc(MOST * sizeof *p);
	bool *kept = malloc(MOST);
	for (int k = 0; k < 60; k++) {
		const double most[CHANNELS] = { 50, 90, INFINITY, 120, 10 };
		const struct select_spec spec = { .nchannels = CHANNELS, .most = k % 2 ? most : NULL, .dead = k % 3 ? (int64_t)check_below(60) : 0,
						  .window = 1 + (int64_t)check_below(500), .limit = k % 5 ? (int64_t)check_below(6) : 0 };
		struct select_counts counts[CHANNELS];
		struct selection *s;
		struct peaks list = { 0 };
		struct error e;
		size_t n = random_peaks(p), room, nkept = 0;
		plain(&spec, p, n, kept, counts);
		check_that(selection_new(&s, &spec, &e) == STATUS_OK, "no selection");
		for (size_t at = 0; at < n;) {
			const size_t more = 1 + check_below(n - at), first = list.count;
			check_that(peaks_reserve(&list, more, &room) == STATUS_OK && room >= more, "no room");
			memcpy(list.at + first, p + at, more * sizeof *p);
			list.count += more;
			selection_apply(s, &list, first);
			at += more;
		}
		for (size_t i = 0; i < n; i++)
			if (kept[i]) {
				check_that(nkept < list.count && memcmp(&list.at[nkept], &p[i], sizeof *p) == 0, "peak %zu", i);
				nkept++;
			}
		check_that(nkept == list.count, "%zu peaks kept, not %zu", list.count, nkept);
		check_same("counts", counts, selection_counts(s), sizeof counts);
		selection_free(s);
		peaks_fini(&list);
	}
	free(p);
	free(kept);
}
