/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel knows of the tree. An inode is a node with one text: once it has one, it keeps
 * it, so that open files and the page cache never see two. When a node's text changes, the next
 * lookup leads to a new inode (st_ino stays).
 */
#ifndef FS_INODES_H
#define FS_INODES_H

#include <stdint.h>

#include "fs/tree/option-sets.h"
#include "fs/tree/results.h"

struct inode {
    struct place place;
    bool eager;            /* below .now/: looking computes */
    struct result *result; /* NULL: not computed */
    uint64_t lookups;      /* how often the kernel was told of it */
    uint64_t generation;   /* never used twice */
    bool size_told;        /* the kernel knows the true size */
    bool is_stale;         /* its place is none any more */
    bool is_current;       /* what the next lookup of its place gives */
    char *refused;         /* why a name in the directory was, the last time; NULL: none was */
    struct inode *next;    /* of its bucket */
};

enum { INODE_BUCKETS = 1024 };

/* An open file keeps the text that it was opened with. */
struct open_file {
    struct result *result;
    struct open_file *next, **link; /* all of them */
};

struct inodes {
    struct inode root;
    struct inode *buckets[INODE_BUCKETS]; /* all but the root, by their places */
    struct open_file *open_files;
    uint64_t generation;
};

/* Files with options whose set is none any more lead nowhere. */
void inodes_forget_sets(struct inodes *inodes, const struct option_sets *sets);

void inodes_begin(struct inodes *inodes);
/* Ends with all that the kernel has neither forgotten nor closed: it does neither when the mount is
 * aborted. */
void inodes_end(struct inodes *inodes);

/*
 * The inode for a lookup of a place with that text (NULL: not computed yet): the current one, if it
 * has no other text; else a new one. One more lookup is counted. NULL: out of memory.
 */
struct inode *inodes_lookup(struct inodes *inodes, const struct place *place, bool eager,
                            struct result *result);

/* Opens a file with that text. NULL: out of memory. */
struct open_file *inodes_open(struct inodes *inodes, struct result *result);
void inodes_close(struct open_file *file);

/* The kernel forgets count lookups; an inode with none left is freed. */
void inodes_forget(struct inodes *inodes, struct inode *inode, uint64_t count);

/* Keeps why a name in the directory was refused, in place of what was kept before. */
void inode_refuse(struct inode *inode, const char *why);

/* The number of the file that such an inode is (st_ino), which no other has. */
uint64_t inode_number(const struct place *place, bool eager);

#endif
