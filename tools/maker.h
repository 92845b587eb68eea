/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes disk images in which every field can be set: the fixtures. One function per format writes a
 * valid image from `key=value` arguments; then fields of a table can be overwritten.
 *
 *     make-image FORMAT FILE [key=value ...]
 *
 * After the format has written its image, in the order of arguments: poke=OFFSET:HEX writes bytes,
 * fill=OFFSET:LENGTH:BYTE writes a byte repeatedly, truncate=SIZE sets the size of the file (-N: N
 * less), append=HEX and pad=LENGTH (zeros) add to its end. over=1 writes over an existing FILE, for
 * an image inside an image. Numbers are decimal or 0x..., with an optional K, M, G or T. An unused
 * argument is an error.
 */
#ifndef TOOLS_MAKER_H
#define TOOLS_MAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maker; /* the file being made and the arguments */

/* A header field that can be overwritten by its name. order: '<' little endian, '>' big endian. */
struct maker_field {
    const char *name;
    uint32_t offset; /* bytes into the header */
    uint8_t width;   /* bytes: 1, 2, 4 or 8 */
    char order;
};

/* The value of key=..., or the default. Bad values end the program with a message. */
uint64_t maker_number(struct maker *m, const char *key, uint64_t otherwise);
const char *maker_string(struct maker *m, const char *key, const char *otherwise);

/* The next value of a key that may be repeated. *position begins at 0. NULL: no more. */
const char *maker_each(struct maker *m, const char *key, int *position);

/*
 * Stores the UUID key=..., 32 hexadecimal digits with or without dashes, in 16 bytes: in their
 * order
 * ('>'), or as a Microsoft GUID, whose first three groups are little endian ('<'). Without the key
 * the bytes stay.
 */
void maker_uuid(struct maker *m, const char *key, char order, uint8_t *uuid);

/* Parses a number; *end: after it. */
uint64_t maker_parse(const char *text, const char **end);

/* Stores value in a header. */
void maker_put(uint8_t *header, uint32_t offset, uint8_t width, char order, uint64_t value);

/*
 * Overwrites each field for which PREFIX.NAME=value was given (PREFIX "": NAME). Returns whether
 * the field `watch` was among them, such as a checksum, which is not computed then; NULL: none.
 */
bool maker_fields(struct maker *m, const char *prefix, const struct maker_field *fields,
                  uint8_t *header, const char *watch);

/* Writes to the file. Errors end the program. */
void maker_write(struct maker *m, uint64_t offset, const void *bytes, size_t length);

/* The file's size, bytes. */
uint64_t maker_size(struct maker *m);

/* Sets the file's size if it is smaller. */
void maker_extend(struct maker *m, uint64_t size);

/* Ends the program with a message. */
void maker_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The formats: a row in maker.c each. */
void make_bochs(struct maker *m);
void make_cloop(struct maker *m);
void make_content(struct maker *m);
void make_dmg(struct maker *m);
void make_luks(struct maker *m);
void make_mark(struct maker *m);
void make_parallels(struct maker *m);
void make_qcow(struct maker *m);
void make_qcow2(struct maker *m);
void make_qed(struct maker *m);
void make_raw(struct maker *m);
void make_vdi(struct maker *m);
void make_vhd(struct maker *m);
void make_vhdx(struct maker *m);
void make_vmdk(struct maker *m);

#endif
