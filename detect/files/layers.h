/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that an image consists of: itself, the images below it, and the parts of each, as far
 * as the policy grants them. Found and opened once, by the process that may open files; names are
 * not resolved again. Parses nothing: what an image names it is told.
 */
#ifndef DETECT_FILES_LAYERS_H
#define DETECT_FILES_LAYERS_H

#include "formats/extents.h"
#include "formats/reference.h"
#include "image-file.h"
#include "policy.h"

enum {
    LAYERS_DATA_FILES_HELD = 32, /* files of parts that stay open; others are opened when needed */
    LAYERS_ASKED_MAX = LAYERS_MAX + LAYERS_DATA_FILES_HELD, /* file systems that there may be */
    REFERENCES_BYTES_MAX = 16 << 20, /* of their paths: headers that name them are shorter */
};

/* References, with all that they point to. */
struct reference_list {
    struct reference *items;
    size_t count, room, bytes;
};

/* Adds a copy. 0, -ENOMEM or -EFBIG. */
int reference_list_add(struct reference_list *list, const struct reference *reference);
void reference_list_end(struct reference_list *list);

enum grant_state {
    GRANT_NONE,       /* no option covers it */
    GRANT_REFUSED,    /* a rule forbids it */
    GRANT_MISSING,    /* it is covered, but there is none */
    GRANT_UNREADABLE, /* it is covered, but cannot be opened */
    GRANT_UNUSED,     /* no guest byte comes from it, or another path to the same image was taken */
    GRANT_OPENED,
};

/* What became of a reference. */
struct grant {
    enum grant_state state;
    char *why;      /* in words; NULL: nothing to say */
    char *resolved; /* GRANT_OPENED: where the file is; NULL: not known */
    int fd;         /* GRANT_OPENED, of a part: held open; -1: opened when needed */
    int base;       /* below which it then is; -1: name is a path */
    char *name;
    struct stat st; /* as it was found; of those that are held, as they are */
    size_t number;  /* of the file: that of the first reference to it */
};

/* An image of the chain. */
struct layer {
    int fd;
    int directory_fd;
    struct stat st;
    unsigned storage;                   /* enum storage, of this file */
    char *path;                         /* absolute, without links */
    char *directory;                    /* in which names are looked for */
    const struct format_driver *format; /* as the one above tells it; NULL: it is detected */
    struct grant *grants;               /* by number of its references */
    size_t grants_count;
    uint32_t *numbers; /* a hash table of its parts' files: 1 + number; 0: free */
    size_t numbers_mask;
    uint64_t fingerprint; /* of the references on which was decided */
};

struct layers {
    struct policy policy;
    unsigned count;
    unsigned storage;       /* enum storage, of all files, parts as well */
    bool has_parts_to_open; /* some are opened when needed */
    struct layer items[LAYERS_MAX];
    size_t held_count;
    struct grant *held[LAYERS_DATA_FILES_HELD]; /* parts that are open */

    /* How a part that is not held is opened; NULL: here. A descriptor or -errno. */
    int (*fetch)(const struct layers *layers, unsigned layer, size_t reference);
    int fetch_context;
};

/*
 * Begins with the image at path as layer 0, which may be a block device or not; the policy is in
 * layers->policy. 0 or -errno, as image_file_open(). layers_end() ends it in any case.
 */
int layers_begin(struct layers *layers, const char *path, bool block_devices);
void layers_end(struct layers *layers);

/*
 * Decides on the references of a layer, and opens what is granted; an image below becomes the next
 * layer. To be called for each layer once, from 0 to count - 1, which grows meanwhile. 0 or
 * -ENOMEM.
 */
int layers_grant(struct layers *layers, unsigned layer, const struct reference_list *references);

/* The grants of the layer, which has these references now, by their numbers; NULL: it was decided
 * on others than these, or on none. */
const struct grant *layers_grants(const struct layers *layers, unsigned layer,
                                  const struct reference *references, size_t count);

/* Whether a decision was made on such a reference. */
bool layers_has_reference(const struct layers *layers, unsigned layer, size_t reference);

/* Opens a part that is not held: it must still be the file that was found. A descriptor or -errno
 * (ESTALE: it is another). */
int layers_open_data_file(const struct layers *layers, unsigned layer, size_t reference);

/*
 * Opens what has the image's name now, if that is another file: a regular one of the same owner, by
 * no link. Asks no file system but the image's. A descriptor and its *st, or -errno: EALREADY: the
 * image has it; ENOENT: nothing has; EPERM, ELOOP, EACCES: what must not be opened.
 */
int layers_look(const struct layers *layers, struct stat *st);

/* How many file systems there are to be asked what has changed, each by itself, as it may take
 * long. */
unsigned layers_asked(const struct layers *layers);

/* Asks number n of them (< layers_asked()) anew what it knows of all files that are open. */
void layers_ask(const struct layers *layers, unsigned n);

/* Takes fd, which becomes the layers', for the image; asks its file system nothing, of which
 * storage is known. 0; -EALREADY: that is the image; -EPROTO: it is no file. */
int layers_replace(struct layers *layers, int fd, unsigned storage);

/* The descriptors of all files that are open, at most LAYERS_MAX + LAYERS_DATA_FILES_HELD. Returns
 * how many. */
unsigned layers_descriptors(const struct layers *layers, int *fds);

/* Whether an option covers it, and it is not there or cannot be opened. */
bool grant_is_lost(const struct grant *grant);

/* What "refused" and so on are called. */
const char *grant_state_name(enum grant_state state);

/*
 * Says in one line what the image needs that is not granted, and which option would grant it.
 * false: it needs nothing more.
 */
bool layers_advise(const struct layers *layers, unsigned layer,
                   const struct reference_list *references, char *out, size_t size);

#endif
