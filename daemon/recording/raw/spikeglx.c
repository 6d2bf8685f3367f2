/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SpikeGLX .meta: lines KEY=VALUE, tables ~KEY=(header)(entry)(entry)... From "Metadata" of its manual and what its own readers do:
 *
 *   volts = count * range / largest count / gain     range: imAiRangeMax, niAiRangeMax, obAiRangeMax; largest count: imMaxInt, niMaxInt, obMaxInt
 *
 * A file holds the channels that snsSaveChanSubset names, numbered as they were acquired: action potentials, local field, sync for a probe
 * (acqApLfSy, snsApLfSy); MN, MA, XA, digital words for a NI card (snsMnMaXaDw); XA, digital words, sync for a OneBox (snsXaDwSy).
 */
#include "daemon/recording/raw/probe.h"
#include "daemon/recording/raw/raw.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct span {
	const char *at;
	size_t n;
};

enum device { DEVICE_IMEC, DEVICE_NIDQ, DEVICE_OBX };
enum kind { KIND_AP, KIND_LF, KIND_SY, KIND_MN, KIND_MA, KIND_XA, KIND_DW, NKINDS };

static const char *const kind_names[] = { "AP", "LF", "SY", "MN", "MA", "XA", "XD" };

struct meta {
	struct span text;
	const char *file;
	struct raw_side *side;
	struct error *e;
	enum device device;
	struct probe probe;
	size_t n;                   /* channels in the file */
	long acquired[3];           /* imec: of each kind; 0: it does not say */
	size_t *original;           /* [n] number when acquired */
	unsigned char *kinds;       /* [n] enum kind */
	double *gains_uv;           /* [n] */
	double fs_hz;
};

static enum status wrong(const struct meta *m, const char *key, const char *what)
{
	return error_set(m->e, STATUS_CORRUPT, "file", "copy the .meta file again from its source", "%s in the SpikeGLX metadata %s", key, what);
}

/* ---- text ---- */

/* The value of a key, with or without "~" before it; at NULL: there is none. */
static struct span value_of(const struct meta *m, const char *key)
{
	const char *at = m->text.at, *end = at + m->text.n;
	const size_t nkey = strlen(key);
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at)), *line = at;
		at = stop ? stop + 1 : end;
		stop = stop ? stop : end;
		line += line < stop && *line == '~';
		if ((size_t)(stop - line) <= nkey || memcmp(line, key, nkey) != 0 || line[nkey] != '=')
			continue;
		struct span v = { line + nkey + 1, (size_t)(stop - line) - nkey - 1 };
		while (v.n && isspace((unsigned char)v.at[v.n - 1]))
			v.n--;
		return v;
	}
	return (struct span){ 0 };
}

static void text_of(struct span v, char *out, size_t nout)
{
	size_t n = v.n < nout - 1 ? v.n : nout - 1;
	if (n)
		memcpy(out, v.at, n);
	out[n] = '\0';
}

/* The whole span as a finite number. */
static bool number(struct span v, double *out)
{
	char text[64], *end;
	if (!v.n || v.n >= sizeof text)
		return false;
	text_of(v, text, sizeof text);
	*out = strtod(text, &end);
	return end != text && !*end && isfinite(*out);
}

static bool positive(const struct meta *m, const char *key, double *out)
{
	return number(value_of(m, key), out) && *out > 0;
}

/* Cuts the next field off, up to `separator` or the end; false: there is none left. */
static bool next_field(struct span *rest, char separator, struct span *field)
{
	if (!rest->at)
		return false;
	const char *stop = memchr(rest->at, separator, rest->n);
	*field = (struct span){ rest->at, stop ? (size_t)(stop - rest->at) : rest->n };
	*rest = stop ? (struct span){ stop + 1, rest->n - field->n - 1 } : (struct span){ 0 };
	return true;
}

/* Field number `index` of a text. */
static struct span field_at(struct span text, char separator, size_t index)
{
	struct span field;
	while (next_field(&text, separator, &field))
		if (index-- == 0)
			return field;
	return (struct span){ 0 };
}

