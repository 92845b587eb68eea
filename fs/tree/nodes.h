/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree: one row per file and directory of the mount. getattr, readdir, open and read loop over
 * this table, and so does instar-cat. Knows no FUSE.
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

    /* Option sets of a mount; a limit of ours: qemu distinguishes far fewer sizes. */
    OPTION_SETS_MAX = 16384,
};

/* A file or directory of the mount. */
struct place {
    uint32_t view;
    uint32_t number; /* of the directory entry, if the node's path has "#", else 0 */
    uint32_t set;    /* of the options in its name (option-sets.h); 0: none */
    const struct node *node;
};

/* What a file needs to be computed. The table in passes.c has a row for each. */
enum pass_id {
    PASS_NONE,    /* nothing */
    PASS_HEADER,  /* detection and the headers */
    PASS_CONTENT, /* the guest's first bytes */
    PASS_MEASURE, /* the allocation scan, as far as measure/ depends on it */
    PASS_SCAN,    /* the allocation scan over every extent */
    PASS_DATA,    /* all guest data */
    PASSES,
};

/* How programs take a file's text. */
enum kind {
    KIND_STRING, /* one line */
    KIND_NUMBER,
    KIND_BYTES, /* a number of bytes */
    KIND_LINES,
    KIND_JSON,
};

/* A directory has neither render nor show. */
struct node {
    const char *path;  /* below the mount point; "" is the root; "#" stands for a number */
    enum kind kind;    /* of a file */
    enum pass_id pass; /* that computes the file; PASS_NONE: a directory, or show is set */

    /* Writes the text of a file out of what its pass found, without input or output. 0; -ENOENT:
     * does not apply to this image; another -errno: opening the file fails with it. */
    int (*render)(const struct findings *findings, const struct place *place, struct text *text);

    /* The same of a file that needs no pass: out of what the mount knows at the time. */
    int (*show)(const struct status *status, const struct place *place, struct text *text);

    const struct target *target; /* of a file about a target, whose name may have options */

    /* Path of a file that must be known before this one is complete, or before it is known whether
     * this directory is there; NULL: none. */
    const char *after;

    /* Of a numbered directory: its entries, from 0 on; the pass of `after` yields the count. */
    size_t (*count)(const struct findings *findings);
    enum view_kind lists;  /* of a directory whose entries are views; VIEW_WHOLE: it is not */
    enum view_kind enters; /* of its entries: the kind of view that they lead to */

    /* Of a directory with files that take options: parses them, as declared in targets.h. */
    int (*parse)(const struct target *target, const char *text, struct target_options *options,
                 struct reason *why);
    bool only_whole; /* is about the mount: absent from layers/N */

    /* Set by nodes_begin(). */
    const struct node *parent; /* NULL: the root */
    bool is_numbered;          /* "#" is in the path */
};

/* The rows of the table (table.c); ends with a NULL path. The templates are rows without a path for
 * the fields of headers, which come from the formats' own tables. */
extern const struct node node_table[];
extern const struct node header_field_template, content_field_template;

/* All nodes, the root first, each directory before its entries. Ends with a NULL path. */
extern const struct node *const nodes;

/* Fills nodes[] from node_table[] and the header fields of all formats. Once, before anything
 * else. */
void nodes_begin(void);

size_t nodes_count(void);

/* The index of node in nodes[]. */
size_t node_index(const struct node *node);

/* The node with that path, or NULL. */
const struct node *node_by_path(const char *path);

bool node_is_directory(const struct node *node);

/* Whether its entries are numbers. */
bool node_has_numbers(const struct node *node);

/* The directory of numbered entries that a numbered node is in, at any depth. */
const struct node *node_counter(const struct node *node);

/* Whether node is an entry of directory. */
bool node_is_in(const struct node *node, const struct node *directory);

/* The last component of the path. */
const char *node_name(const struct node *node);

/* Finds the entry called name of a directory. A number is below NUMBERS_MAX; whether the image has
 * as many entries is not checked. false: the tree has no such entry. */
bool place_in(const struct place *directory, const char *name, struct place *place);

/* Finds the place with that path; as place_in(). */
bool place_by_path(const char *path, struct place *place);

/* The last component of the path, and the whole path; out has PLACE_PATH_BYTES. */
enum { PLACE_PATH_BYTES = 192 };
void place_name(const struct place *place, char *out);
void place_path(const struct place *place, char *out);

/* Whether the numbers of a place are in the range that its node allows. */
bool place_is_possible(const struct place *place);

/* The place's index among those of its node in its view. */
uint32_t place_index(const struct place *place);

/* A number that no other place has, from 1 on; 1 is the root. */
uint64_t place_ino(const struct place *place);

#endif
