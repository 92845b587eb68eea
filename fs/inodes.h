/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes as the kernel knows them. An inode is a place with one text: once it has a text, it keeps
 * it, so that open files and the page cache never see two. When the text of a place changes, the
 * next lookup leads to a new inode (st_ino stays).
 */
#ifndef FS_INODES_H
#define FS_INODES_H

#include <stdint.h>

#include "fs/tree/option-sets.h"
#include "fs/tree/results.h"

struct inode {
    struct place place;
    bool is_eager;         /* below .now/: a lookup computes the text */
    struct result *result; /* NULL: not computed */
    uint64_t lookups;      /* that the kernel has not forgotten */
    uint64_t generation;   /* never used twice */
    bool has_size;         /* the kernel knows the true size */
    bool is_stale;         /* its option set was dropped: the place does not exist any more */
    bool is_current;       /* the next lookup of its place leads to it */
    char *refused;         /* why a name in this directory was refused last; NULL: none was */
    struct inode *next;    /* in its bucket */
};

enum { INODE_BUCKETS = 1024 };

/* An open file keeps the text that it was opened with. */
struct open_file {
    struct result *result;
    struct open_file *next, **link; /* list of all open files */
};

struct inodes {
    struct inode root;
    struct inode *buckets[INODE_BUCKETS]; /* all but the root, by their places */
    struct open_file *open_files;
    uint64_t generation;
};

/* Makes inodes stale whose option set was dropped. */
void inodes_forget_sets(struct inodes *inodes, const struct option_sets *sets);

void inodes_begin(struct inodes *inodes);
/* Frees all inodes and open files: the kernel neither forgets nor closes them when the mount is
 * aborted. */
void inodes_end(struct inodes *inodes);

/*
 * Returns the inode for a lookup of a place with that text (NULL: not computed yet), and counts the
 * lookup: the current inode unless it has another text, else a new one. NULL: out of memory.
 */
struct inode *inodes_lookup(struct inodes *inodes, const struct place *place, bool is_eager,
                            struct result *result);

/* Opens a file with that text. NULL: out of memory. */
struct open_file *inodes_open(struct inodes *inodes, struct result *result);
void inodes_close(struct open_file *file);

/* Forgets count lookups. An inode without any is freed. */
void inodes_forget(struct inodes *inodes, struct inode *inode, uint64_t count);

/* Sets why a name in the directory was refused last. */
void inode_refuse(struct inode *inode, const char *why);

/* The st_ino of a place: unique, and the same for all its inodes. */
uint64_t inode_number(const struct place *place, bool is_eager);

#endif
