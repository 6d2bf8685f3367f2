/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Parameters and preprocessing stages of a request: from JSON text to checked values.
 */
#include "daemon/params.h"
#include "daemon/preprocess.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>

static void read_all(const json_t *object, struct error *e, struct pipeline_spec *spec)
{
	static const char *const words[] = { "neg", "pos", "both", NULL };
	struct params p;
	params_init(&p, object, "", e);
	const char *file = params_text(&p, "file");
	int64_t start = params_int(&p, "start", -1, 0, INT64_MAX), axis = params_int(&p, "time_axis", 0, 0, 1);
	double threshold = params_real(&p, "detect_threshold", 5, 0, true, 1e30), gain = params_real(&p, "gain_uV", 1, -1e30, false, 1e30);
	int word = params_word(&p, "peak_sign", words, 0);
	bool scaled = params_bool(&p, "scaled", false);
	params_list(&p, "operations");
	params_object(&p, "output");
	preprocess_parse(&p, spec);
	HOLDS(!file || memchr(file, 0, 1 << 20));
	HOLDS(start >= -1 && (axis == 0 || axis == 1) && word >= 0 && word < 3 && (scaled == true || scaled == false));
	HOLDS(threshold > 0 && threshold <= 1e30 && isfinite(gain));
	enum status status = params_end(&p);
	HOLDS(status == STATUS_OK || (e->status == status && e->message[0] && memchr(e->message, 0, sizeof e->message)));
	if (status)
		return;
	HOLDS(spec->nstages <= PIPELINE_MAX_STAGES);
	for (size_t i = 0; i < spec->nstages; i++)
		if (spec->stages[i].kind <= STAGE_HIGHPASS)
			HOLDS(spec->stages[i].order >= 1 && spec->stages[i].order <= FILTER_MAX_ORDER && spec->stages[i].freq_min_hz > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct error e = { 0 };
	struct pipeline_spec spec = { 0 };
	json_t *object = json_loadb((const char *)data, n, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(object))
		read_all(object, &e, &spec);
	preprocess_fini(&spec);
	json_decref(object);
	return 0;
}
