/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the mutator share. */
#ifndef TESTS_FUZZ_IMAGE_MUTATOR_H
#define TESTS_FUZZ_IMAGE_MUTATOR_H

#include "image-input.h"

/* The input at hand. */
extern struct image_input mutated;

/* A random number below n; 0 below 0. */
uint64_t mutator_below(uint64_t n);

/* Bytes that live as long as the input at hand; NULL: there are no more. */
uint8_t *mutator_room(size_t length);

/* One of the pieces; NULL: there are none. */
struct input_piece *mutator_piece(void);

/* A value for a field that has this one. */
uint64_t mutator_value(uint64_t now);

/* Makes another number of a decimal one; changes a field of what is told in base64. */
void mutate_number(void);
void mutate_base64(void);

#endif
