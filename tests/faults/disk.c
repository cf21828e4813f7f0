/* A disk that fails where a test wants it to.
 *
 * Preloaded, it counts every change that a process makes below one folder (made, written, synced, renamed, linked,
 * removed). At the change of a chosen number it kills the process or returns an error; and it can write down all
 * changes with what was written, so that a power loss can be played back. What native libraries write is counted as
 * well: Rust, C++ and Python all call these functions.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name, type, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

enum { OBSERVE, KILL, FAIL_ONCE, FAIL_FROM };

static char root[PATH_MAX];
static size_t root_length;
static int trace = -1, mode, error_number;
static long step, chosen, failed;
static const char *failing;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ssize_t (*real_write)(int, const void *, size_t);

/* Begin: changes below `folder` count from now on.
 * `at` is the number of the change that is struck; `kinds` holds the letters of those that can return an error. */
void disk_arm(const char *folder, const char *trace_file, long at, int what, int error, const char *kinds) {
    real_write = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    trace = open(trace_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    step = failed = 0;
    chosen = at;
    mode = what;
    error_number = error;
    failing = strdup(kinds);
    root_length = strlen(folder);
    memcpy(root, folder, root_length + 1);
}

static int inside(int folder, const char *path, char *out) {
    if (!root_length || !path) return 0;
    if (path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
    } else {
        char base[PATH_MAX];
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t n = readlink(link, base, sizeof base - 1);
            if (n < 0) return 0;
            base[n] = 0;
        }
        if (snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    }
    size_t n = strlen(out);
    while (n > 1 && out[n - 1] == '/') out[--n] = 0;
    return !strncmp(out, root, root_length) && (out[root_length] == '/' || !out[root_length]);
}

static int open_inside(int fd, char *out) {
    if (!root_length) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, PATH_MAX - 1);
    if (n < 0) return 0;
    out[n] = 0;
    return !strncmp(out, root, root_length) && (out[root_length] == '/' || !out[root_length]);
}

static unsigned long inode(const char *path) {
    struct stat found;
    return lstat(path, &found) ? 0 : found.st_ino;
}

/* One line for each change, then what was written.
 * Letters: c made, t cut, w written, s synced, r renamed, l linked, u removed, d folder made, x folder removed. */
static void note(char kind, const char *state, unsigned long node, long offset, const void *data, size_t size,
                 const char *first, const char *second) {
    if (trace < 0) return;
    char line[2 * PATH_MAX + 128];
    int n = snprintf(line, sizeof line, "%ld\t%c\t%s\t%lu\t%ld\t%zu\t%s\t%s\n", step, kind, state, node, offset, size,
                     first, second ? second : "");
    real_write(trace, line, n);
    if (size) real_write(trace, data, size);
}

/* Take the lock and count; say whether the change is to fail. */
static int strikes(char kind, const char *path, const char *other, int fd, const void *data, size_t size) {
    pthread_mutex_lock(&lock);
    step++;
    if (mode == KILL && step == chosen) {
        if (kind == 'w' && size > 1) real_write(fd, data, size / 2); /* a kill can come between two pages */
        note(kind, "killed", 0, 0, "", 0, path, other);
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    int eligible = step >= chosen && strchr(failing, kind);
    if ((mode == FAIL_ONCE && eligible && !failed) || (mode == FAIL_FROM && eligible)) {
        failed++;
        note(kind, "failed", 0, 0, "", 0, path, other);
        pthread_mutex_unlock(&lock);
        errno = error_number;
        return 1;
    }
    return 0;
}

static void done(char kind, int result, unsigned long node, long offset, const void *data, size_t size,
                 const char *first, const char *second) {
    int kept = errno;
    note(kind, result < 0 ? "refused" : "done", node, offset, data, size, first, second);
    errno = kept;
    pthread_mutex_unlock(&lock);
}

typedef int (*opener)(int, const char *, int, mode_t);

static int opened(int folder, const char *path, int flags, mode_t bits) {
    REAL("openat", int, int, const char *, int, ...);
    char place[PATH_MAX];
    if (!(flags & (O_CREAT | O_TRUNC)) || !inside(folder, path, place)) return real(folder, path, flags, bits);
    unsigned long before = inode(place);
    if (before && !(flags & O_TRUNC)) return real(folder, path, flags, bits);
    char kind = before ? 't' : 'c';
    if (strikes(kind, place, NULL, -1, NULL, 0)) return -1;
    int fd = real(folder, path, flags, bits);
    done(kind, fd, inode(place), 0, NULL, 0, place, NULL);
    return fd;
}

#define WITH_BITS(flags, bits) \
    mode_t bits = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        bits = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) { WITH_BITS(flags, bits) return opened(AT_FDCWD, path, flags, bits); }
