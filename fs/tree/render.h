/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that table.def names, and those for fields of headers. Contract: struct node. */
#ifndef FS_TREE_RENDER_H
#define FS_TREE_RENDER_H

#include "nodes.h"

#define DIRECTORY(...)
#define PASS_FILE(path, pass, kind, render, ...)                                                   \
    int render(const struct findings *findings, const struct place *place, struct text *text);
#define STATUS_FILE(path, kind, show, ...)                                                         \
    int show(const struct status *status, const struct place *place, struct text *text);
#define TARGET_FILES(path, target, pass, kind, render)                                             \
    PASS_FILE(path, pass, kind, render)                                                            \
    PASS_FILE(path, pass, kind, render##_json)
#include "table.def"
#undef DIRECTORY
#undef PASS_FILE
#undef STATUS_FILE
#undef TARGET_FILES

int render_header_field(const struct findings *findings, const struct place *place,
                        struct text *text);
int render_content_field(const struct findings *findings, const struct place *place,
                         struct text *text);

/* The number of entries of references/. */
size_t count_references(const struct findings *findings);

#endif
