/*
 * A model of a power cut: what of a data folder is durable.
 *
 * Every file under POWER_CUT_DATA has a shadow under POWER_CUT_SHADOW/tree that holds only what is durable: bytes
 * reach it when fsync or fdatasync succeeds on a descriptor of that file, names when the model says that the directory
 * entry is on disk. Whoever kills the process and puts the shadow in the place of the data folder sees what a machine
 * would find after its power was cut.
 *
 * What counts as durable:
 *   bytes    fsync, fdatasync: the ranges written since the last one, with the size. O_SYNC and O_DSYNC at each write.
 *            sync_file_range never: it neither commits metadata nor flushes the disk's cache (sync_file_range(2)).
 *   names    creations, renames and removals are kept in order. fsync of a directory makes its own durable, and every
 *            earlier one. fsync of a file makes its creation durable (ext4, xfs and btrfs all do), and in journal mode
 *            every earlier operation as well, as the ordered journals of ext4 and xfs would.
 *   by luck  with POWER_CUT_WRITEBACK=n, n of 100 writes and name operations become durable at once, writes only in a
 *            random half of their sectors: a kernel may write back early, in any order, and a cut tears.
 *
 * Environment: POWER_CUT_DATA and POWER_CUT_SHADOW (absolute; the shadow holds `tree`, a copy of the data folder, and
 * an empty `inodes`), POWER_CUT_NAMES=journal|strict, POWER_CUT_WRITEBACK=0..100, POWER_CUT_SEED, and
 * POWER_CUT_IGNORE=second: syncs through any descriptor of a file but the first that was opened report success and do
 * nothing, which takes away the sync that the server adds to sled's. POWER_CUT_AT=n kills the process at its n-th step
 * (a write, a resize, a change of names, a sync), when the step is done but not durable.
 *
 * Counters stand in POWER_CUT_SHADOW/counters, eight bytes each in the order of `enum counter`.
 */
#define _GNU_SOURCE
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECTOR 512
#define ROOM (3 * PATH_MAX)

/* A change of names, in the order in which the process made them. Paths are relative to the data folder. */
struct operation {
    enum kind kind;
    char from[PATH_MAX], to[PATH_MAX];
    unsigned long image; /* of CREATE: the number of the durable image in `inodes` */
};

pthread_mutex_t model_lock = PTHREAD_MUTEX_INITIALIZER;

static struct node *nodes;
static struct operation **operations;
static size_t operation_count, operation_room, operations_durable;
static unsigned long images;
static char data[PATH_MAX], shadow[PATH_MAX];
static size_t data_length;
static bool strict_names, ignore_second;
static unsigned writeback_percent;
static uint64_t cut_at;
static uint64_t random_state = 1;
static uint64_t *counters;

void model_give_up(const char *what, const char *path) {
    char line[ROOM];
    int length = snprintf(line, sizeof line, "power-cut model: %s: %s (errno %d)\n", what, path, errno);
    if (length > 0) syscall(SYS_write, 2, line, (size_t)length);
    abort();
}

bool model_runs(void) { return data_length > 0; }

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static bool lucky(void) { return writeback_percent > 0 && next_random() % 100 < writeback_percent; }

static void count(enum counter which, int64_t by) { counters[which] += (uint64_t)by; }

static void step(void) {
    count(STEPS, 1);
    if (counters[STEPS] == cut_at) syscall(SYS_kill, getpid(), SIGKILL);
}

/* The model's own files are opened and written past the interposed calls. */
static int open_raw(const char *path, int flags) {
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
}

__attribute__((constructor)) static void start(void) {
    const char *of = getenv("POWER_CUT_DATA"), *to = getenv("POWER_CUT_SHADOW"), *text;
    if (of == NULL || to == NULL) return;
    snprintf(data, sizeof data, "%s", of);
    snprintf(shadow, sizeof shadow, "%s", to);
    strict_names = (text = getenv("POWER_CUT_NAMES")) != NULL && strcmp(text, "strict") == 0;
    ignore_second = (text = getenv("POWER_CUT_IGNORE")) != NULL && strcmp(text, "second") == 0;
    if ((text = getenv("POWER_CUT_WRITEBACK")) != NULL) writeback_percent = (unsigned)atoi(text);
    if ((text = getenv("POWER_CUT_AT")) != NULL) cut_at = strtoull(text, NULL, 10);
    if ((text = getenv("POWER_CUT_SEED")) != NULL) random_state = strtoull(text, NULL, 10) * 2654435769u + 1;
    char path[ROOM];
    snprintf(path, sizeof path, "%s/counters", shadow);
    int file = open_raw(path, O_RDWR | O_CREAT);
    size_t size = COUNTERS * sizeof *counters;
    if (file < 0 || syscall(SYS_ftruncate, file, size) != 0) model_give_up("no counters", path);
    /* Mapped, so that they outlive a SIGKILL. */
    counters = (uint64_t *)syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (counters == MAP_FAILED) model_give_up("no counters", path);
    syscall(SYS_close, file);
    data_length = strlen(data);
}

