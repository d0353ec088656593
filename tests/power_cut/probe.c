/*
 * A program for the self-test of the model: it carries out the steps that its arguments name, in the folder that is its
 * first argument, then dies as by kill -9. A step is `verb`, `verb:file` or `verb:file:value`. Exit status 2: bad step.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    char name[64];
    int fd;
} files[16];

/* The descriptor that stays open for a file, as sled keeps one. */
static int opened(const char *name) {
    int i = 0;
    while (files[i].name[0] != 0 && strcmp(files[i].name, name) != 0) i++;
    if (files[i].name[0] == 0) {
        snprintf(files[i].name, sizeof files[i].name, "%s", name);
        files[i].fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    if (files[i].fd < 0) exit(2);
    return files[i].fd;
}

static int step(const char *verb, const char *name, const char *value) {
    size_t length = strlen(value);
    if (strcmp(verb, "append") == 0) {
        int fd = opened(name);
        return lseek(fd, 0, SEEK_END) < 0 || write(fd, value, length) != (ssize_t)length;
    }
    if (strcmp(verb, "vector") == 0) {
        struct iovec parts[2] = {{(void *)value, 1}, {(void *)(value + 1), length - 1}};
        return writev(opened(name), parts, 2) != (ssize_t)length;
    }
    if (strcmp(verb, "start") == 0) return pwrite(opened(name), value, length, 0) != (ssize_t)length;
    if (strcmp(verb, "synchronous") == 0) {
        int fd = open(name, O_WRONLY | O_DSYNC);
        return fd < 0 || write(fd, value, length) != (ssize_t)length;
    }
    if (strcmp(verb, "sync") == 0) return fsync(opened(name));
    if (strcmp(verb, "datasync") == 0) return fdatasync(opened(name));
    if (strcmp(verb, "second-sync") == 0) {
        int fd = open(name, O_RDONLY);
        return fd < 0 || fdatasync(fd) != 0 || close(fd) != 0;
    }
    if (strcmp(verb, "range-sync") == 0)
        return sync_file_range(opened(name), 0, 0,
                               SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    if (strcmp(verb, "cut") == 0) return ftruncate(opened(name), atol(value));
    if (strcmp(verb, "replace") == 0) {
        int fd = open(name, O_WRONLY | O_TRUNC);
        return fd < 0 || write(fd, value, length) != (ssize_t)length || close(fd) != 0;
    }
    if (strcmp(verb, "rename") == 0) return rename(name, value);
    if (strcmp(verb, "link") == 0) return link(name, value);
    if (strcmp(verb, "unlink") == 0) return unlink(name);
    if (strcmp(verb, "mkdir") == 0) return mkdir(name, 0700);
    if (strcmp(verb, "sync-folder") == 0) {
        int fd = open(*name != 0 ? name : ".", O_RDONLY | O_DIRECTORY);
        return fd < 0 || fsync(fd) != 0 || close(fd) != 0;
    }
    if (strcmp(verb, "map") == 0)
        return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, opened(name), 0) == MAP_FAILED;
    return 1;
}

int main(int count, char **arguments) {
    if (count < 2 || chdir(arguments[1]) != 0) return 2;
    for (int i = 2; i < count; i++) {
        char *verb = strdup(arguments[i]), *name = strchr(verb, ':'), *value = NULL;
        if (name != NULL) {
            *name++ = 0;
            value = strchr(name, ':');
            if (value != NULL) *value++ = 0;
        }
        if (step(verb, name != NULL ? name : "", value != NULL ? value : "") != 0) {
            perror(arguments[i]);
            return 2;
        }
    }
    raise(SIGKILL);
    return 2;
}