/* "(...)": the next one of a table; false at its end. */
static bool next_entry(struct span *table, struct span *entry)
{
	const char *open = table->n ? memchr(table->at, '(', table->n) : NULL;
	const char *close = open ? memchr(open, ')', table->n - (size_t)(open - table->at)) : NULL;
	if (!close)
		return false;
	*entry = (struct span){ open + 1, (size_t)(close - open) - 1 };
	*table = (struct span){ close + 1, table->n - (size_t)(close - table->at) - 1 };
	return true;
}

static size_t count_entries(struct span table)
{
	struct span entry;
	size_t n = 0;
	while (next_entry(&table, &entry))
		n++;
	return n;
}

/* Whole numbers separated by commas, all of them, 0 <= each <= RAW_MAX_CHANNELS. */
static bool counts_of(const struct meta *m, const char *key, long *out, size_t n)
{
	struct span rest = value_of(m, key), field;
	double x;
	for (size_t i = 0; i < n; i++) {
		if (!next_field(&rest, ',', &field) || !number(field, &x) || x < 0 || x > RAW_MAX_CHANNELS || x != floor(x))
			return false;
		out[i] = (long)x;
	}
	return !rest.at;
}

/* ---- which channels ---- */

/* Fills kinds[] from the counts of the kinds in the file. */
static enum status take_kinds(struct meta *m)
{
	static const struct {
		const char *key;
		size_t n;
		enum kind kinds[4];
	} rules[] = {
		[DEVICE_IMEC] = { "snsApLfSy", 3, { KIND_AP, KIND_LF, KIND_SY } },
		[DEVICE_NIDQ] = { "snsMnMaXaDw", 4, { KIND_MN, KIND_MA, KIND_XA, KIND_DW } },
		[DEVICE_OBX] = { "snsXaDwSy", 3, { KIND_XA, KIND_DW, KIND_SY } },
	};
	long counts[4] = { 0 };
	size_t at = 0;
	if (!counts_of(m, rules[m->device].key, counts, rules[m->device].n))
		return wrong(m, rules[m->device].key, "is missing or no list of counts");
	for (size_t i = 0; i < rules[m->device].n; i++)
		for (long k = 0; k < counts[i]; k++, at++) {
			if (at == m->n)
				return wrong(m, rules[m->device].key, "counts more channels than nSavedChans");
			m->kinds[at] = (unsigned char)rules[m->device].kinds[i];
		}
	return at == m->n ? STATUS_OK : wrong(m, rules[m->device].key, "counts fewer channels than nSavedChans");
}

/* "0:383,768", or "all". */
static enum status take_subset(struct meta *m)
{
	struct span rest = value_of(m, "snsSaveChanSubset"), range;
	size_t at = 0;
	if (!rest.n || (rest.n == 3 && memcmp(rest.at, "all", 3) == 0)) {
		for (size_t i = 0; i < m->n; i++)
			m->original[i] = i;
		return STATUS_OK;
	}
	while (next_field(&rest, ',', &range)) {
		double from, to;
		struct span first = field_at(range, ':', 0), last = memchr(range.at, ':', range.n) ? field_at(range, ':', 1) : first;
		if (!number(first, &from) || !number(last, &to) || from < 0 || to < from || to > 4 * RAW_MAX_CHANNELS)
			return wrong(m, "snsSaveChanSubset", "is not a list of channels");
		for (double c = from; c <= to; c++) {
			if (at == m->n)
				return wrong(m, "snsSaveChanSubset", "names more channels than nSavedChans");
			m->original[at++] = (size_t)c;
		}
	}
	return at == m->n ? STATUS_OK : wrong(m, "snsSaveChanSubset", "names fewer channels than nSavedChans");
}

