/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree: one row per file and directory of the mount. getattr, readdir, open and read loop over
 * this table, and so does all that prints a file without a mount. Knows no FUSE.
 */
#ifndef FS_TREE_NODES_H
#define FS_TREE_NODES_H

#include <stdbool.h>

#include "detect/content.h"
#include "detect/detect.h"
#include "detect/files/chain.h"
#include "formats/targets/conversion.h"
#include "formats/targets/targets.h"
#include "text.h"

/* What must have been done before a file's text can be rendered. */
enum pass {
    PASS_DIRECTORY, /* not a file */
    PASS_STATUS,    /* nothing: what the program knows by itself */
    PASS_HEADER,    /* detection and the headers */
    PASS_CONTENT,   /* the guest's first bytes */
    PASS_MEASURE,   /* the walk over the extents, as far as measure/ has to know them */
    PASS_SCAN,      /* the same walk, over every one of them */
    PASS_DATA,      /* the guest's data, all of it */
    PASSES,
};

/* What the program knows without a byte of the image. */
struct status {
    const char *image;           /* absolute path */
    const char *options;         /* as -o takes them */
    const struct text *problems; /* lines of all passes so far */
    uint64_t generation;
    int fd; /* of the image; -1: its storage is not to be asked */

    const struct text *lines; /* of the jobs, that the file is to show; NULL: there are none */
    uint64_t file_size;       /* bytes */
    uint64_t disk_size;       /* bytes */
    uint64_t bytes_read;      /* of the image, by all passes so far */
};

enum {
    /* Bytes of the smallest unit that PASS_MEASURE counts. With smaller ones it could leave nothing
     * out that qemu leaves out when it measures, and would fail where that does not. */
    MEASURED_UNIT = 65536,

    VIEWS_MAX = 1 + LAYERS_MAX,
    NUMBERS_MAX = REFERENCES_MAX, /* entries of a directory that are numbered */

    /* Sets of options of a mount; ours: what qemu tells apart is far less. */
    OPTION_SETS_MAX = 16384,
};

/*
 * A file or directory of the mount: a node; of a node whose path has a number in it, that; of one
 * that takes options, the number of their set (option_sets.h), 0: none; and the view. View 0 is the
 * image with all that was granted to it; view 1 + N, below layers/N, is layer N alone.
 */
struct place {
    unsigned view;
    uint32_t number;
    const struct node *node;
};

/* Options of a target, for the files of that target in a directory. */
struct option_set {
    const struct node *directory;
    const struct target *target;
    struct target_options options;
    char *name; /* of the file that was asked for first; NULL: not known */
};

/* What is computed at once, by one job: a pass over a view, for all files without options; or for
 * those of one set of options. */
struct task {
    unsigned view;
    enum pass pass;
    uint32_t set; /* its number, 0: none */
};

/* A conversion to one target. */
struct converted {
    bool begun;
    int error; /* why it could not be */
    struct conversion conversion;
    char name[256 + 16]; /* of the file that would be written */
};

/* Everything a render function may use. Of a pass that was not run, nothing is set. */
struct facts {
    const struct status *status; /* PASS_STATUS only */

    const struct option_set *set; /* of the task; NULL: none */
    const struct layers *layers;
    unsigned layer; /* that the disk is */
    struct detection detection;
    struct disk disk;
    struct chain chain;                              /* what is below it */
    int detect_error, open_error;                    /* 0 or -errno */
    struct header_found header[HEADER_SECTIONS_MAX]; /* by row of the driver's sections */
    struct content content;                          /* PASS_CONTENT: it, or content_error */
    int content_error;

    int measure_error;                         /* of the walk that counted units */
    int scan_error;                            /* of the walk over everything */
    bool scanned_all;                          /* it was one: allocated is right, or scan_error */
    uint64_t allocated;                        /* guest bytes that hold data */
    struct converted conversions[TARGETS_MAX]; /* by row of targets[] */
    int data_error;                            /* of the walk that fed them */
    struct target_counts counts;               /* by row of targets[]; of smaller units than
                                                  MEASURED_UNIT only if scanned_all */
};

/* What a file's text is, for programs. */
enum kind {
    KIND_STRING, /* one line */
    KIND_NUMBER,
    KIND_BYTES, /* a number of bytes */
    KIND_LINES,
    KIND_JSON,
};

struct node {
    const char *path; /* below the mount point; "" is the root; "#" stands for a number */
    enum pass pass;
    enum kind kind; /* of a file */

    /* Writes the file's text. 0; -ENOENT: does not apply to this image; another -errno: what open()
     * then says. */
    int (*render)(const struct facts *facts, const struct place *place, struct text *text);
    const char *target; /* of a file that tells of a target: its name; may be followed by options */
    const char *after;  /* path of a file that must be known before this one tells all, or before a
                           directory is known to be there; NULL: none */

    /* Of a directory of numbered entries: how many there are, from 0 on; the pass of `after` tells.
     */
    size_t (*count)(const struct facts *facts);
    /* Of a directory of such files: reads their options (targets.h). */
    int (*parse)(const struct target *target, const char *text, struct target_options *options,
                 struct reason *why);
    bool of_mount; /* tells of the mount, not of an image: not there below layers/N */

    /* Set by nodes_begin(). */
    const struct node *parent; /* the directory that it is in; NULL: the root */
    bool is_numbered;          /* "#" is in the path */
};

enum { NODES_MAX = 640 };

/* All nodes, the root first, each directory before what is in it. Ends with a NULL path. */
extern const struct node *const nodes;

/* Fills in nodes[]: its own table, and the header fields of all formats. Once, before anything
 * else. */
void nodes_begin(void);

/* What people call a pass of jobs. */
const char *pass_name(enum pass pass);

/* Seconds of processor time that a job may take for it, unless an option says otherwise: far more
 * than any image that is not made to take long. */
unsigned pass_cpu_seconds(enum pass pass);

/* The number of rows of nodes[]. */
size_t nodes_count(void);

/* The place of node in nodes[]. */
size_t node_index(const struct node *node);

/* The node with that path, or NULL. */
const struct node *node_by_path(const char *path);

/* What is called name in the directory; a number is one below the count of its entries, which is
 * not looked at. false: there is no such thing. */
bool place_in(const struct place *directory, const char *name, struct place *place);

/* The place with that path; as place_in(). */
bool place_by_path(const char *path, struct place *place);

/* The last part of the path, and all of it; out has PLACE_PATH_BYTES. */
enum { PLACE_PATH_BYTES = 192 };
void place_name(const struct place *place, char *out);
void place_path(const struct place *place, char *out);

/* A number of the place's own, from 1 on; 1 is the root. */
uint64_t place_ino(const struct place *place);

/* What has to be done before the place's text is known; for a directory nothing. */
struct task place_task(const struct place *place);

/* How many numbers places of the node have. */
uint32_t node_numbers(const struct node *node);

/* The directory of numbered entries that a numbered node is in, at any depth. */
const struct node *node_counter(const struct node *node);

/* Whether node is directly in directory. */
bool node_is_in(const struct node *node, const struct node *directory);

/* The last part of the path. */
const char *node_name(const struct node *node);

#endif
