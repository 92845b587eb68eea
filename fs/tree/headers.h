/* SPDX-License-Identifier: Apache-2.0 */
/* The header and content passes. */
#ifndef FS_TREE_HEADERS_H
#define FS_TREE_HEADERS_H

#include "findings.h"

/* The header pass: the sections of the header, and sizes that depend on headers alone. */
void headers_run(struct findings *findings, const struct pass_sink *sink);

/* The content pass: what the guest's first bytes are. */
void content_run(struct findings *findings, const struct pass_sink *sink);

#endif
