/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/recording/raw/probe.h"

#include <stdlib.h>
#include <string.h>

static bool one_of(long type, const long *types)
{
	for (; *types >= 0; types++)
		if (*types == type)
			return true;
	return false;
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Neuropixels 1.0, its NHP and UHD relatives: 32 converters of 12 channels, and a 13th step for the local field. Even and odd channels have different
 * converters, so channels 2k and 2k+1 are sampled together: groups of 24 channels. */
static struct probe one(bool nhp_headstage, bool active_uhd)
{
	struct probe p = { .gains = active_uhd ? PROBE_GAINS_IN_HEADER : PROBE_GAINS_PER_CHANNEL, .max_int = 512, .adc_channels = 24, .adc_cycles = 13 };
	if (nhp_headstage) /* 128 channels, wired in no order */
		p.adc_channels = p.adc_cycles = 0;
	return p;
}

/* Neuropixels 2.0 and NXT: converters of 16 channels, no local field. */
static struct probe two(double gain, double max_int)
{
	return (struct probe){ .gains = PROBE_GAINS_FIXED, .fixed_gain = gain, .max_int = max_int, .adc_channels = 32, .adc_cycles = 16 };
}

/* The contacts of 1.0 and 2.0 probes; later ones come with files that have a geometry map. */
static struct probe with_contacts(struct probe p, bool first, double pitch_shank)
{
	p.even_x = 27;
	p.odd_x = first ? 11 : 27;
	p.pitch_x = 32;
	p.pitch_y = first ? 20 : 15;
	p.pitch_shank = pitch_shank;
	return p;
}

static struct probe by_type(long type)
{
	static const long first[] = { 1020, 1030, 1100, 1120, 1121, 1122, 1123, 1300, -1 };
	static const long later[] = { 2003, 2004, 2005, 2006, 2013, 2014, 2020, 2021, 2022, 2300, 3010, 3011, 3012, 3020, 3021, 3022, 3023, 3024, -1 };
	if (type == 0)
		return with_contacts(one(false, false), true, 0);
	if (type == 21 || type == 24)
		return with_contacts(two(80, 8192), false, 250);
	if (one_of(type, first))
		return one(false, false);
	if (type == 1110)
		return one(false, true);
	if (type == 1200 || type == 1210 || type == 3000)
		return one(true, false);
	if (!one_of(type, later))
		return (struct probe){ 0 };
	return type == 2003 || type == 2004 || type == 2013 || type == 2014 ? with_contacts(two(100, 0), false, 250) : two(100, 0);
}

/* "NP1010" is type 0 to the acquisition software, and so on: where the numbers differ. */
static long type_of_part(const char *part)
{
	if (begins(part, "PRB2_1") || strcmp(part, "NP2000") == 0)
		return 21;
	if (begins(part, "PRB2_4") || strcmp(part, "NP2010") == 0)
		return 24;
	if (strcmp(part, "NP1000") == 0 || strcmp(part, "NP1001") == 0 || strcmp(part, "NP1010") == 0 || begins(part, "PRB_1") || begins(part, "PRB1"))
		return 0;
	if (!begins(part, "NP") || strlen(part) != 6 || strspn(part + 2, "0123456789") != 4)
		return -1;
	long number = strtol(part + 2, NULL, 10);
	return number >= 1000 && number < 1100 ? 1030 : number >= 1400 && number < 1500 ? 1300 : number;
}

struct probe probe_of(const char *part, const char *type)
{
	long number = type_of_part(part[0] ? part : type);
	if (number < 0 && type[0] && strspn(type, "0123456789") == strlen(type))
		number = strtol(type, NULL, 10);
	return number < 0 ? (struct probe){ 0 } : by_type(number);
}

double probe_shift(const struct probe *p, size_t readout_channel)
{
	return (double)(readout_channel % (size_t)p->adc_channels / 2) / p->adc_cycles;
}
