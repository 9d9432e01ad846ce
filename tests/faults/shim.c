/* A disk that fills up, breaks, is slow, or ends the process, and a clock that is wrong: loaded before the C library (LD_PRELOAD).
 *
 * Only calls on files below one folder count, in the order in which a process makes them. Nothing happens until `faults_arm`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { NONE, COUNT, FULL, BROKEN, KILLED, SLOW };
enum { READS, WRITES };

static int kind;
static long moment, shift;
static atomic_long calls, written;
static char below[PATH_MAX];
static size_t length;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

void faults_arm(int new_kind, long at, const char *folder) {
    strncpy(below, folder, sizeof below - 1);
    length = strlen(below);
    moment = at;
    atomic_store(&calls, 0);
    atomic_store(&written, 0);
    kind = new_kind;
}

long faults_calls(int writes) { return atomic_load(writes ? &written : &calls); }

void faults_clock(long seconds) { shift = seconds; }

/* The error number with which a call fails that is about to be made; 0 if it is to be made. */
static int fault(int writes) {
    long now;
    if (kind == FULL && !writes) return 0;
    now = atomic_fetch_add(&calls, 1) + 1;
    if (writes) atomic_fetch_add(&written, 1);
    if (kind == SLOW) usleep(moment);
    if (kind == FULL && now >= moment) return ENOSPC;
    if (kind == BROKEN && now == moment) return EIO;
    if (kind == KILLED && now == moment) kill(getpid(), SIGKILL);
    return 0;
}

static int of_path(const char *path, int writes) {
    char whole[PATH_MAX];
    if (kind == NONE || path == NULL) return 0;
    if (path[0] != '/') {
        if (getcwd(whole, sizeof whole) == NULL) return 0;
        path = whole;
    }
    return strncmp(path, below, length) == 0 ? fault(writes) : 0;
}

static int of_file(int file, int writes) {
    char link[64], path[PATH_MAX];
    ssize_t size;
    if (kind == NONE) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    size = readlink(link, path, sizeof path - 1);
    if (size <= 0 || path[0] != '/') return 0;
    path[size] = 0;
    return of_path(path, writes);
}

#define UNLESS(failing)       \
    do {                      \
        int number = failing; \
        if (number) {         \
            errno = number;   \
            return -1;        \
        }                     \
    } while (0)

#define WRITING (O_CREAT | O_WRONLY | O_RDWR | O_TRUNC)

#define OPENING(name)                                                               \
    int name(const char *path, int flags, ...) {                                    \
        va_list rest;                                                               \
        va_start(rest, flags);                                                      \
        mode_t mode = va_arg(rest, mode_t);                                         \
        va_end(rest);                                                               \
        UNLESS(of_path(path, (flags & WRITING) != 0));                              \
        return ((int (*)(const char *, int, ...))real(#name))(path, flags, mode);   \
    }
OPENING(open)
OPENING(open64)

#define OPENING_AT(name)                                                                      \
    int name(int folder, const char *path, int flags, ...) {                                  \
        va_list rest;                                                                         \
        va_start(rest, flags);                                                                \
        mode_t mode = va_arg(rest, mode_t);                                                   \
        va_end(rest);                                                                         \
        UNLESS(of_path(path, (flags & WRITING) != 0));                                        \
        return ((int (*)(int, const char *, int, ...))real(#name))(folder, path, flags, mode); \
    }
OPENING_AT(openat)
OPENING_AT(openat64)

/* A disk that is filled by a write takes half of it. */
static int of_data(int file, size_t *size) {
    int number = of_file(file, WRITES);
    if (number == ENOSPC && atomic_load(&calls) == moment && *size > 1) {
        *size /= 2;
        return 0;
    }
    return number;
}

ssize_t write(int file, const void *data, size_t size) {
    UNLESS(of_data(file, &size));
    return REAL(write)(file, data, size);
}

ssize_t writev(int file, const struct iovec *data, int count) {
    UNLESS(of_file(file, WRITES));
    return REAL(writev)(file, data, count);
}

#define WRITING_AT(name)                                                      \
    ssize_t name(int file, const void *data, size_t size, off_t at) {         \
        UNLESS(of_data(file, &size));                                         \
        return ((ssize_t (*)(int, const void *, size_t, off_t))real(#name))(file, data, size, at); \
    }
WRITING_AT(pwrite)
WRITING_AT(pwrite64)

ssize_t read(int file, void *data, size_t size) {
    UNLESS(of_file(file, READS));
    return REAL(read)(file, data, size);
}

#define READING_AT(name)                                                     \
    ssize_t name(int file, void *data, size_t size, off_t at) {              \
        UNLESS(of_file(file, READS));                                        \
        return ((ssize_t (*)(int, void *, size_t, off_t))real(#name))(file, data, size, at); \
    }
READING_AT(pread)
READING_AT(pread64)

#define ON_FILE(name)                                  \
    int name(int file) {                               \
        UNLESS(of_file(file, WRITES));                 \
        return ((int (*)(int))real(#name))(file);      \
    }
ON_FILE(fsync)
ON_FILE(fdatasync)

#define TRUNCATING(name)                                             \
    int name(int file, off_t size) {                                 \
        UNLESS(of_file(file, WRITES));                               \
        return ((int (*)(int, off_t))real(#name))(file, size);       \
    }
TRUNCATING(ftruncate)
TRUNCATING(ftruncate64)

#define NAMING(name)                                                                    \
    int name(const char *from, const char *to) {                                        \
        UNLESS(of_path(to, WRITES));                                                    \
        return ((int (*)(const char *, const char *))real(#name))(from, to);            \
    }
NAMING(link)
NAMING(rename)

int mkdir(const char *path, mode_t mode) {
    UNLESS(of_path(path, WRITES));
    return REAL(mkdir)(path, mode);
}

/* Taking away needs no room, but a broken disk does not do it either. */
int unlink(const char *path) {
    if (kind != FULL) UNLESS(of_path(path, WRITES));
    return REAL(unlink)(path);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = REAL(clock_gettime)(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int failed = REAL(gettimeofday)(now, zone);
    if (!failed) now->tv_sec += shift;
    return failed;
}

time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place) *place = now.tv_sec;
    return now.tv_sec;
}
