/* SPDX-License-Identifier: Apache-2.0 */
/* The header and content passes. */
#ifndef FS_TREE_HEADERS_H
#define FS_TREE_HEADERS_H

#include "findings.h"

/* Finds the sections of the header, and sizes that depend on the headers alone. */
void headers_run(struct findings *findings, const struct pass_sink *sink);

/* Finds what the disk contains, by the guest's first bytes. */
void content_run(struct findings *findings, const struct pass_sink *sink);

#endif