/* ---- names ---- */

const char *model_inside(int folder, const char *path, char whole[PATH_MAX]) {
    if (!model_runs() || path == NULL) return NULL;
    if (path[0] == '/') {
        snprintf(whole, PATH_MAX, "%s", path);
    } else {
        char link[64], base[PATH_MAX];
        snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return NULL;
        base[length] = 0;
        if (snprintf(whole, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) model_give_up("path too long", path);
    }
    if (strncmp(whole, data, data_length) != 0 || (whole[data_length] != '/' && whole[data_length] != 0)) return NULL;
    char *below = whole + data_length;
    while (*below == '/') below++;
    if (strstr(below, "..") != NULL || strstr(below, "//") != NULL) model_give_up("path is not plain", path);
    size_t length = strlen(below);
    if (length > 0 && below[length - 1] == '/') below[length - 1] = 0;
    return below;
}

static void tree_path(char path[ROOM], const char *below) { snprintf(path, ROOM, "%s/tree/%s", shadow, below); }

static void image_path(char path[ROOM], unsigned long image) { snprintf(path, ROOM, "%s/inodes/%lu", shadow, image); }

static void make_names_durable(size_t up_to) {
    static char from[ROOM], to[ROOM]; /* guarded by the lock */
    for (; operations_durable < up_to; operations_durable++) {
        struct operation *operation = operations[operations_durable];
        long result = 0;
        tree_path(from, operation->from);
        tree_path(to, operation->to);
        switch (operation->kind) {
        case CREATE:
            image_path(to, operation->image);
            result = syscall(SYS_linkat, AT_FDCWD, to, AT_FDCWD, from, 0);
            break;
        case MKDIR: result = syscall(SYS_mkdirat, AT_FDCWD, from, 0700); break;
        case RENAME: result = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0); break;
        case LINK: result = syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0); break;
        case UNLINK: result = syscall(SYS_unlinkat, AT_FDCWD, from, 0); break;
        case RMDIR: result = syscall(SYS_unlinkat, AT_FDCWD, from, AT_REMOVEDIR); break;
        }
        if (result != 0) model_give_up("the shadow does not follow", operation->from);
    }
}

static void remember(enum kind kind, const char *from, const char *to, unsigned long image) {
    step();
    if (operation_count == operation_room) {
        operation_room = operation_room * 2 + 64;
        operations = realloc(operations, operation_room * sizeof *operations);
        if (operations == NULL) abort();
    }
    struct operation *operation = calloc(1, sizeof *operation);
    if (operation == NULL) abort();
    operation->kind = kind;
    operation->image = image;
    snprintf(operation->from, PATH_MAX, "%s", from);
    snprintf(operation->to, PATH_MAX, "%s", to);
    operations[operation_count++] = operation;
    count(NAMES, 1);
    if (lucky()) make_names_durable(operation_count);
}

void model_renamed(enum kind kind, const char *from, const char *to) { remember(kind, from, to, 0); }

static bool lies_in(const char *path, const char *folder) {
    size_t length = strlen(folder);
    if (length > 0) {
        if (strncmp(path, folder, length) != 0 || path[length] != '/') return false;
        path += length + 1;
    }
    return *path != 0 && strchr(path, '/') == NULL;
}

void model_directory_synced(const char *below) {
    step();
    count(DIRECTORY_SYNCS, 1);
    for (size_t i = operation_count; i > operations_durable; i--) {
        struct operation *operation = operations[i - 1];
        if (lies_in(operation->from, below) || lies_in(operation->to, below)) {
            make_names_durable(i);
            return;
        }
    }
}

/* ---- bytes ---- */

struct node *model_node(int fd, struct stat *stat) {
    if (!model_runs() || fstat(fd, stat) != 0 || !S_ISREG(stat->st_mode)) return NULL;
    for (struct node *node = nodes; node != NULL; node = node->next)
        if (node->ino == stat->st_ino && node->dev == stat->st_dev) return node;
    return NULL;
}

