/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An input of the fuzzer of images: how an image is opened, how large its files are, and what stands in them:
 * pieces, laid over each other in their order. All else is holes, so that few bytes make a file of
 * any size. Numbers are little endian:
 *
 *     8 bytes of choices; 3 sizes of 8 bytes: of the image, the file it names, the file that names
 *     then pieces: offset (8), length (4), times (4), file (1), 3 bytes of nothing; length bytes,
 *     which stand in the file so many times, one behind the other
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
    INPUT_LAID_MAX = 512 << 10, /* bytes in files, of all pieces */
};

/* Which byte chooses what; each counts on from 0, and any value is good. */
enum input_choice {
    CHOICE_FORMAT,  /* 0: detected; else a format, of all of them in their order */
    CHOICE_FLAGS,   /* enum input_flags */
    CHOICE_NAME,    /* of the image */
    CHOICE_SET,     /* of options for a target; 0: none */
    CHOICE_BACKING, /* 0: none; else a format */
    CHOICES = 8,
};

enum input_flags {
    INPUT_QEMU = 3, /* which version's numbers, 0: ours */
    INPUT_ALONE = 4,
    INPUT_ANY_PARENT = 8,
    INPUT_GRANTED = 16, /* the files that are named may be opened */
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

/* Takes an input apart; its bytes stay where they are. What is cut off at the end is not there.
 * false: it has no header. */
bool input_parse(struct image_input *input, uint8_t *data, size_t size);

/* Puts it together again. Pieces that do not fit are left out. Returns the bytes written. */
size_t input_write(const struct image_input *input, uint8_t *out, size_t size);

/* Bytes that the piece stands for, and where they end; 0 bytes if that is nowhere in a file. */
uint64_t input_piece_bytes(const struct input_piece *piece);

/* What stands in a file, zeros where nothing does and past its end. */
void input_read(const struct image_input *input, unsigned file, uint64_t offset, uint8_t *bytes,
                size_t length);

/* Takes out the pieces of which nothing is to be seen under later ones. */
void input_prune(struct image_input *input);

/*
 * Puts bytes into a file: into the piece that is there, else into a new one, to which room of that
 * length then belongs. false: there are too many pieces.
 */
bool input_patch(struct image_input *input, unsigned file, uint64_t offset, const uint8_t *bytes,
                 size_t length, uint8_t *room);

/* Makes the checksums right that are looked at: of VHD footers, VHDX headers and region tables.
 * room: INPUT_REPAIR_BYTES. */
enum { INPUT_REPAIR_BYTES = 64 };
void input_repair(struct image_input *input, uint8_t *room);

#endif