int open64(const char *path, int flags, ...) { WITH_BITS(flags, bits) return opened(AT_FDCWD, path, flags, bits); }
int openat(int at, const char *path, int flags, ...) { WITH_BITS(flags, bits) return opened(at, path, flags, bits); }
int openat64(int at, const char *path, int flags, ...) { WITH_BITS(flags, bits) return opened(at, path, flags, bits); }
int creat(const char *path, mode_t bits) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, bits); }

static long position(int fd) {
    struct stat found;
    if ((fcntl(fd, F_GETFL) & O_APPEND) && !fstat(fd, &found)) return found.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

static unsigned long inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_ino;
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL("write", ssize_t, int, const void *, size_t);
    char place[PATH_MAX];
    if (fd < 3 || fd == trace || !open_inside(fd, place)) return real(fd, data, size);
    if (strikes('w', place, NULL, fd, data, size)) return -1;
    long offset = position(fd);
    ssize_t n = real(fd, data, size);
    done('w', n < 0 ? -1 : 0, inode_of(fd), offset, data, n < 0 ? 0 : n, place, NULL);
    return n;
}

static ssize_t written_at(int fd, const void *data, size_t size, off64_t offset) {
    REAL("pwrite64", ssize_t, int, const void *, size_t, off64_t);
    char place[PATH_MAX];
    if (!open_inside(fd, place)) return real(fd, data, size, offset);
    if (strikes('w', place, NULL, fd, NULL, 0)) return -1;
    ssize_t n = real(fd, data, size, offset);
    done('w', n < 0 ? -1 : 0, inode_of(fd), offset, data, n < 0 ? 0 : n, place, NULL);
    return n;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return written_at(fd, data, size, offset); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) { return written_at(fd, data, size, offset); }

ssize_t writev(int fd, const struct iovec *pieces, int number) {
    REAL("writev", ssize_t, int, const struct iovec *, int);
    char place[PATH_MAX];
    if (fd < 3 || number < 1 || !open_inside(fd, place)) return real(fd, pieces, number);
    for (int i = 0; i < number; i++)
        if (pieces[i].iov_len) return write(fd, pieces[i].iov_base, pieces[i].iov_len); /* callers write the rest */
    return 0;
}

/* Copies in the kernel: callers read and write instead, which is counted. */
static int refused(int fd) {
    char place[PATH_MAX];
    if (!open_inside(fd, place)) return 0;
    errno = EINVAL;
    return 1;
}

ssize_t sendfile(int to, int from, off_t *offset, size_t size) {
    REAL("sendfile", ssize_t, int, int, off_t *, size_t);
    return refused(to) ? -1 : real(to, from, offset, size);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) {
    REAL("sendfile64", ssize_t, int, int, off64_t *, size_t);
    return refused(to) ? -1 : real(to, from, offset, size);
}
ssize_t copy_file_range(int from, off64_t *start, int to, off64_t *offset, size_t size, unsigned flags) {
    REAL("copy_file_range", ssize_t, int, off64_t *, int, off64_t *, size_t, unsigned);
    return refused(to) ? -1 : real(from, start, to, offset, size, flags);
}

