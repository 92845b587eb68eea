/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a job found: the open image, and a pointer per pass to what the pass found, NULL if it was
 * not run. Render functions use nothing else.
 */
#ifndef FS_TREE_FINDINGS_H
#define FS_TREE_FINDINGS_H

#include "detect/content.h"
#include "detect/detect.h"
#include "detect/files/chain.h"
#include "formats/targets/conversion.h"
#include "option-sets.h"

/* The header pass: the sections of the header, by index of the driver's sections[]. */
struct header_findings {
    struct header_found sections[HEADER_SECTIONS_MAX];
};

/* The content pass. */
struct content_findings {
    int error; /* 0 or -errno */
    struct content content;
};

/* The scan pass, and the measure pass if it skipped no extent. */
struct scan_findings {
    int error;          /* 0 or -errno */
    uint64_t allocated; /* guest bytes that hold data */
};

/* The sizes that measure/TARGET shows. */
struct measured {
    bool is_computed;
    int error; /* 0 or -errno */
    struct target_size size;
    bool has_bitmaps; /* the source can have bitmaps, and the target keeps them */
    uint64_t bitmaps; /* bytes */
};

/* The size of the files that a conversion writes: convert_size/TARGET. */
struct converted {
    bool is_begun; /* conversion has to be ended */
    bool is_computed;
    int error;     /* 0 or -errno */
    uint64_t size; /* bytes */
    struct conversion conversion;
    char name[256 + 16]; /* of the file: the image's name, with the target as extension */
};

struct findings {
    const struct option_set *set; /* of the task; NULL: no options */
    uint32_t view;
    uint32_t yields; /* the passes whose files can be rendered (PASS_BIT) */

    /* The open image. Errors are 0 or -errno. */
    const struct layers *layers;
    struct detection detection;
    struct disk disk;
    struct chain chain; /* the disk's backing images */
    int detect_error, open_error;

    const struct findings *whole; /* of the whole image, if the pass has needs_whole; else NULL */

    const struct header_findings *header;
    const struct content_findings *content;
    const struct scan_findings *scan;
    const struct measured *measured;   /* by index of targets[] */
    const struct converted *converted; /* by index of targets[] */

    /* What the pointers above point to. Only passes use it directly. */
    struct {
        struct header_findings header;
        struct content_findings content;
        struct scan_findings scan;
        struct measured measured[TARGETS_MAX];
        struct converted converted[TARGETS_MAX];
    } room;
};

#define PASS_BIT(pass) (1U << (pass))

/* Receives what a task yields. A function that returns -errno ends the task with it. */
struct pass_sink {
    void *context;
    /* The text of one file, or the -errno with which opening it fails. */
    int (*file)(void *context, const struct place *place, int error, const struct text *text);
    /* The number of entries of a numbered directory. Called before their files are passed. */
    int (*count)(void *context, const struct place *directory, uint32_t count);
    /* The references of the image, in order, from the header pass. NULL: not wanted. */
    int (*reference)(void *context, const struct reference *reference);
    /* done of total bytes of the disk are examined. Called often. NULL: not wanted. */
    int (*progress)(void *context, uint64_t done, uint64_t total);
    /* Called for each read from the image. NULL: not wanted. */
    void (*read)(void *context);
};

/* Whether the findings suffice to render the files of a node. */
bool findings_yield(const struct findings *findings, const struct node *node);

/* The options for a target: those of the task's set, or the target's defaults. */
const struct target_options *findings_options(const struct findings *findings,
                                              const struct target *target);

#endif
