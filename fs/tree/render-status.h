/* SPDX-License-Identifier: Apache-2.0 */
/* Show functions: the text of files that need no pass. Contract: struct node. */
#ifndef FS_TREE_RENDER_STATUS_H
#define FS_TREE_RENDER_STATUS_H

#include "nodes.h"

int show_bytes_read(const struct status *status, const struct place *place, struct text *text);
int show_disk_size(const struct status *status, const struct place *place, struct text *text);
int show_file_size(const struct status *status, const struct place *place, struct text *text);
int show_generation(const struct status *status, const struct place *place, struct text *text);
int show_image(const struct status *status, const struct place *place, struct text *text);
int show_in_use(const struct status *status, const struct place *place, struct text *text);
int show_jobs(const struct status *status, const struct place *place, struct text *text);
int show_options(const struct status *status, const struct place *place, struct text *text);
int show_passes(const struct status *status, const struct place *place, struct text *text);
int show_problems(const struct status *status, const struct place *place, struct text *text);
int show_progress(const struct status *status, const struct place *place, struct text *text);
int show_sandbox(const struct status *status, const struct place *place, struct text *text);
int show_version(const struct status *status, const struct place *place, struct text *text);

#endif