static int synced(int fd, int (*real)(int)) {
    char place[PATH_MAX];
    if (!open_inside(fd, place)) return real(fd);
    if (strikes('s', place, NULL, fd, NULL, 0)) return -1;
    int result = real(fd);
    done('s', result, inode_of(fd), 0, NULL, 0, place, NULL);
    return result;
}

int fsync(int fd) { REAL("fsync", int, int); return synced(fd, real); }
int fdatasync(int fd) { REAL("fdatasync", int, int); return synced(fd, real); }

static int cut(int fd, off64_t size) {
    REAL("ftruncate64", int, int, off64_t);
    char place[PATH_MAX];
    if (!open_inside(fd, place)) return real(fd, size);
    if (strikes('t', place, NULL, -1, NULL, 0)) return -1;
    int result = real(fd, size);
    done('t', result, inode_of(fd), size, NULL, 0, place, NULL);
    return result;
}
int ftruncate(int fd, off_t size) { return cut(fd, size); }
int ftruncate64(int fd, off64_t size) { return cut(fd, size); }

static int renamed(int from, const char *old, int to, const char *new, unsigned flags) {
    REAL("renameat2", int, int, const char *, int, const char *, unsigned);
    char first[PATH_MAX], second[PATH_MAX];
    if (!inside(from, old, first) || !inside(to, new, second)) return real(from, old, to, new, flags);
    if (strikes('r', first, second, -1, NULL, 0)) return -1;
    unsigned long node = inode(first);
    int result = real(from, old, to, new, flags);
    done('r', result, node, 0, NULL, 0, first, second);
    return result;
}
int rename(const char *old, const char *new) { return renamed(AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int from, const char *old, int to, const char *new) { return renamed(from, old, to, new, 0); }
int renameat2(int from, const char *old, int to, const char *new, unsigned f) { return renamed(from, old, to, new, f); }

static int linked(int from, const char *old, int to, const char *new, int flags) {
    REAL("linkat", int, int, const char *, int, const char *, int);
    char first[PATH_MAX], second[PATH_MAX];
    if (!inside(from, old, first) || !inside(to, new, second)) return real(from, old, to, new, flags);
    if (strikes('l', first, second, -1, NULL, 0)) return -1;
    int result = real(from, old, to, new, flags);
    done('l', result, inode(first), 0, NULL, 0, first, second);
    return result;
}
int link(const char *old, const char *new) { return linked(AT_FDCWD, old, AT_FDCWD, new, 0); }
int linkat(int from, const char *old, int to, const char *new, int flags) { return linked(from, old, to, new, flags); }

static int removed(int folder, const char *path, int flags) {
    REAL("unlinkat", int, int, const char *, int);
    char place[PATH_MAX], kind = flags & AT_REMOVEDIR ? 'x' : 'u';
    if (!inside(folder, path, place)) return real(folder, path, flags);
    if (strikes(kind, place, NULL, -1, NULL, 0)) return -1;
    int result = real(folder, path, flags);
    done(kind, result, 0, 0, NULL, 0, place, NULL);
    return result;
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int folder, const char *path, int flags) { return removed(folder, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }

static int made(int folder, const char *path, mode_t bits) {
    REAL("mkdirat", int, int, const char *, mode_t);
    char place[PATH_MAX];
    if (!inside(folder, path, place)) return real(folder, path, bits);
    if (strikes('d', place, NULL, -1, NULL, 0)) return -1;
    int result = real(folder, path, bits);
    done('d', result, result ? 0 : inode(place), 0, NULL, 0, place, NULL);
    return result;
}
int mkdir(const char *path, mode_t bits) { return made(AT_FDCWD, path, bits); }
int mkdirat(int folder, const char *path, mode_t bits) { return made(folder, path, bits); }
