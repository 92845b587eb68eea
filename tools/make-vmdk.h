/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that make VMDK images share. */
#ifndef TOOLS_MAKE_VMDK_H
#define TOOLS_MAKE_VMDK_H

#include "maker.h"

enum state { UNALLOCATED, ALLOCATED, ZEROED, UNMAPPED };

struct text {
    char *bytes;
    size_t length;
};

/* Zeroed memory. Ends the program if there is none. */
void *vmdk_memory(uint64_t size);

/* Sets the state of the grains in a list such as 0,5,9-12,20-30/2 or all. */
void vmdk_mark(uint8_t *states, uint64_t grains, const char *list, enum state state);

/* The descriptor; otherwise: its createType unless that is given, extent: the line unless some are
 * given. */
struct text vmdk_text(struct maker *m, const char *otherwise, const char *extent);

/* The kinds of make-vmdk-extents.c. */
void vmdk_make_cowd(struct maker *m);
void vmdk_make_sesparse(struct maker *m);

#endif
