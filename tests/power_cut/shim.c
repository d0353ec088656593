/*
 * The calls that the model of a power cut (model.c) listens to, for LD_PRELOAD.
 *
 * Those that sled and the server use are followed; whatever else could change a file of the data folder (a writable
 * shared mapping, splice and the like) ends the process with a message, so that the model cannot pass by looking away.
 * Calls that bypass libc are not seen.
 */
#define _GNU_SOURCE
#include "model.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* libc's own function of the same name, for what is not a plain system call. */
#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) abort();
    return found;
}

/* ---- open ---- */

static int open_any(int folder, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    const char *below = model_inside(folder, path, whole);
    if (below == NULL || *below == 0 || (flags & (O_DIRECTORY | O_PATH)))
        return (int)syscall(SYS_openat, folder, path, flags, mode);
    if ((flags & O_TMPFILE) == O_TMPFILE) model_give_up("the model does not follow O_TMPFILE", path);
    pthread_mutex_lock(&model_lock);
    struct stat before;
    bool existed = fstatat(folder, path, &before, 0) == 0;
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    int error = errno;
    if (fd >= 0) model_opened(fd, below, !existed, (flags & O_TRUNC) != 0);
    pthread_mutex_unlock(&model_lock);
    errno = error;
    return fd;
}

#define OPEN(folder, path, flags)                                                                                      \
    mode_t mode = 0;                                                                                                   \
    if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) {                                                   \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode = va_arg(list, mode_t);                                                                                   \
        va_end(list);                                                                                                  \
    }                                                                                                                  \
    return open_any(folder, path, flags, mode)

