/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/helper/walk.h"
#include "daemon/helper/attrs.h"
#include "daemon/helper/dataset.h"
#include "daemon/helper/progress.h"

#include <string.h>

struct walk {
	hid_t file;
	bool (*visit)(hid_t file, const char *path, H5O_type_t type, void *arg);
	void *arg;
	struct walk_report report;
	int depth;
	char path[DATASET_MAX_PATH]; /* of the group being listed */
};

static herr_t step(hid_t group, const char *name, const H5L_info_t *link, void *arg);

/* Depth is limited, so is this recursion. */
static herr_t list(struct walk *w, const char *path)
{
	char saved[DATASET_MAX_PATH];
	memcpy(saved, w->path, sizeof saved);
	memmove(w->path, path, strlen(path) + 1);
	w->depth++;
	hid_t group = H5Gopen2(w->file, path, H5P_DEFAULT);
	herr_t result = group < 0 ? 0 : H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, step, w);
	H5Gclose(group);
	w->depth--;
	memcpy(w->path, saved, sizeof saved);
	return result > 0 ? 1 : 0; /* a group that cannot be listed is skipped */
}

static herr_t step(hid_t group, const char *name, const H5L_info_t *link, void *arg)
{
	struct walk *w = arg;
	char path[DATASET_MAX_PATH];
	H5O_info_t info;
	if (link->type == H5L_TYPE_EXTERNAL)
		w->report.nexternal++;
	if (link->type != H5L_TYPE_HARD || !path_join(path, sizeof path, w->path, name))
		return 0;
	if (++w->report.nobjects > WALK_MAX_OBJECTS) {
		w->report.stopped = true;
		return 1;
	}
	progress_set(path);
	if (H5Oget_info_by_name(group, name, &info, H5P_DEFAULT) < 0)
		return 0;
	if (!w->visit(w->file, path, info.type, w->arg))
		return 1;
	if (info.type != H5O_TYPE_GROUP)
		return 0;
	if (w->depth == WALK_MAX_DEPTH) {
		w->report.stopped = true;
		return 0;
	}
	return list(w, path);
}

void walk(hid_t file, bool (*visit)(hid_t file, const char *path, H5O_type_t type, void *arg), void *arg, struct walk_report *report)
{
	struct walk w = { .file = file, .visit = visit, .arg = arg };
	list(&w, "/");
	if (report)
		*report = w.report;
}
