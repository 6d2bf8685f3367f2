/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/shared_memory.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct shared_mapping {
	uint64_t inode;
	dev_t device;
	uid_t uid;
	pid_t pid;
	int pidfd;               /* of the owner, ours to close */
	uint8_t *base;
	size_t nbytes;
	unsigned uses;
	uint64_t turn;           /* of its last use */
	struct shared_mapping *next;
};

struct shared_memory {
	pthread_mutex_t lock;
	struct shared_mapping *first;
	size_t nbytes, max_bytes;
	uint64_t turn;
};

struct shared_memory *shared_memory_new(size_t max_bytes)
{
	struct shared_memory *m = calloc(1, sizeof *m);
	if (m) {
		pthread_mutex_init(&m->lock, NULL);
		m->max_bytes = max_bytes;
	}
	return m;
}

static void unmap(struct shared_memory *m, struct shared_mapping **at)
{
	struct shared_mapping *s = *at;
	*at = s->next;
	m->nbytes -= s->nbytes;
	munmap(s->base, s->nbytes);
	close(s->pidfd);
	free(s);
}

void shared_memory_free(struct shared_memory *m)
{
	if (!m)
		return;
	while (m->first)
		unmap(m, &m->first);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static bool owner_gone(const struct shared_mapping *s)
{
	struct pollfd fd = { .fd = s->pidfd, .events = POLLIN };
	return poll(&fd, 1, 0) != 0;
}

static void sweep(struct shared_memory *m)
{
	for (struct shared_mapping **at = &m->first; *at;) {
		if (!(*at)->uses && owner_gone(*at))
			unmap(m, at);
		else
			at = &(*at)->next;
	}
}

void shared_memory_sweep(struct shared_memory *m)
{
	pthread_mutex_lock(&m->lock);
	sweep(m);
	pthread_mutex_unlock(&m->lock);
}

/* Those used longest ago go first, until `more` bytes fit. */
static bool make_room(struct shared_memory *m, size_t more)
{
	if (more > m->max_bytes)
		return false;
	if (m->nbytes > m->max_bytes - more)
		sweep(m);
	while (m->nbytes > m->max_bytes - more) {
		struct shared_mapping **oldest = NULL;
		for (struct shared_mapping **at = &m->first; *at; at = &(*at)->next)
			if (!(*at)->uses && (!oldest || (*at)->turn < (*oldest)->turn))
				oldest = at;
		if (!oldest)
			return false;
		unmap(m, oldest);
	}
	return true;
}

/* Maps a descriptor of ours if it is a memory file that cannot shrink and has this inode. */
static uint8_t *map_file(int fd, const struct array *a, struct stat *st)
{
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || (seals & F_SEAL_WRITE) || fstat(fd, st) != 0 || !S_ISREG(st->st_mode))
		return NULL;
	if (st->st_ino != a->inode || st->st_size <= 0)
		return NULL;
	void *base = mmap(NULL, (size_t)st->st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return base == MAP_FAILED ? NULL : base;
}

static struct shared_mapping *map_new(struct shared_memory *m, const struct peer *p, const struct array *a)
{
	struct stat st;
	int fd = (int)syscall(SYS_pidfd_getfd, p->pidfd, a->fd, 0), pidfd = fd < 0 ? -1 : fcntl(p->pidfd, F_DUPFD_CLOEXEC, 0);
	struct shared_mapping *s = pidfd < 0 ? NULL : calloc(1, sizeof *s);
	uint8_t *base = s ? map_file(fd, a, &st) : NULL;
	if (fd >= 0)
		close(fd);
	if (base && !make_room(m, (size_t)st.st_size)) {
		munmap(base, (size_t)st.st_size);
		base = NULL;
	}
	if (!base) {
		if (pidfd >= 0)
			close(pidfd);
		free(s);
		return NULL;
	}
	*s = (struct shared_mapping){ .inode = st.st_ino, .device = st.st_dev, .uid = p->uid, .pid = p->pid, .pidfd = pidfd, .base = base,
				      .nbytes = (size_t)st.st_size, .next = m->first };
	m->first = s;
	m->nbytes += s->nbytes;
	return s;
}

/* A process may only meet what was mapped from itself: so an inode it names is one it has open. */
static struct shared_mapping *find(struct shared_memory *m, const struct peer *p, const struct array *a)
{
	for (struct shared_mapping *s = m->first; s; s = s->next)
		if (s->inode == a->inode && s->pid == p->pid && s->uid == p->uid && !owner_gone(s))
			return s;
	return NULL;
}

void *shared_memory_use(struct shared_memory *m, const struct peer *p, const struct array *a, struct shared_mapping **hold)
{
	*hold = NULL;
	if (!m || !a->shared || !p->known || !p->same_user || p->pidfd < 0 || a->at % dtype_size(a->dtype))
		return NULL;
	pthread_mutex_lock(&m->lock);
	struct shared_mapping *s = find(m, p, a);
	if (!s)
		s = map_new(m, p, a);
	void *data = NULL;
	if (s && a->at <= s->nbytes && a->nbytes <= s->nbytes - a->at) {
		s->uses++;
		s->turn = ++m->turn;
		*hold = s;
		data = s->base + a->at;
	}
	pthread_mutex_unlock(&m->lock);
	return data;
}

void shared_memory_done(struct shared_memory *m, struct shared_mapping *hold)
{
	if (!hold)
		return;
	pthread_mutex_lock(&m->lock);
	hold->uses--;
	pthread_mutex_unlock(&m->lock);
}

struct shared_memory_counts shared_memory_counts(struct shared_memory *m)
{
	struct shared_memory_counts c = { 0 };
	pthread_mutex_lock(&m->lock);
	for (const struct shared_mapping *s = m->first; s; s = s->next)
		c.files++;
	c.nbytes = m->nbytes;
	pthread_mutex_unlock(&m->lock);
	return c;
}
