/* What is durable: the model's state and rules (model.c), for the interposed calls (shim.c). */
#ifndef POWER_CUT_MODEL_H
#define POWER_CUT_MODEL_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* The order is that of the file `counters`. */
enum counter {
    STEPS,
    WRITES,
    SYNCS,
    IGNORED_SYNCS,
    RANGE_SYNCS,
    DIRECTORY_SYNCS,
    NAMES,
    WRITEBACKS,
    UNSYNCED_BYTES,
    COUNTERS
};
enum kind { CREATE, MKDIR, RENAME, LINK, UNLINK, RMDIR };

struct range {
    off_t start, end;
};

/* A file that the process has opened under the data folder. Never freed: a run opens few. */
struct node {
    dev_t dev;
    ino_t ino;
    int live, shadow;  /* own descriptors of the file and of its durable image */
    int first;         /* the descriptor that the process got first, see POWER_CUT_IGNORE */
    size_t durable_at; /* how many name operations must be durable for this file to have its name */
    struct range *dirty;
    size_t dirty_count, dirty_room;
    struct node *next;
};

/* Held around every use of what follows, apart from `model_runs`, `model_inside` and `model_give_up`. */
extern pthread_mutex_t model_lock;

/* False until the constructor has read the environment, and for ever without POWER_CUT_DATA. */
bool model_runs(void);
/* The path below the data folder (empty for the folder itself), in `whole`; NULL for a path outside it. */
const char *model_inside(int folder, const char *path, char whole[PATH_MAX]);
/* The file behind a descriptor, or NULL if it is none of the data folder's; fills `stat`. */
struct node *model_node(int fd, struct stat *stat);
/* A descriptor was opened on a path of the data folder. */
void model_opened(int fd, const char *below, bool created, bool cut);
/* Bytes were written through a descriptor. */
void model_written(int fd, struct node *node, off_t start, off_t end);
/* The size was set. */
void model_resized(struct node *node, off_t before, off_t after);
/* A name was made, moved or removed. */
void model_renamed(enum kind kind, const char *from, const char *to);
/* A file or a folder was synced. */
void model_synced(int fd, struct node *node);
void model_directory_synced(const char *below);
/* sync_file_range was called: seen, and of no effect. */
void model_range_synced(void);
/* Ends the process: a model that looks away proves nothing. */
void model_give_up(const char *what, const char *path) __attribute__((noreturn));

#endif
