/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree: one row per file and directory of the mount. getattr, readdir, open, read and
 * instar-cat loop over this table.
 */
#ifndef FS_TREE_NODES_H
#define FS_TREE_NODES_H

#include <stdbool.h>

#include "formats/targets/targets.h"
#include "text.h"
#include "view.h"

struct findings;
struct status;

enum {
    NODES_MAX = 640,
    NUMBERS_MAX = REFERENCES_MAX, /* entries of a numbered directory */

    /* Option sets at a time; a limit of ours, about 6 MiB of memory. */
    OPTION_SETS_MAX = 16384,
};

/* A file or directory of the mount. */
struct place {
    uint32_t view;
    uint32_t number; /* of the directory entry, if the node's path has "#", else 0 */
    uint32_t set;    /* number of the option set in its name (option-sets.h); 0: no options */
    const struct node *node;
};

/* The passes that compute files: the rows of passes.def. */
enum pass_id {
    PASS_NONE, /* a file that needs none, or a directory */
#define PASS(name, ...) PASS_##name,
#include "passes.def"
#undef PASS
    PASSES,
};

/* How programs are to understand a file's text. */
enum kind {
    KIND_STRING, /* one line */
    KIND_NUMBER,
    KIND_BYTES, /* a number of bytes */
    KIND_LINES,
    KIND_JSON,
};

/* A directory has neither render nor show. */
struct node {
    const char *path;  /* below the view's root, which is ""; "#" stands for a number */
    enum kind kind;    /* of a file */
    enum pass_id pass; /* that computes the file; PASS_NONE: a directory, or show is set */

    /* Writes the text of a file from the findings of its pass, without I/O. Returns 0; -ENOENT: the
     * file does not apply to this image; another -errno, with which opening the file fails. */
    int (*render)(const struct findings *findings, const struct place *place, struct text *text);

    /* The same for a file that needs no pass: writes what is known at the time. */
    int (*show)(const struct status *status, const struct place *place, struct text *text);

    const struct target *target; /* of a file whose name may have options; else NULL */

    /* Path of a file whose pass has to run first: before this file is complete, or before it is
     * known whether this directory exists. NULL: none. */
    const char *after;

    /* Of a directory with numbered entries: how many there are. Tasks that yield headers report the
     * count. */
    size_t (*count)(const struct findings *findings);
    enum view_kind lists;  /* of a directory whose entries are views: their kind; else VIEW_WHOLE */
    enum view_kind enters; /* of an entry that is a view: its kind; else VIEW_WHOLE */

    /* Of a directory whose files take options: parses them. Contract: formats/targets/options.h. */
    int (*parse)(const struct target *target, const char *text, struct target_options *options,
                 struct reason *why);
    bool only_whole; /* exists only in the view of the whole image */

    /* Set by nodes_begin(). */
    const struct node *parent; /* NULL: the root */
    bool is_numbered;          /* "#" is in the path */
};

/* The rows of table.def; end with a NULL path. The templates are rows without a path, for the
 * fields of headers, whose names come from the formats' tables. */
extern const struct node node_table[];
extern const struct node header_field_template, content_field_template;

/* All nodes, the root first, each directory before its entries. End with a NULL path. */
extern const struct node *const nodes;

/* Fills nodes[] from node_table[] and the header fields of all formats. To be called before all
 * else; further calls do nothing. */
void nodes_begin(void);

size_t nodes_count(void);

/* The index of node in nodes[]. */
size_t node_index(const struct node *node);

/* The node with that path, or NULL. */
const struct node *node_by_path(const char *path);

bool node_is_directory(const struct node *node);

/* Whether its entries are numbers. */
bool node_has_numbers(const struct node *node);

/* The directory of numbered entries that contains a numbered node, at any depth. */
const struct node *node_counter(const struct node *node);

/* Whether node is an entry of directory. */
bool node_is_in(const struct node *node, const struct node *directory);

/* The last component of the path. */
const char *node_name(const struct node *node);

/* Finds an entry of a directory by name. A number below NUMBERS_MAX is found whether or not the
 * image has that many entries. false: the tree has no such entry. */
bool place_in(const struct place *directory, const char *name, struct place *place);

/* Finds a place by its path, as place_in(). */
bool place_by_path(const char *path, struct place *place);

/* Writes the path, without options, to out (PLACE_PATH_BYTES). */
enum { PLACE_PATH_BYTES = 192 };
void place_path(const struct place *place, char *out);

/* Whether the numbers of a place are in the range that its node allows. They may come from an
 * untrusted process. */
bool place_is_possible(const struct place *place);

/* The index among the places of the same node and view. */
uint32_t place_index(const struct place *place);

/* The inode number: unique among places; that of the root is 1. Those of the whole image and its
 * layers fit in 32 bits: stat(2) of a 32-bit program without large files fails with others. */
uint64_t place_ino(const struct place *place);

#endif
