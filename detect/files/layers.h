/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that a disk consists of, as far as the policy grants them: the image, its backing
 * images, and the data files of each. The process that may open files finds and opens them once;
 * names are not resolved again. Nothing is parsed here: callers pass the references of each image.
 */
#ifndef DETECT_FILES_LAYERS_H
#define DETECT_FILES_LAYERS_H

#include "formats/extents.h"
#include "formats/reference.h"
#include "image-file.h"
#include "policy.h"

enum {
    LAYERS_DATA_FILES_HELD = 32, /* that stay open; others are opened when they are read */
    LAYERS_DEVICES_MAX = LAYERS_MAX + LAYERS_DATA_FILES_HELD, /* of files that are open */
    REFERENCES_BYTES_MAX = 16 << 20, /* of all paths of an image: longer than any headers we read */
};

/* References, with copies of what they point to. */
struct reference_list {
    struct reference *items;
    size_t count, room, bytes; /* bytes: of all paths */
};

/* Adds a copy. Returns 0, -ENOMEM or -EFBIG. */
int reference_list_add(struct reference_list *list, const struct reference *reference);
void reference_list_end(struct reference_list *list);

enum grant_state {
    GRANT_NONE,       /* no option grants it */
    GRANT_REFUSED,    /* a rule forbids it */
    GRANT_MISSING,    /* granted, but it does not exist */
    GRANT_UNREADABLE, /* granted, but it cannot be opened */
    GRANT_UNUSED,     /* it holds no guest data, or another path to the same image was used */
    GRANT_OPENED,
};

/* The decision on a reference. */
struct grant {
    enum grant_state state;
    char *why;      /* the reason for a state that is not GRANT_OPENED, else NULL */
    char *resolved; /* GRANT_OPENED: the path of the file; NULL: not known */
    int fd;         /* GRANT_OPENED, a data file: held open; -1: opened when it is read */
    int base;       /* directory below which name was resolved; -1: name is a path */
    char *name;     /* GRANT_OPENED, a data file */
    struct stat st; /* when it was found; for held files, when it was last checked */
    size_t number;  /* of a data file: that of the first reference to the same file */
};

/* An image of the chain. */
struct layer {
    int fd;
    int directory_fd;
    struct stat st;
    unsigned storage;                   /* enum storage, of this file */
    char *path;                         /* absolute, without links */
    char *directory;                    /* relative references are resolved in it */
    const struct format_driver *format; /* from the image above; NULL: to be detected */
    struct grant *grants;               /* one for each reference */
    size_t grants_count;
    uint32_t *numbers; /* hash table of its data files: 1 + number; 0: free */
    size_t numbers_mask;
    uint64_t fingerprint; /* of the references that the grants are for */
};

struct layers {
    struct policy policy;
    unsigned count;
    unsigned storage;            /* enum storage, of all files together */
    bool has_data_files_to_open; /* there are data files that are not held */
    struct layer items[LAYERS_MAX];
    size_t held_count;
    struct grant *held[LAYERS_DATA_FILES_HELD]; /* data files that are held open */

    /* Opens a data file that is not held. Returns a descriptor or -errno. NULL:
     * layers_open_data_file(). */
    int (*fetch)(const struct layers *layers, unsigned layer, size_t reference);
    int fetch_context;
};

/*
 * Begins with the image at path as layer 0; block_devices: it may be a block device. layers->policy
 * is already set. Returns 0 or -errno, as image_file_open(). Call layers_end() in any case.
 */
int layers_begin(struct layers *layers, const char *path, bool block_devices);
void layers_end(struct layers *layers);

/*
 * Decides on the references of a layer and opens the granted files; a backing image becomes the
 * next layer. Call it once for each layer from 0 to count - 1; count grows meanwhile. Returns 0 or
 * -ENOMEM.
 */
int layers_grant(struct layers *layers, unsigned layer, const struct reference_list *references);

/* Returns the grants of a layer, one for each of these references. NULL: the layer's decisions are
 * for other references, or there are none. */
const struct grant *layers_grants(const struct layers *layers, unsigned layer,
                                  const struct reference *references, size_t count);

/* Whether there is a decision on that reference. */
bool layers_has_reference(const struct layers *layers, unsigned layer, size_t reference);

/* Opens a data file that is not held. Returns a descriptor or -errno (ESTALE: another file has its
 * name now). */
int layers_open_data_file(const struct layers *layers, unsigned layer, size_t reference);

/*
 * Opens the file that has the image's path now, if that is another file than the image: it must be
 * a regular file with the same owner, and its path must contain no link. May wait for the image's
 * file system. Returns a descriptor and sets *st, or -errno: EALREADY: it is the image; ENOENT:
 * there is no file; EPERM, ELOOP, EACCES: it must not be opened.
 */
int layers_recheck(const struct layers *layers, struct stat *st);

/* Returns the number of file systems on which files may change without notice; 0 if all are
 * local. */
unsigned layers_devices(const struct layers *layers);

/* Makes file system n (< layers_devices()) fetch the current attributes of its open files, for
 * image_file_known_stat(). May wait long: use a process for each. */
void layers_refresh(const struct layers *layers, unsigned n);

/* Makes fd, which it takes over, the image. storage: of its file system, which is not asked here.
 * Returns 0, -EALREADY (it is the image) or -EPROTO (not a regular file). */
int layers_replace(struct layers *layers, int fd, unsigned storage);

/* Writes the descriptors of all open files to fds, at most LAYERS_MAX + LAYERS_DATA_FILES_HELD.
 * Returns the number. */
unsigned layers_descriptors(const struct layers *layers, int *fds);

/* Whether an option grants the file, but it does not exist or cannot be opened. */
bool grant_is_lost(const struct grant *grant);

/* Returns the state's name as references/N/state shows it. */
const char *grant_state_name(enum grant_state state);

/*
 * Writes one line about a file that the image needs and that is not open, with the option that
 * would grant it. Returns false if there is none.
 */
bool layers_advise(const struct layers *layers, unsigned layer,
                   const struct reference_list *references, char *out, size_t size);

#endif