/* The channel of the probe's readout that file channel k holds. */
static size_t readout(const struct meta *m, size_t k)
{
	const size_t ap = (size_t)m->acquired[0];
	return m->kinds[k] == KIND_LF && m->original[k] >= ap ? m->original[k] - ap : m->original[k];
}

/* ---- gains ---- */

struct gains {
	double ap, lf;
};

/* Fields 3 and 4: "3 0 0 500 250 1" or, in a header, "1110,2,0,500,250,1". */
static bool take_gains(struct span text, char separator, struct gains *g)
{
	return number(field_at(text, separator, 3), &g->ap) && number(field_at(text, separator, 4), &g->lf) && g->ap > 0 && g->lf >= 0;
}

static enum status per_channel(const struct meta *m, struct span table, double volts)
{
	struct gains *all = calloc(count_entries(table) + 1, sizeof *all);
	struct span entry;
	size_t n = 0;
	enum status status = STATUS_OK;
	if (!all)
		return error_set(m->e, STATUS_NO_MEMORY, NULL, NULL, "no memory");
	while (!status && next_entry(&table, &entry))
		if (!take_gains(entry, ' ', &all[n++]))
			status = wrong(m, "~imroTbl", "has an entry without gains");
	for (size_t k = 0; k < m->n && !status; k++) {
		const size_t c = readout(m, k);
		const double gain = m->kinds[k] == KIND_SY ? 1 : c >= n ? 0 : m->kinds[k] == KIND_LF ? all[c].lf : all[c].ap;
		if (gain <= 0)
			status = wrong(m, "~imroTbl", "has no gain for a channel of the file");
		else
			m->gains_uv[k] = 1e6 * volts / gain;
	}
	free(all);
	return status;
}

static void same_for_all(const struct meta *m, struct gains g, double volts)
{
	for (size_t k = 0; k < m->n; k++) {
		const double gain = m->kinds[k] == KIND_LF && g.lf > 0 ? g.lf : g.ap;
		m->gains_uv[k] = 1e6 * volts / gain;
	}
}

/* *known: false leaves counts. */
static enum status probe_gains(const struct meta *m, bool *known)
{
	double range, largest = m->probe.max_int;
	struct span table = value_of(m, "imroTbl"), header = { 0 };
	struct gains g = { 0 };
	if (!positive(m, "imAiRangeMax", &range))
		return wrong(m, "imAiRangeMax", "is missing or no number");
	if (value_of(m, "imMaxInt").at && !positive(m, "imMaxInt", &largest))
		return wrong(m, "imMaxInt", "is no number above 0");
	next_entry(&table, &header);
	*known = largest > 0;
	if (!*known)
		return STATUS_OK;
	if (m->probe.gains == PROBE_GAINS_PER_CHANNEL)
		return per_channel(m, table, range / largest);
	if (positive(m, "imChan0apGain", &g.ap)) {
		positive(m, "imChan0lfGain", &g.lf);
	} else if (m->probe.gains == PROBE_GAINS_IN_HEADER) {
		if (!take_gains(header, ',', &g))
			return wrong(m, "~imroTbl", "has no gains in its header");
	} else if (m->probe.gains == PROBE_GAINS_FIXED) {
		g.ap = m->probe.fixed_gain;
	} else {
		*known = false;
		return STATUS_OK;
	}
	same_for_all(m, g, range / largest);
	return STATUS_OK;
}

static enum status card_gains(const struct meta *m)
{
	const bool ni = m->device == DEVICE_NIDQ;
	double range, largest = 32768, mn = 1, ma = 1;
	if (!positive(m, ni ? "niAiRangeMax" : "obAiRangeMax", &range))
		return wrong(m, ni ? "niAiRangeMax" : "obAiRangeMax", "is missing or no number");
	const char *key = ni ? "niMaxInt" : "obMaxInt";
	if ((value_of(m, key).at || !ni) && !positive(m, key, &largest))
		return wrong(m, key, "is missing or no number above 0");
	if (memchr(m->kinds, KIND_MN, m->n) && !positive(m, "niMNGain", &mn))
		return wrong(m, "niMNGain", "is missing or no number above 0");
	if (memchr(m->kinds, KIND_MA, m->n) && !positive(m, "niMAGain", &ma))
		return wrong(m, "niMAGain", "is missing or no number above 0");
	for (size_t k = 0; k < m->n; k++)
		m->gains_uv[k] = 1e6 * range / largest / (m->kinds[k] == KIND_MN ? mn : m->kinds[k] == KIND_MA ? ma : 1);
	return STATUS_OK;
}