static void make_bytes_durable(struct node *node, off_t start, off_t end) {
    static char buffer[1 << 16]; /* guarded by the lock */
    while (start < end) {
        size_t want = (size_t)(end - start) < sizeof buffer ? (size_t)(end - start) : sizeof buffer;
        long got = syscall(SYS_pread64, node->live, buffer, want, start);
        if (got < 0) model_give_up("cannot read the file", "");
        if (got == 0) return; /* cut off since */
        if (syscall(SYS_pwrite64, node->shadow, buffer, got, start) != got)
            model_give_up("cannot write the shadow", "");
        start += got;
    }
}

static void mark_dirty(struct node *node, off_t start, off_t end) {
    struct range *last = node->dirty_count > 0 ? &node->dirty[node->dirty_count - 1] : NULL;
    count(UNSYNCED_BYTES, end - start);
    if (last != NULL && last->end == start) {
        last->end = end;
        return;
    }
    if (node->dirty_count == node->dirty_room) {
        node->dirty_room = node->dirty_room * 2 + 16;
        node->dirty = realloc(node->dirty, node->dirty_room * sizeof *node->dirty);
        if (node->dirty == NULL) abort();
    }
    node->dirty[node->dirty_count++] = (struct range){start, end};
}

static void make_durable(struct node *node) {
    for (size_t i = 0; i < node->dirty_count; i++) {
        make_bytes_durable(node, node->dirty[i].start, node->dirty[i].end);
        count(UNSYNCED_BYTES, node->dirty[i].start - node->dirty[i].end);
    }
    node->dirty_count = 0;
    struct stat stat;
    if (fstat(node->live, &stat) != 0 || syscall(SYS_ftruncate, node->shadow, stat.st_size) != 0)
        model_give_up("cannot size the shadow", "");
    size_t up_to = strict_names ? node->durable_at : operation_count;
    if (up_to > operations_durable) make_names_durable(up_to);
}

void model_synced(int fd, struct node *node) {
    step();
    bool ignored = ignore_second && fd != node->first;
    count(ignored ? IGNORED_SYNCS : SYNCS, 1);
    if (!ignored) make_durable(node);
}

void model_range_synced(void) { count(RANGE_SYNCS, 1); }

void model_written(int fd, struct node *node, off_t start, off_t end) {
    step();
    count(WRITES, 1);
    mark_dirty(node, start, end);
    if (fcntl(fd, F_GETFL) & (O_SYNC | O_DSYNC)) {
        make_durable(node);
    } else if (lucky()) {
        count(WRITEBACKS, 1);
        for (off_t at = start; at < end; at += SECTOR - at % SECTOR) {
            off_t stop = at + SECTOR - at % SECTOR;
            if (next_random() % 2) make_bytes_durable(node, at, stop < end ? stop : end);
        }
    }
}

void model_resized(struct node *node, off_t before, off_t after) {
    step();
    /* Where a file is cut and grows again, its old bytes must not come back from the shadow. */
    if (after < before) mark_dirty(node, after, before);
    if (lucky() && syscall(SYS_ftruncate, node->shadow, after) != 0) model_give_up("cannot size the shadow", "");
}

void model_opened(int fd, const char *below, bool created, bool cut) {
    struct stat stat;
    struct node *node = model_node(fd, &stat);
    if (!S_ISREG(stat.st_mode)) return;
    if (node != NULL && created) node->ino = 0; /* the number of a removed file, given out again */
    if (node == NULL || created) {
        char path[ROOM], link[64];
        node = calloc(1, sizeof *node);
        if (node == NULL) abort();
        node->dev = stat.st_dev;
        node->ino = stat.st_ino;
        node->first = fd;
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        node->live = open_raw(link, O_RDONLY);
        if (created) {
            image_path(path, ++images);
            node->shadow = open_raw(path, O_RDWR | O_CREAT | O_EXCL);
        } else {
            tree_path(path, below);
            node->shadow = open_raw(path, O_RDWR);
        }
        if (node->live < 0 || node->shadow < 0) model_give_up("cannot follow", path);
        node->next = nodes;
        nodes = node;
    }
    if (created) {
        remember(CREATE, below, "", images);
        node->durable_at = operation_count;
    } else if (cut) {
        struct stat durable;
        if (fstat(node->shadow, &durable) != 0) model_give_up("cannot size the shadow", below);
        model_resized(node, durable.st_size, 0);
    }
}
