/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/layouts.h"
#include "daemon/helper/nwb.h"

/* In order of recognition: what has a mark of its own first, what is known by common names last. */
static const struct layout layouts[] = {
	{ "nwb", nwb_recognise, nwb_describe },
	{ "brw3", brw3_recognise, brw3_describe },
	{ "brw4", brw4_recognise, brw4_describe },
	{ "maxwell", maxwell_recognise, maxwell_describe },
	{ "mcs", mcs_recognise, mcs_describe },
	{ "kwik", kwik_recognise, kwik_describe },
	{ "sinaps", sinaps_recognise, sinaps_describe },
	{ "mearec", mearec_recognise, mearec_describe },
	{ "foreign", foreign_recognise, foreign_describe },
	{ "matlab", matlab_recognise, matlab_describe },
};

const struct layout *layout_of(hid_t file)
{
	for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
		if (layouts[i].recognise(file))
			return &layouts[i];
	return NULL;
}