/* ---- places ---- */

/* Entries are those of the file's channels, or of all that were acquired. */
static size_t entry_of(const struct meta *m, size_t k, size_t nentries, size_t nneural)
{
	return nentries == nneural ? k : readout(m, k);
}

/* "(shank:x:z:used)" below the header "(NP1000,nshanks,pitch,width)", or "(shank:column:row:used)" below "(nshanks,ncolumns,nrows)". */
static bool place_of(const struct meta *m, struct span entry, bool map_of_shanks, double pitch, double out[2])
{
	double shank, a, b;
	const struct probe *p = &m->probe;
	if (!number(field_at(entry, ':', 0), &shank) || !number(field_at(entry, ':', 1), &a) || !number(field_at(entry, ':', 2), &b))
		return false;
	if (map_of_shanks) {
		a = a * p->pitch_x + (fmod(b, 2) == 0 ? p->even_x : p->odd_x);
		b *= p->pitch_y;
	}
	out[0] = shank * pitch + a;
	out[1] = b;
	return isfinite(out[0]) && isfinite(out[1]);
}

/* Fills locations of the first nneural channels of the file; leaves them out, with a warning, if the map does not fit. */
static enum status take_places(const struct meta *m, struct raw_stream *s, size_t nneural)
{
	struct span table = value_of(m, "snsGeomMap"), header, entry;
	const bool map_of_shanks = !table.at && m->probe.pitch_y > 0;
	double pitch = m->probe.pitch_shank;
	if (map_of_shanks)
		table = value_of(m, "snsShankMap");
	if (!next_entry(&table, &header))
		return STATUS_OK;
	const size_t n = count_entries(table);
	bool ok = n >= nneural && (map_of_shanks || number(field_at(header, ',', 2), &pitch));
	double(*all)[2] = calloc(n + 1, sizeof *all);
	s->locations = calloc(nneural + 1, 2 * sizeof *s->locations);
	if (!all || !s->locations) {
		free(all);
		return error_set(m->e, STATUS_NO_MEMORY, NULL, NULL, "no memory for places of channels");
	}
	for (size_t i = 0; ok && i < n; i++)
		ok = next_entry(&table, &entry) && place_of(m, entry, map_of_shanks, pitch, all[i]);
	for (size_t k = 0; ok && k < nneural; k++) {
		const size_t i = entry_of(m, k, n, nneural);
		ok = i < n;
		if (ok)
			memcpy(s->locations + 2 * k, all[i], sizeof all[i]);
	}
	free(all);
	if (!ok) {
		free(s->locations);
		s->locations = NULL;
		raw_warn(m->side, "the map of the probe does not fit the channels: they have no locations");
	}
	return STATUS_OK;
}

static enum status take_shifts(const struct meta *m, struct raw_stream *s)
{
	if (!m->probe.adc_cycles)
		return STATUS_OK;
	s->shifts = calloc(s->nchannels + 1, sizeof *s->shifts);
	if (!s->shifts)
		return error_set(m->e, STATUS_NO_MEMORY, NULL, NULL, "no memory for shifts of channels");
	for (size_t k = 0; k < s->nchannels; k++)
		s->shifts[k] = probe_shift(&m->probe, readout(m, s->rows[k]));
	return STATUS_OK;
}

/* ---- names and streams ---- */

