/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the mutator. */
#ifndef TESTS_FUZZ_IMAGE_MUTATOR_H
#define TESTS_FUZZ_IMAGE_MUTATOR_H

#include "image-input.h"

/* The input that is being changed. */
extern struct image_input mutated;

/* A random number below n; 0 below 0. */
uint64_t mutator_below(uint64_t n);

/* Memory until the next input; NULL: exhausted. */
uint8_t *mutator_room(size_t length);

/* A random piece; NULL: there are none. */
struct input_piece *mutator_piece(void);

/* A new value of a field with that value. */
uint64_t mutator_value(uint64_t now);

/* Changes a decimal number in a text; a field in base64. */
void mutate_number(void);
void mutate_base64(void);

#endif
