/*
 * A disk that fails, for LD_PRELOAD: writes or syncs of the database's files end with an error from the moment on when the
 * switch is there.
 *
 * FAULTS_FILE    end of the path of the files that fail, such as "/sled/db"; or, with a slash at its end, the end of the path
 *                of their folder, such as "/pg_wal/"
 * FAULTS_SWITCH  a file; its first word says what fails, "write" or "sync", its second one with which errno
 *
 * Nothing is written by a write that fails. Calls that bypass libc are not seen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) abort();
    return found;
}

/* The error that this call ends with, or 0. */
static int fault(int fd, const char *what) {
    const char *file = getenv("FAULTS_FILE"), *path = getenv("FAULTS_SWITCH");
    if (file == NULL || path == NULL) return 0;
    char link[64], name[4096], kind[16];
    int error = 0, saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    size_t end = strlen(file);
    /* Of a file in a folder, only as far as the folder. */
    if (length > 0 && end > 0 && file[end - 1] == '/')
        while (length > 0 && name[length - 1] != '/') length--;
    bool is_it = length >= (ssize_t)end && strncmp(name + length - end, file, end) == 0;
    FILE *told = is_it ? fopen(path, "r") : NULL;
    if (told != NULL) {
        if (fscanf(told, "%15s %d", kind, &error) != 2 || strcmp(kind, what) != 0) error = 0;
        fclose(told);
    }
    errno = saved;
    return error;
}

#define UNLESS_FAULT(fd, what, call)                                                                                   \
    int error = fault(fd, what);                                                                                       \
    if (error == 0) return call;                                                                                       \
    errno = error;                                                                                                     \
    return -1

ssize_t write(int fd, const void *from, size_t count) {
    UNLESS_FAULT(fd, "write", REAL(write)(fd, from, count));
}

ssize_t pwrite(int fd, const void *from, size_t count, off_t at) {
    UNLESS_FAULT(fd, "write", REAL(pwrite)(fd, from, count, at));
}

ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at) {
    UNLESS_FAULT(fd, "write", REAL(pwrite64)(fd, from, count, at));
}

ssize_t writev(int fd, const struct iovec *from, int count) {
    UNLESS_FAULT(fd, "write", REAL(writev)(fd, from, count));
}

int fsync(int fd) {
    UNLESS_FAULT(fd, "sync", REAL(fsync)(fd));
}

int fdatasync(int fd) {
    UNLESS_FAULT(fd, "sync", REAL(fdatasync)(fd));
}