/* ids[] of all file channels from ~snsChanMap, "(AP0;0:0)"; else made from the kind. */
static void take_ids(const struct meta *m, char (*ids)[64])
{
	struct span table = value_of(m, "snsChanMap"), entry;
	next_entry(&table, &entry);
	const bool named = count_entries(table) == m->n;
	for (size_t k = 0; k < m->n; k++) {
		const enum kind kind = m->kinds[k];
		const size_t number = kind == KIND_SY ? 0 : kind == KIND_AP || kind == KIND_LF ? readout(m, k) : m->original[k];
		snprintf(ids[k], sizeof ids[k], "%s%zu", kind_names[kind], number);
		if (named && next_entry(&table, &entry) && field_at(entry, ';', 0).n)
			text_of(field_at(entry, ';', 0), ids[k], sizeof ids[k]);
	}
}

/* "imec0.ap", "nidq", "obx1": as the software names files, run_g0_t0.imec0.ap.bin; the original name stands in the metadata. */
static void stream_name(const struct meta *m, char *out, size_t nout)
{
	static const char *const devices[] = { "imec", "nidq", "obx" };
	char path[1024];
	const char *device = devices[m->device];
	struct span original = value_of(m, "fileName");
	text_of(original.n ? original : (struct span){ m->file, strlen(m->file) }, path, sizeof path);
	const char *slash = strrchr(path, '/'), *found = NULL;
	for (const char *at = slash ? slash : path; (at = strstr(at, device)); at++)
		if (!found || isdigit((unsigned char)at[strlen(device)])) /* ".obx2.obx": not the last one */
			found = at + strlen(device);
	int n = 0;
	while (found && n < 6 && isdigit((unsigned char)found[n]))
		n++;
	const char *kind = m->device != DEVICE_IMEC ? "" : m->kinds[0] == KIND_LF ? ".lf" : ".ap";
	snprintf(out, nout, "%s%.*s%s", device, m->device == DEVICE_NIDQ ? 0 : n, found ? found : "", kind);
}

/* The channels whose kind is in the set (bits), as a stream called `name` + `suffix`; nothing if there are none. */
static enum status add_stream(const struct meta *m, unsigned set, const char *name, const char *suffix, bool has_uv, char (*ids)[64])
{
	size_t n = 0;
	for (size_t k = 0; k < m->n; k++)
		n += set >> m->kinds[k] & 1;
	if (!n)
		return STATUS_OK;
	struct raw_stream *s = raw_add_stream(m->side, n, m->e);
	if (!s)
		return m->e->status;
	snprintf(s->name, sizeof s->name, "%s%s", name, suffix);
	s->neural = !suffix[0];
	s->has_uv = has_uv;
	s->fs_hz = m->fs_hz;
	s->nstored = m->n;
	n = 0;
	for (size_t k = 0; k < m->n; k++)
		if (set >> m->kinds[k] & 1) {
			s->rows[n] = k;
			s->gains_uv[n] = has_uv ? m->gains_uv[k] : 1;
			memcpy(s->ids[n++], ids[k], sizeof ids[k]);
		}
	return STATUS_OK;
}

static enum status add_streams(const struct meta *m, bool has_uv, char (*ids)[64])
{
	enum { SIGNALS = 1 << KIND_AP | 1 << KIND_LF | 1 << KIND_MN | 1 << KIND_MA | 1 << KIND_XA };
	char name[64];
	stream_name(m, name, sizeof name);
	enum status status = add_stream(m, SIGNALS, name, "", has_uv, ids);
	if (!status && m->device == DEVICE_IMEC && m->side->nstreams)
		status = take_places(m, &m->side->streams[0], m->side->streams[0].nchannels);
	if (!status && m->device == DEVICE_IMEC && m->side->nstreams)
		status = take_shifts(m, &m->side->streams[0]);
	if (!status)
		status = add_stream(m, 1 << KIND_DW, name, "-DIGITAL", false, ids);
	return status ? status : add_stream(m, 1 << KIND_SY, name, "-SYNC", false, ids);
}

/* ---- all of it ---- */

