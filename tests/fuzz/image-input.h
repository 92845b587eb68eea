/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An input of the fuzzer of images: how the image is opened, the sizes of its files, and their
 * pieces, which are written in this order and may overlap. The rest of a file is holes, so that few
 * bytes describe a file of any size. Little endian:
 *
 *     8 bytes of choices
 *     3 sizes of 8 bytes: of the image, the file that it references, the file which that references
 *     pieces: offset (8), length (4), times (4), file (1), 3 unused bytes; length bytes, which are
 *     repeated so many times in the file
 */
#ifndef TESTS_FUZZ_IMAGE_INPUT_H
#define TESTS_FUZZ_IMAGE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    INPUT_FILES = 3,
    INPUT_BYTES_MAX = 1 << 20,
    INPUT_PIECES_MAX = 512,
    INPUT_HEADER_BYTES = 32,
    INPUT_PIECE_BYTES = 20,
    INPUT_WRITTEN_MAX = 512 << 10, /* bytes that all pieces write to files */
};

/* The bytes of choices. Any value is valid. */
enum input_choice {
    CHOICE_FORMAT,  /* 0: detected; else a format, in the order of formats[] */
    CHOICE_FLAGS,   /* enum input_flags */
    CHOICE_NAME,    /* of the image */
    CHOICE_SET,     /* option set of a target; 0: none */
    CHOICE_BACKING, /* backing-format=; 0: none, else a format */
    CHOICES = 8,
};

enum input_flags {
    INPUT_QEMU = 3, /* mask of the qemu version; 0: none */
    INPUT_ALONE = 4,
    INPUT_ANY_PARENT = 8,
    INPUT_GRANTED = 16, /* references are granted */
};

struct input_piece {
    uint64_t offset;
    uint32_t length, times;
    uint8_t file;
    uint8_t *bytes;
};

struct image_input {
    uint8_t choices[CHOICES];
    uint64_t sizes[INPUT_FILES];
    struct input_piece pieces[INPUT_PIECES_MAX];
    size_t count;
};

/* A number of width bytes, big or little endian. */
uint64_t input_get(const uint8_t *bytes, unsigned width, bool big);
void input_put(uint8_t *bytes, unsigned width, bool big, uint64_t value);

/* Parses an input; pieces point into data. The last piece may be truncated. false: no header. */
bool input_parse(struct image_input *input, uint8_t *data, size_t size);

/* The reverse. Omits pieces that do not fit. Returns the bytes written. */
size_t input_write(const struct image_input *input, uint8_t *out, size_t size);

/* The bytes that a piece covers; 0 if its end exceeds the largest file. */
uint64_t input_piece_bytes(const struct input_piece *piece);

/* Reads bytes of a file; zeros where no piece is, and past its end. */
void input_read(const struct image_input *input, unsigned file, uint64_t offset, uint8_t *bytes,
                size_t length);

/* Removes pieces that later ones cover. */
void input_prune(struct image_input *input);

/*
 * Writes bytes to a file: to the piece there, else to a new piece with its bytes in room, which has
 * that length. false: too many pieces.
 */
bool input_patch(struct image_input *input, unsigned file, uint64_t offset, const uint8_t *bytes,
                 size_t length, uint8_t *room);

/* Recomputes the checksums that are checked: of VHD footers, VHDX headers and region tables. room
 * has INPUT_REPAIR_BYTES. */
enum { INPUT_REPAIR_BYTES = 64 };
void input_repair(struct image_input *input, uint8_t *room);

#endif
