/* SPDX-License-Identifier: Apache-2.0 */
/* The conversions that a task tells of, all fed by one walk over the guest's data. */
#ifndef FS_TREE_CONVERSIONS_H
#define FS_TREE_CONVERSIONS_H

#include "passes.h"

/*
 * Begins those whose files the task tells: facts->disk is open. What cannot be converted says so in
 * the image's problems, and its files say -errno. They end with conversions_end().
 */
void conversions_begin(struct facts *facts, const struct task *task);

/* Reads the guest's data, if the size of one of them depends on it, and tells the sink how far it
 * is: facts->data_error. */
void conversions_walk(struct facts *facts, const struct pass_sink *sink);

void conversions_end(struct facts *facts);

#endif