int open(const char *path, int flags, ...) { OPEN(AT_FDCWD, path, flags); }
int open64(const char *path, int flags, ...) { OPEN(AT_FDCWD, path, flags); }
int openat(int folder, const char *path, int flags, ...) { OPEN(folder, path, flags); }
int openat64(int folder, const char *path, int flags, ...) { OPEN(folder, path, flags); }
int creat(const char *path, mode_t mode) { return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* ---- write ---- */

#define OWN_POSITION ((off_t)-1)

/* Writes under the lock, but not to what is no file of the data folder: a socket or a pipe may block. */
#define WRITE(fd, at, call)                                                                                            \
    struct stat stat;                                                                                                  \
    pthread_mutex_lock(&model_lock);                                                                                   \
    struct node *node = model_node(fd, &stat);                                                                         \
    if (node == NULL) {                                                                                                \
        pthread_mutex_unlock(&model_lock);                                                                             \
        return call;                                                                                                   \
    }                                                                                                                  \
    ssize_t result = call;                                                                                             \
    int error = errno;                                                                                                 \
    if (result > 0) {                                                                                                  \
        off_t start = (at) == OWN_POSITION ? lseek(fd, 0, SEEK_CUR) - result : (at);                                   \
        model_written(fd, node, start, start + result);                                                                \
    }                                                                                                                  \
    pthread_mutex_unlock(&model_lock);                                                                                 \
    errno = error;                                                                                                     \
    return result

ssize_t write(int fd, const void *from, size_t size) { WRITE(fd, OWN_POSITION, syscall(SYS_write, fd, from, size)); }
ssize_t pwrite(int fd, const void *from, size_t size, off_t at) {
    WRITE(fd, at, syscall(SYS_pwrite64, fd, from, size, at));
}
ssize_t pwrite64(int fd, const void *from, size_t size, off_t at) { return pwrite(fd, from, size, at); }
ssize_t writev(int fd, const struct iovec *from, int parts) {
    WRITE(fd, OWN_POSITION, syscall(SYS_writev, fd, from, parts));
}
ssize_t pwritev(int fd, const struct iovec *from, int parts, off_t at) {
    WRITE(fd, at, REAL(pwritev)(fd, from, parts, at));
}
ssize_t pwritev64(int fd, const struct iovec *from, int parts, off_t at) { return pwritev(fd, from, parts, at); }

/* fs::copy of Rust's standard library is made of these two. */
ssize_t copy_file_range(int in, off_t *from, int out, off_t *to, size_t size, unsigned flags) {
    off_t at = to != NULL ? *to : OWN_POSITION;
    WRITE(out, at, syscall(SYS_copy_file_range, in, from, out, to, size, flags));
}
ssize_t sendfile(int out, int in, off_t *from, size_t size) {
    WRITE(out, OWN_POSITION, syscall(SYS_sendfile, out, in, from, size));
}
ssize_t sendfile64(int out, int in, off_t *from, size_t size) { return sendfile(out, in, from, size); }

int ftruncate(int fd, off_t size) {
    struct stat stat;
    pthread_mutex_lock(&model_lock);
    struct node *node = model_node(fd, &stat);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    int error = errno;
    if (node != NULL && result == 0) model_resized(node, stat.st_size, size);
    pthread_mutex_unlock(&model_lock);
    errno = error;
    return result;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

/* ---- sync ---- */

/* The disk itself is not synced: the shadow decides, and the test is faster. */
static int sync_any(int fd, int (*call)(int)) {
    struct stat stat;
    if (!model_runs()) return call(fd);
    pthread_mutex_lock(&model_lock);
    struct node *node = model_node(fd, &stat);
    if (node != NULL) {
        model_synced(fd, node);
        pthread_mutex_unlock(&model_lock);
        return 0;
    }
    char link[64], path[PATH_MAX], whole[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode) ? readlink(link, path, sizeof path - 1) : -1;
    if (length > 0) {
        path[length] = 0;
        const char *below = model_inside(AT_FDCWD, path, whole);
        if (below != NULL) model_directory_synced(below);
    }
    pthread_mutex_unlock(&model_lock);
    return call(fd);
}

int fsync(int fd) { return sync_any(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_any(fd, REAL(fdatasync)); }

int sync_file_range(int fd, off_t offset, off_t bytes, unsigned flags) {
    struct stat stat;
    pthread_mutex_lock(&model_lock);
    struct node *node = model_node(fd, &stat);
    if (node != NULL) model_range_synced();
    pthread_mutex_unlock(&model_lock);
    return node != NULL ? 0 : REAL(sync_file_range)(fd, offset, bytes, flags);
}

/* ---- names ---- */

/* Sockets and pipes have no shadow; their names come and go unseen. */
static int change(enum kind kind, int at, const char *from, int to_at, const char *to, unsigned mode) {
    char whole[PATH_MAX], whole_to[PATH_MAX];
    struct stat stat;
    pthread_mutex_lock(&model_lock);
    const char *below = model_inside(at, from, whole);
    bool two_names = kind == RENAME || kind == LINK;
    const char *below_to = two_names ? model_inside(to_at, to, whole_to) : "";
    bool kept = below != NULL && (kind == MKDIR || fstatat(at, from, &stat, AT_SYMLINK_NOFOLLOW) != 0 ||
                                  S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode));
    if (two_names && (below == NULL) != (below_to == NULL))
        model_give_up("the model does not follow a rename or link across the data folder", from);
    long result;
    switch (kind) {
    case RENAME: result = syscall(SYS_renameat2, at, from, to_at, to, 0); break;
    case LINK: result = syscall(SYS_linkat, at, from, to_at, to, mode); break;
    case MKDIR: result = syscall(SYS_mkdirat, at, from, mode); break;
    default: result = syscall(SYS_unlinkat, at, from, kind == RMDIR ? AT_REMOVEDIR : 0);
    }
    int error = errno;
    if (result == 0 && kept) model_renamed(kind, below, below_to);
    pthread_mutex_unlock(&model_lock);
    errno = error;
    return (int)result;
}

int rename(const char *from, const char *to) { return change(RENAME, AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int at, const char *from, int to_at, const char *to) { return change(RENAME, at, from, to_at, to, 0); }
int link(const char *from, const char *to) { return change(LINK, AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int at, const char *from, int to_at, const char *to, int flags) {
    return change(LINK, at, from, to_at, to, (unsigned)flags);
}
int unlink(const char *path) { return change(UNLINK, AT_FDCWD, path, 0, NULL, 0); }
int rmdir(const char *path) { return change(RMDIR, AT_FDCWD, path, 0, NULL, 0); }
int unlinkat(int at, const char *path, int flags) {
    return change(flags & AT_REMOVEDIR ? RMDIR : UNLINK, at, path, 0, NULL, 0);
}
int mkdir(const char *path, mode_t mode) { return change(MKDIR, AT_FDCWD, path, 0, NULL, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return change(MKDIR, at, path, 0, NULL, mode); }

/* ---- what the model does not follow ---- */

static void refuse(int fd, const char *call) {
    struct stat stat;
    if (!model_runs()) return;
    pthread_mutex_lock(&model_lock);
    if (model_node(fd, &stat) != NULL) model_give_up("the model does not follow", call);
    pthread_mutex_unlock(&model_lock);
}

static void refuse_path(int at, const char *path, const char *call) {
    char whole[PATH_MAX];
    if (model_inside(at, path, whole) != NULL) model_give_up(call, path);
}

int fallocate(int fd, int mode, off_t at, off_t size) {
    refuse(fd, "fallocate");
    return (int)syscall(SYS_fallocate, fd, mode, at, size);
}
int fallocate64(int fd, int mode, off_t at, off_t size) { return fallocate(fd, mode, at, size); }
int posix_fallocate(int fd, off_t at, off_t size) {
    refuse(fd, "posix_fallocate");
    return REAL(posix_fallocate)(fd, at, size);
}
int posix_fallocate64(int fd, off_t at, off_t size) { return posix_fallocate(fd, at, size); }
ssize_t pwritev2(int fd, const struct iovec *from, int parts, off_t at, int flags) {
    refuse(fd, "pwritev2");
    return REAL(pwritev2)(fd, from, parts, at, flags);
}
ssize_t splice(int in, off_t *from, int out, off_t *to, size_t size, unsigned flags) {
    refuse(out, "splice");
    return syscall(SYS_splice, in, from, out, to, size, flags);
}
void *mmap(void *where, size_t size, int protection, int flags, int fd, off_t at) {
    if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE)) refuse(fd, "a shared mapping");
    return (void *)syscall(SYS_mmap, where, size, protection, flags, fd, at);
}
void *mmap64(void *where, size_t size, int protection, int flags, int fd, off_t at) {
    return mmap(where, size, protection, flags, fd, at);
}
int renameat2(int at, const char *from, int to_at, const char *to, unsigned flags) {
    refuse_path(at, from, "the model does not follow renameat2");
    return (int)syscall(SYS_renameat2, at, from, to_at, to, flags);
}
int truncate(const char *path, off_t size) {
    refuse_path(AT_FDCWD, path, "the model does not follow truncate");
    return (int)syscall(SYS_truncate, path, size);
}
int truncate64(const char *path, off_t size) { return truncate(path, size); }