static enum status take_device(struct meta *m)
{
	static const char *const rates[] = { "imSampRate", "niSampRate", "obSampRate" };
	struct span type = value_of(m, "typeThis");
	char part[32] = "", number_text[32] = "";
	if (type.n == 4 && memcmp(type.at, "nidq", 4) == 0)
		m->device = DEVICE_NIDQ;
	else if (type.n == 3 && memcmp(type.at, "obx", 3) == 0)
		m->device = DEVICE_OBX;
	else if (type.at && !(type.n == 4 && memcmp(type.at, "imec", 4) == 0))
		return wrong(m, "typeThis", "is not imec, nidq or obx");
	if (!positive(m, rates[m->device], &m->fs_hz) || m->fs_hz > 1e9)
		return wrong(m, rates[m->device], "is missing or no number above 0");
	if (m->device != DEVICE_IMEC)
		return STATUS_OK;
	struct span table = value_of(m, "imroTbl"), header = { 0 };
	next_entry(&table, &header);
	text_of(value_of(m, "imDatPrb_pn"), part, sizeof part);
	text_of(value_of(m, "imDatPrb_type"), number_text, sizeof number_text);
	if (value_of(m, "imProbeOpt").at) /* phase 3A: no part number yet */
		strcpy(part, "NP1010");
	/* The header begins with the type, or since 2026 with the part number. */
	if (!number_text[0] && !part[0])
		text_of(field_at(header, ',', 0), isdigit((unsigned char)(header.n ? header.at[0] : 0)) ? number_text : part, sizeof part);
	m->probe = probe_of(part, number_text);
	if (!counts_of(m, "acqApLfSy", m->acquired, 3))
		m->acquired[0] = 384;
	return STATUS_OK;
}

static enum status take_sizes(struct meta *m)
{
	double n, bytes = 0, first, rate = m->fs_hz;
	if (!number(value_of(m, "nSavedChans"), &n) || n < 1 || n > RAW_MAX_CHANNELS || n != floor(n))
		return wrong(m, "nSavedChans", "is missing or no number of channels");
	m->n = (size_t)n;
	if (value_of(m, "fileSizeBytes").at && (!number(value_of(m, "fileSizeBytes"), &bytes) || bytes < 0 || bytes > 9e15))
		return wrong(m, "fileSizeBytes", "is no number of bytes");
	m->side->data_bytes = (uint64_t)bytes;
	if (number(value_of(m, "firstSample"), &first) && first >= 0)
		m->side->start_time_s = first / rate;
	return STATUS_OK;
}

static enum status take_channels(struct meta *m)
{
	bool known = true;
	m->original = calloc(m->n, sizeof *m->original);
	m->kinds = calloc(m->n, 1);
	m->gains_uv = calloc(m->n, sizeof *m->gains_uv);
	char(*ids)[64] = calloc(m->n, sizeof *ids);
	enum status status = STATUS_OK;
	if (!m->original || !m->kinds || !m->gains_uv || !ids)
		status = error_set(m->e, STATUS_NO_MEMORY, NULL, NULL, "no memory for %zu channels", m->n);
	if (!status)
		status = take_kinds(m);
	if (!status)
		status = take_subset(m);
	if (!status)
		status = m->device == DEVICE_IMEC ? probe_gains(m, &known) : card_gains(m);
	if (!status && !known)
		raw_warn(m->side, "the gain of this type of probe is not known: samples are counts");
	if (!status) {
		take_ids(m, ids);
		status = add_streams(m, known, ids);
	}
	free(ids);
	free(m->original);
	free(m->kinds);
	free(m->gains_uv);
	return status;
}

enum status raw_spikeglx_parse(const char *text, size_t n, const char *file, struct raw_side *side, struct error *e)
{
	struct meta m = { .text = { text, n }, .file = file, .side = side, .e = e };
	memset(side, 0, sizeof *side);
	enum status status = take_device(&m);
	if (!status)
		status = take_sizes(&m);
	return status ? status : take_channels(&m);
}
